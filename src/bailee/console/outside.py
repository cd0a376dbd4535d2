"""Work that waits for somebody else's server, kept apart from the rest of the console.

Rules kept here:

* It has threads of its own, a few: however many people wait for a slow provider, the threads that
  answer every other page are free.
* Who asks waits for a bounded time, then is told. What was asked may still be under way, in its
  thread and no longer than its own time limit.
* When every thread is taken, who comes next is told so at once.

How many may wait for the *same* provider is for whoever calls it to say
(`accounts.provider_calls`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from bailee.errors import UpstreamError

T = TypeVar("T")

_THREADS: Final = 16
_SECONDS: Final = 20.0


class Outside:
    """A few threads for work that waits for another's server. The site owns it and calls `run` on
    its event loop's thread, which never waits for a free thread. It ends no work: that has a time
    limit of its own.
    """

    def __init__(self, threads: int = _THREADS, seconds: float = _SECONDS) -> None:
        """`seconds`: how long a visitor waits."""
        self._threads = threads
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="outside")
        self._under_way = 0  # the event loop's thread's alone

    async def run(self, work: Callable[[], T]) -> T:
        """Carry it out, and give what it gives.

        Raises:
            UpstreamError: `upstream_timeout`, it takes too long, or too many wait already.
        """
        if self._under_way >= self._threads:
            raise _slow()
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._over)
        done, _ = await asyncio.wait({future}, timeout=self._seconds)
        if not done:
            raise _slow()
        return future.result()

    def _over(self, future: asyncio.Future[T]) -> None:
        self._under_way -= 1
        if not future.cancelled():
            future.exception()  # nobody may be there any more to be told


def _slow() -> UpstreamError:
    return UpstreamError(
        "another service that this page needs is slow.",
        code="upstream_timeout",
        hint="try again in a minute; the rest of this console works",
    )
