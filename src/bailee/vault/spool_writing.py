"""The spool's files, written: one present file, one made ahead, groups of exchanges appended.

Rules kept here, wherever the files lie (`spool_store`):

* A file has a key of its own (keyring subject `spool:<name>`), which dies with the file, and after
  30 days whatever happens. No file is written to when its key may be due before it is sealed.
* After a failed write a file is not written to again.
* What is large is not copied as a whole: it is sealed in steps, since to copy it keeps all other
  threads waiting.
* A `SpoolWriter` is used by one thread at a time; its caller sees to that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.clock import Clock
from bailee.errors import BaileeError, StorageError
from bailee.keyring import Dek
from bailee.keyring.wrapping import NONCE_BYTES, STEP, sealed_parts
from bailee.vault.exchange import CapturedExchange
from bailee.vault.frames import encoded, frame_data, header
from bailee.vault.spool_store import SpoolFile, SpoolStore

DATA_CLASS: Final = "spool"
LIFETIME: Final = timedelta(days=30)
# What a frame adds to its plaintext: header, nonce and tag.
_FRAME_BYTES: Final = 16 + 12 + 16
_TAG_BYTES: Final = 16
_ROOM_FOR_HEAD: Final = 4096
_LARGE: Final = "-large"
_serial = count()


@dataclass(frozen=True, slots=True)
class Kept:
    """An exchange that is durable, whose, and where: the file's name, its number in it, its bytes.
    `exchange` is None while it is not held in memory. `ended`: when it ended (Unix seconds), of one
    that was read back; else 0.
    """

    file: str
    sequence: int
    offset: int
    length: int
    owner: str
    exchange: CapturedExchange | None
    ended: float = 0.0

    @property
    def place(self) -> tuple[str, int]:
        """Its file, and its number in it."""
        return self.file, self.sequence


def subject_of(file: str) -> str:
    """The keyring subject of a spool file."""
    return f"spool:{file}"


def is_large(file: str) -> bool:
    """Whether a spool file is of the lane for large exchanges."""
    return file.endswith(_LARGE)


class FileKeys(Protocol):
    """Keys of spool files: a home's keyring, or what a member has of it. Errors as `Keyring`."""

    def dek(self, subject: str, data_class: str, expires_at: datetime) -> Dek:
        """The key of a new file."""
        ...

    def destroy(self, subjects: Sequence[str]) -> int:
        """Destroy keys, if that is for this process to do; how many."""
        ...


@dataclass(slots=True)
class _File:
    name: str
    stored: SpoolFile
    key: bytes
    cipher: AESGCM
    begun: datetime
    offset: int = 0
    sequence: int = 0


