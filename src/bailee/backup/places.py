"""Where the data of a backup lies: a folder here, or a bucket (`outbound/bucket.py`).

Rules kept here:

* A file is put whole or not at all, in the place of the one before, and is durable after `settle`.
* What a place says of a file (its mark) changes whenever the file does. So of a file whose mark is
  the one in a signed list nothing has to be read, and one with another mark is read.
* Nothing that is to be right depends on a list of names: a place may list late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from bailee.backup import folder as files
from bailee.backup.manifest import BackedFile
from bailee.errors import IntegrityError
from bailee.outbound.bucket import Put, pieces

MANIFEST: Final = "manifest.json"
UNFINISHED: Final = "unfinished.json"
MOST_BYTES: Final = 1 << 30
"""The largest list of files that is read."""


class BackupPlace(Protocol):
    """The files of a backup, by names with slashes. Used by one backup or restore, from as many
    threads as it says. Errors of all: StorageError, it can't be read or written.
    """

    @property
    def named(self) -> str:
        """As it was given: it holds no credential."""
        ...

    @property
    def at_once(self) -> int:
        """How many files are worth putting or reading at the same time."""
        ...

    def file(self, name: str) -> Path | None:
        """Where a file may be written that `take` has then; None: anywhere else."""

    def take(self, name: str, source: Path, length: int | None = None) -> Put:
        """Put a file, or its first `length` bytes.

        Raises:
            FileNotFoundError: there is no such source.
        """
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put some bytes; durable when this returns."""

    def mark(self, name: str) -> tuple[int, str] | None:
        """Size and mark of a file; None: there is none."""

    def pieces(self, name: str) -> Iterator[bytes]:
        """A file's bytes, a piece at a time.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def settle(self) -> None:
        """Make everything that was put durable."""

    def names(self) -> Iterable[str]:
        """The files that are listed."""
        ...

    def remove(self, some: list[str]) -> None:
        """Remove files, as far as that goes: what stays goes the next time."""


class FolderPlace:
    """A folder of this machine. It owns the path alone, and keeps no file open. Some files are
    taken or read at once: while one waits for the disk another is hashed.
    """

    at_once = 4

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def named(self) -> str:
        """The folder's path."""
        return str(self._path)

    def file(self, name: str) -> Path:
        """See `BackupPlace`."""
        return self._path / name

    def take(self, name: str, source: Path, length: int | None = None) -> Put:
        """See `BackupPlace`."""
        target = self._path / name
        if source == target:
            try:
                size, sha256 = files.synced(target)
            except OSError as error:
                raise files.failed(target, error) from error
        else:
            size, sha256 = files.copied(source, target, length)
        found = self.mark(name)
        return Put(size, sha256, "" if found is None else found[1])

    def write(self, name: str, content: bytes) -> None:
        """See `BackupPlace`."""
        files.written(self._path / name, content)

    def mark(self, name: str) -> tuple[int, str] | None:
        """See `BackupPlace`. Any change of a file gives it another time of its last change."""
        try:
            found = (self._path / name).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise files.failed(self._path / name, error) from error
        return found.st_size, f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}"

    def pieces(self, name: str) -> Iterator[bytes]:
        """See `BackupPlace`."""
        try:
            with (self._path / name).open("rb") as reading:
                yield from pieces(reading)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise files.failed(self._path / name, error) from error

    def settle(self) -> None:
        """See `BackupPlace`."""
        files.settled(self._path)

    def names(self) -> Iterator[str]:
        """See `BackupPlace`."""
        for path in files.files_in(self._path):
            yield str(path.relative_to(self._path))

    def remove(self, some: list[str]) -> None:
        """See `BackupPlace`. Folders that are empty then go too."""
        for name in some:
            path = self._path / name
            with suppress(OSError):
                path.unlink(missing_ok=True)
                while (path := path.parent) != self._path:
                    path.rmdir()


def read(place: BackupPlace, name: str, most: int = MOST_BYTES) -> bytes | None:
    """A file whole; None: there is none.

    Raises:
        IntegrityError: it is longer than any that was written.
        StorageError: it can't be read.
    """
    content = bytearray()
    try:
        for piece in place.pieces(name):
            content += piece
            if len(content) > most:
                raise IntegrityError(f"{name} of the backup is not what was written.")
    except FileNotFoundError:
        return None
    return bytes(content)


def wrong(place: BackupPlace, file: BackedFile) -> str | None:
    """What is wrong with a file of a backup; None: nothing.

    Raises:
        StorageError: the place can't be read.
    """
    found, size = hashlib.sha256(), 0
    try:
        for piece in place.pieces(f"{file.folder}/{file.path}"):
            found.update(piece)
            size += len(piece)
            if size > file.size:
                break
    except FileNotFoundError:
        return "it is not there."
    same = (size, found.hexdigest()) == (file.size, file.sha256)
    return None if same else "it is not what was written."
