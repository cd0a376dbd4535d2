"""Scratch disks: files without a name, which are gone with the last process that has them open."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from bailee.errors import MachineError

_SLACK: Final = 1.06  # a disk is larger than its limit, so that reaching the limit can be seen
_PIECE: Final = 8 << 20


def size_for(limit: int) -> int:
    """The size of the disk for so many bytes, in whole MiB."""
    return (int(limit * _SLACK) + (16 << 20)) >> 20 << 20


def unnamed(folder: Path, size: int) -> int:
    """A file of that size, with no blocks and no name; gives its descriptor.

    Raises:
        MachineError: the folder is on a file system that has no such files.
    """
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MachineError(
            f"no scratch disk can be made in {folder}: {os.strerror(error.errno or 0)}.",
            code="no_machine",
            hint="name a folder on ext4, xfs, btrfs or tmpfs that can be written to",
        ) from None
    os.truncate(descriptor, size)
    return descriptor


def used(descriptor: int) -> int:
    """The bytes that a file has blocks for."""
    return os.fstat(descriptor).st_blocks * 512


def copy(source: int, target: int) -> None:
    """Copy what a sparse file holds, and none of its holes."""
    end = os.fstat(source).st_size
    place = 0
    while place < end:
        try:
            start = os.lseek(source, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # holes up to the end
            raise
        place = os.lseek(source, start, os.SEEK_HOLE)
        while start < place:
            count = os.copy_file_range(source, target, min(_PIECE, place - start), start, start)
            if count == 0:
                return
            start += count
