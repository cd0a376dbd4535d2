"""Local retention for sessions that another agent keeps in an SQLite database.

Rules kept here:

* A session goes, so many days after the last time that any of its rows has, with every row of
  every table that names it, whatever tables a later version adds. What another session began
  stays and goes with that one.
* A time that lies ahead (a clock that was wrong) does not count. Where all of a session's do, the
  time of the database's file counts.
* A database is described by where its sessions and their times stand (`Database`). One that has
  not that form is left alone.
* Nothing is deleted while another process has the database open: it may hold in memory what would
  be deleted, and write it back. Where that can't be found out (no `/proc`), nothing is deleted.
* What is deleted is overwritten (`secure_delete`), the file is written anew (`VACUUM`), and the
  write-ahead log is emptied: the rows are in no file afterwards.

Rows: R3.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_SECONDS: Final = 5.0
_MILLISECONDS_FROM: Final = 100_000_000_000  # smaller numbers are seconds


@dataclass(frozen=True, slots=True)
class Database:
    """Databases of one kind. `pattern` is below the agent's folder. `names`: columns that name a
    session, in any table. `sessions`: (table, column) that names it otherwise. `times`: (table,
    column of the session, column of a time in seconds or milliseconds since 1970). `parents`:
    (table, column of the session, column of the one that began it). `folders`: (table, column of
    the session, column of the folder that it was in). `log`: (table, column of a time): rows that
    go one by one.
    """

    pattern: str
    names: frozenset[str]
    times: tuple[tuple[str, str, str], ...]
    sessions: tuple[tuple[str, str], ...] = ()
    parents: tuple[str, str, str] | None = None
    folders: tuple[str, str, str] | None = None
    log: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class InDatabase:
    """A session with its last time, its folder (None: not known), and the session that began it or
    began the one that did; or with the id "" the rows of a log that have that time.
    """

    session: str
    last: datetime
    folder: str | None = None
    root: str = ""


def look(path: Path, kind: Database, now: datetime) -> list[InDatabase]:
    """What is in it. Changes nothing; a database that can't be read has nothing."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("PRAGMA query_only = ON")
            return _found(opened, kind, now, _written(path, now))
    except (sqlite3.Error, OSError):
        return []


def forget(path: Path, kind: Database, past: Callable[[InDatabase], bool], now: datetime) -> int:
    """Delete what is past; how many sessions or log rows. 0 while somebody has it open."""
    if in_use(path):
        return 0
    try:
        with closing(sqlite3.connect(path, timeout=_SECONDS, isolation_level=None)) as opened:
            opened.execute("PRAGMA secure_delete = ON")
            with _transaction(opened):
                found = _found(opened, kind, now, _written(path, now))
                count = _delete(opened, kind, [one for one in found if past(one)])
            if count:
                with suppress(sqlite3.Error):  # the rows are overwritten in any case
                    opened.execute("VACUUM")
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return count
    except (sqlite3.Error, OSError):  # locked, damaged, or of another form: the next run tries
        return 0


def _written(path: Path, now: datetime) -> datetime:
    times = [one.stat().st_mtime for one in (path, Path(f"{path}-wal")) if one.exists()]
    return min(datetime.fromtimestamp(max(times, default=0), UTC), now)


def in_use(path: Path) -> bool:
    """Whether any process has the database open, as far as can be seen; True where nothing can."""
    path = path.resolve()
    files = {str(path), f"{path}-wal", f"{path}-shm"}
    own = Path("/proc/self")
    if not own.exists():
        return True
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                for link in (process / "fd").iterdir():
                    try:
                        if str(link.readlink()) in files:
                            return True
                    except OSError:
                        continue  # closed meanwhile
            except OSError:
                continue  # ended meanwhile, or somebody else's
    return False


def _found(
    opened: sqlite3.Connection, kind: Database, now: datetime, written: datetime
) -> list[InDatabase]:
    where = _folders(opened, kind)
    last = _last_times(opened, kind, now, written)
    first = _families(opened, kind, _tables(opened))
    found = [InDatabase(id_, at, where.get(id_), first.get(id_, id_)) for id_, at in last.items()]
    return found + [InDatabase("", at if at <= now else written) for at in _log_times(opened, kind)]


