"""Searching a home for what names somebody: every file by its bytes, every database by its rows.

Rules kept here:

* What is looked for, and what was found, are told by kind, place and count; a finding never holds
  what was found.
* It is done in a process of its own (`search`). A process that opens and closes a database's file
  beside its own handle loses the locks on it (sqlite.org/howtocorrupt.html, 2.2), and a long search
  must hold nobody up.
* Words are looked for as bytes, whatever their case (ASCII): so what lies in a free page or in a
  write-ahead log is found too. Ids are looked for in rows alone: they are many, and what an old
  page says of one, the rows say anyway.
* Of files that hold nothing but ciphertext, sealed each for somebody, those are read that have
  something of theirs (`Sealed`). How many were passed over is told.
* Small files come first. Beyond `most` bytes nothing more is read, and that is told. A file that
  goes while it is looked at is none.

It sees no further than bytes go: what is encrypted, compressed or in base64 does not show.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from bailee.errors import StorageError
from bailee.home import packing
from bailee.home.searching_rows import rows_of
from bailee.json_values import JsonObject, elements, members, text, whole

MOST: Final = 4 << 30
"""How many bytes are read at most."""

LOOSE: Final = "outside of any row"

_PIECE: Final = 8 << 20
_SQLITE: Final = b"SQLite format 3\x00"
_OF_A_DATABASE: Final = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Trace:
    """Something to look for. `what`: its kind, in words. `word`: its bytes, ASCII in lower case;
    or `id`: an id, as it stands in rows.
    """

    what: str
    word: bytes = b""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """So many times was something of a kind found at a place: a file; of a database also a table
    and column (then rows are counted), or `outside of any row`.
    """

    where: str
    column: str
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """Folders (of the one that is searched) of files that are ciphertext; only those named `theirs`
    are read.
    """

    folders: tuple[str, ...]
    theirs: tuple[str, ...]

    def passes_over(self, name: str) -> bool:
        """Whether a file, by its path, is not read."""
        return name.startswith(self.folders) and name.rpartition("/")[2] not in self.theirs


@dataclass(frozen=True, slots=True)
class Search:
    """What was searched, and found. `left_out`, `left_out_bytes`: files beyond what is read at
    most; `others`, `others_bytes`: those that were passed over as `Sealed` for others. `opened`:
    compressed files that were looked into, where that was asked for; `closed`: those of them, and
    databases, that can't be.
    """

    files: int
    bytes: int
    databases: int
    left_out: int
    left_out_bytes: int
    others: int
    others_bytes: int
    findings: tuple[Finding, ...]
    opened: int = 0
    closed: tuple[str, ...] = ()


NOTHING: Final = Sealed((), ())
"""Every file is read."""


def apart(traces: Iterable[Trace]) -> tuple[dict[str, list[bytes]], dict[str, str]]:
    """The words of traces by their kinds; and their ids, of what kind each is."""
    words: dict[str, list[bytes]] = {}
    ids: dict[str, str] = {}
    for trace in traces:
        if trace.word:
            words.setdefault(trace.what, []).append(trace.word)
        if trace.id:
            ids[trace.id] = trace.what
    return words, ids


def search(
    folder: Path,
    traces: Iterable[Trace],
    *,
    sealed: Sealed = NOTHING,
    most: int = MOST,
    within: bool = False,
    still: bool = False,
) -> Search:
    """Search a folder, in another process, and wait for it. `within`: compressed files are looked
    into, and what can't be read is told; `still`: it is a copy, beside which nothing is written.

    Raises:
        StorageError: it can't be searched.
    """
    asked = {
        "folder": str(folder),
        "most": most,
        "sealed": asdict(sealed),
        "within": within,
        "still": still,
    }
    said = in_a_process("bailee.home.searching", asked, traces)
    if said is None:
        raise StorageError("the home can't be searched.", hint="see that its files can be read")
    read = json.loads(said)
    findings = tuple(Finding(**one) for one in read["findings"])
    return Search(**read | {"findings": findings, "closed": tuple(read["closed"])})


def in_a_process(module: str, asked: Mapping[str, object], traces: Iterable[Trace]) -> bytes | None:
    """What a module of ours prints when it is run in a process of its own with what is asked, and
    which traces are looked for (`traces_of`); None: it failed.
    """
    listed = [[one.what, one.word.hex(), one.id] for one in traces]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-m", module],
        input=json.dumps({**asked, "traces": listed}).encode(),
        capture_output=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None


def traces_of(asked: JsonObject) -> list[Trace]:
    """The traces that such a process is asked for."""
    return [
        Trace(text(what), bytes.fromhex(text(word)), text(one))
        for what, word, one in map(elements, elements(asked["traces"]))
    ]


def search_here(
    folder: Path,
    traces: Iterable[Trace],
    *,
    sealed: Sealed = NOTHING,
    most: int = MOST,
    within: bool = False,
    still: bool = False,
) -> Search:
    """Search a folder that no database of this process lies in."""
    words, ids = apart(traces)
    found: Counter[tuple[str, str, str]] = Counter()
    read = files = databases = left_out = left_out_bytes = others = others_bytes = opened = 0
    closed: list[str] = []
    for path, size in _files(folder):
        name = str(path.relative_to(folder))
        if sealed.passes_over(name):
            others, others_bytes = others + 1, others_bytes + size
            continue
        if read + size > most:
            left_out, left_out_bytes = left_out + 1, left_out_bytes + size
            continue
        try:
            with path.open("rb") as file:
                counts = _count(file, words)
            kind = packing.kind_of(path) if within else None
        except FileNotFoundError:
            continue
        if kind is not None:
            try:
                for unpacked in packing.contents(path, kind):
                    counts += _count(unpacked, words)
                opened += 1
            except packing.UNREADABLE:
                closed.append(name)
        files, read = files + 1, read + size
        if not _is_database(path):
            log = name.endswith(_OF_A_DATABASE)
            found.update({(name, LOOSE if log else "", what): n for what, n in counts.items()})
            continue
        databases += 1
        try:
            rows = rows_of(path, words, ids, still=still)
        except sqlite3.Error:
            if not within:
                raise
            closed.append(name)
            rows = Counter()
        found.update({(name, column, what): n for (column, what), n in rows.items()})
        in_rows = {what for _, what in rows}
        loose = {what: n for what, n in counts.items() if what not in in_rows}
        found.update({(name, LOOSE, what): n for what, n in loose.items()})
    findings = tuple(Finding(*place, count) for place, count in sorted(found.items()))
    told = (files, read, databases, left_out, left_out_bytes, others, others_bytes)
    return Search(*told, findings, opened, tuple(closed))


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Ordinary files under a folder, the databases and then the smallest first. Links are not
    followed.
    """
    found = []
    for top, _, names in os.walk(folder):
        for name in names:
            path = Path(top, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found.append((path, status.st_size))
    return sorted(found, key=lambda one: (".db" not in one[0].name, one[1], one[0]))


def _count(file: IO[bytes], words: Mapping[str, list[bytes]]) -> Counter[str]:
    """How often words of each kind stand in a file's bytes."""
    counts: Counter[str] = Counter()
    overlap = max((len(word) for some in words.values() for word in some), default=1) - 1
    before = b""
    while piece := file.read(_PIECE):
        content = (before + piece).lower()
        for what, some in words.items():
            for word in some:
                seen = content.count(word)
                if seen:  # what ends in the part that was read before was counted then
                    seen -= content[: len(before)].count(word)
                if seen:
                    counts[what] += seen
        before = content[-overlap:] if overlap else b""
    return counts


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except FileNotFoundError:
        return False


def _main(asked: JsonObject) -> None:
    folders, theirs = (
        tuple(map(text, elements(members(asked["sealed"])[name]))) for name in ("folders", "theirs")
    )
    sealed = Sealed(folders, theirs)
    found = search_here(
        Path(text(asked["folder"])),
        traces_of(asked),
        sealed=sealed,
        most=whole(asked["most"]),
        within=asked["within"] is True,
        still=asked["still"] is True,
    )
    json.dump(asdict(found), sys.stdout)


if __name__ == "__main__":
    _main(json.load(sys.stdin))
