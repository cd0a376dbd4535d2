"""Runs commands in the guest: as its ordinary user or as root, each in a process group of its own.

The agent is process 1, so whatever loses its parent becomes its child: `Children` collects them
all, and hands the status of those that are waited for to who waits. What a command left running in
its group when it ended is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from typing import Final

from bailee.cloud.channel import commands
from bailee.cloud.channel.connection import StreamWriter
from bailee.cloud.ports import Command

USER: Final = 1000
TIMED_OUT: Final = 124
NOT_FOUND: Final = 127
NOT_RUN: Final = 126
_PIECE: Final = 65536
_LAST_OUTPUT: Final = 1.0  # seconds for what is still in a pipe that somebody else holds open
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GROUP: Final = "/sys/fs/cgroup/commands"


class Children:
    """The statuses of processes that ended."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[int]] = {}
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.collect)

    def wait(self, process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
        """The exit status of a process that was just started; 128 + N when signal N killed it."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[process.pid] = future
        return future

    def collect(self) -> None:
        """Collect every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if (future := self._waiting.pop(pid, None)) is not None and not future.done():
                future.set_result(128 - code if code < 0 else code)


def environment(command: Command) -> dict[str, str]:
    """The environment of a command: what it asks for, over what a log-in would have."""
    user, home = ("root", "/root") if command.root else ("session", "/home/session")
    plain = {"PATH": _PATH, "HOME": home, "USER": user, "LOGNAME": user, "LANG": "C.UTF-8"}
    return {**plain, "SHELL": "/bin/bash", "TMPDIR": "/tmp", **command.environment}  # noqa: S108


async def run(
    command: Command, reader: asyncio.StreamReader, writer: StreamWriter, children: Children
) -> None:
    """Run a command: its input comes from `reader`, its records go to `writer`."""
    try:
        process = _start(command)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "can't be run"
        text = f"bailee: {command.argv[0]}: {why}\n"
        writer.write(commands.output("stderr", text.encode()))
        missing = isinstance(error, FileNotFoundError)
        writer.write(commands.status(NOT_FOUND if missing else NOT_RUN))
        return
    ended = children.wait(process)
    feeding = asyncio.create_task(_feed(process, reader))
    pumping = [
        asyncio.create_task(_pump(pipe.fileno(), name, writer))
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr))
        if pipe is not None
    ]
    given_up = asyncio.create_task(writer.wait_closed())
    try:
        either: list[asyncio.Future[int] | asyncio.Future[None]] = [ended, given_up]
        await asyncio.wait(either, timeout=command.timeout, return_when=asyncio.FIRST_COMPLETED)
        code = ended.result() if ended.done() else TIMED_OUT
        _kill(process.pid)
        await asyncio.wait(pumping, timeout=_LAST_OUTPUT)
        writer.write(commands.status(code))
        with suppress(ConnectionError):
            await writer.drain()
    finally:
        _kill(process.pid)
        for task in (given_up, feeding, *pumping):
            task.cancel()
        await asyncio.wait([given_up, feeding, *pumping])
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.returncode = 0  # collected by `Children`


def _start(command: Command) -> subprocess.Popen[bytes]:
    folder = command.folder if os.path.isdir(command.folder) else "/"  # noqa: PTH112
    return subprocess.Popen(  # noqa: S603
        list(command.argv),
        cwd=folder,
        env=environment(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        # The agent has no threads, so what runs between fork and exec is safe.
        preexec_fn=_enter_as_root if command.root else _enter_as_user,  # noqa: PLW1509
    )


def _enter_as_user() -> None:
    _enter_as_root()
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)


def _enter_as_root() -> None:
    """Enter the group whose processes and memory are bounded, before anything of it can run."""
    with open(f"{GROUP}/cgroup.procs", "w") as procs:  # noqa: PTH123
        procs.write("0")
    with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("500")


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


async def _feed(process: subprocess.Popen[bytes], reader: asyncio.StreamReader) -> None:
    """The command's input, to its end. A stream that is reset kills the command."""
    assert process.stdin is not None
    descriptor = process.stdin.fileno()
    os.set_blocking(descriptor, False)
    try:
        while data := await reader.read(_PIECE):
            while data:
                try:
                    data = data[os.write(descriptor, data) :]
                except BlockingIOError:
                    await _ready(descriptor, writing=True)
    except ConnectionError:
        _kill(process.pid)
    except OSError:
        pass  # the command does not want it
    with suppress(OSError):
        process.stdin.close()
    with suppress(ConnectionError):
        while await reader.read(_PIECE):
            pass


async def _pump(descriptor: int, name: str, writer: StreamWriter) -> None:
    """A pipe of the command, to its end."""
    os.set_blocking(descriptor, False)
    with suppress(ConnectionError):
        while True:
            try:
                data = os.read(descriptor, _PIECE)
            except BlockingIOError:
                await _ready(descriptor, writing=False)
                continue
            if not data:
                return
            writer.write(commands.output(name, data))
            await writer.drain()


async def _ready(descriptor: int, *, writing: bool) -> None:
    """Wait until a descriptor can be read from, or written to."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def done() -> None:
        if not ready.done():
            ready.set_result(None)

    add, remove = (
        (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    )
    add(descriptor, done)
    try:
        await ready
    finally:
        remove(descriptor)
