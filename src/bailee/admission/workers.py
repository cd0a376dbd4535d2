"""Threads that carry out what requests ask for, and how many may wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bailee.errors import StorageError

T = TypeVar("T")


class Workers:
    """So many threads, called by `name`, for work that blocks, and at the most `waiting` pieces of
    it at a time. An application owns it; `do` is called on one event loop. It keeps no result.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = waiting
        self._waiting = 0  # the event loop's thread's alone

    def close(self) -> None:
        """Let the threads end with what they have begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def do(self, work: Callable[[], T]) -> T:
        """Carry it out on one of the threads.

        Raises:
            StorageError: code `overloaded`: too many wait for one.
        """
        if self._waiting >= self._most:
            raise StorageError("too much is under way; try again.", code="overloaded")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
