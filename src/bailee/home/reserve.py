"""Room kept for deleting: a file on each file system of a home, given up while the disk is full.

Who deletes on a full disk has to write first: that a key is destroyed, that it was asked for, a
database's log. So each file system on which a store lies has a file `reserve` of 32 MiB, or an
eighth of a small file system. Its bytes are allocated and mean nothing.

Rules kept here:

* Who writes borrows. When less than half a reserve is free, the file is removed for the time; when
  nobody borrows any more it is made again, as large as there is room for.
* Who deletes, or opens the home, may use up all. Everybody else leaves half of it, and is refused
  beyond.
* While one is not whole, nothing new is recorded (`ready`), so that what was given up is not taken
  by what comes in. It goes on by itself when there is room for all of it again.
* A reserve that can't be made is no error: the disk may have been full before it.

Rows: R5.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bailee.errors import StorageError

SIZE: Final = 32 << 20
_NAME: Final = "reserve"


def size_on(file_system: int) -> int:
    """The size of the reserve on a file system of so many bytes."""
    return min(SIZE, file_system // 8)


def step(free: int, size: int, held: int, *, borrowed: bool) -> int:
    """How large a reserve is to be that shall have `size` bytes and has `held`, on a file system
    with `free` ones.
    """
    if borrowed:
        return 0 if held and free < size // 2 else held
    return min(size, held + free)


class Reserve:
    """The reserves of one home. Its methods may be called from any thread; who owns the home has
    one.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        """Of the file systems on which these folders lie, each once; makes what is missing.

        Raises:
            StorageError: a folder can't be looked at.
        """
        self._lock = threading.Lock()  # whenever borrowers are counted or places looked at
        self._borrowers = 0
        self._deleting = threading.local()
        found: dict[int, _Place] = {}
        try:
            for folder in folders:
                place = found.setdefault(folder.stat().st_dev, _Place(folder))
                if place.folder != folder:  # it lay on a file system of its own before
                    (folder / _NAME).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"a folder of the home can't be read ({error.strerror}).") from error
        self._places = list(found.values())
        self._look()

    @contextlib.contextmanager
    def deleting(self) -> Iterator[None]:
        """While what this thread does makes room: it may use up all that was kept."""
        before = getattr(self._deleting, "now", False)
        self._deleting.now = True
        self.borrow()
        try:
            yield
        finally:
            self._deleting.now = before
            self.give_back()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """While something is written that is not new: see `borrow`."""
        self.borrow()
        try:
            yield
        finally:
            self.give_back()

    def borrow(self) -> None:
        """Something is about to be written; `give_back` follows, unless this raises.

        Raises:
            StorageError: what is left is kept for deleting.
        """
        with self._lock:
            self._borrowers += 1
            self._look()
            if getattr(self._deleting, "now", False) or all(one.has_half for one in self._places):
                return
            self._borrowers -= 1
        raise StorageError(
            "the disk is full, and the room that is left is reserved for deleting.",
            hint="delete sessions, or make room on the disk; then it continues by itself",
        )

    def give_back(self) -> None:
        """What was to be written is."""
        with self._lock:
            self._borrowers -= 1
            self._look()

    def ready(self) -> bool:
        """Whether something new may take room: all that is to be kept for deleting is there."""
        with self._lock:
            self._look()
            return all(place.is_whole for place in self._places)

    def _look(self) -> None:
        for place in self._places:
            place.look(borrowed=self._borrowers > 0)


class _Place:
    """The reserve of one file system. Used under its owner's lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        status = os.statvfs(folder)
        self._file = folder / _NAME
        self._size = size_on(status.f_blocks * status.f_frsize)
        self._free = 0
        self._held = self._found()

    @property
    def is_whole(self) -> bool:
        """Whether all that is to be kept is."""
        return self._held == self._size

    @property
    def has_half(self) -> bool:
        """Whether half of what is kept is there still, as a file or as room."""
        return self._held + self._free >= self._size // 2

    def look(self, *, borrowed: bool) -> None:
        """Give the file up, or make it, as far as that is to be done now, and can be."""
        with contextlib.suppress(OSError):
            status = os.statvfs(self.folder)
            self._free = status.f_bavail * status.f_frsize
            wanted = step(self._free, self._size, self._held, borrowed=borrowed)
            if wanted < self._held:
                self._file.unlink(missing_ok=True)
                self._free += self._held
                self._held = 0
            elif wanted > self._held:
                self._make(wanted)

    def _make(self, size: int) -> None:
        """Have a file of `size` bytes; what there is stays when there is no room for them."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._file, flags, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            self._held = size
        finally:
            os.close(descriptor)

    def _found(self) -> int:
        """What an earlier process left, if its bytes are allocated; else it is made anew."""
        try:
            status = self._file.stat(follow_symlinks=False)
            if 0 < status.st_size <= min(self._size, status.st_blocks * 512):
                return status.st_size
            self._file.unlink()
        except OSError:
            pass
        return 0
