"""The spool: where an exchange is durable before its client sees the end of it.

Theory of operation: the event loop hands exchanges over with `submit`, which only queues. One
thread takes all that waits, seals each under the file's own key, writes the group with one write
and one sync, and wakes the loop once for all of them. Files are allocated ahead, and the next one
is made while the present one fills. (Writing on the loop's own thread saves a lone exchange the
hand-over, about 0.07 of 0.19 ms where this was measured, and costs all others their grouping.)

Rules kept here:

* `done(None)` is called only after the record is on disk.
* A file has a key of its own (keyring subject `spool:<name>`), which dies with the file, and after
  30 days whatever happens; so a file that is half as old is not written to any more. Nor is one
  after a failed write.
* What waits is bounded in bytes by `has_room`; the gateway stops reading meanwhile.
* While writing fails, `failure` says so, every exchange is refused at once, and writing is tried
  again by making a new file, which takes the same disk and the same keyring.
* What was written is handed on in order: `kept` for each group, `closed` after a file's last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.clock import Clock
from bailee.errors import BaileeError, StorageError
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES
from bailee.vault.exchange import CapturedExchange
from bailee.vault.files import Files
from bailee.vault.frames import encode, frame_data, header

DATA_CLASS: Final = "spool"
LIFETIME: Final = timedelta(days=30)
_FILE_BYTES = 16 << 20
_GROUP_BYTES = 8 << 20
_PROBE_SECONDS = 1.0
_serial = count()

Done = Callable[[StorageError | None], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """An exchange that is durable, and where: the file's name, its number in it, its bytes."""

    file: str
    sequence: int
    offset: int
    length: int
    exchange: CapturedExchange | None


class Receiver(Protocol):
    """What becomes of what was written. Called on the spool's thread, in order."""

    def kept(self, group: Sequence[Kept]) -> None:
        """A group is durable."""

    def closed(self, file: str) -> None:
        """Nothing more will be written to `file`."""


def subject_of(file: str) -> str:
    """The keyring subject of a spool file."""
    return f"spool:{file}"


@dataclass(slots=True)
class _File:
    name: str
    descriptor: int
    size: int
    cipher: AESGCM
    begun: datetime
    offset: int = 0
    sequence: int = 0


class _Order:
    """Something asked of the spool's thread: to close the present file, or to stop, or nothing."""

    def __init__(
        self, *, roll: bool = False, older_than: timedelta | None = None, stop: bool = False
    ) -> None:
        self.roll = roll
        self.older_than = older_than
        self.stop = stop
        self.obeyed = threading.Event()


