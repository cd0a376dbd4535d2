"""What waits for longer than it should: how many, and since when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, Engine, Table, func, select

from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors


def late(
    engine: Engine,
    what: str,
    since: Column[datetime],
    before: datetime,
    *waits: ColumnElement[bool],
) -> tuple[int, datetime | None]:
    """How many rows wait, by all of `waits`, since a moment `before` that; and since when the first
    of them does. Rows that are not what was written say nothing. `what`: what the store is called.

    Raises:
        StorageError: it can't be read.
    """
    assert isinstance(since.table, Table)
    query = select(func.count(), func.min(since)).where(since < before, *waits, sound(since.table))
    with storage_errors(what), reading(engine) as connection:
        count, first = connection.execute(query).one()
        return int(count), first
