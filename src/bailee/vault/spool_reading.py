"""Reading spool files back: after a crash, or when the sealer's memory was full.

What does not open is never lost without a word: its bytes are put aside, where they stay with the
file's key until that expires. A file whose key does not open is put aside whole.

Rules kept here, wherever the files lie (`spool_store`):

* A file is removed unread only where its key was destroyed on purpose, and there is a durable note
  of that: it is noted as sealed (all of it is in the index), or the keyring has on record that the
  keys of its time were destroyed when they were 30 days old.
* The note comes first, then the key goes, then the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from bailee.errors import IntegrityError
from bailee.keyring import Keyring
from bailee.keyring.wrapping import STEP, cipher, unseal
from bailee.vault.exchange import CapturedExchange
from bailee.vault.frames import (
    HEADER_BYTES,
    Damage,
    Opener,
    decode,
    frame_data,
    is_cut,
    scan,
    used_of,
)
from bailee.vault.spool_store import Aside, SpoolStores
from bailee.vault.spool_writing import DATA_CLASS, LIFETIME, Kept, subject_of


@dataclass(frozen=True, slots=True)
class DamagedFrame:
    """Bytes of a spool file that do not open. `torn`: a last frame that was cut short, which
    nobody was told was kept.
    """

    file: str
    offset: int
    length: int
    torn: bool


def opener_of(name: str, key: bytes) -> Opener:
    """What opens the frames of the file `name` by its key."""
    many = cipher(key)

    def opener(sequence: int, sealed: memoryview) -> bytes | None:
        try:
            by = many if len(sealed) <= STEP else key
            return unseal(by, sealed, frame_data(name, sequence), "a record in the spool")
        except IntegrityError:
            return None

    return opener


class SpoolReader:
    """Reads the spool's files.

    The vault makes it; the sealer, recovery, sweeps and `verify` use it, each on its thread: it has
    nothing in memory. It writes to no spool file; what it removes is noted as sealed or expired
    before, or put aside.
    """

    def __init__(self, stores: SpoolStores, keyring: Keyring) -> None:
        self._stores = stores
        self._keyring = keyring

    def names(self) -> list[str]:
        """The files that are not sealed away, oldest first.

        Raises:
            StorageError: they can't be read.
        """
        return self._stores.names()

    def remove_sealed(self) -> None:
        """Remove the files that a crash left when they had been sealed away, and their keys.

        Raises:
            StorageError: the keyring or the files can't be written.
        """
        for name in self._stores.sealed_away():
            self._remove(name)

    def expired(self, name: str) -> bool:
        """Whether a file's key was destroyed because it was 30 days old, and that is on record.

        Raises:
            StorageError: the keyring can't be read.
        """
        milliseconds = name.partition("-")[0]
        if not milliseconds.isdecimal():
            return False
        begun = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
        return self._keyring.ended(DATA_CLASS, begun + LIFETIME)

    def size(self, name: str) -> int:
        """A file's size in bytes; 0 when it is gone."""
        return self._stores.of(name).size(name)

    def read(self, name: str) -> Iterator[Kept | DamagedFrame]:
        """Everything in a file.

        Raises:
            IntegrityError: the file's key does not open, or is gone.
            StorageError: the file can't be read.
        """
        key = self._keyring.get(subject_of(name)).key
        opener = opener_of(name, key)
        content = self._stores.of(name).content(name)
        if not content:  # a file is never without bytes, from before anything is written to it
            self.quarantine(name, 0, b"")
            yield DamagedFrame(name, 0, 0, torn=False)
        for found in scan(content, opener):
            length = found.end - found.offset
            torn = False
            if isinstance(found, Damage):
                torn = found.torn and not is_cut(content, found.offset)
            else:
                with suppress(IntegrityError):
                    exchange = decode(found.plain)
                    yield Kept(
                        name,
                        found.sequence,
                        found.offset,
                        length,
                        exchange.owner,
                        exchange,
                        exchange.ended_at,
                    )
                    continue
            if not torn and length:
                self.quarantine(name, found.offset, content[found.offset : found.end])
            yield DamagedFrame(name, found.offset, length, torn)

    def one(self, kept: Kept) -> CapturedExchange:
        """One exchange, from its place.

        Raises:
            IntegrityError: it does not open.
            StorageError: the file can't be read.
        """
        sealed = self.bytes_of(kept)[HEADER_BYTES:]
        key = self._keyring.get(subject_of(kept.file)).key
        data = frame_data(kept.file, kept.sequence)
        return decode(unseal(key, sealed, data, "a record in the spool"))

    def bytes_of(self, kept: Kept) -> bytes:
        """A frame as it lies there.

        Raises:
            StorageError: the file can't be read.
        """
        return self._stores.of(kept.file).part(kept.file, kept.offset, kept.length)

    def is_blank(self, name: str) -> bool:
        """Whether nothing was ever written to a file.

        Raises:
            StorageError: the file can't be read.
        """
        return not used_of(self._stores.of(name).content(name))

    def quarantine(self, name: str, offset: int, content: bytes) -> None:
        """Put bytes of a file aside, durable.

        Raises:
            StorageError: they can't be written.
        """
        self._stores.of(name).put_aside(name, offset, content)

    def quarantine_whole(self, name: str) -> int:
        """Put a whole file aside, durable; its size.

        Raises:
            StorageError: it can't be written.
        """
        return self._stores.of(name).put_aside_whole(name)

    def quarantined(self, name: str) -> bool:
        """Whether bytes of a file have been put aside."""
        return any(one.file == name for one in self._stores.of(name).aside())

    def release(self, name: str) -> None:
        """Remove a file that has been sealed away, and its key unless bytes were put aside.

        Raises:
            StorageError: the keyring or the files can't be written.
        """
        self._stores.of(name).note_sealed(name)
        self._remove(name)

    def _remove(self, name: str) -> None:
        if not self.quarantined(name):
            self._keyring.destroy([subject_of(name)])
        self._stores.of(name).remove(name)

    def forget_quarantined(self) -> int:
        """Remove what was put aside and whose key was destroyed when it was due; how many."""
        removed = 0
        for one in self.aside():
            if self.expired(one.file):
                self._stores.of(one.file).forget_aside(one)
                removed += 1
        return removed

    def missing(self) -> list[str]:
        """The files that have a key and are not there, in whichever form.

        Raises:
            StorageError: the keyring or the files can't be read.
        """
        prefix = subject_of("")
        with_keys = [one.removeprefix(prefix) for one in self._keyring.subjects(prefix)]
        gone = [
            name
            for name in with_keys
            if not self._stores.of(name).holds(name) and not self.quarantined(name)
        ]
        # One that was sealed away meanwhile has no key any more.
        living = self._keyring.living([subject_of(name) for name in gone])
        return sorted(one.removeprefix(prefix) for one in living)

    def aside(self) -> list[Aside]:
        """What was put aside.

        Raises:
            StorageError: that can't be read.
        """
        return self._stores.aside()
