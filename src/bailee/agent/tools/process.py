"""Running a program: bounded in time and output, and gone with all its children when stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bailee.records import dataclass

_GRACE: Final = 1.0  # seconds for the last of the output, after the program itself has ended
_ENDING: Final = 3.0  # seconds from SIGTERM to SIGKILL; `keeper` uses one of them
_PIECE: Final = 65536


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a program. `status` is negative for a signal, None when it ran out of time."""

    status: int | None
    output: str
    dropped: int


class _Bounded:
    """Keeps the beginning and the end of what comes, and counts what is dropped between."""

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if (over := len(self._tail) - self._half) > 0:
            del self._tail[:over]
            self.dropped += over

    def text(self) -> str:
        head, tail = (bytes(part).decode(errors="replace") for part in (self._head, self._tail))
        return head + (f"\n[{self.dropped} bytes left out]\n" if self.dropped else "") + tail


async def run_program(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    most: int,
) -> Ran:
    """Runs a program to its end, standard output and error together, with no input.

    When time is up, or the task is cancelled, its process group is ended: SIGTERM, then SIGKILL.

    Raises:
        OSError: it can't be started.
    """
    # A pipe of our own: asyncio's would make `wait` wait for whoever else holds its other end.
    output, inner = os.pipe()
    os.set_blocking(output, False)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=inner,
            stderr=inner,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    except BaseException:
        os.close(output)
        raise
    finally:
        os.close(inner)
    kept = _Bounded(most)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            if data := os.read(output, _PIECE):
                kept.add(data)
            elif not ended.done():
                ended.set_result(None)
                loop.remove_reader(output)

    loop.add_reader(output, read)
    timed_out = False
    try:
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            timed_out = True
            await _end(process)
        # A child that the program left behind may hold the pipe open for ever.
        await asyncio.wait({ended}, timeout=_GRACE)
    finally:
        try:
            await asyncio.shield(_end(process))
        finally:
            loop.remove_reader(output)
            os.close(output)
    return Ran(None if timed_out else process.returncode, kept.text(), kept.dropped)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the group of a program, whether or not the program itself has ended."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _ENDING)
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
