"""Where the spool's files lie: on this machine's disk, or in the database (`spool_rows`).

A file is a row of groups, each durable when `append` returns; what is in them is sealed before
(`spool_writing`) and opened afterwards (`spool_reading`), the same wherever it lies. Rules kept
here:

* A name says in which store a file is (`kind`), so that what was written before a setting was
  changed is found, and filed.
* A file is removed unread only behind a durable note that all of it is in the index
  (`note_sealed`), or where nothing was kept in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from bailee.errors import StorageError
from bailee.keyring.wrapping import STEP
from bailee.syncing import sync_folder
from bailee.vault.files import Files

_SEALED: Final = ".sealed"


class Aside(NamedTuple):
    """Bytes that were put aside: of which file, where they lay in it, how many they are."""

    file: str
    offset: int
    size: int

    @property
    def label(self) -> str:
        """What they are called."""
        return f"{self.file}-{self.offset}"


class SpoolFile(Protocol):
    """A file that is being written to, by one thread at a time. The writer that made it owns it."""

    size: int
    """How many bytes it takes."""

    def append(self, parts: Sequence[bytes], total: int, offset: int) -> None:
        """Put a group of `total` bytes at `offset`, behind all that is there; it is durable when
        this returns.

        Raises:
            StorageError: it is not known how much of it is there; call `give_up`.
        """

    def give_up(self, offset: int) -> None:
        """Nothing is written to it any more, and what may be there from `offset` on was refused:
        it goes, as soon as the store can be reached. Raises nothing.
        """

    def close(self) -> None:
        """Nothing is written to it any more."""


class SpoolStore(Protocol):
    """Files by name. The vault makes it and closes it; it may be called from any thread. Each
    method raises `StorageError` where the store can't be reached.
    """

    kind: str
    """What a file's name has in it; no other store's files have it."""

    quick: bool
    """Whether a group may be written by the event loop's own thread."""

    def make(self, name: str, size: int) -> SpoolFile:
        """A new file, durable, with nothing in it."""

    def names(self) -> list[str]:
        """The files that are not sealed away, in no order."""

    def sealed_away(self) -> list[str]:
        """The files of which there is a note that they are, and nothing more was done."""

    def holds(self, name: str) -> bool:
        """Whether a file is there, sealed away or not."""

    def size(self, name: str) -> int:
        """A file's size in bytes; 0 when it is gone. Raises nothing."""

    def content(self, name: str) -> bytes:
        """All of a file. Of one that nothing was written to, zeros; none only of a damaged one."""

    def part(self, name: str, offset: int, length: int) -> bytes:
        """Bytes of a file; fewer where they are not there."""

    def note_sealed(self, name: str) -> None:
        """Note, durable, that all of a file is in the index."""

    def remove(self, name: str) -> None:
        """Remove a file."""

    def put_aside(self, name: str, offset: int, content: bytes) -> None:
        """Keep bytes of a file, durable, beyond its end."""

    def put_aside_whole(self, name: str) -> int:
        """Put all of a file aside, and remove it; its size."""

    def aside(self) -> list[Aside]:
        """What was put aside."""

    def forget_aside(self, one: Aside) -> None:
        """Remove what was put aside."""

    def close(self) -> None:
        """Let everything go."""