class Spool:
    """Writes exchanges to files in `folder`. Implements the gateway's port `Recording`."""

    def __init__(
        self,
        folder: Path,
        keyring: Keyring,
        clock: Clock,
        receiver: Receiver,
        *,
        files: Files | None = None,
        file_bytes: int = _FILE_BYTES,
        most_waiting: int = 64 << 20,
        probe_seconds: float = _PROBE_SECONDS,
    ) -> None:
        """Start writing. `file_bytes`: a file's size; `most_waiting`: bytes for `has_room`."""
        self._folder = folder
        self._keyring = keyring
        self._clock = clock
        self._receiver = receiver
        self._files = files or Files()
        self._file_bytes = file_bytes
        self._most_waiting = most_waiting
        self._probe_seconds = probe_seconds
        self._queue: SimpleQueue[tuple[CapturedExchange, Done] | _Order] = SimpleQueue()
        self._submitted = 0  # bytes; written by the loop's thread alone
        self._settled = 0  # bytes; written by the spool's thread alone
        self._for_room: deque[Callable[[], None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: StorageError | None = None
        self._probed = 0.0
        self._file: _File | None = None
        self._next: Future[_File] | None = None
        self._maker = ThreadPoolExecutor(1, "spool-files")
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    # -- the port, on the event loop's thread ----------------------------------------------------

    def submit(self, exchange: CapturedExchange, done: Done) -> None:
        """Queue `exchange`; `done` is called on this loop once it is durable, or with the error."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._submitted += _weight(exchange)
        self._queue.put((exchange, done))

    @property
    def has_room(self) -> bool:
        """Whether fewer bytes wait than may."""
        return self._submitted - self._settled < self._most_waiting

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the loop when there is room again, which may be at once."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._for_room.append(callback)
        if self.has_room:
            self._loop.call_soon(self._give_room)

    @property
    def failure(self) -> StorageError | None:
        """Not None while writing is known to fail."""
        return self._failure

    # -- from any thread -------------------------------------------------------------------------

    def flush(self) -> None:
        """Return when all that was submitted before is durable or was refused."""
        self._ask(_Order())

    def roll(self, *, older_than: timedelta | None = None) -> None:
        """Close the present file, so that it can be sealed away and its key destroyed, and go on
        with one that is made afterwards; with `older_than`, only if it holds something and was
        begun that long ago.
        """
        self._ask(_Order(roll=True, older_than=older_than))

    def close(self) -> None:
        """Write what waits, close the file, stop."""
        if not self._stopped:
            self._ask(_Order(roll=True, stop=True))
            self._thread.join()
            self._stopped = True

    def _ask(self, order: _Order) -> None:
        if not self._thread.is_alive():
            return
        self._queue.put(order)
        while not order.obeyed.wait(0.5):
            if not self._thread.is_alive():
                return

    # -- the spool's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(StorageError):
            self._file = self._take_file(self._file_bytes)
        stop = False
        while not stop:
            batch, order = self._take()
            if batch:
                self._keep(batch)
            elif self._failure is not None and order is None:
                self._probe()
            if order is not None:
                if order.roll:
                    self._roll(order.older_than)
                    if not order.stop:
                        self._make_ahead()
                stop = order.stop
                order.obeyed.set()
        self._maker.shutdown()
        self._discard_next()

    def _take(self) -> tuple[list[tuple[CapturedExchange, Done]], _Order | None]:
        """All that waits, up to a group's size, or up to an order."""
        batch: list[tuple[CapturedExchange, Done]] = []
        size = 0
        try:
            timeout = None if self._failure is None else self._probe_seconds
            item = self._queue.get(timeout=timeout)
            while True:
                if isinstance(item, _Order):
                    return batch, item
                batch.append(item)
                size += _weight(item[0])
                if size >= _GROUP_BYTES:
                    return batch, None
                item = self._queue.get_nowait()
        except Empty:
            return batch, None

    def _keep(self, batch: list[tuple[CapturedExchange, Done]]) -> None:
        failure: StorageError | None = None
        group: list[Kept] = []
        if self._failure is not None and time.monotonic() - self._probed < self._probe_seconds:
            failure = self._failure
        else:
            try:
                group = self._write([exchange for exchange, _ in batch])
                self._failure = None
            except Exception as error:  # a defect here must not leave clients waiting
                failure = self._failed(error)
        self._settled += sum(_weight(exchange) for exchange, _ in batch)
        self._wake([done for _, done in batch], failure)
        if group:
            self._receiver.kept(group)
            self._make_ahead()

    def _write(self, exchanges: Sequence[CapturedExchange]) -> list[Kept]:
        plains = [encode(exchange) for exchange in exchanges]
        # header, nonce and tag: 16 + 12 + 16 bytes a frame
        total = sum(len(plain) + 44 for plain in plains)
        file = self._file
        if file is None or file.offset + total > file.size or self._is_stale(file):
            self._close_file()
            file = self._file = self._take_file(max(self._file_bytes, total))
        parts: list[bytes] = []
        group: list[Kept] = []
        offset, sequence = file.offset, file.sequence
        nonces = os.urandom(NONCE_BYTES * len(plains))
        for number, (plain, exchange) in enumerate(zip(plains, exchanges, strict=True)):
            nonce = nonces[number * NONCE_BYTES : (number + 1) * NONCE_BYTES]
            sealed = file.cipher.encrypt(nonce, plain, frame_data(file.name, sequence))
            length = NONCE_BYTES + len(sealed)
            parts += (header(sequence, length), nonce, sealed)
            group.append(Kept(file.name, sequence, offset, 16 + length, exchange))
            offset += 16 + length
            sequence += 1
        try:
            self._files.write(file.descriptor, b"".join(parts), file.offset)
            self._files.sync(file.descriptor)
        except OSError as error:
            raise _storage_error(error) from error
        file.offset, file.sequence = offset, sequence
        return group

    def _failed(self, error: Exception) -> StorageError:
        """Note a failure and give up the present file: what it holds from now on is unknown."""
        if isinstance(error, StorageError):
            failure = error
        else:
            failure = StorageError(f"the spool failed ({type(error).__name__}).")
        self._failure = failure
        self._probed = time.monotonic()
        file = self._file
        if file is not None:
            with contextlib.suppress(OSError):  # what was refused shall not reappear
                os.ftruncate(file.descriptor, file.offset)
        self._close_file()
        return failure

    def _probe(self) -> None:
        self._probed = time.monotonic()
        try:
            if self._file is None:
                self._file = self._take_file(self._file_bytes)
            self._failure = None
        except StorageError as error:
            self._failure = error

    def _wake(self, dones: list[Done], failure: StorageError | None) -> None:
        loop = self._loop
        if loop is None:
            return
        give_room = bool(self._for_room) and self.has_room

        def settle() -> None:
            for done in dones:
                done(failure)
            if give_room:
                self._give_room()

        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle)

    def _give_room(self) -> None:
        while self._for_room and self.has_room:
            self._for_room.popleft()()

    # -- files -----------------------------------------------------------------------------------

    def _make(self, size: int) -> _File:
        now = self._clock()
        milliseconds = int(now.timestamp() * 1000)
        name = f"{milliseconds:013d}-{next(_serial):06d}-{os.urandom(6).hex()}"
        path = self._folder / name
        try:
            descriptor = self._files.make(path, size)
        except OSError as error:
            raise _storage_error(error) from error
        try:
            dek = self._keyring.dek(subject_of(name), DATA_CLASS, now + LIFETIME)
        except BaileeError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return _File(name, descriptor, size, AESGCM(dek.key), now)

    def _make_ahead(self) -> None:
        file = self._file
        if self._next is None and (file is None or file.offset > file.size // 2):
            self._next = self._maker.submit(self._make, self._file_bytes)

    def _take_file(self, size: int) -> _File:
        if self._next is not None:
            ready, self._next = self._next, None
            with contextlib.suppress(BaileeError):
                file = ready.result()
                if file.size >= size and not self._is_stale(file):
                    return file
                self._discard(file)
        return self._make(size)

    def _is_stale(self, file: _File) -> bool:
        """Whether a file's key may be gone before what is written now has been sealed."""
        return not timedelta(0) <= self._clock() - file.begun < LIFETIME / 2

    def _roll(self, older_than: timedelta | None) -> None:
        file = self._file
        if older_than is None:
            self._close_file()
            self._discard_next()
        elif file is not None and file.sequence and self._clock() - file.begun >= older_than:
            self._close_file()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if file.sequence == 0:
            self._discard(file)
        else:
            os.close(file.descriptor)
            self._receiver.closed(file.name)

    def _discard_next(self) -> None:
        ready, self._next = self._next, None
        if ready is not None:
            with contextlib.suppress(BaileeError):
                self._discard(ready.result())

    def _discard(self, file: _File) -> None:
        """Remove a file that nothing was kept in."""
        os.close(file.descriptor)
        with contextlib.suppress(OSError, StorageError):
            (self._folder / file.name).unlink(missing_ok=True)
            self._keyring.destroy([subject_of(file.name)])


def _weight(exchange: CapturedExchange) -> int:
    return len(exchange.request) + len(exchange.answer) + 1000


def _storage_error(error: OSError) -> StorageError:
    return StorageError(
        f"the spool can't be written ({error.strerror or type(error).__name__}).",
        hint="check the disk's free space and the permissions of the home's vault folder",
    )
