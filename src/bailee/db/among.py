"""Many values of a column at once: the condition that it has one of them, as one parameter of a
statement, and what a query finds of it, as one value.

`column.in_(values)` makes a parameter of each: for thousands of ids it takes longer to write such a
statement than to run it, and SQLite takes 32,766 at the most. To fetch thousands of ids row by row
takes as long as to find them. SQLite's JSON functions:
https://www.sqlite.org/json1.html#jeach
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from sqlalchemy import ColumnElement, Connection, Select, func, select


def among(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`, texts as they were read from rows. A damaged row may
    have given something else: that is left out, and keeps nobody from the others.
    """
    texts = [value for value in values if isinstance(value, str)]
    listed = func.json_each(orjson.dumps(texts).decode()).table_valued("value")
    return column.in_(select(listed.c.value))


def among_numbers(column: ColumnElement[int], values: Iterable[int]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`."""
    listed = func.json_each(orjson.dumps([*values]).decode()).table_valued("value")
    return column.in_(select(listed.c.value))


def texts(connection: Connection, query: Select[*tuple[object, ...]]) -> list[str]:
    """What a query of one column finds, in its order. What is no text there, of a damaged row, is
    left out.
    """
    (found,) = query.subquery().c
    listed = select(func.json_group_array(found)).where(func.typeof(found) == "text")
    return list(orjson.loads(connection.execute(listed).scalar_one()))
