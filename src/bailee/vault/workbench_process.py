"""A workbench in a process of its own, so that what strangers sent is taken apart where it can
neither take turns from who serves others, nor end them.

Rules kept here:

* The process is given a socket, the keys of its digests, and what there is to
  take apart: no path, no key that opens anything, and of the environment only what starts Python.
* It gives way to others, has `_MEMORY` bytes at the most, leaves no core, and is the first that a
  machine without memory ends.
* When it ends, or takes too long, who asked is told (`WorkerEnded`); the next question starts
  another, which knows nothing of what was there before.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final, TypeVar

from bailee.errors import StorageError
from bailee.receiving import exactly
from bailee.vault import workbench_wire as wire
from bailee.vault.exchange import CapturedExchange
from bailee.vault.packing import JSON, unpack
from bailee.vault.workbench import (
    Apart,
    Bench,
    DigestKeys,
    How,
    Interpret,
    Missing,
    Packed,
    PackingOrder,
    Places,
    Workbench,
)

_T = TypeVar("_T")
_KEY: Final = 32
_READY: Final = b"ready"
_MEMORY: Final = 3 << 30  # bytes of address space; at its bounds an exchange takes some 300 MB
_NICE: Final = 5
_LITTLE: Final = 1 << 20  # bytes that are sent and taken in one piece
_PATIENCE: Final = 120.0
_STARTS: Final = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class WorkerEnded(Exception):
    """The process ended, or hangs, or says what makes no sense."""


class WorkbenchProcess:
    """The sealer's end of a workbench in a process of its own, which it owns, starts anew and ends.
    Used by the sealer's thread, but for `forget`, which is for any. It reads nothing of what it
    passes.
    """

    def __init__(
        self,
        command: Sequence[str],
        keys: DigestKeys,
        *,
        environment: Mapping[str, str] = os.environ,
        patience: float = _PATIENCE,
    ) -> None:
        """Start `command`, which runs `serve` on its standard input. `patience`: seconds without a
        byte of an answer after which the process is taken to hang.
        """
        self._command = tuple(command)
        self._keys = keys
        self._environment = {name: environment[name] for name in _STARTS if name in environment}
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._ready = False
        self._gone: set[str] = set()
        self._lock = threading.Lock()  # whenever `_gone` is read or changed
        with suppress(StorageError):  # said when it is needed
            self._start()

    def take_apart(self, exchanges: Sequence[CapturedExchange], how: How) -> list[Apart]:
        """See `Bench`.

        Raises:
            WorkerEnded: the process did.
            StorageError: it can't be started.
        """
        return self._ask(wire.take_apart(exchanges, how), wire.apart_in)

    def pack(
        self, asks: Sequence[PackingOrder], places: Places | None = None
    ) -> list[Packed] | Missing:
        """See `Bench`.

        Raises:
            WorkerEnded: the process did.
            StorageError: it can't be started.
        """
        with self._lock:
            gone, self._gone = self._gone, set()
        return self._ask(wire.packing(asks, places, gone), wire.packed_in)

    def forget(self, sessions: Iterable[str]) -> None:
        """See `Bench`."""
        with self._lock:
            self._gone.update(sessions)

    def close(self) -> None:
        """End the process."""
        connection, self._socket = self._socket, None
        process, self._process = self._process, None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int | None:
        """The process's id, while there is one."""
        return None if self._process is None else self._process.pid

    def _ask(self, question: list[bytes], read: Callable[[JSON, list[bytes]], _T]) -> _T:
        connection = self._started()
        try:
            _send(connection, question)
            header, pieces = _receive(connection)
            return read(header, pieces)
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.close()
            raise WorkerEnded(type(error).__name__) from error

    def _start(self) -> socket.socket:
        """Start the process, and leave it to begin.

        Raises:
            StorageError: it can't be started; no exchange is at fault.
        """
        ours, theirs = socket.socketpair()
        ours.settimeout(self._patience)
        self._socket = ours
        self._ready = False
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603
                    self._command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # a traceback could have content in it
                    env=self._environment,
                )
            ours.sendall(b"".join(self._keys))
        except OSError as error:
            self.close()
            raise _not_started(type(error).__name__) from error
        return ours

    def _started(self) -> socket.socket:
        """The connection to a process that is ready.

        Raises:
            StorageError: there is none.
        """
        connection = self._socket or self._start()
        if not self._ready:
            try:
                self._ready = exactly(connection, len(_READY)) == _READY
            except (OSError, EOFError):
                self._ready = False
            if not self._ready:
                self.close()
                raise _not_started("it does not say that it is ready")
        return connection


def _not_started(why: str) -> StorageError:
    return StorageError(
        f"the process that takes exchanges apart can't be started ({why}).",
        hint="check the machine's memory and process limits; what is recorded waits in the spool",
    )


def serve(interpret: Interpret) -> None:
    """The process's end: answer on standard input until that is closed."""
    _give_way()
    with socket.socket(fileno=os.dup(0)) as connection, suppress(OSError, EOFError):
        bench: Bench = Workbench(
            interpret, DigestKeys(exactly(connection, _KEY), exactly(connection, _KEY))
        )
        connection.sendall(_READY)
        while True:
            header, pieces = _receive(connection)
            _send(connection, _answered(bench, header, pieces))


def _answered(bench: Bench, header: JSON, pieces: list[bytes]) -> list[bytes]:
    if isinstance(header, dict) and "exchanges" in header:
        return wire.told_apart(bench.take_apart(*wire.exchanges_in(header, pieces)))
    asks, places, gone = wire.asks_in(header, pieces)
    bench.forget(gone)
    return wire.told_packed(bench.pack(asks, places))


def _give_way() -> None:
    """The end of standard input ends the process, and no signal that is meant for its parent."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    memory = _MEMORY if most == resource.RLIM_INFINITY else min(_MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _receive(connection: socket.socket) -> tuple[JSON, list[bytes]]:
    """Raises: OSError, EOFError, ValueError."""
    header, lengths = wire.lengths_of(exactly(connection, wire.START.size))
    sizes = wire.pieces_of(exactly(connection, lengths))
    told = unpack(exactly(connection, header))
    if sum(sizes) > _LITTLE:
        return told, [exactly(connection, size) for size in sizes]
    together = exactly(connection, sum(sizes))
    ends = list(accumulate(sizes, initial=0))
    return told, [together[start:end] for start, end in pairwise(ends)]


def _send(connection: socket.socket, parts: list[bytes]) -> None:
    if sum(map(len, parts)) <= _LITTLE:
        parts = [b"".join(parts)]
    for part in parts:
        connection.sendall(part)
