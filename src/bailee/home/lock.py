"""One process owns a home.

The lock is the kernel's (`flock`), so it goes with its holder, however that ends. It is on the
home's folder itself, and nothing that lies in the folder matters for it: who removes `run/` takes
nothing from the holder. `run/lock` is locked too, as earlier versions do; its content (the
holder's process id) is for people to read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from bailee.errors import InputError, StorageError
from bailee.home.layout import Home

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class HomeLock:
    """Holds a home from `acquire` until `release` or the end of the process. Whoever opens a home
    owns it, before anything in it is opened; used on one thread. It never waits for another
    holder, and never ends one.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._descriptors: list[int] = []

    def acquire(self) -> None:
        """Take the home.

        Raises:
            InputError: code `home_in_use`, another process has it; or it is not ours alone
                (`Home.check`).
            StorageError: the home can't be opened, or was moved away meanwhile.
        """
        self._home.make()
        try:
            self._take(self._home.path.resolve(), _FOLDER)
            descriptor = self._take(self._home.lock_file, _FILE)
            with contextlib.suppress(OSError):  # on a full disk nobody reads who it is
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
        except BaseException:
            self.release()
            raise

    def _take(self, path: Path, flags: int) -> int:
        """Open and lock what is at `path`, and see that it is still there."""
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise StorageError(f"{path} can't be opened ({error.strerror}).") from error
        self._descriptors.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._in_use(descriptor) from error
        except OSError as error:
            raise StorageError(
                f"{path} can't be locked ({error.strerror}).",
                hint="keep the home on a local file system",
            ) from error
        try:
            same = os.path.samestat(os.fstat(descriptor), path.stat())
        except OSError:
            same = False
        if not same:
            raise StorageError(f"{path} was moved away just now.", hint="try again")
        return descriptor

    def _in_use(self, descriptor: int) -> InputError:
        """Who has the home, and whether commands can reach them."""
        holder = _holder(os.fstat(descriptor)) or self._written() or "?"
        if self._home.lock_file.exists():
            return InputError(
                f"the home {self._home.path} is in use by process {holder}.",
                code="home_in_use",
                hint="stop that process, or use another --home",
            )
        return InputError(
            f"the home {self._home.path} is in use by process {holder}, and its folder run/, "
            "through which commands reach a server, was removed.",
            code="home_in_use",
            hint=f"start that process again: kill {holder}, then bailee up",
        )

    def _written(self) -> str:
        try:
            return self._home.lock_file.read_bytes()[:32].decode("ascii", "replace").strip()
        except OSError:
            return ""

    def release(self) -> None:
        """Let the home go. Safe to call twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())

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


def _holder(status: os.stat_result) -> str:
    """The process that has a lock on a file, as the kernel says (proc_locks(5)); else nothing."""
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return ""
    for words in (line.split() for line in lines):
        if words[1:2] == ["FLOCK"] and words[5:6] == [place] and int(words[4]) > 0:
            return words[4]
    return ""
