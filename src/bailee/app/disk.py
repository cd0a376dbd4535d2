"""How an account stands with the disk: what of it is sealed, and whether little is free.

Rows: G1.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from bailee.admission.disk import OnDisk, floor
from bailee.vault.stored import Stored

_LOOK_EVERY: Final = 1.0  # seconds


def room_on(folder: Path) -> tuple[int, int]:
    """Bytes that are free on a folder's file system, and its size.

    Raises:
        OSError: it can't be looked at.
    """
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize


class Disk:
    """How an account stands with the disk.

    The gateway owns it and asks it on its event loop's thread, for each request that is recorded: a
    look-up, and once a second a look at the file systems. It refuses nobody, and removes nothing.
    """

    def __init__(
        self,
        stored: Stored,
        folders: Iterable[Path],
        free: int,
        monotonic: Callable[[], float],
        room: Callable[[Path], tuple[int, int]] = room_on,
    ) -> None:
        """`free`: bytes that are kept free on the file systems of these folders (0: none)."""
        self._stored = stored
        self._folders = tuple(folders)
        self._free = free
        self._monotonic = monotonic
        self._room = room
        self._looked = float("-inf")
        self._low = False

    def of(self, owner: str) -> OnDisk:
        """An account's standing."""
        sums, stored = self._stored.of(owner), self._stored
        return OnDisk(sums.living, sums.gone, stored.all, stored.accounts, self.low())

    def low(self) -> bool:
        """Whether little is free; for any thread."""
        now = self._monotonic()
        if self._free and now - self._looked >= _LOOK_EVERY:
            self._looked = now
            self._low = any(self._is_low(folder) for folder in self._folders)
        return self._low

    def _is_low(self, folder: Path) -> bool:
        with contextlib.suppress(OSError):  # who writes there is told
            free, size = self._room(folder)
            return free < floor(self._free, size)
        return False
