"""Many values of a column at once: the condition that it has one of them, as one parameter of a
statement, and what a query finds of it, as one value.

`column.in_(values)` makes a parameter of each: for thousands of ids it takes longer to write such a
statement than to run it, and SQLite takes 32,766 at the most. To fetch thousands of ids row by row
takes as long as to find them. Both databases read and write JSON:
https://www.sqlite.org/json1.html#jeach, https://www.postgresql.org/docs/15/functions-json.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import BigInteger, ColumnElement, Connection, Select, cast, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from bailee.db.portable import is_sqlite

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


class _each(FunctionElement[str]):
    """The values of a list in JSON, each a row."""

    inherit_cache = True


@compiles(_each, "sqlite")
def _each_here(element: _each, compiler: SQLCompiler, **kw: object) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_each, "postgresql")
def _each_there(element: _each, compiler: SQLCompiler, **kw: object) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **kw)} AS json))"


def among(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`, texts as they were read from rows. A damaged row may
    have given something else: that is left out, and keeps nobody from the others.
    """
    texts = [value for value in values if isinstance(value, str)]
    return column.in_(each(literal(orjson.dumps(texts).decode())))


def each(listed: ColumnElement[str]) -> Select[str]:
    """The values of a list of texts in JSON, one row for each."""
    return select(_each(listed).table_valued("value").c.value)


def among_numbers(column: ColumnElement[int], values: Iterable[int]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`."""
    listed = _each(orjson.dumps([*values]).decode()).table_valued("value")
    return column.in_(select(cast(listed.c.value, BigInteger)))


def texts(connection: Connection, query: Select[*tuple[object, ...]]) -> list[str]:
    """What a query of one column finds, in its order. What is no text there, of a damaged row, is
    left out.
    """
    if not is_sqlite(connection):  # where a column of texts has nothing else
        return [one for one in connection.execute(query).scalars() if isinstance(one, str)]
    (found,) = query.subquery().c
    listed = select(func.json_group_array(found)).where(func.typeof(found) == "text")
    return list(orjson.loads(connection.execute(listed).scalar_one()))
