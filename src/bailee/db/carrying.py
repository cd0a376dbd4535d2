"""Carrying every row of a database into another one, whichever each is: a file of SQLite's, or a
database on PostgreSQL.

Rules kept here:

* What is read is of one moment, and what is written is one transaction: all of it is there, or
  nothing. Who goes on after a crash finds its mark (`carried`), and does not do it twice.
* A row that decides something (`checks`) is checked where it is read. If it was sound, it gets the
  check that the other database makes of it; if not, it is carried, and is not sound there either.
* What the database makes of other rows (`counting`) it makes there of those that are sound there.
* A number that a table has counted is not given again there, though its row is gone.
* What a row has that the other database can't hold was not written by us: it is refused, by the
  table's name, and nothing is carried.

Both have the newest schema, and their rows' key, before: who calls sees to it.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, Engine, MetaData, Table, inspect, literal, select, text, update
from sqlalchemy.exc import DataError, ProgrammingError
from sqlalchemy.exc import IntegrityError as ConstraintError

import bailee.db
from bailee.db import change_log, counting, fencing, members, metadata
from bailee.db.checks import MAC, sound, use_key
from bailee.db.engine import DbRow, as_one_file, open_sqlite, reading, remove_file, storage_errors
from bailee.db.many import put
from bailee.db.migrate import upgrade
from bailee.db.portable import count_on, counted
from bailee.errors import IntegrityError

Line = Literal["data", "keys"]

_AT_ONCE: Final = 1000
_SOUND: Final = "bailee_sound"
_NO_CHECK: Final = bytes(32)  # no row's, whatever the key
_MISFITS: Final = (DataError, ConstraintError, ProgrammingError, ValueError, TypeError)
_MARK: Final = "COMMENT ON TABLE identity IS"
_MARKED: Final = text("SELECT obj_description(to_regclass('identity'), 'pg_class')")


@cache
def declared(line: Line) -> MetaData:
    """All tables of a line: each module of this package declares its own."""
    for module in pkgutil.iter_modules(bailee.db.__path__):
        import_module(f"bailee.db.{module.name}")
    return metadata.data if line == "data" else metadata.keys


def carry(source: Engine, target: Engine, line: Line, mark: str | None = None) -> None:
    """Carry all rows of `source` into `target`, which has none. `mark`: hexadecimal digits by which
    `carried` knows it again; the target is on PostgreSQL then.

    Raises:
        IntegrityError: a row has what the target can't hold.
        StorageError: one of them can't be read or written.
    """
    what = f"the {line} database"
    with storage_errors(what), reading(source) as old, target.begin() as new:
        for table in declared(line).sorted_tables:
            if table.info == metadata.SUMMED_UP:
                continue
            try:
                _carry_table(old, new, table)
            except _MISFITS as error:
                raise IntegrityError(
                    f"{what} can't be carried over: a row of {table.name} is not what was written.",
                    hint="see to it where it is: bailee verify names it; nothing was carried",
                ) from error
        if line == "data":
            counting.recount(new)
        if mark is not None:
            assert set(mark) <= set("0123456789abcdef")
            new.exec_driver_sql(f"{_MARK} '{mark}'")


def carried(target: Engine) -> str | None:
    """The mark of what was carried into a database on PostgreSQL; None: nothing was.

    Raises:
        StorageError: it can't be read.
    """
    with storage_errors("the database"), reading(target) as connection:
        found = connection.execute(_MARKED).scalar()
    return None if found is None else str(found)


def is_empty(target: Engine, line: Line) -> bool:
    """Whether a database has no table but those of a line, and these no row.

    Raises:
        StorageError: it can't be read.
    """
    known = {table.name: table for table in declared(line).sorted_tables}
    with storage_errors(f"the {line} database"), reading(target) as connection:
        not_ours = {"alembic_version", *fencing.TABLES, change_log.TABLE, members.TABLE}
        there = {*inspect(connection).get_table_names()} - not_ours
        if there - known.keys():
            return False
        return not any(
            connection.execute(select(literal(1)).select_from(known[name]).limit(1)).first()
            for name in sorted(there)
        )


def into_file(source: Engine, path: Path, line: Line, key: bytes | None = None) -> None:
    """Carry all rows into a new file of SQLite's at `path`; it is one file, and durable, when this
    returns. `key`: of the rows' checks, if it is not that of zeros.

    Raises:
        IntegrityError, StorageError: as `carry` does, or the file can't be written.
        OSError: what lies there can't be removed.
    """
    remove_file(path)
    made = open_sqlite(path)
    try:
        if key is not None:
            use_key(made, key)
        upgrade(made, line)
        carry(source, made, line)
    finally:
        made.dispose()
    as_one_file(path)


def _carry_table(old: Connection, new: Connection, table: Table) -> None:
    columns = [column for column in table.columns if column.name != MAC]
    checks = [sound(table).label(_SOUND)] if MAC in table.c else []
    query = select(*columns, *checks)
    names = [column.name for column in columns]
    rows = old.execute(query, execution_options={"yield_per": _AT_ONCE})
    for some in rows.partitions(_AT_ONCE):
        carried_rows = [dict(zip(names, row, strict=False)) for row in some]
        put(new, table, carried_rows, numbered=True)
        for row in some:
            if checks and not row._mapping[_SOUND]:
                _spoil(new, table, row)
    count_on(new, table, counted(old, table))


def _spoil(connection: Connection, table: Table, row: DbRow) -> None:
    """Let a row have a check that is not its own."""
    of_it = (column == row._mapping[column.name] for column in table.primary_key)
    connection.execute(update(table).where(*of_it).values({MAC: _NO_CHECK}))
