"""How many transactions a home knows to be committed to its databases elsewhere: a file of two
numbers, `commits`, that outlives the process.

```
00000000000000004711 00000000000000000815     data, keyring
```

Each is written in its place after a commit, without a sync: after a loss of the machine the file
may say an earlier number, never a later one. An earlier one finds less that is missing, and never
takes for missing what is there.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bailee.home.belonging import PARTS

_PARTS: Final = PARTS[:2]
_DIGITS: Final = 20
_FORM: Final = re.compile(rb"([0-9]{20}) ([0-9]{20})\n")


class CommitCounts:
    """One home's file. Whoever opens its databases makes it, and closes it after them; their
    engines note their commits, on any thread. Nothing is written before a commit is noted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: int | None = None
        self._closed = False
        self.known: Final[Mapping[str, int]] = _read(path)
        """What it said when it was opened, by part; one that is not whole says nothing."""

    def note(self, part: str, count: int) -> None:
        """So many are committed. Where it can't be written, an earlier number stays."""
        with self._lock:
            if self._closed:
                return
            try:
                if self._file is None:
                    self._file = self._open()
                at = _PARTS.index(part) * (_DIGITS + 1)
                os.pwrite(self._file, b"%020d" % count, at)
            except OSError:
                pass

    def close(self) -> None:
        """Nothing is noted any more."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _open(self) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not self.known:
            os.ftruncate(file, 0)
            os.pwrite(file, b"%020d %020d\n" % (0, 0), 0)
        return file


def _read(path: Path) -> dict[str, int]:
    try:
        found = _FORM.fullmatch(path.read_bytes()[:100])
    except OSError:
        return {}
    return {} if found is None else dict(zip(_PARTS, map(int, found.groups()), strict=True))
