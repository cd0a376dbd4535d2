"""One thread that many share, each in turn: whoever has little for it never stands behind all that
somebody else has.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from bailee.lasting import Lasting

T = TypeVar("T")
_Job = Callable[[], None]
"""Does what is asked, and tells who waits."""


class SenderTurns:
    """One thread and what waits for it, from opening to `close`: it works off jobs, one of each
    sender in turn. A receiver owns it and calls `do` on its event loop. It refuses nobody: how much
    may wait is the door's.
    """

    def __init__(self, name: str) -> None:
        self._waiting: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._change = threading.Condition()  # whenever these two are read or changed
        self._closed = False
        self.thread = Lasting(name, self._run)
        self.thread.start()

    async def do(self, sender: str, job: Callable[[], T]) -> T:
        """What the job gives, when it is the sender's turn. Raises whatever the job does."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return  # the sender went away
            try:
                future.set_result(job())
            except BaseException as error:  # whoever waits is told, whatever it was
                future.set_exception(error)

        with self._change:
            if self._closed:
                raise RuntimeError("no more turns")
            self._waiting.setdefault(sender, deque()).append(work)
            self._change.notify()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Work off what waits, and end."""
        with self._change:
            self._closed = True
            self._change.notify()
        self.thread.revive()
        self.thread.join()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()

    def _next(self) -> _Job | None:
        with self._change:
            while not self._waiting:
                if self._closed:
                    return None
                self._change.wait()
            sender, jobs = self._waiting.popitem(last=False)
            job = jobs.popleft()
            if jobs:
                self._waiting[sender] = jobs  # to the end
            return job
