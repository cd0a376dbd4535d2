"""Taking a home's files into a backup's place: what is there already is not copied again.

Rules kept here:

* A file that never changes is told by a signed list: that of the backup before, and that of one
  that was broken off. It stays if the place says of it what it said then (its mark). With another
  mark it is read; with other bytes it is copied anew, and counted. Its size alone says nothing.
* A mark does not tell of a disk that forgets. So each backup reads a sixteenth of what stays, the
  longest unread first: what was damaged in its place is found, and mended, within sixteen.
* What is in no list is copied, whatever is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bailee.backup.manifest import KEPT, BackedFile, digest
from bailee.backup.places import BackupPlace, wrong
from bailee.errors import StorageError

_SHARE: Final = 16
_LEAST: Final = 64 << 20
_NOTED: Final = 256 << 20
_TOGETHER: Final = 16


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file that belongs to a backup: its path in the home, where it may lie, how much of it.
    `kept`: it never changes. `fetch` gives the bytes of one that lies in no file; None: it is gone.
    """

    path: str
    sources: tuple[Path, ...]
    length: int | None = None
    kept: bool = True
    fetch: Callable[[], bytes | None] | None = None


@dataclass(frozen=True, slots=True)
class _Taken:
    """A file that is in the place. `mended`: another one was there, or none where one was."""

    file: BackedFile
    copied: bool
    mended: bool = False


class Taking:
    """The files of one backup, as they come to its place. Used by one thread; it has others put
    files, and never removes one.
    """

    def __init__(
        self,
        place: BackupPlace,
        own: str,
        known: Mapping[str, BackedFile],
        today: str,
        note: Callable[[Sequence[BackedFile]], None],
    ) -> None:
        """`own`: the folder of what changes. `known`: what never changes and is there, by path, as
        a signed list has it. `today`: a date. `note` is told now and then what is there.
        """
        self._place = place
        self._own = own
        self._known = known
        self._today = today
        self._note = note
        self._due = _due(known.values(), today)
        self.files: list[BackedFile] = []
        self.size = self.copied = self.mended = 0

    def all(self, some: Sequence[WantedFile]) -> Iterator[None]:
        """Take these, and give after each. One that is nowhere was destroyed: it is left out.

        Raises:
            StorageError: one can't be read or written.
        """
        noted, together = self.copied, _TOGETHER * self._place.at_once
        with ThreadPoolExecutor(self._place.at_once) as pool:
            for start in range(0, len(some), together):
                part = some[start : start + together]
                for taken in pool.map(self._take, part):
                    self._add(taken)
                    if self.copied - noted >= _NOTED:
                        self._place.settle()
                        self._note([one for one in self.files if one.folder == KEPT])
                        noted = self.copied
                    yield

    def one(self, path: str, source: Path) -> None:
        """Take a file that changes. Errors as in `all`."""
        self._add(self._take(WantedFile(path, (source,), kept=False)))

    def _take(self, wanted: WantedFile) -> _Taken | None:
        folder = KEPT if wanted.kept else self._own
        name, mended = f"{folder}/{wanted.path}", False
        if wanted.kept and (known := self._known.get(wanted.path)) is not None:
            found = self._place.mark(name)
            mark = "" if found is None else found[1]
            if found == (known.size, known.mark) and mark and wanted.path not in self._due:
                return _Taken(known, copied=False)
            if found is not None and self._is_good(known):
                return _Taken(replace(known, mark=mark, read=self._today), copied=False)
            mended = True
        for source in wanted.sources:
            with suppress(FileNotFoundError):
                put = self._place.take(name, source, wanted.length)
                about = (put.size, put.sha256, put.mark, self._today)
                return _Taken(BackedFile(wanted.path, folder, *about), copied=True, mended=mended)
        if wanted.fetch is not None and (content := wanted.fetch()) is not None:
            self._place.write(name, content)
            found = self._place.mark(name)
            about = (len(content), digest(content), "" if found is None else found[1], self._today)
            return _Taken(BackedFile(wanted.path, folder, *about), copied=True, mended=mended)
        return None

    def _is_good(self, known: BackedFile) -> bool:
        """Whether a file has the bytes that were written. One that can't be read has not."""
        try:
            return wrong(self._place, known) is None
        except StorageError:
            return False

    def _add(self, taken: _Taken | None) -> None:
        if taken is not None:
            self.files.append(taken.file)
            self.size += taken.file.size
            self.copied += taken.file.size if taken.copied else 0
            self.mended += taken.mended


def _due(known: Iterable[BackedFile], today: str) -> set[str]:
    """Which files are to be read again though their mark says that nothing was changed."""
    waiting = sorted((one for one in known if one.read < today), key=lambda one: one.read)
    left = max(sum(one.size for one in waiting) // _SHARE, _LEAST)
    due = set()
    for one in waiting:
        if left <= 0:
            break
        due.add(one.path)
        left -= one.size
    return due
