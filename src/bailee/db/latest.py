"""Lists that are sorted by a moment, the latest first, a page at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, and_, or_


def before(
    moment: Column[datetime], at: datetime, same: ColumnElement[bool]
) -> ColumnElement[bool]:
    """The condition that a row comes after one of `at`; of rows of the same moment, if `same`. Said
    so that SQLite begins in an index there, and not at its beginning.
    """
    return and_(moment <= at, or_(moment < at, same))
