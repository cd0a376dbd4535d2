"""What can still be read of a database whose pages are damaged, and a whole file made of that.

SQLite refuses every query that comes upon a page that it can't make sense of, whatever else is
asked for. Rows on other pages are whole: a table is a tree by the number of the row, so each is
read from its beginning, and past a page that can't be read it goes on at the next number that can.

Rules kept here:

* `lost` reads and changes nothing. `rebuild` writes a new file beside the old one, which takes its
  place whole or not at all; nobody else has the database open.
* A row is copied as it is stored, its check with it (`checks`): what was not sound does not become
  so. Indexes are made anew, so a damaged index costs nothing.
* What refers to a row that is lost stays, but for what `FOLLOW` it: nothing else could tell that it
  is nobody's any more.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from bailee.db.engine import storage_errors
from bailee.errors import StorageError
from bailee.syncing import sync_folder

FOLLOW: Final = (
    ("exchanges", "session", "sessions", "number"),
    ("conversation_links", "session_id", "sessions", "id"),
    ("session_words", "session", "sessions", "number"),
    ("receipt_segments", "receipt_id", "receipts", "id"),
    ("receipt_owners", "receipt_id", "receipts", "id"),
    # As they were in a home that was not brought up to date since.
    ("exchanges", "session_id", "sessions", "id"),
    ("prefixes", "session_id", "sessions", "id"),
    ("session_words", "session_id", "sessions", "id"),
)
"""Tables whose rows go with what they refer to: by which column, of which table, as what there."""
_NAMED: Final = 20
_STEP: Final = 32  # fewer rows than a page may have
_FARTHEST: Final = 1 << 20  # numbers without a row that can be read: the table has ended


@dataclass(frozen=True, slots=True)
class Lost:
    """What of a table can't be read. `ids`: of the rows that the index of its key still names;
    there may be more.
    """

    table: str
    ids: tuple[str, ...]

    @property
    def said(self) -> str:
        """That, in words; an id may hold anything."""
        if not self.ids:
            return "rows can't be read, and nothing names them."
        named = ", ".join(self.ids[:_NAMED]) + (", ..." if len(self.ids) > _NAMED else "")
        return f"{len(self.ids)} rows can't be read: {named}"


def lost(path: Path) -> list[Lost]:
    """The tables of the database at `path` that can't be read whole.

    Raises:
        StorageError: what says which tables there are can't be read.
    """
    with storage_errors(path.name), _opened(path, "ro") as old:
        return [found for name in _tables(old) if (found := _lost(old, name)) is not None]


def rebuild(path: Path) -> None:
    """Put a database made of all that can be read in the place of the one at `path`.

    Raises:
        StorageError: it can't be written, the disk is full, or what says which tables there are
            can't be read. The old one is as it was.
    """
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        with storage_errors(path.name), _opened(path, "rw") as old:
            # Nothing may be left in the old one's log: it would be taken for the new one's.
            (busy, *_) = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise StorageError(f"{path.name} is open elsewhere.", hint="stop what reads it")
            with _opened(beside, "rwc") as new:
                beside.chmod(0o600)
                _copy(old, new)
        _replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _copy(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    new.execute("BEGIN")
    schema = old.execute(
        "SELECT type, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' ORDER BY rootpage"
    ).fetchall()
    for _, sql in (one for one in schema if one[0] == "table"):
        new.execute(sql)
    for name in _tables(old):
        if name == "sqlite_sequence":  # made anew by the rows of its tables, and too low then
            new.execute("DELETE FROM sqlite_sequence")
        numbered = _numbered(old, name)
        columns = [f'"{one[1]}"' for one in old.execute(f'PRAGMA table_info("{name}")')]
        listed = ["rowid", *columns] if numbered else columns
        # A damaged page may show a row twice.
        into = f'INSERT OR IGNORE INTO "{name}" ({", ".join(listed)})'
        values = f"{into} VALUES ({', '.join('?' * len(listed))})"
        rows = _rows(old, name, set())
        new.executemany(values, rows if numbered else (row[1:] for row in rows))
    columns_of = {
        table: {one[1] for one in new.execute(f'PRAGMA table_info("{table}")')}
        for table in {one[0] for one in FOLLOW}
    }
    for table, column, of, as_what in FOLLOW:
        if column in columns_of[table]:  # a home from before has not all of them
            new.execute(
                f"DELETE FROM {table} WHERE {column} NOT IN (SELECT {as_what} FROM {of})"  # noqa: S608
            )
    for _, sql in (one for one in schema if one[0] != "table"):
        new.execute(sql)
    new.execute("COMMIT")


def _replace(new: Path, old: Path) -> None:
    try:
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(old)
        for name in (f"{old.name}-wal", f"{old.name}-shm"):  # empty since the checkpoint
            old.with_name(name).unlink(missing_ok=True)
        sync_folder(old.parent)
    except OSError as error:
        raise StorageError(f"{old} can't be replaced ({error.strerror}).") from error


def _lost(connection: sqlite3.Connection, table: str) -> Lost | None:
    torn: set[int] = set()
    there = {row[0] for row in _rows(connection, table, torn)}
    ids = tuple(sorted(_missed(connection, table, there)))
    return Lost(table, ids) if torn or ids else None


def _missed(connection: sqlite3.Connection, table: str, there: set[object]) -> Iterator[str]:
    """The ids of rows that the index of a table's key has and the table has not."""
    try:
        indexes = connection.execute(f'PRAGMA index_list("{table}")').fetchall()
        if not _numbered(connection, table):
            return  # the index is the table
        for name in (str(one[1]) for one in indexes if one[3] == "pk"):
            keys = [str(one[2]) for one in connection.execute(f'PRAGMA index_info("{name}")')]
            shown = " || '/' || ".join(f'CAST("{one}" AS TEXT)' for one in keys)
            query = f'SELECT rowid, {shown} FROM "{table}" INDEXED BY "{name}"'  # noqa: S608
            for number, row_id in connection.execute(query):
                if number not in there:
                    yield str(row_id)
    except sqlite3.DatabaseError:  # the index is damaged too
        return


