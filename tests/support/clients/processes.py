"""`bailee` as a process of its own: forked from one that has imported it, where that is the same.

Importing what a command needs takes ten times as long as most commands do. So the first that is
asked for starts a process (`fork_server`) that imports it once, and that one forks for each. What
decides how Python itself starts (another encoding, an option of Python's) can't be had by a fork:
such a process is started as a person's shell would. `BAILEE_TESTS_FORK=0` lets all be. A library
that is preloaded has a `fork_server` of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

LANGUAGE = {"LANG": "C.UTF-8"}
_FORKS = os.environ.get("BAILEE_TESTS_FORK") != "0"
# With these, what it imports starts no thread: none would be there after a fork.
_NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
_OF_THE_START = ("PYTHON", "LD_", "LC_", "LANGUAGE", "TZ", "OPENSSL_", "MALLOC_", "GLIBC_")


class Forked:
    """A process that was forked for us. As far as tests use it, it is `subprocess.Popen[str]`."""

    def __init__(
        self, program: Path | None, arguments: tuple[str, ...], environment: Mapping[str, str],
        folder: Path, given: bool, stdout: int | IO[str], stderr: int | IO[str],
        terminal: int | None,
    ) -> None:  # fmt: skip
        self.returncode: int | None = None
        self.args = [*_words(program), *arguments]
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        theirs = []
        if terminal is not None:
            theirs.append(os.dup(terminal))
        elif given:
            reads, writes = os.pipe()
            theirs.append(reads)
            self.stdin = open(writes, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        else:
            theirs.append(os.open(os.devnull, os.O_RDONLY))
        for name, where in (("stdout", stdout), ("stderr", stderr)):
            if where == subprocess.PIPE:
                reads, writes = os.pipe()
                setattr(self, name, open(reads, encoding="utf-8"))  # noqa: PTH123, SIM115
            elif where == subprocess.DEVNULL:
                writes = os.open(os.devnull, os.O_WRONLY)
            elif where == subprocess.STDOUT:
                writes = os.dup(theirs[1])
            else:
                writes = os.dup(where if isinstance(where, int) else where.fileno())
            theirs.append(writes)
        self._answers, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked = {
            "program": "bailee" if program is None else str(program),
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(folder.absolute()),
            "terminal": terminal is not None,
            "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        server = _server(environment.get("LD_PRELOAD", ""))
        socket.send_fds(server, [json.dumps(asked).encode()], [answering.fileno(), *theirs])
        answering.close()
        for descriptor in theirs:
            os.close(descriptor)
        self.pid = int(self._answers.recv(100))
        self._over = threading.Lock()  # held by who reads the answer, and sets `returncode`

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        if self._over.acquire(blocking=False):
            try:
                self._ended(0)
            finally:
                self._over.release()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended."""
        with self._over:
            if (status := self._ended(timeout)) is None:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            return status

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._answers, select.POLLIN)
            if poll.poll(None if timeout is None else timeout * 1000):
                self.returncode = os.waitstatus_to_exitcode(int(self._answers.recv(100)))
                self._answers.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def communicate(
        self, given: str | None = None, timeout: float | None = None
    ) -> tuple[str, str]:
        """Write what is given, read all it says, and wait for its end."""
        said: dict[str, str] = {}

        def read(name: str, stream: IO[str]) -> None:
            said[name] = stream.read()

        streams = {"out": self.stdout, "errors": self.stderr}
        readers = [
            threading.Thread(target=read, args=(name, stream), daemon=True)
            for name, stream in streams.items()
            if stream is not None
        ]
        for reader in readers:
            reader.start()
        if self.stdin is not None and not self.stdin.closed:
            try:
                self.stdin.write(given or "")
                self.stdin.close()
            except BrokenPipeError:
                pass  # it has ended without reading all
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        for stream in filter(None, streams.values()):
            stream.close()
        self.wait(timeout)
        return said.get("out", ""), said.get("errors", "")


Process = subprocess.Popen[str] | Forked


def start(
    *arguments: str,
    env: Mapping[str, str],
    folder: Path | None = None,
    program: Path | None = None,
    under: Sequence[str] = (),
    fresh: bool = False,
    given: bool = False,
    stdout: int | IO[str] = subprocess.PIPE,
    stderr: int | IO[str] = subprocess.PIPE,
    terminal: int | None = None,
) -> Process:
    """Start `bailee` with this environment. `under`: a program that is to start it. `fresh`:
    not by a fork. `program`: a file of Python's to run instead. `given`: something will be written
    to its input. `terminal`: its controlling one, which is its input, output and error.
    """
    if terminal is not None:
        stdout = stderr = terminal
    plain = not under and not fresh and _starts_alike(env)
    if _FORKS and plain and not any(n.startswith(_OF_THE_START) for n in env if n != "LD_PRELOAD"):
        return Forked(
            program, arguments, env, folder or Path.cwd(), given, stdout, stderr, terminal
        )
    controlled = () if terminal is None else ("setsid", "--ctty")
    return subprocess.Popen(
        [*under, *controlled, *_words(program), *arguments],
        cwd=folder,
        env=env,
        stdin=terminal or (subprocess.PIPE if given else subprocess.DEVNULL),
        stdout=stdout,
        stderr=stderr,
        text=True,
    )


def run(
    *arguments: str,
    env: Mapping[str, str],
    folder: Path | None = None,
    program: Path | None = None,
    given: str | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run `bailee` with this environment, to its end."""
    process = start(*arguments, env=env, folder=folder, program=program, given=given is not None)
    try:
        out, errors = process.communicate(given, timeout=timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    assert process.returncode is not None
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def shell(
    line: str, *, env: Mapping[str, str], folder: Path, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell, to its end; what it printed on either stream is its output. Each
    `bailee` in it is one that is forked, with the streams that the shell gave it.
    """
    forks = _FORKS and _starts_alike(env)
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env={**env, "PATH": f"{_of_a_shell()}:{env['PATH']}"} if forks else env,
        pass_fds=[_server("").fileno()] if forks else [],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


def _starts_alike(env: Mapping[str, str]) -> bool:
    """Whether Python starts by this locale as it did where it forks: of its language Python itself
    reads nothing, of its encoding it does.
    """
    return env.get("LANG", "").endswith(".UTF-8")


@cache
def _of_a_shell() -> str:
    """A folder with a program `bailee` that has this process's server fork."""
    folder = tempfile.TemporaryDirectory(prefix="bailee-in-a-shell-")
    atexit.register(folder.cleanup)
    client = Path(__file__).with_name("forked.py")
    words = shlex.join([sys.executable, "-I", "-S", str(client), str(_server("").fileno())])
    program = Path(folder.name) / "bailee"
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    return folder.name


def _words(program: Path | None) -> list[str]:
    return [sys.executable, *(("-m", "bailee") if program is None else (str(program),))]


@cache
def _server(preloaded: str) -> socket.socket:
    """The socket of the process that forks, started now, with a library preloaded if one is named.
    It ends with this one.
    """
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("fork_server.py"), str(its.fileno())],
        env={"PATH": os.environ["PATH"], **LANGUAGE, **_NO_THREADS, "LD_PRELOAD": preloaded},
        stdin=subprocess.DEVNULL,
        pass_fds=[its.fileno()],
    )
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
