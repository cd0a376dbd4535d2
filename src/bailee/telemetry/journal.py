"""The journal: where what was received is durable before its sender gets an answer.

Theory of operation: as the vault's spool, from whose frames and files it is made. `append` queues;
one thread takes all that waits, seals each batch of rows under the key of its class and day,
writes each file once and syncs it, and answers all of them together.

Rules kept here:

* A batch is answered only after it is on disk. After a failed write a file is not written to again,
  and the batch is refused.
* A file holds one class, one day, one period: its name says which, and its key is theirs.
* What waits is bounded in bytes; beyond that it is refused at once: of a sender of whom more than a
  little waits (`over_share`), and of others when not even a little is left (`overloaded`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.admission.together import Together
from bailee.clock import Clock
from bailee.errors import BaileeError, InputError, StorageError
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES, associated
from bailee.lasting import Lasting
from bailee.telemetry.records import DataClass, Row, from_json
from bailee.telemetry.shelves import Shelf, shelf_of
from bailee.vault.files import Files
from bailee.vault.frames import Damage, header, scan

_FILE_BYTES = 8 << 20
_GROUP_BYTES = 4 << 20
_MOST_WAITING = 32 << 20
_serial = count()

Batch: TypeAlias = tuple[DataClass, str, bytes]
"""Class, period, rows as JSON."""


@dataclass(slots=True)
class _File:
    name: str
    descriptor: int
    size: int
    cipher: AESGCM
    offset: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    batches: Sequence[Batch]
    loop: asyncio.AbstractEventLoop | None
    answer: Callable[[StorageError | None], None]
    sender: str = ""


@dataclass(frozen=True, slots=True)
class _Order:
    obeyed: threading.Event
    roll: bool = False
    stop: bool = False


def _data(name: str, sequence: int) -> bytes:
    return associated("bailee/telemetry/1", name, sequence)


class Journal:
    """Appends batches to files in `folder`; `closed` is told each file's name when it is full.

    `Telemetry` and each `Forwarder` own one. `append` is called on an event loop, the rest from any
    other thread. It owns the thread that alone writes, and on which `closed` is called. It never
    reads a file, and removes none that holds anything.
    """

    def __init__(
        self,
        folder: Path,
        keyring: Keyring,
        clock: Clock,
        closed: Callable[[str], None],
        *,
        files: Files | None = None,
        file_bytes: int = _FILE_BYTES,
    ) -> None:
        self._folder = folder
        self._keyring = keyring
        self._clock = clock
        self._closed = closed
        self._files = files or Files()
        self._file_bytes = file_bytes
        self._open: dict[Shelf, _File] = {}  # the journal's thread's alone
        self._queue: SimpleQueue[_Waiting | _Order] = SimpleQueue()
        self._waiting = Together(_MOST_WAITING)
        self.thread = Lasting("telemetry", self._run)
        self.thread.start()

    # -- any thread ------------------------------------------------------------------------------

    async def append(self, batches: Sequence[Batch], sender: str) -> None:
        """Return when the batches of a sender are durable.

        Raises:
            InputError: `over_share`: too much of this sender's waits.
            StorageError: they are not; `overloaded` when too much waits in all.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def answer(failure: StorageError | None) -> None:
            if future.done():
                return  # the sender went away
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)

        self._submit(_Waiting(batches, loop, answer, sender))
        await future

    def append_now(self, batches: Sequence[Batch]) -> None:
        """The same for a thread that has no loop."""
        done = threading.Event()
        failures: list[StorageError] = []

        def answer(failure: StorageError | None) -> None:
            if failure is not None:
                failures.append(failure)
            done.set()

        self._submit(_Waiting(batches, None, answer))
        done.wait()
        if failures:
            raise failures[0]

    def roll(self) -> None:
        """Close the present files, so that they can be compacted or removed."""
        self._ask(roll=True)

    def close(self) -> None:
        """Write what waits, close the files, stop."""
        self.thread.revive()
        self._ask(roll=True, stop=True)
        self.thread.join()

    def _submit(self, waiting: _Waiting) -> None:
        weight = size_of(waiting.batches)
        check_room(self._waiting, waiting.sender, weight, "be written")
        self._waiting.add(waiting.sender, weight)
        self._queue.put(waiting)

    def _ask(self, *, roll: bool = False, stop: bool = False) -> None:
        order = _Order(threading.Event(), roll, stop)
        self._queue.put(order)
        while not order.obeyed.wait(0.2):
            if not self.thread.is_alive():
                return

    # -- the journal's thread --------------------------------------------------------------------

    def _run(self) -> None:
        stop = False
        while not stop:
            group, order = self._take()
            taken = [(waiting.sender, size_of(waiting.batches)) for waiting in group]
            try:
                self._keep(group)
                if order is not None and order.roll:
                    for shelf in list(self._open):
                        self._close(shelf)
            except BaseException as error:  # a defect; who was answered hears no more
                self._answer([(waiting, _failure(error)) for waiting in group])
                raise
            finally:
                for sender, weight in taken:
                    self._waiting.less(sender, weight)
                if order is not None:
                    stop = order.stop
                    order.obeyed.set()

    def _take(self) -> tuple[list[_Waiting], _Order | None]:
        group: list[_Waiting] = []
        size = 0
        item = self._queue.get()
        try:
            while True:
                if isinstance(item, _Order):
                    return group, item
                group.append(item)
                size += size_of(item.batches)
                if size >= _GROUP_BYTES:
                    return group, None
                item = self._queue.get_nowait()
        except Empty:
            return group, None

    def _keep(self, group: list[_Waiting]) -> None:
        now = self._clock()
        failures: dict[Shelf, StorageError] = {}
        by_shelf: dict[Shelf, list[bytes]] = {}
        for waiting in group:
            for data_class, period, rows in waiting.batches:
                by_shelf.setdefault(Shelf(data_class, now.date(), period), []).append(rows)
        for shelf, plains in by_shelf.items():
            try:
                self._write(shelf, plains, now)
            except Exception as error:  # a defect here must not leave senders waiting
                failures[shelf] = _failure(error)
                self._give_up(shelf)
        answers: list[tuple[_Waiting, StorageError | None]] = []
        for waiting in group:
            failed = next(
                (
                    failures[shelf]
                    for data_class, period, _ in waiting.batches
                    if (shelf := Shelf(data_class, now.date(), period)) in failures
                ),
                None,
            )
            answers.append((waiting, failed))
        self._answer(answers)
        group.clear()

    def _answer(self, answers: Sequence[tuple[_Waiting, StorageError | None]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop | None, list[Callable[[], None]]] = {}
        for waiting, failed in answers:
            by_loop.setdefault(waiting.loop, []).append(_bound(waiting.answer, failed))
        for loop, calls in by_loop.items():
            if loop is None:
                _all(calls)
            else:
                with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits
                    loop.call_soon_threadsafe(_all, calls)

    def _write(self, shelf: Shelf, plains: list[bytes], now: datetime) -> None:
        total = sum(len(plain) + 44 for plain in plains)
        for other in [s for s in self._open if s.day < shelf.day]:
            self._close(other)
        file = self._open.get(shelf)
        if file is None or file.offset + total > file.size:
            if file is not None:
                self._close(shelf)
            file = self._open[shelf] = self._make(shelf, max(self._file_bytes, total), now)
        parts: list[bytes] = []
        nonces = os.urandom(NONCE_BYTES * len(plains))
        for number, plain in enumerate(plains):
            nonce = nonces[number * NONCE_BYTES : (number + 1) * NONCE_BYTES]
            sequence = file.sequence + number
            sealed = file.cipher.encrypt(nonce, plain, _data(file.name, sequence))
            parts += (header(sequence, NONCE_BYTES + len(sealed)), nonce, sealed)
        content = b"".join(parts)
        self._files.write(file.descriptor, content, file.offset)
        self._files.sync(file.descriptor)
        file.offset += len(content)
        file.sequence += len(plains)

    def _make(self, shelf: Shelf, size: int, now: datetime) -> _File:
        dek = self._keyring.dek(shelf.subject, shelf.data_class, shelf.expires_at)
        stamp = f"{int(now.timestamp() * 1000):013d}-{next(_serial):06d}-{os.urandom(6).hex()}"
        name = f"{shelf}~{stamp}"
        descriptor = self._files.make(self._folder / name, size)
        return _File(name, descriptor, size, AESGCM(dek.key))

    def _give_up(self, shelf: Shelf) -> None:
        """What the file holds from now on is unknown: what was refused shall not reappear."""
        file = self._open.get(shelf)
        if file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(file.descriptor, file.offset)
            self._close(shelf)

    def _close(self, shelf: Shelf) -> None:
        file = self._open.pop(shelf)
        os.close(file.descriptor)
        if file.sequence:
            self._closed(file.name)
        else:
            with contextlib.suppress(OSError):
                (self._folder / file.name).unlink(missing_ok=True)


def read(folder: Path, name: str, keyring: Keyring) -> Iterator[Row | Damage]:
    """Every row of a journal file, and what of it does not open.

    Raises:
        IntegrityError: its key has been destroyed.
        StorageError: the file can't be read.
    """
    shelf = shelf_of(name)
    cipher = AESGCM(keyring.get(shelf.subject).key)

    def opener(sequence: int, sealed: memoryview) -> bytes | None:
        try:
            nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            return cipher.decrypt(nonce, rest, _data(name, sequence))
        except (InvalidTag, ValueError):
            return None

    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise _failure(error) from error
    for found in scan(content, opener):
        if isinstance(found, Damage):
            yield found
        else:
            try:
                yield from from_json(shelf.data_class, found.plain)
            except ValueError:  # none of ours
                yield Damage(found.offset, found.end, torn=False)


def _bound(
    answer: Callable[[StorageError | None], None], failure: StorageError | None
) -> Callable[[], None]:
    return lambda: answer(failure)


def size_of(batches: Sequence[Batch]) -> int:
    """How many bytes their rows are."""
    return sum(len(rows) for _, _, rows in batches)


def check_room(waiting: Together, sender: str, more: int, to: str) -> None:
    """Refuse what there is no room for: `more` bytes of a sender that would wait `to` be something.

    Raises:
        InputError: `over_share`: too much of this sender's waits.
        StorageError: `overloaded`: too much waits.
    """
    over = waiting.over(sender, more)
    if over == "own":
        raise InputError(
            f"too much of this account's telemetry waits to {to}.",
            code="over_share",
            hint="wait and send again",
        )
    if over:
        raise StorageError(f"too much telemetry waits to {to}.", code="overloaded")


def _all(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        call()


def _failure(error: BaseException) -> StorageError:
    if isinstance(error, StorageError):
        return error
    what = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    if isinstance(error, BaileeError):
        what = error.code
    return StorageError(
        f"telemetry can't be written or read ({what}).",
        hint="check the disk's free space and the permissions of the home's vault folder",
    )
