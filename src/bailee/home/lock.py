"""One process owns a home.

The lock is the kernel's (`flock`), so it goes with its holder, however that ends; the file's
content (the holder's process id) is for people to read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from types import TracebackType

from bailee.errors import InputError, StorageError
from bailee.home.layout import Home


class HomeLock:
    """Holds a home from `acquire` until `release` or the end of the process."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the home.

        Raises:
            InputError: code `home_in_use`, another process has it; or it is not ours alone
                (`Home.check`).
            StorageError: the lock file can't be made.
        """
        path = self._home.lock_file
        self._home.make()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path} can't be opened ({error.strerror}).") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise InputError(
                f"the home {self._home.path} is in use by process {holder or '?'}.",
                code="home_in_use",
                hint="stop that process, or use another --home",
            ) from error
        with contextlib.suppress(OSError):  # on a full disk nobody reads who it is
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the home go. Safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> HomeLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
