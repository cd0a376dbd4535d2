"""Datasets on their way to a bucket: folders in the home, as long as somebody works on them.

What lies here is plain text of sessions, and nobody's to keep: a folder is held by a lock while its
export goes on, and goes with the end of it. What a crash left goes with the next sweep, or when the
same export is asked for again and has reached the bucket.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from bailee.errors import InputError, StorageError

_LOCK: Final = ".lock"


class Staging:
    """The folders of all exports that go to a bucket. An export holds its own, on its thread; the
    sweep removes those that nobody holds, on its own. It reads nothing in them.
    """

    name: Final = "datasets"

    def __init__(self, folder: Path) -> None:
        """`folder`: where they lie; made when it is needed."""
        self._folder = folder

    def has(self, export: str) -> bool:
        """Whether something of an export lies here."""
        return (self._folder / export).is_dir()

    @contextmanager
    def holding(self, export: str) -> Iterator[Path]:
        """An export's folder, which nobody else works on or removes meanwhile.

        Raises:
            InputError: somebody else works on it.
            StorageError: it can't be made.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _locked(self._folder / (export + _LOCK))
            if lock is None:
                raise InputError(
                    "this export is under way already.",
                    hint="wait for its end; nothing was changed",
                )
            try:
                (self._folder / export).mkdir(mode=0o700, exist_ok=True)
                yield self._folder / export
            finally:
                os.close(lock)
        except OSError as error:
            raise _failed(error) from error

    def done(self, export: str) -> None:
        """Remove an export's folder. Its export calls it, while it is held.

        Raises:
            StorageError: it can't be removed; the sweep tries again.
        """
        try:
            self._remove(export)
        except OSError as error:
            raise _failed(error) from error

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """Remove what nobody works on. See `keeping.keeper.Swept`."""
        del now  # they have no time: who needs one holds it
        gone = 0
        try:
            found = [*self._folder.iterdir()] if self._folder.is_dir() else []
            for path in found:
                if path.is_dir() and self._removed(path.name):
                    gone += 1
        except OSError as error:
            raise _failed(error) from error
        return {"datasets": gone}

    def _removed(self, export: str) -> bool:
        lock = _locked(self._folder / (export + _LOCK))
        if lock is None:
            return False
        try:
            self._remove(export)
        finally:
            os.close(lock)
        return True

    def _remove(self, export: str) -> None:
        """Whoever calls this holds its lock."""
        shutil.rmtree(self._folder / export)
        (self._folder / (export + _LOCK)).unlink(missing_ok=True)


def _locked(path: Path) -> int | None:
    """A lock on a file that is at `path` then, as a descriptor; None: another has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # who had it before has removed it: there is another


def _failed(error: OSError) -> StorageError:
    return StorageError(
        f"a dataset on its way to a bucket can't be written or removed "
        f"({error.strerror or type(error).__name__}).",
        hint="check the home's room and permissions, and run it again: it goes on",
    )
