"""Files of a backup in a folder: copied whole or not at all, each with its hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from bailee.errors import StorageError
from bailee.outbound.bucket import pieces
from bailee.syncing import sync_file, sync_folder

_NEW: Final = ".new"


def copied(source: Path, target: Path, length: int | None = None) -> tuple[int, str]:
    """Copy a file, or its first `length` bytes, for its owner's eyes only; size and SHA-256. It is
    durable when this returns, but for its name (`settled`).

    Raises:
        FileNotFoundError: there is no such file.
        StorageError: it can't be read or written.
    """
    with source.open("rb") as reading:
        try:
            return saved(pieces(reading, length), target)
        except OSError as error:
            raise failed(target, error) from error


def saved(content: Iterable[bytes], target: Path) -> tuple[int, str]:
    """Write a file of some pieces, as `copied` does; size and SHA-256.

    Raises:
        OSError: it can't be written.
    """
    made_folder(target.parent)
    beside = target.with_name(target.name + _NEW)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    found, size = hashlib.sha256(), 0
    with os.fdopen(descriptor, "wb") as writing:
        for piece in content:
            writing.write(piece)
            found.update(piece)
            size += len(piece)
        writing.flush()
        os.fsync(writing.fileno())
    beside.replace(target)
    return size, found.hexdigest()


def written(target: Path, content: bytes) -> None:
    """Write a file, whole or not at all, durable.

    Raises:
        StorageError: it can't be written.
    """
    try:
        made_folder(target.parent)
        beside = target.with_name(target.name + _NEW)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise failed(target, error) from error


def made_folder(folder: Path) -> None:
    """Make a folder and those above it, for their owner's eyes only, durable."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        sync_folder(one.parent)


def hashed(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file.

    Raises:
        OSError: it can't be read.
    """
    found, size = hashlib.sha256(), 0
    with path.open("rb") as reading:
        for piece in pieces(reading):
            found.update(piece)
            size += len(piece)
    return size, found.hexdigest()


def synced(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file that is durable then, but for its name."""
    sync_file(path)
    return hashed(path)


def settled(folder: Path) -> None:
    """Make the names of all files below a folder durable."""
    try:
        for one in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            sync_folder(one)
    except OSError as error:
        raise failed(folder, error) from error


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below a folder; none if it is not there."""
    for path, _, names in os.walk(folder):
        yield from (Path(path) / name for name in sorted(names))


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there.

    Raises:
        StorageError: it can't be removed.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            for one in path.iterdir():
                remove(one)
            path.rmdir()
        else:
            with suppress(FileNotFoundError):
                path.unlink()
    except OSError as error:
        raise failed(path, error) from error


def failed(path: Path, error: OSError) -> StorageError:
    """The error that a file of a backup can't be read or written."""
    return StorageError(
        f"{path} can't be read or written ({error.strerror or type(error).__name__}).",
        hint="check the disk's free space and the folder's permissions; the same command goes on",
    )
