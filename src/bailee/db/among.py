"""The condition that a column has one of many values, as one parameter of a statement.

`column.in_(values)` makes a parameter of each: for thousands of ids it takes longer to write such a
statement than to run it, and SQLite takes 32,766 at the most. SQLite's JSON functions:
https://www.sqlite.org/json1.html#jeach
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from sqlalchemy import ColumnElement, func, select


def among(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`, texts as they were read from rows. A damaged row may
    have given something else: that is left out, and keeps nobody from the others.
    """
    texts = [value for value in values if isinstance(value, str)]
    listed = func.json_each(orjson.dumps(texts).decode()).table_valued("value")
    return column.in_(select(listed.c.value))
