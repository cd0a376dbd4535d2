"""A judged file's bytes, read and written so that it stays the file it was.

Rules kept here:

* A write goes to a new file that then takes the old one's name, whole or not at all, with its mode,
  owner and extended attributes. A file that has more names (hard links), or whose owner or
  attributes can't be given to another, is written in place instead: whole, unless the disk fails.
* Neither follows a link: what the path led to when it was judged is used, or nothing.
* Devices, pipes and sockets are not files.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import Final

from bailee.agent.workspace import WorkspacePath, folder_of
from bailee.errors import InputError

_LARGEST: Final = 10 * 1024 * 1024  # bytes
_PLAINLY: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_bytes(place: WorkspacePath) -> bytes:
    """The file's bytes.

    Raises:
        InputError: there is no such file, or it is a folder, a device, or too large.
    """
    try:
        with folder_of(place) as folder:
            handle = os.open(place.real.name or ".", os.O_RDONLY | _PLAINLY, dir_fd=folder)
        with open(handle, "rb") as file:  # noqa: PTH123 - a descriptor
            found = os.fstat(handle)
            if stat.S_ISDIR(found.st_mode):
                raise InputError(f"{place.subject} is a folder.")
            if not stat.S_ISREG(found.st_mode):
                raise InputError(f"{place.subject} is not a file.")
            if found.st_size > _LARGEST:
                raise InputError(
                    f"{place.subject} is larger than {_LARGEST} bytes.",
                    code="request_too_large",
                    hint="look at a part of it with Bash or Grep",
                )
            return file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {place.subject}.", code="not_found") from None
    except IsADirectoryError:
        raise InputError(f"{place.subject} is a folder.") from None
    except OSError as error:
        raise InputError(f"{place.subject} can't be read: {error.strerror}.") from None


def write_bytes(place: WorkspacePath, content: bytes) -> None:
    """Puts `content` in the file's place.

    Raises:
        InputError: it can't be written.
    """
    try:
        with folder_of(place, make=True) as folder:
            _write(folder, place, content)
    except OSError as error:
        raise InputError(f"{place.subject} can't be written: {error.strerror}.") from None


def _write(folder: int, place: WorkspacePath, content: bytes) -> None:
    name = place.real.name
    try:
        old = os.open(name, os.O_RDONLY | _PLAINLY, dir_fd=folder)
    except FileNotFoundError:
        old = None
    try:
        if old is not None and not stat.S_ISREG(os.fstat(old).st_mode):
            raise InputError(f"{place.subject} is not a file.")
        if old is None or os.fstat(old).st_nlink == 1:
            new = f".bailee-{secrets.token_hex(8)}"
            try:
                with contextlib.suppress(*([] if old is None else [PermissionError])):
                    _replace(folder, name, new, old, content)
                    return
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(new, dir_fd=folder)
        with open(  # noqa: PTH123 - within an open folder
            os.open(name, os.O_WRONLY | _PLAINLY, dir_fd=folder), "wb"
        ) as file:
            file.write(content)
            file.truncate()
    finally:
        if old is not None:
            os.close(old)


def _replace(folder: int, name: str, new: str, old: int | None, content: bytes) -> None:
    """Raises `PermissionError` where the new file can't be what the old one was."""
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAINLY, 0o666, dir_fd=folder)
    with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(content)
        file.flush()
        if old is not None:
            was, now = os.fstat(old), os.fstat(handle)
            if (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
                os.fchown(handle, was.st_uid, was.st_gid)
            os.fchmod(handle, stat.S_IMODE(was.st_mode))
            for attribute in _attributes(old):
                os.setxattr(handle, attribute, os.getxattr(old, attribute))
    os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)


def _attributes(handle: int) -> list[str]:
    """A file's extended attributes; those of the kernel's own modules are for it to give."""
    if not hasattr(os, "listxattr"):
        return []
    try:
        return [name for name in os.listxattr(handle) if not name.startswith("security.")]
    except OSError:  # a file system without any
        return []
