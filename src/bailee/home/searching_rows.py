"""Looking through a database's rows for what names somebody (`searching`): the looking, whichever
database it is, and the rows of a file of SQLite's.

Columns with nothing but numbers and moments in them name nobody, and are passed over.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

ROWS: Final = 1000
"""How many rows are looked at together."""

_TOKEN: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[a-z]{2,8}_[0-9a-f]{10,32}"
)
_UUID: Final = 36  # characters
_MOMENT: Final = "dddd-dd-dd dd:dd:dd.dddddd".replace("d", "[0-9]")
_SAYS: Final = """(typeof("{0}") IN ('text', 'blob') AND "{0}" NOT GLOB :moment)"""
_FIRST: Final = 100  # rows of a table, in which most of its columns that say something do


class RowSearch:
    """Looks for traces in rows, whichever database they are of. `counts`: in how many rows
    something of a kind stands, by `table.column`. Who reads the rows makes one, and gives it each
    part of a table; it keeps nothing of what it was given.
    """

    def __init__(self, words: Mapping[str, list[bytes]], ids: Mapping[str, str]) -> None:
        """`words` by their kinds; `ids`, and of what kind each is."""
        self._kinds = sorted({*words, *ids.values()})
        place = self._kinds.index
        self._by_word = [(1 << place(what), word) for what, some in words.items() for word in some]
        self._by_id = {one: 1 << place(what) for one, what in ids.items()}
        self.counts: Counter[tuple[str, str]] = Counter()

    def look(self, table: str, columns: Sequence[str], some: Sequence[Sequence[object]]) -> None:
        """Look at some rows of a table, each with these columns."""
        for column, cells in zip(columns, zip(*some, strict=True), strict=True):
            texts, rest = _apart({*cells})  # many are alike
            if not self._any_names(texts, rest):
                continue
            bits: dict[object, int] = {one: self._names(one) for one in texts}
            bits |= {one: self._names(one) for one in rest}
            for found in filter(None, map(bits.get, cells)):
                for number, what in enumerate(self._kinds):
                    if found >> number & 1:
                        self.counts[f"{table}.{column}", what] += 1

    def _names(self, value: str | bytes) -> int:
        """The kinds that a value has something of, as bits."""
        raw = _raw(value)
        bits = 0
        for bit, word in self._by_word:
            if word in raw:
                bits |= bit
        if isinstance(value, str):
            for token in _TOKEN.findall(value):
                bits |= self._by_id.get(token, 0)
            bits |= self._by_id.get(value, 0)
        return bits

    def _any_names(self, texts: Collection[str], rest: Collection[bytes]) -> bool:
        """Whether some value has something: all are looked at as one, which is many times faster,
        and of most there is nothing to say.
        """
        text = "\0".join(texts)
        raw = _raw(text) + b"\0" + b"\0".join(rest).lower()
        if any(word in raw for _, word in self._by_word):
            return True
        if not self._by_id.keys().isdisjoint(texts):
            return True
        if "_" not in text and ("-" not in text or {*map(len, texts)} == {_UUID}):
            return False  # ids have one or the other; what is a UUID has no other within
        return not self._by_id.keys().isdisjoint(_TOKEN.findall(text))


def rows_of(
    path: Path, words: Mapping[str, list[bytes]], ids: Mapping[str, str], *, still: bool
) -> Counter[tuple[str, str]]:
    """In how many rows of a file of SQLite's something of a kind stands, by `table.column`; what is
    looked for is as `RowSearch` takes it. `still`: it is a copy, beside which nothing is written.

    Raises:
        sqlite3.Error: it can't be read.
    """
    looking = RowSearch(words, ids)
    how = "mode=ro&immutable=1" if still else "mode=ro"
    connection = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)
    try:
        for table, columns in _tables(connection):
            listed = ", ".join(f'"{column}"' for column in columns)
            rows = connection.execute(f'SELECT {listed} FROM "{table}"')  # noqa: S608
            while some := rows.fetchmany(ROWS):
                looking.look(table, columns, some)
    finally:
        connection.close()
    return looking.counts


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