class SpoolWriter:
    """Appends to the present file, and makes the next one while it fills.

    A lane of the spool owns it, and calls it as whoever holds the lane's turn; it owns the thread
    that makes files ahead. `closed` is called with a file's name when nothing more will be written
    to it, by the thread that closed it. It calls nobody's `done`.
    """

    def __init__(
        self,
        store: SpoolStore,
        keyring: FileKeys,
        clock: Clock,
        *,
        closed: Callable[[str], None],
        file_bytes: int,
        large: bool = False,
    ) -> None:
        self._kind = store.kind + (_LARGE if large else "")
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._closed = closed
        self._file_bytes = file_bytes
        self._file: _File | None = None
        self._next: Future[_File] | None = None
        self._maker = ThreadPoolExecutor(1, "spool-files")
        self.sync_seconds = float("inf")  # what a write and its sync took lately

    def fits(self, payload: int, exchanges: int) -> bool:
        """Whether the present file takes that many exchanges of `payload` bytes in all, heads of
        usual length included, so that writing them makes no file.
        """
        file = self._file
        return (
            file is not None
            and file.offset + payload + exchanges * _ROOM_FOR_HEAD <= file.stored.size
            and not self._is_stale(file)
        )

    def write(self, exchanges: Sequence[CapturedExchange]) -> list[Kept]:
        """Append a group; it is durable when this returns.

        Raises:
            StorageError: it can't be written; call `give_up`.
        """
        plains = [encoded(exchange) for exchange in exchanges]
        sizes = [sum(map(len, plain)) for plain in plains]
        total = sum(sizes) + _FRAME_BYTES * len(sizes)
        file = self._file
        if file is None or file.offset + total > file.stored.size or self._is_stale(file):
            self._close_file()
            file = self._file = self._take_file(max(self._file_bytes, total))
        parts: list[bytes] = []
        group: list[Kept] = []
        offset, sequence = file.offset, file.sequence
        nonces = os.urandom(NONCE_BYTES * len(plains))
        for number, (plain, exchange) in enumerate(zip(plains, exchanges, strict=True)):
            nonce = nonces[number * NONCE_BYTES : (number + 1) * NONCE_BYTES]
            length = NONCE_BYTES + sizes[number] + _TAG_BYTES
            data = frame_data(file.name, sequence)
            parts += (header(sequence, length), nonce)
            if sizes[number] <= STEP:
                parts.append(file.cipher.encrypt(nonce, b"".join(plain), data))
            else:
                parts += sealed_parts(file.key, plain, data, nonce)
            group.append(Kept(file.name, sequence, offset, 16 + length, exchange.owner, exchange))
            offset += 16 + length
            sequence += 1
        began = time.perf_counter()
        file.stored.append(parts, total, file.offset)
        self._note(time.perf_counter() - began)
        file.offset, file.sequence = offset, sequence
        return group

    def give_up(self) -> None:
        """Close a file that could not be written: what it holds from now on is unknown."""
        file = self._file
        if file is not None:
            file.stored.give_up(file.offset)
        self._close_file()

    def prepare(self) -> None:
        """Have a file to write to.

        Raises:
            StorageError: it can't be made.
        """
        if self._file is None:
            self._file = self._take_file(self._file_bytes)

    def make_ahead(self) -> None:
        """Begin to make the next file when the present one is half full."""
        file = self._file
        if self._next is None and (file is None or file.offset > file.stored.size // 2):
            self._next = self._maker.submit(self._make, self._file_bytes)

    def roll(self, older_than: timedelta | None) -> None:
        """Close the present file; with `older_than`, only one that was begun that long ago."""
        file = self._file
        if older_than is None:
            self._close_file()
            self._discard_next()
        elif file is not None and file.sequence and self._clock() - file.begun >= older_than:
            self._close_file()

    def close(self) -> None:
        """Stop; `roll` came before."""
        self._maker.shutdown()
        self._discard_next()

    # -- inside ----------------------------------------------------------------------------------

    def _note(self, seconds: float) -> None:
        before = self.sync_seconds
        self.sync_seconds = seconds if before == float("inf") else before + (seconds - before) / 8

    def _make(self, size: int) -> _File:
        now = self._clock()
        milliseconds = int(now.timestamp() * 1000)
        name = f"{milliseconds:013d}-{next(_serial):06d}-{os.urandom(6).hex()}{self._kind}"
        stored = self._store.make(name, size)
        try:
            dek = self._keyring.dek(subject_of(name), DATA_CLASS, now + LIFETIME)
        except BaileeError:
            stored.close()
            with contextlib.suppress(StorageError):  # nothing is in it
                self._store.remove(name)
            raise
        return _File(name, stored, dek.key, AESGCM(dek.key), now)

    def _take_file(self, size: int) -> _File:
        if self._next is not None:
            ready, self._next = self._next, None
            with contextlib.suppress(BaileeError):
                file = ready.result()
                if file.stored.size >= size and not self._is_stale(file):
                    return file
                self._discard(file)
        return self._make(size)

    def _is_stale(self, file: _File) -> bool:
        """Whether a file's key may be gone before what is written now has been sealed."""
        return not timedelta(0) <= self._clock() - file.begun < LIFETIME / 2

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if file.sequence == 0:
            self._discard(file)
        else:
            file.stored.close()
            self._closed(file.name)

    def _discard_next(self) -> None:
        ready, self._next = self._next, None
        if ready is not None:
            with contextlib.suppress(BaileeError):
                self._discard(ready.result())

    def _discard(self, file: _File) -> None:
        """Remove a file that nothing was kept in."""
        file.stored.close()
        with contextlib.suppress(StorageError):
            self._keyring.destroy([subject_of(file.name)])  # a key without a file is a loss
            self._store.remove(file.name)
