"""Many whole rows put into a table at once.

SQLAlchemy looks up the parameters of each row anew, which costs several times what SQLite takes to
put the row there. Here a table's statement and what its columns' types make of a value are made
once; what is stored is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from sqlalchemy import Connection, Table, insert
from sqlalchemy.engine import Dialect

from bailee.db.checks import MAC
from bailee.db.portable import is_sqlite

_Process: TypeAlias = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class _Statement:
    """`changes`: what has to be done to some columns' values on the way, by place."""

    text: str
    names: tuple[str, ...]
    changes: tuple[tuple[int, _Process], ...]


def put(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, object]],
    *,
    numbered: bool = False,
) -> None:
    """Insert rows, each of which has all of the table's columns by name, but for one that the
    database fills: the check, and a number that it counts. `numbered`: they bring that number.

    Raises:
        KeyError: a row lacks a column.
        DBAPIError: as of any insert.
    """
    if not rows:
        return
    made = _statement(table, connection.dialect, numbered)
    values: list[tuple[object, ...]] = []
    for row in rows:
        one = [row[name] for name in made.names]
        for place, process in made.changes:
            one[place] = process(one[place])
        values.append(tuple(one))
    if is_sqlite(connection):
        connection.exec_driver_sql(made.text, values)
    else:  # whose driver takes them by name
        named = [dict(zip(made.names, one, strict=True)) for one in values]
        connection.exec_driver_sql(made.text, named)


@lru_cache(maxsize=64)
def _statement(table: Table, dialect: Dialect, numbered: bool) -> _Statement:
    columns = [
        column
        for column in table.columns
        if column.name != MAC and (numbered or column is not table.autoincrement_column)
    ]
    compiled = insert(table).compile(dialect=dialect, column_keys=[one.name for one in columns])
    changes = [
        (place, process)
        for place, column in enumerate(columns)
        if (process := column.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    ]
    return _Statement(str(compiled), tuple(one.name for one in columns), tuple(changes))
