"""Files that hold what sessions say: for their owner's eyes alone, and there whole or not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from bailee.errors import StorageError


def write_private(path: Path, pieces: Iterable[bytes]) -> int:
    """Write pieces, as they come, to a file in the place of what is there; its size. If taking one
    fails, what is there stays.

    Raises:
        StorageError: it can't be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    size = 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                try:
                    size += file.write(piece)
                except OSError as error:
                    raise _unwritable(path, error) from error
        partial.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
    return size


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} can't be written ({error.strerror}).", hint="choose another with -o"
    )
