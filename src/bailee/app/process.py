"""What every process of a server's does with itself: how it starts, is told to stop, and crashes.

Rules kept here: no image of its memory is left, and of a defect only its class and place are told.
"""

from __future__ import annotations

import asyncio
import ctypes
import resource
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from bailee import config
from bailee.app.said import to_stderr
from bailee.config import Settings
from bailee.variables import unread

_OURS: Final = Path(config.__file__).parent
_PR_SET_DUMPABLE: Final = 4
# Seconds that one thread keeps the interpreter while another wants it. Python's 5 ms are more than
# a whole exchange takes: with the event loop busy, a record's way through its thread, which asks
# for it several times, took 20 ms and more, and every client waited for that.
SWITCH: Final = 0.0005


def thread_ended(ended: threading.ExceptHookArgs) -> None:
    """Say that a defect ended a thread: of what class, and where in bailee's own code. Its message
    may hold what it was about.
    """
    name = "a thread" if ended.thread is None else f"the thread {ended.thread.name!r}"
    at = [
        f"{Path(frame.filename).stem}:{frame.lineno}"
        for frame in traceback.extract_tb(ended.exc_traceback)
        if Path(frame.filename).is_relative_to(_OURS)
    ]
    to_stderr(f"bailee: {name} ended by a defect ({ended.exc_type.__name__} at {' '.join(at)})")


def leave_no_core() -> None:
    """Leave no image of this process's memory on the disk when it crashes: it holds content.

    The limit keeps the kernel from writing one, the flag keeps it from piping one to a program
    that does; the flag also keeps other processes of this user from reading the memory.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


async def drained(drain: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Let what is under way end; who tells it to stop a second time waits for nothing."""
    stop.clear()
    draining = asyncio.ensure_future(drain())
    again = asyncio.ensure_future(stop.wait())
    await asyncio.wait((draining, again), return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, again):
        task.cancel()
    await asyncio.gather(draining, again, return_exceptions=True)


def say_variables(environment: Mapping[str, str], settings: Settings) -> None:
    """Say which variables of the environment begin as bailee's do, and are read by nobody."""
    for name, meant in unread(environment, settings):
        hint = "see bailee config show" if meant is None else f"is it {meant} that was meant?"
        to_stderr(f"bailee: nobody reads the variable {name}. hint: {hint}")
