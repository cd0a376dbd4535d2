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
import re
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final, cast
from urllib.parse import quote

from bailee.errors import StorageError
from bailee.home import packing
from bailee.json_values import JsonObject, elements, members, text, whole

MOST: Final = 4 << 30
"""How many bytes are read at most."""

LOOSE: Final = "outside of any row"

_PIECE: Final = 8 << 20
_ROWS: Final = 1000  # of a database that are looked at together
_SQLITE: Final = b"SQLite format 3\x00"
_TOKEN: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[a-z]{2,8}_[0-9a-f]{10,32}"
)
_UUID: Final = 36  # characters
_MOMENT: Final = "dddd-dd-dd dd:dd:dd.dddddd".replace("d", "[0-9]")
_SAYS: Final = """(typeof("{0}") IN ('text', 'blob') AND "{0}" NOT GLOB :moment)"""
_FIRST: Final = 100  # rows of a table, in which most of its columns that say something do
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
        "traces": [[one.what, one.word.hex(), one.id] for one in traces],
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bailee.home.searching"],
        input=json.dumps(asked).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise StorageError("the home can't be searched.", hint="see that its files can be read")
    read = json.loads(done.stdout)
    findings = tuple(Finding(**one) for one in read["findings"])
    return Search(**read | {"findings": findings, "closed": tuple(read["closed"])})


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
    wanted = list(traces)
    words: dict[str, list[bytes]] = {}
    for trace in wanted:
        if trace.word:
            words.setdefault(trace.what, []).append(trace.word)
    ids = {trace.id: trace.what for trace in wanted if trace.id}
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
            rows = _rows(path, words, ids, still=still)
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


def _rows(
    path: Path, words: Mapping[str, list[bytes]], ids: Mapping[str, str], *, still: bool
) -> Counter[tuple[str, str]]:
    """In how many rows something of a kind stands, by `table.column`."""
    kinds = sorted({*words, *ids.values()})
    by_word = [(1 << kinds.index(what), word) for what, some in words.items() for word in some]
    by_id = {one: 1 << kinds.index(what) for one, what in ids.items()}

    def names(value: str | bytes) -> int:
        """The kinds that a value has something of, as bits."""
        raw = _raw(value)
        bits = 0
        for bit, word in by_word:
            if word in raw:
                bits |= bit
        if isinstance(value, str):
            for token in _TOKEN.findall(value):
                bits |= by_id.get(token, 0)
            bits |= by_id.get(value, 0)
        return bits

    def any_names(texts: Collection[str], rest: Collection[bytes]) -> bool:
        """Whether some value has something: all are looked at as one, which is many times faster,
        and of most there is nothing to say.
        """
        text = "\0".join(texts)
        raw = _raw(text) + b"\0" + b"\0".join(rest).lower()
        if any(word in raw for _, word in by_word) or not by_id.keys().isdisjoint(texts):
            return True
        if "_" not in text and ("-" not in text or {*map(len, texts)} == {_UUID}):
            return False  # ids have one or the other; what is a UUID has no other within
        return not by_id.keys().isdisjoint(_TOKEN.findall(text))

    counts: Counter[tuple[str, str]] = Counter()
    how = "mode=ro&immutable=1" if still else "mode=ro"
    connection = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)
    try:
        for table, columns in _tables(connection):
            listed = ", ".join(f'"{column}"' for column in columns)
            rows = connection.execute(f'SELECT {listed} FROM "{table}"')  # noqa: S608
            while some := rows.fetchmany(_ROWS):
                for column, cells in zip(columns, zip(*some, strict=True), strict=True):
                    texts, rest = _apart({*cells})  # many are alike
                    if not any_names(texts, rest):
                        continue
                    bits: dict[object, int] = {one: names(one) for one in texts}
                    bits |= {one: names(one) for one in rest}
                    for found in filter(None, map(bits.get, cells)):
                        for number, what in enumerate(kinds):
                            if found >> number & 1:
                                counts[f"{table}.{column}", what] += 1
    finally:
        connection.close()
    return counts


def _apart(values: set[object]) -> tuple[Collection[str], Collection[bytes]]:
    """The texts and the bytes among the values of a column: mostly it has but one of them."""
    kinds = {*map(type, values)} - {type(None)}
    if kinds == {str}:
        return cast("set[str]", values - {None}), ()
    if kinds == {bytes}:
        return (), cast("set[bytes]", values - {None})
    texts = [value for value in values if isinstance(value, str)]
    return texts, [value for value in values if isinstance(value, bytes)]


def _raw(value: str | bytes) -> bytes:
    return (value.encode("utf-8", "replace") if isinstance(value, str) else value).lower()


def _tables(connection: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    """Each table with its columns that have more than numbers and moments in them, which name
    nobody. Names that no query of ours can quote are none of ours.

    Which do not is seen by going through a table once: those in whose first rows there was nothing
    are looked at together, and one by one only if one of them says something after all.
    """
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        columns = [column for (column,) in rows if '"' not in column]
        if not columns or '"' in table:
            continue
        saying = _saying(connection, f'(SELECT * FROM "{table}" LIMIT {_FIRST})', columns)  # noqa: S608
        silent = [column for column in columns if column not in saying]
        if silent:
            any_says = " OR ".join(map(_SAYS.format, silent))
            query = f'SELECT EXISTS (SELECT 1 FROM "{table}" WHERE {any_says})'  # noqa: S608
            if connection.execute(query, {"moment": _MOMENT}).fetchone() != (0,):
                saying |= _saying(connection, f'"{table}"', silent)
        if saying:
            yield table, [column for column in columns if column in saying]


def _saying(connection: sqlite3.Connection, rows: str, columns: Sequence[str]) -> set[str]:
    """Which columns have more than numbers and moments in some of the rows."""
    queries = ", ".join(
        f"EXISTS (SELECT 1 FROM {rows} WHERE {_SAYS.format(one)})"  # noqa: S608
        for one in columns
    )
    found = connection.execute(f"SELECT {queries}", {"moment": _MOMENT}).fetchone()
    return {column for column, says in zip(columns, found, strict=True) if says}


def _main(asked: JsonObject) -> None:
    traces = [
        Trace(text(what), bytes.fromhex(text(word)), text(one))
        for what, word, one in map(elements, elements(asked["traces"]))
    ]
    folders, theirs = (
        tuple(map(text, elements(members(asked["sealed"])[name]))) for name in ("folders", "theirs")
    )
    sealed = Sealed(folders, theirs)
    found = search_here(
        Path(text(asked["folder"])),
        traces,
        sealed=sealed,
        most=whole(asked["most"]),
        within=asked["within"] is True,
        still=asked["still"] is True,
    )
    json.dump(asdict(found), sys.stdout)


if __name__ == "__main__":
    _main(json.load(sys.stdin))
