"""Rows that decide something are authenticated: on what terms a session is kept and until when,
what is held, what was chosen, which key is good.

Theory of operation: such a table has a column `mac`, HMAC-SHA-256 (RFC 2104) under a key of the
keyring over the row as it is stored. The database makes it, by triggers that call back into this
process, wherever a row is written; reading asks for rows whose `mac` is right (`sound`), in SQL. So
a row with a flipped bit never reaches the code that decides, not even one that can't be decoded.

Rules kept here:

* What is not sound is not served, and not made sound by changing it: a change renews the `mac` of a
  row that had the right one, and of no other. `accept` does, at somebody's express word, or where
  the row itself shows what is right.
* A column that has checks of its own (`metadata.UNCHECKED`) is not under the row's.
* Rows from before there were checks get theirs once, when the schema is brought up to date. So do
  rows whose table gets another column, if they were sound without it.
* An engine without a key of its own (`use_key`) takes one of zeros: a checksum, no more. Nobody but
  this process can write these tables, since no other has the function that the triggers call.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    Select,
    Table,
    literal_column,
    not_,
    select,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnClause

from bailee.db import checks_there
from bailee.db.portable import is_sqlite

if TYPE_CHECKING:
    from sqlite3 import Connection as Raw

MAC: Final = "mac"
KEY: Final = "data/rows"
"""The name of a home's key for this, among the keyring's secrets."""
_OPTION: Final = "bailee_row_key"
_BLOCK: Final = 64  # bytes of a block of SHA-256
_INNER: Final = bytes(one ^ 0x36 for one in range(256))
_OUTER: Final = bytes(one ^ 0x5C for one in range(256))
_NAMED: Final = re.compile(r'NEW\."(\w+)"')


class RowKey:
    """The key of an engine's checks, and the function that the database calls, on whichever thread
    has the connection. The engine owns it; whoever opens the home sets the key once. It makes a
    row's `mac`, and compares none: that is SQL's.
    """

    def __init__(self) -> None:
        self.use(bytes(32))

    def use(self, key: bytes) -> None:
        """From now on, `key`, of 32 bytes."""
        block = key.ljust(_BLOCK, b"\x00")
        self.pads = (block.translate(_INNER), block.translate(_OUTER))
        self._begun = (hashlib.sha256(self.pads[0]), hashlib.sha256(self.pads[1]))

    def register(self, connection: Raw) -> None:
        """Give a connection of the driver the function."""
        connection.create_function("row_mac", 1, self._mac, deterministic=True)
        # Bytes that are no text are read as a text with marks in it, and fail nobody's query.
        connection.text_factory = _as_text

    def _mac(self, row: bytes) -> bytes:
        # HMAC as RFC 2104 defines it, from where the key has been taken in: `hmac.digest` takes it
        # in anew for each row, which is most of what a row's check costs.
        inner, outer = self._begun[0].copy(), self._begun[1].copy()
        inner.update(row)
        outer.update(inner.digest())
        return outer.digest()


def options(key: RowKey) -> dict[str, RowKey]:
    """What an engine is made with, so that `use_key` finds its key."""
    return {_OPTION: key}


def use_key(engine: Engine, key: bytes) -> None:
    """Check the rows of a database under `key` (32 bytes): before anything is read from it."""
    engine.get_execution_options()[_OPTION].use(key)
    if not is_sqlite(engine):
        engine.dispose()  # a connection is told of the key when it begins


def sound(table: Table) -> ColumnElement[bool]:
    """The condition that a row of `table` is what was written."""
    return _Sound(_condition(table), Boolean, is_literal=True)


def unsound(
    connection: Connection, table: Table, within: Sequence[ColumnElement[bool]] = ()
) -> list[str]:
    """The ids of the rows of `table` that are not what was written, as text, bytes in hexadecimal
    digits; the parts of a key of several columns with a slash between. `within`: of those rows
    alone that are so.
    """
    query = _unsound_rows(table, here=is_sqlite(connection))
    found = connection.execute(query.where(*within) if within else query).scalars()
    return sorted(_as_text(one) if isinstance(one, bytes) else str(one) for one in found)


@cache  # to make the statement takes longer than most tables' rows do
def _unsound_rows(table: Table, *, here: bool) -> Select[object]:
    ids: ColumnElement[object] = literal_column(_ids(table) if here else checks_there.ids(table))
    return select(ids).select_from(table).where(not_(sound(table)))


def unsound_of(connection: Connection, tables: Sequence[Table]) -> dict[str, list[str]]:
    """The same of several tables, by their names, in one statement: each has an entry."""
    here = is_sqlite(connection)
    query = " UNION ALL ".join(
        _unsound(table) if here else checks_there.unsound(table, _columns(table))
        for table in tables
    )
    found: dict[str, list[str]] = {table.name: [] for table in tables}
    for name, row_id in connection.execute(text(query)):
        found[name].append(_as_text(bytes(row_id)) if here else str(row_id))
    return {name: sorted(ids) for name, ids in found.items()}


def unsound_beside(connection: Connection, sound_ones: Mapping[Table, int]) -> dict[str, list[str]]:
    """The same of tables whose sound rows were read in this transaction, so many of each. A row's
    check costs more than to count it: where as many are there, none is looked at again.
    """
    # By an index that is damaged too, a row could go uncounted.
    scan = " NOT INDEXED" if is_sqlite(connection) else ""
    counts = " UNION ALL ".join(
        f"SELECT '{table.name}', count(*) FROM {table.name}{scan}"  # noqa: S608 - names of ours
        for table in sound_ones
    )
    there = {str(row[0]): row[1] for row in connection.execute(text(counts))}
    more = [table for table, found in sound_ones.items() if there[table.name] != found]
    none: dict[str, list[str]] = {table.name: [] for table in sound_ones}
    return none | unsound_of(connection, more) if more else none


def _ids(table: Table) -> str:
    ids = " || '/' || ".join(
        f'hex("{column.name}")' if isinstance(column.type, LargeBinary) else f'"{column.name}"'
        for column in table.primary_key
    )
    return f"CAST({ids} AS BLOB)"


def in_trigger(connection: Connection, table: Table, of: str) -> str:
    """The condition, in SQL of this database, that the row of `table` that is called `of` there is
    what was written.
    """
    columns = _columns(table)
    if is_sqlite(connection):
        return f"{of}.{MAC} IS {_mac(table, columns, of)}"
    return f"{of}.{MAC} IS NOT DISTINCT FROM {checks_there.mac(table, columns, of)}"


def accept(connection: Connection, table: Table, row_id: str) -> None:
    """Take a row as it now is for what it should be: somebody has looked, and says so."""
    mac = (_mac if is_sqlite(connection) else checks_there.mac)(table, _columns(table), table.name)
    connection.execute(
        text(f"UPDATE {table.name} SET {MAC} = {mac} WHERE id = :id"),  # noqa: S608
        {"id": row_id},
    )


def checked(tables: Sequence[Table]) -> list[Table]:
    """Those of `tables` whose rows are checked."""
    return [table for table in tables if MAC in table.c]


def install(connection: Connection, tables: Sequence[Table], *, renew: bool) -> None:
    """Have the database make the checks of `tables`. `renew`: their columns may have changed, or
    there were none: rows that were sound get a `mac` over the columns that there are now.
    """
    if not is_sqlite(connection):
        wanted_there = {table: _columns(table) for table in checked(tables)}
        checks_there.install(connection, wanted_there, renew=renew)
        return
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    there = {row.name: row.sql for row in rows}
    for table in checked(tables):
        wanted = _triggers(table)
        if all(there.get(name) == sql for name, sql in wanted.items()):
            continue
        before = _NAMED.findall(there.get(f"{table.name}_{MAC}_insert", ""))
        for name, sql in wanted.items():
            if name in there:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            connection.exec_driver_sql(sql)
        if renew:
            was = f"IS {_mac(table, before, table.name)}" if before else "IS NULL"
            now = _mac(table, _columns(table), table.name)
            connection.execute(
                text(f"UPDATE {table.name} SET {MAC} = {now} WHERE {MAC} {was}")  # noqa: S608
            )


class _Sound(ColumnClause[bool]):
    """SQLite's condition, and by its text PostgreSQL's."""

    inherit_cache = True


@compiles(_Sound, "postgresql")
def _sound_there(element: _Sound, _compiler: object, **_kw: object) -> str:
    return _THERE[element.name]


_THERE: Final[dict[str, str]] = {}


@cache
def _condition(table: Table) -> str:
    condition = f"({table.name}.{MAC} IS {_mac(table, _columns(table), table.name)})"
    _THERE[condition] = checks_there.condition(table, _columns(table))
    return condition


def _columns(table: Table) -> list[str]:
    return [
        column.name
        for column in table.columns
        if column.name != MAC and not column.info.get("unchecked")
    ]


def _unsound(table: Table) -> str:
    return (
        f"SELECT '{table.name}', {_ids(table)} FROM {table.name} "  # noqa: S608 - names of ours
        f"WHERE NOT {_condition(table)}"
    )


def _mac(table: Table, columns: Sequence[str], of: str) -> str:
    """The check over a row, in SQL: each value in quotes, so that no two rows read the same."""
    form = ",".join("%Q" for _ in columns)
    values = ", ".join(
        # As it is, a value of bytes would count up to its first zero.
        f'quote({of}."{name}")' if isinstance(table.c[name].type, LargeBinary) else f'{of}."{name}"'
        for name in columns
    )
    return f"row_mac(CAST(printf('{table.name}/1,{form}', {values}) AS BLOB))"


@cache
def _triggers(table: Table) -> Mapping[str, str]:
    name, columns = table.name, _columns(table)
    listed = ", ".join(f'"{column}"' for column in columns)
    renew = f"UPDATE {name} SET {MAC} = {_mac(table, columns, 'NEW')} WHERE rowid = NEW.rowid"  # noqa: S608
    was_sound = f"OLD.{MAC} IS {_mac(table, columns, 'OLD')}"
    return {
        f"{name}_{MAC}_insert": (
            f"CREATE TRIGGER {name}_{MAC}_insert AFTER INSERT ON {name} BEGIN {renew}; END"
        ),
        f"{name}_{MAC}_update": (
            f"CREATE TRIGGER {name}_{MAC}_update AFTER UPDATE OF {listed} ON {name} "
            f"WHEN {was_sound} BEGIN {renew}; END"
        ),
    }


def _as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
