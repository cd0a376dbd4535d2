"""The few file operations that the spool and the open segments are made of.

An object of its own so that a test can put one in its place whose disk fails. Everything made here
is for the owner's eyes only (folders 0700, files 0600).

What is large is made durable step by step: who syncs a small record meanwhile waits for a step, and
not until the disk has taken all that another wrote.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bailee.syncing import sync_folder

_STEP: Final = 256 << 10  # of what is sealed, too (`keyring.wrapping.STEP`)
_ZEROS: Final = bytes(_STEP)
_DURABLY: Final = getattr(os, "RWF_DSYNC", 0)  # Linux


class Files:
    """The real disk. It holds nothing, and may be called from any thread; who has a descriptor sees
    to it that one thread writes to it at a time.
    """

    def make(self, path: Path, size: int) -> int:
        """A new file of `size` zeros, durable, its name included; its descriptor.

        The zeros are written, not only allocated: writing into them later changes no metadata,
        which makes syncing cheaper. A file that can't be made whole is removed.

        Raises:
            OSError: no room, no permission, or such a file is there.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if size:
                os.posix_fallocate(descriptor, 0, size)
                for offset in range(0, size, len(_ZEROS)):
                    self.write(descriptor, _ZEROS[: size - offset], offset)
            os.fsync(descriptor)
            self.sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return descriptor

    def write(self, descriptor: int, content: bytes, offset: int) -> None:
        """Write all of `content` at `offset`. Of what is large each step is durable before the
        next; the rest of it, and what is small, once it is synced.
        """
        view, written = memoryview(content), 0
        while written < len(content):
            written += os.pwrite(descriptor, view[written : written + _STEP], offset + written)
            if len(content) >= _STEP:
                os.fdatasync(descriptor)

    def put(self, descriptor: int, content: bytes, offset: int) -> None:
        """Write a little, all of it durable when this returns: as `write` and `sync` in one call,
        so that a thread asks for the interpreter once. Where the system can't, as the two.
        """
        written = 0
        try:
            if _DURABLY:
                written = os.pwritev(descriptor, [content], offset, _DURABLY)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        if written < len(content):
            self.write(descriptor, content[written:], offset + written)
            self.sync(descriptor)

    def sync(self, descriptor: int) -> None:
        """Make what was written durable."""
        os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Make a folder's names durable."""
        sync_folder(folder)

    def sync_file(self, path: Path) -> None:
        """Make a file's content durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class FilesWithin(Files):
    """The real disk, on which something new takes room only while `may_grow` says so."""

    def __init__(self, may_grow: Callable[[], bool]) -> None:
        self._may_grow = may_grow

    def make(self, path: Path, size: int) -> int:
        """See `Files.make`. A file of no size is for what was accepted before."""
        if size and not self._may_grow():
            raise OSError(errno.ENOSPC, "the disk is full, but for what is kept for deleting")
        return super().make(path, size)