class FolderSpool:
    """Files in a folder of this machine, allocated ahead. Bytes aside are files of another."""

    kind = ""
    quick = True

    def __init__(self, folder: Path, quarantine: Path, files: Files | None = None) -> None:
        self._folder = folder
        self._quarantine = quarantine
        self._files = files or Files()

    def make(self, name: str, size: int) -> SpoolFile:
        """A new file of `size` zeros."""
        try:
            descriptor = self._files.make(self._folder / name, size)
        except OSError as error:
            raise _unwritten(error) from error
        return _FileOnDisk(self._files, descriptor, size)

    def names(self) -> list[str]:
        """The files that are not sealed away."""
        try:
            names = [path.name for path in self._folder.iterdir() if path.is_file()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unread(error) from error
        return [name for name in names if not name.endswith(_SEALED)]

    def sealed_away(self) -> list[str]:
        """The files whose name says that they are."""
        return [path.name.removesuffix(_SEALED) for path in self._folder.glob(f"*{_SEALED}")]

    def holds(self, name: str) -> bool:
        """Whether a file is there."""
        return any((self._folder / one).exists() for one in (name, f"{name}{_SEALED}"))

    def size(self, name: str) -> int:
        """As it was allocated."""
        try:
            return (self._folder / name).stat().st_size
        except OSError:
            return 0

    def content(self, name: str) -> bytes:
        """All of a file, with the zeros behind what was written."""
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise _unread(error) from error

    def part(self, name: str, offset: int, length: int) -> bytes:
        """Bytes of a file."""
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unread(error) from error

    def note_sealed(self, name: str) -> None:
        """By its name."""
        try:
            with suppress(FileNotFoundError):
                (self._folder / name).rename(self._folder / f"{name}{_SEALED}")
                sync_folder(self._folder)
        except OSError as error:
            raise _unread(error) from error

    def remove(self, name: str) -> None:
        """Remove a file, by either name."""
        try:
            for one in (name, f"{name}{_SEALED}"):
                (self._folder / one).unlink(missing_ok=True)
        except OSError as error:
            raise _unread(error) from error

    def put_aside(self, name: str, offset: int, content: bytes) -> None:
        """As a file."""
        try:
            self._quarantine.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._quarantine / f"{name}-{offset}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unread(error) from error

    def put_aside_whole(self, name: str) -> int:
        """As the file that it is."""
        try:
            self._quarantine.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._quarantine / f"{name}-0"
            (self._folder / name).rename(path)
            for folder in (self._quarantine, self._folder):
                sync_folder(folder)
            return path.stat().st_size
        except OSError as error:
            raise _unread(error) from error

    def aside(self) -> list[Aside]:
        """The files of the quarantine."""
        if not self._quarantine.is_dir():
            return []
        found = []
        for path in self._quarantine.iterdir():
            name, _, offset = path.name.rpartition("-")
            found.append(Aside(name, int(offset) if offset.isdecimal() else 0, path.stat().st_size))
        return found

    def forget_aside(self, one: Aside) -> None:
        """Remove such a file."""
        (self._quarantine / one.label).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is held."""


class _FileOnDisk:
    """A small group is one write, and each group one sync. What is large is not copied as a whole:
    it is written in steps, since to copy it keeps all other threads waiting.
    """

    def __init__(self, files: Files, descriptor: int, size: int) -> None:
        self._files = files
        self._descriptor = descriptor
        self.size = size

    def append(self, parts: Sequence[bytes], total: int, offset: int) -> None:
        try:
            if total <= STEP:
                self._files.put(self._descriptor, b"".join(parts), offset)
                return
            at = offset
            for part in parts:
                self._files.write(self._descriptor, part, at)
                at += len(part)
            self._files.sync(self._descriptor)
        except OSError as error:
            raise _unwritten(error) from error

    def give_up(self, offset: int) -> None:
        with suppress(OSError):
            os.ftruncate(self._descriptor, offset)

    def close(self) -> None:
        os.close(self._descriptor)


class SpoolStores:
    """Every store in which there may be files: what is read from is whichever has them."""

    def __init__(self, *stores: SpoolStore) -> None:
        self._stores = stores

    def of(self, name: str) -> SpoolStore:
        """The store of a file, by its name."""
        for store in self._stores:
            if store.kind and store.kind in name:
                return store
        return self._stores[0]

    def names(self) -> list[str]:
        """All files that are not sealed away, oldest first."""
        return sorted(name for store in self._stores for name in store.names())

    def sealed_away(self) -> list[str]:
        """All that are, and are not gone."""
        return sorted(name for store in self._stores for name in store.sealed_away())

    def aside(self) -> list[Aside]:
        """All that was put aside."""
        return sorted(one for store in self._stores for one in store.aside())


def _unwritten(error: OSError) -> StorageError:
    return StorageError(
        f"the spool can't be written ({error.strerror or type(error).__name__}).",
        hint="check the disk's free space and the permissions of the home's vault folder",
    )


def _unread(error: OSError) -> StorageError:
    return StorageError(
        f"the spool can't be read or cleared ({error.strerror or type(error).__name__}).",
        hint="check the disk and the permissions of the home's vault folder",
    )