def _delete(opened: sqlite3.Connection, kind: Database, past: list[InDatabase]) -> int:
    tables = _tables(opened)
    ids = [one.session for one in past if one.session]
    places = [(t, c) for t, columns in tables.items() for c in columns & kind.names]
    places += [(t, c) for t, c in kind.sessions if c in tables.get(t, ())]
    for table, column in places if ids else ():
        # Names of tables and columns come from the schema, and are quoted.
        query = f"DELETE FROM {_name(table)} WHERE {_name(column)} = ?"  # noqa: S608
        opened.executemany(query, [(id_,) for id_ in ids])
    count = len(ids)
    rows = [one.last for one in past if not one.session]
    if rows and kind.log is not None:
        table, column = map(_name, kind.log)
        query = f"DELETE FROM {table} WHERE {column} <= {_IN_ITS_UNIT.format(column)}"  # noqa: S608
        count += opened.execute(query, _in_units(max(rows))).rowcount
    return count


def _last_times(
    opened: sqlite3.Connection, kind: Database, now: datetime, written: datetime
) -> dict[str, datetime]:
    """Each session's last time: that of the family it belongs to."""
    tables = _tables(opened)
    last: dict[str, datetime] = {}
    for table, session, time in kind.times:
        if {session, time} <= tables.get(table, frozenset()):
            name, column = _name(session), _name(time)
            every = f"SELECT {name}, max({column}) FROM {_name(table)}"  # noqa: S608
            counts = f"{every} WHERE {column} <= {_IN_ITS_UNIT.format(column)} GROUP BY 1"
            for id_, value in opened.execute(counts, _in_units(now)):
                at = _moment(value)
                if isinstance(id_, str) and at is not None:
                    last[id_] = max(at, last.get(id_, at))
    for table, session, time in kind.times:
        if {session, time} <= tables.get(table, frozenset()):
            query = f"SELECT DISTINCT {_name(session)} FROM {_name(table)}"  # noqa: S608
            query += f" WHERE {_name(time)} IS NOT NULL"
            for (id_,) in opened.execute(query):
                if isinstance(id_, str):
                    last.setdefault(id_, written)
    first = _families(opened, kind, tables)
    family: dict[str, datetime] = {}
    for id_, at in last.items():
        root = first.get(id_, id_)
        family[root] = max(at, family.get(root, at))
    return {id_: family[first.get(id_, id_)] for id_ in last}


def _folders(opened: sqlite3.Connection, kind: Database) -> dict[str, str]:
    tables = _tables(opened)
    if kind.folders is None or not set(kind.folders[1:]) <= tables.get(kind.folders[0], set()):
        return {}
    table, session, folder = map(_name, kind.folders)
    rows = opened.execute(f"SELECT {session}, {folder} FROM {table}")  # noqa: S608
    return {id_: at for id_, at in rows if isinstance(id_, str) and isinstance(at, str)}


def _families(
    opened: sqlite3.Connection, kind: Database, tables: dict[str, frozenset[str]]
) -> dict[str, str]:
    """Each session's root: the session that began it, or began the one that did, and so on."""
    if kind.parents is None or not set(kind.parents[1:]) <= tables.get(kind.parents[0], set()):
        return {}
    table, session, parent = map(_name, kind.parents)
    query = f"SELECT {session}, {parent} FROM {table} WHERE {parent} IS NOT NULL"  # noqa: S608
    above = dict(opened.execute(query).fetchall())
    roots = {}
    for id_ in above:
        root, seen = id_, {id_}
        while root in above and above[root] not in seen:
            root = above[root]
            seen.add(root)
        roots[id_] = root
    return roots


def _log_times(opened: sqlite3.Connection, kind: Database) -> Iterator[datetime]:
    if kind.log is None or kind.log[1] not in _tables(opened).get(kind.log[0], ()):
        return
    table, column = map(_name, kind.log)
    for (value,) in opened.execute(f"SELECT {column} FROM {table}"):  # noqa: S608
        at = _moment(value)
        if at is not None:
            yield at


def _tables(opened: sqlite3.Connection) -> dict[str, frozenset[str]]:
    names = opened.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {
        name: frozenset(row[1] for row in opened.execute(f"PRAGMA table_info({_name(name)})"))
        for (name,) in names
    }


# A moment in the unit of the column it is compared with.
_IN_ITS_UNIT: Final = "CASE WHEN {} > ? THEN ? ELSE ? END"


def _in_units(at: datetime) -> tuple[float, float, float]:
    return _MILLISECONDS_FROM, at.timestamp() * 1000, at.timestamp()


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS_FROM else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@contextmanager
def _transaction(opened: sqlite3.Connection) -> Iterator[None]:
    opened.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        opened.execute("ROLLBACK")
        raise
    opened.execute("COMMIT")
