"""Records on their way to the recorder: an account's a little at a time, none put together by the
loop when it is large.

Rows: G1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from bailee.admission import Held, Rounds, Shares
from bailee.errors import StorageError
from bailee.gateway.recording import Recording
from bailee.vault.exchange import CapturedExchange

# Seconds a byte that writing and sealing keep the other threads waiting: about 40 ms for 8 MiB.
_WRITING: Final = 5e-9
# A record of more bytes is put together by another thread: the loop would be late for everybody.
_PUT_TOGETHER: Final = 1 << 20
_Record = tuple[Callable[[], CapturedExchange], Callable[[StorageError | None], None], Held]


class HandingOver:
    """The records of one gateway that are to be written, by account and in order. Exchanges'
    carriers call it, on the loop's thread. It never refuses a record: who is let in is `shares`'
    to say, before.
    """

    def __init__(self, recording: Recording, shares: Shares, rounds: Rounds) -> None:
        self.under_way = 0  # records that are not `recorded` yet
        self._recording = recording
        self._shares = shares
        self._rounds = rounds
        self._to_write: dict[str, deque[_Record]] = {}

    def submit(
        self,
        capture: Callable[[], CapturedExchange],
        done: Callable[[StorageError | None], None],
        held: Held,
    ) -> None:
        """Has a record made and hands it over, when its account's turn to be written comes, and
        counts it until `recorded`. `capture` may be called on another thread.
        """
        self.under_way += 1
        owner = held.account.name
        if self._rounds.crowded:
            self._rounds.spent(owner, held.bytes * _WRITING)
        self._shares.writes(held)
        queue = self._to_write.get(owner)
        if queue is None and self._shares.hands_over(held):
            self._hand_over(capture, done, held)
        else:
            self._to_write.setdefault(owner, deque()).append((capture, done, held))

    def _hand_over(
        self,
        capture: Callable[[], CapturedExchange],
        done: Callable[[StorageError | None], None],
        held: Held,
    ) -> None:
        if held.bytes <= _PUT_TOGETHER:
            self._recording.submit(capture(), done)
            return

        def hand_over(made: asyncio.Future[CapturedExchange]) -> None:
            if made.exception() is None:
                self._recording.submit(made.result(), done)
            else:
                done(StorageError("A record can't be put together.", hint="memory is short"))

        asyncio.get_running_loop().run_in_executor(None, capture).add_done_callback(hand_over)

    def recorded(self, held: Held) -> None:
        """A record that was handed over is done."""
        self.under_way -= 1
        self._shares.written(held)
        owner = held.account.name
        queue = self._to_write.get(owner)
        while queue and self._shares.hands_over(queue[0][2]):
            self._hand_over(*queue.popleft())
        if queue is not None and not queue:
            del self._to_write[owner]
