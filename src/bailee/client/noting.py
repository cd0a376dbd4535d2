"""A note in the client's folder that several processes write: one at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bailee.client.local_key import make_private
from bailee.errors import StorageError


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """One process at a time reads and writes this note; another waits. Raises `StorageError`."""
    try:
        make_private(file.parent)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StorageError(
            f"{file} can't be written ({error.strerror}): nothing was changed."
        ) from error
