"""Where sealed segments and reports go: a folder by default, a bucket in the large.

Rules kept here:

* An object is put whole, never changed, and durable when `put` returns.
* What a store answers is never shown: an error says which kind it was, and no name.
* In a bucket, a put that failed may be carried out all the same, at once or a minute later. So a
  name is only ever put with one content (`Objects.late`), and then the same again changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from bailee.errors import StorageError
from bailee.vault.files import Files

_HINT: Final = "check the object store's free space, permissions and connection"
_PART: Final = 16 << 20  # what is larger is put in parts, two at once


class Objects(Protocol):
    """Immutable objects by name. Whoever keeps something in it owns the names that it puts there.
    Called from any thread; each call waits for the store, so nobody calls it on an event loop.
    """

    late: bool
    """Whether a put that failed may be carried out later. Who puts under a name then puts nothing
    else under it.
    """

    def put(self, name: str, content: bytes) -> None:
        """Keep `content` as `name`; the same again is not an error.

        Raises:
            StorageError: it may or may not have been kept.
        """

    def get(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes of an object.

        Raises:
            StorageError: the object or those bytes are not there, or can't be read.
        """

    def size(self, name: str) -> int | None:
        """How many bytes an object has; None: it is not there.

        Raises:
            StorageError: that can't be told.
        """

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is not an error.

        Raises:
            StorageError: it may or may not have been removed.
        """

    def names(self) -> Iterator[str]:
        """The names of all objects, a page at a time. A bucket's list may be late.

        Raises:
            StorageError: they can't be listed.
        """


class StoredObjects:
    """Objects in any store that obstore knows (a bucket of S3's, a folder, memory). It holds
    nothing but the store, which may have a prefix, and may be called from any thread.
    """

    late = True

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, name: str, content: bytes) -> None:
        """Keep `content` as `name`."""
        try:
            self._store.put(name, content, chunk_size=_PART, max_concurrency=2)
        except (BaseError, OSError) as error:
            raise _failed("written", error) from None

    def get(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes of an object; fewer where it ends before."""
        if length <= 0:  # what a damaged row asks for may be anything
            return b""
        try:
            return bytes(self._store.get_range(name, start=offset, length=length))
        except (BaseError, OSError, ValueError, OverflowError) as error:
            raise _failed("read", error) from None

    def size(self, name: str) -> int | None:
        """How many bytes an object has; None: it is not there."""
        try:
            return int(self._store.head(name)["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _failed("read", error) from None

    def delete(self, name: str) -> None:
        """Remove an object."""
        try:
            self._store.delete(name)
        except FileNotFoundError:
            pass
        except (BaseError, OSError) as error:
            raise _failed("written", error) from None

    def names(self) -> Iterator[str]:
        """The names of all objects, a page at a time."""
        try:
            for some in self._store.list():
                for one in some:
                    yield one["path"]
        except (BaseError, OSError) as error:
            raise _failed("listed", error) from None


class FolderObjects(StoredObjects):
    """Objects as files in a folder, for their owner's eyes only and synced to disk."""

    late = False

    def __init__(self, folder: Path) -> None:
        """Use `folder`, made (mode 0700) if it is not there.

        Raises:
            StorageError: it can't be made.
        """
        self._folder = folder
        self._files = Files()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _failed("opened", error) from error
        super().__init__(LocalStore(folder))

    def put(self, name: str, content: bytes) -> None:
        """Keep `content` as `name`."""
        path = self._folder / name
        try:
            # Folders first: the store would make them readable to others.
            for parent in reversed(path.relative_to(self._folder).parents):
                made = self._folder / parent
                if not made.is_dir():
                    made.mkdir(exist_ok=True, mode=0o700)
                    self._files.sync_folder(made.parent)
            super().put(name, content)
            path.chmod(0o600)
            self._files.sync_file(path)
            self._files.sync_folder(path.parent)
        except OSError as error:
            raise _failed("written", error) from error

    def get(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes of an object; fewer where it ends before. By the system itself: the store
        would hand each read to another thread, and wait for it.
        """
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(descriptor).st_size  # what a damaged row asks for may be anything
                return os.pread(descriptor, max(0, min(length, size - offset)), offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failed("read", error) from error


def _failed(what: str, error: Exception) -> StorageError:
    return StorageError(f"the object store can't be {what} ({type(error).__name__}).", hint=_HINT)