def _rows(
    connection: sqlite3.Connection, table: str, torn: set[int]
) -> Iterator[tuple[object, ...]]:
    """The rows of a table that can be read, each with its number first; `torn` gets the numbers
    after which one can't.
    """
    if not _numbered(connection, table):
        yield from _from_both_ends(connection, table, torn)
        return
    query = f'SELECT rowid, * FROM "{table}" WHERE rowid > ? ORDER BY rowid'  # noqa: S608
    after: int | None = -1 << 63
    while after is not None:
        try:
            for row in connection.execute(query, (after,)):
                after = int(row[0])
                yield row
        except sqlite3.DatabaseError:
            torn.add(after)
            after = _next(connection, f"{query} LIMIT 1", after)
        else:
            return


def _next(connection: sqlite3.Connection, query: str, after: int) -> int | None:
    """The first number past `after` behind which a table can be read again, if there is one."""

    def readable(number: int) -> bool:
        try:
            connection.execute(query, (number,)).fetchone()
        except sqlite3.DatabaseError:
            return False
        return True

    low = max(after, 0)
    end = low + _FARTHEST
    while low < end:
        if readable(low + _STEP):
            return next(one for one in range(low + 1, low + _STEP + 1) if readable(one))
        low += _STEP
    return None


def _from_both_ends(
    connection: sqlite3.Connection, table: str, torn: set[int]
) -> Iterator[tuple[object, ...]]:
    """The rows of a table without numbers, each with its place first: forward until one can't be
    read, then backward.
    """
    names = [one[1] for one in connection.execute(f'PRAGMA table_info("{table}")') if one[5]]
    for way in ("", " DESC"):
        order = ", ".join(f'"{name}"{way}' for name in names)
        try:
            for number, row in enumerate(
                connection.execute(f'SELECT * FROM "{table}" ORDER BY {order}')  # noqa: S608
            ):
                yield (number, *row)
        except sqlite3.DatabaseError:
            torn.add(len(torn))
        else:
            return


def _numbered(connection: sqlite3.Connection, table: str) -> bool:
    """Whether a table's rows have numbers (`WITHOUT ROWID` says no)."""
    (without,) = connection.execute(
        "SELECT wr FROM pragma_table_list WHERE name = ?", (table,)
    ).fetchone()
    return not without


def _tables(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rootpage"
    return [str(one[0]) for one in connection.execute(query)]


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    uri = f"file:{quote(str(path))}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        yield connection
