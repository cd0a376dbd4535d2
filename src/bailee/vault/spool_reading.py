"""Reading spool files back: after a crash, or when the sealer's memory was full.

What does not open is never lost without a word: its bytes go to the quarantine folder, where they
stay with the file's key until that expires. A file whose key does not open goes there whole.

Rules kept here:

* A file is removed unread only where its key was destroyed on purpose, and there is a durable note
  of that: its name ends in `SEALED` (all of it is in the index), or the keyring has on record that
  the keys of its time were destroyed when they were 30 days old.
* The note comes first, then the key goes, then the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bailee.errors import IntegrityError, StorageError
from bailee.keyring import Keyring
from bailee.keyring.wrapping import STEP, cipher, unseal
from bailee.vault.exchange import CapturedExchange
from bailee.vault.frames import HEADER_BYTES, Damage, decode, frame_data, is_cut, scan, used_of
from bailee.vault.spool_writing import DATA_CLASS, LIFETIME, Kept, subject_of

SEALED: Final = ".sealed"


@dataclass(frozen=True, slots=True)
class DamagedFrame:
    """Bytes of a spool file that do not open. `torn`: a last frame that was cut short, which
    nobody was told was kept.
    """

    file: str
    offset: int
    length: int
    torn: bool


class SpoolReader:
    """Reads the files of a spool folder.

    The vault makes it; the sealer, recovery, sweeps and `verify` use it, each on its thread: it has
    nothing in memory. It writes to no spool file; what it removes is noted as sealed or expired
    before, or put aside.
    """

    def __init__(self, folder: Path, quarantine: Path, keyring: Keyring) -> None:
        self._folder = folder
        self._quarantine = quarantine
        self._keyring = keyring

    def names(self) -> list[str]:
        """The files that are not sealed away, oldest first.

        Raises:
            StorageError: the folder can't be read.
        """
        try:
            names = [path.name for path in self._folder.iterdir() if path.is_file()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _failed(error) from error
        return sorted(name for name in names if not name.endswith(SEALED))

    def remove_sealed(self) -> None:
        """Remove the files that a crash left when they had been sealed away, and their keys.

        Raises:
            StorageError: the keyring or the folder can't be written.
        """
        for path in self._folder.glob(f"*{SEALED}"):
            self._remove(path.name.removesuffix(SEALED))

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
        try:
            return (self._folder / name).stat().st_size
        except OSError:
            return 0

    def read(self, name: str) -> Iterator[Kept | DamagedFrame]:
        """Everything in a file.

        Raises:
            IntegrityError: the file's key does not open, or is gone.
            StorageError: the file can't be read.
        """
        key = self._keyring.get(subject_of(name)).key
        many = cipher(key)

        def opener(sequence: int, sealed: memoryview) -> bytes | None:
            try:
                by = many if len(sealed) <= STEP else key
                return unseal(by, sealed, frame_data(name, sequence), "a record in the spool")
            except IntegrityError:
                return None

        try:
            content = (self._folder / name).read_bytes()
        except OSError as error:
            raise _failed(error) from error
        if not content:  # a file is made whole, with zeros, before anything is written to it
            self.quarantine(name, 0, b"")
            yield DamagedFrame(name, 0, 0, torn=False)
        for found in scan(content, opener):
            if isinstance(found, Damage):
                length = found.end - found.offset
                torn = found.torn and not is_cut(content, found.offset)
                if not torn and length:
                    self.quarantine(name, found.offset, content[found.offset : found.end])
                yield DamagedFrame(name, found.offset, length, torn)
            else:
                length = found.end - found.offset
                exchange = decode(found.plain)
                yield Kept(name, found.sequence, found.offset, length, exchange.owner, exchange)

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
        """A frame as it is on disk."""
        try:
            descriptor = os.open(self._folder / kept.file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(descriptor, kept.length, kept.offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failed(error) from error

    def is_blank(self, name: str) -> bool:
        """Whether nothing was ever written to a file.

        Raises:
            StorageError: the file can't be read.
        """
        try:
            return not used_of((self._folder / name).read_bytes())
        except OSError as error:
            raise _failed(error) from error

    def quarantine(self, name: str, offset: int, content: bytes) -> None:
        """Put bytes of a file aside, durable.

        Raises:
            StorageError: the quarantine can't be written.
        """
        try:
            self._quarantine.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._quarantine / f"{name}-{offset}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _failed(error) from error

    def quarantine_whole(self, name: str) -> int:
        """Put a whole file aside, durable; its size.

        Raises:
            StorageError: the quarantine can't be written.
        """
        try:
            self._quarantine.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._quarantine / f"{name}-0"
            (self._folder / name).rename(path)
            for folder in (self._quarantine, self._folder):
                _sync(folder)
            return path.stat().st_size
        except OSError as error:
            raise _failed(error) from error

    def quarantined(self, name: str) -> bool:
        """Whether bytes of a file have been put aside."""
        return any(self._quarantine.glob(f"{name}-*"))

    def release(self, name: str) -> None:
        """Remove a file that has been sealed away, and its key unless bytes were put aside.

        Raises:
            StorageError: the keyring or the folder can't be written.
        """
        try:
            with suppress(FileNotFoundError):
                (self._folder / name).rename(self._folder / f"{name}{SEALED}")
                _sync(self._folder)
        except OSError as error:
            raise _failed(error) from error
        self._remove(name)

    def _remove(self, name: str) -> None:
        if not self.quarantined(name):
            self._keyring.destroy([subject_of(name)])
        try:
            (self._folder / f"{name}{SEALED}").unlink(missing_ok=True)
        except OSError as error:
            raise _failed(error) from error

    def forget_quarantined(self) -> int:
        """Remove what was put aside and whose key was destroyed when it was due; how many."""
        removed = 0
        for path in self.aside():
            if self.expired(path.name.rpartition("-")[0]):
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def missing(self) -> list[str]:
        """The files that have a key and are not there, in whichever form.

        Raises:
            StorageError: the keyring or the folder can't be read.
        """
        prefix = subject_of("")
        with_keys = [one.removeprefix(prefix) for one in self._keyring.subjects(prefix)]
        gone = [
            name
            for name in with_keys
            if not (self._folder / name).exists()
            and not (self._folder / f"{name}{SEALED}").exists()
            and not self.quarantined(name)
        ]
        # One that was sealed away meanwhile has no key any more.
        living = self._keyring.living([subject_of(name) for name in gone])
        return sorted(one.removeprefix(prefix) for one in living)

    def aside(self) -> list[Path]:
        """What was put aside: a file each, named by its spool file and where it lay in it."""
        return sorted(self._quarantine.iterdir()) if self._quarantine.is_dir() else []


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(error: OSError) -> StorageError:
    return StorageError(
        f"the spool can't be read or cleared ({error.strerror or type(error).__name__}).",
        hint="check the disk and the permissions of the home's vault folder",
    )
