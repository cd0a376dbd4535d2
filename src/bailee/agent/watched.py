"""What a command could change and may not have: looked at before it, and after.

For what is obeyed where there is too much of it to be mounted read-only one by one: the sandbox
takes a quarter of a second for a hundred mounts, and nine for a thousand. A changed one counts like
a new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_MOST: Final = 100_000
"""Entries that are looked at. One whose entries are not all counts as changed by every command."""


class WatchedSettings:
    """Files and folders as they are when this is made. A command's surroundings own it; it never
    changes anything. The kernel notes when an entry was changed, and no program can set that time.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._left = _MOST
        self._before = {path: self._state(path) for path in paths}
        self._identities: set[tuple[int, int]] = set()
        for path in self._before:
            with contextlib.suppress(OSError):  # gone meanwhile
                found = path.lstat()
                self._identities.add((found.st_dev, found.st_ino))

    def changed(self) -> Iterator[Path]:
        """Which are not what they were, and are still there."""
        self._left = 2 * _MOST
        for path, before in self._before.items():
            if os.path.lexists(path) and (before is None or self._state(path) != before):
                yield path

    def has_moved(self, path: Path, identity: tuple[int, int]) -> bool:
        """Whether what is at `path` now is one of these, and was elsewhere; or is it by a link."""
        return identity in self._identities and path not in self._before

    def _state(self, path: Path) -> bytes | None:
        """Of all that lies in it; None: it is too much, or can't be looked at."""
        made = hashlib.sha256()
        waiting = [path]
        try:
            while waiting:
                one = waiting.pop()
                self._left -= 1
                if self._left < 0:
                    return None
                found = one.lstat()
                said = (os.fsencode(one), found.st_ino, found.st_mode, found.st_ctime_ns)
                made.update(repr(said).encode())
                if one.is_dir() and not one.is_symlink():
                    waiting += sorted(one.iterdir())
        except OSError:
            return None
        return made.digest()
