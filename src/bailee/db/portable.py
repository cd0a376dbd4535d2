"""What SQLite and PostgreSQL say in different words, said once; each database gets its own.

Who writes SQL takes it from here, and asks nowhere which database there is. The statements are
SQLAlchemy's; a form below is written as its database has it when a statement is compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    func,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.dialects.sqlite.dml import OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnClause
from sqlalchemy.sql.functions import FunctionElement, ReturnTypeFromArgs

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

__all__ = [
    "AS_WRITTEN",
    "Insert",
    "Whole",
    "as_text",
    "by_day",
    "by_hour",
    "count_on",
    "counted",
    "driver_sql",
    "greatest",
    "insert",
    "is_sqlite",
    "least",
    "place_of",
    "unix_now",
]

Whole: Final = BigInteger().with_variant(Integer(), "sqlite")
"""The type of a column of whole numbers, of 64 bits: SQLite's are as long as they have to be."""


AS_WRITTEN: Final = "replace(at, ' ', 'T') || '+00:00'"
"""The moment in a column `at`, as text: `2026-01-31T12:00:00.000000+00:00`. See `driver_sql`."""
_AS_WRITTEN_THERE: Final = """to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00'"""


def is_sqlite(one: Connection | Engine) -> bool:
    """Whether a connection or an engine is SQLite's; else it is PostgreSQL's. For `db` and who
    writes SQL by the driver itself.
    """
    return one.dialect.name == "sqlite"


def driver_sql(connection: Connection, statement: str) -> str:
    """A statement for the driver itself, whose values stand where a `?` is, and which has no other.
    It may have `AS_WRITTEN` in it.
    """
    if is_sqlite(connection):
        return statement
    return statement.replace("%", "%%").replace("?", "%s").replace(AS_WRITTEN, _AS_WRITTEN_THERE)


def counted(connection: Connection, table: Table) -> int:
    """The last number that was given in a table that counts its rows, whether its row is there or
    not; 0: none was, or it does not count them.
    """
    column = _counting(table)
    if column is None:
        return 0
    if is_sqlite(connection):
        query, values = text("SELECT seq FROM sqlite_sequence WHERE name = :t"), {"t": table.name}
    else:
        query = text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:t, :c)::regclass)")
        values = {"t": table.name, "c": column}
    return int(connection.execute(query, values).scalar() or 0)


def count_on(connection: Connection, table: Table, last: int) -> None:
    """Have a table that counts its rows count on above `last`, and above every number that is in
    it: who brings the number themselves calls this, since PostgreSQL does not see that.
    """
    column = _counting(table)
    if column is None:
        return
    last = max(last, connection.execute(select(func.max(table.c[column]))).scalar() or 0)
    values = {"t": table.name, "last": last}
    if not last:
        return
    if not is_sqlite(connection):
        query = text("SELECT setval(pg_get_serial_sequence(:t, :c), :last)")
        connection.execute(query, {**values, "c": column})
        return
    raised = text("UPDATE sqlite_sequence SET seq = max(seq, :last) WHERE name = :t")
    if not connection.execute(raised, values).rowcount:
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:t, :last)"), values)


def _counting(table: Table) -> str | None:
    """The column by which a table counts its rows; None: it does not."""
    column = table.autoincrement_column
    counts = table.dialect_options["sqlite"]["autoincrement"]
    return column.name if counts and column is not None else None


class greatest(ReturnTypeFromArgs[int]):
    """The largest of several values of a row, none of which is null."""

    inherit_cache = True


class least(ReturnTypeFromArgs[float]):
    """The smallest of several values of a row, none of which is null."""

    inherit_cache = True


class by_day(FunctionElement[str]):
    """The day (UTC) of a number of Unix seconds: `2026-01-31`."""

    type = String()
    inherit_cache = True


class by_hour(FunctionElement[str]):
    """The hour (UTC) of a number of Unix seconds: `2026-01-31T12:00Z`."""

    type = String()
    inherit_cache = True


class as_text(FunctionElement[str]):
    """A moment (UTC) as SQLite keeps it: `2026-01-31 12:00:00.000000`. Costs less than a moment."""

    type = String()
    inherit_cache = True


class _Place(ColumnClause[object]):
    inherit_cache = True


def place_of(table: Table) -> ColumnElement[object]:
    """Where a row of a table lies, for `DELETE ... WHERE place IN (SELECT place ... LIMIT ...)`. It
    means nothing beyond a statement.
    """
    return _Place(f"{table.name}.rowid", is_literal=True)


@compiles(OnConflictDoNothing, "postgresql")
def _nothing(element: OnConflictDoNothing, compiler: SQLCompiler, **kw: object) -> str:
    element.constraint_target = None  # type: ignore[attr-defined]  # what PostgreSQL asks for
    return compiler.visit_on_conflict_do_nothing(element, **kw)  # type: ignore[attr-defined,no-any-return]


@compiles(OnConflictDoUpdate, "postgresql")
def _update(element: OnConflictDoUpdate, compiler: SQLCompiler, **kw: object) -> str:
    element.constraint_target = None  # type: ignore[attr-defined]
    return compiler.visit_on_conflict_do_update(element, **kw)  # type: ignore[attr-defined,no-any-return]


@compiles(greatest, "sqlite")
def _greatest(element: greatest, compiler: SQLCompiler, **kw: object) -> str:
    return f"max({compiler.process(element.clauses, **kw)})"


@compiles(least, "sqlite")
def _least(element: least, compiler: SQLCompiler, **kw: object) -> str:
    return f"min({compiler.process(element.clauses, **kw)})"


@compiles(as_text, "sqlite")
def _text(element: as_text, compiler: SQLCompiler, **kw: object) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(as_text, "postgresql")
def _text_there(element: as_text, compiler: SQLCompiler, **kw: object) -> str:
    return f"to_char({compiler.process(element.clauses, **kw)}, 'YYYY-MM-DD HH24:MI:SS.US')"


class unix_now(FunctionElement[int]):
    """The present second by the database's own clock, in Unix seconds."""

    inherit_cache = True
    type = Whole


@compiles(unix_now, "sqlite")
def _now(_element: unix_now, _compiler: SQLCompiler, **_kw: object) -> str:
    return "CAST(strftime('%s', 'now') AS INTEGER)"


@compiles(unix_now, "postgresql")
def _now_there(_element: unix_now, _compiler: SQLCompiler, **_kw: object) -> str:
    return "floor(extract(epoch FROM clock_timestamp()))::bigint"


@compiles(by_day, "sqlite")
def _day(element: by_day, compiler: SQLCompiler, **kw: object) -> str:
    return f"date({compiler.process(element.clauses, **kw)}, 'unixepoch')"


@compiles(by_hour, "sqlite")
def _hour(element: by_hour, compiler: SQLCompiler, **kw: object) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%dT%H:00Z', {seconds}, 'unixepoch')"


@compiles(by_day, "postgresql")
def _day_there(element: by_day, compiler: SQLCompiler, **kw: object) -> str:
    return _formed(compiler.process(element.clauses, **kw), "YYYY-MM-DD")


@compiles(by_hour, "postgresql")
def _hour_there(element: by_hour, compiler: SQLCompiler, **kw: object) -> str:
    return _formed(compiler.process(element.clauses, **kw), 'YYYY-MM-DD"T"HH24":00Z"')


def _formed(seconds: str, form: str) -> str:
    return f"to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', '{form}')"


@compiles(_Place, "postgresql")
def _place_there(element: _Place, _compiler: object, **_kw: object) -> str:
    return f"{element.name.removesuffix('rowid')}ctid"
