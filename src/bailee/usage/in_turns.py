"""Requests that are read beside the loop: one at a time, of each account in turn.

What a request says is looked for before it goes on, where a limit, a list of models or zero
retention asks for that. A dense one of 2 MB takes half a second of Python, which the loop's thread
shares an interpreter with.

Rules kept here: one thread reads at a time, whoever sends how many; an account's next request waits
for one of each other account's, and no other for more than one of its; who goes away while waiting
gives their turn on.

Rows: G1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

_T = TypeVar("_T")

AT_ONCE: Final = 4 << 10
"""Bytes of a request that is not worth a turn: reading it takes a millisecond at the most."""


class ReadersInTurn:
    """Who waits to have a request read, by account. The gateway has one, and whoever admits its
    requests another; all its methods are called on the event loop's thread. It keeps nothing of
    what is read.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._reading = False

    async def run(self, account: str, read: Callable[[], _T]) -> _T:
        """What `read` gives, on another thread, when the account's turn has come."""
        loop = asyncio.get_running_loop()
        if self._reading:
            turn = loop.create_future()
            self._waiting.setdefault(account, deque()).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():  # it was given just then
                    self._next()
                raise
        self._reading = True
        reading = loop.run_in_executor(None, read)
        reading.add_done_callback(lambda _: self._next())
        return await asyncio.shield(reading)  # a thread that reads is not stopped

    def _next(self) -> None:
        self._reading = False
        while self._waiting:
            account = next(iter(self._waiting))
            queue = self._waiting.pop(account)
            turn = queue.popleft()
            if queue:
                self._waiting[account] = queue  # behind the others
            if not turn.done():
                self._reading = True
                turn.set_result(None)
                return
