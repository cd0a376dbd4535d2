"""The last time that a home has seen, for the next start (`bailee.steady`)."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Column, Engine, Float, String, Table, delete, func, not_, select

from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.metadata import Moment, check, data
from bailee.db.portable import Whole, insert
from bailee.steady import SeenTime

home_clock = Table(
    "home_clock",
    data,
    Column("id", Whole, primary_key=True),
    Column("now", Moment, nullable=False),
    Column("unset", Float, nullable=False),
    Column("boot", String, nullable=False),
    Column("held", Float),
    Column("told", Float),
    check(),
)
"""One row, which is checked: a home that took a moment of another year for its time would find
everything past it. `told`: by how many seconds the step is that stands in the audit record as
held."""

_WHAT = "the home's time"


class NotedTime(NamedTuple):
    """What was noted last: the time, if any; by how many seconds the step is that was entered; and
    whether a time was noted and what stands there, which says nothing, is not what was written.
    """

    seen: SeenTime | None
    told: float | None
    damaged: bool


def last_noted(engine: Engine) -> NotedTime:
    """What was noted last.

    Raises:
        StorageError: it can't be read.
    """
    wrong = select(func.count()).select_from(home_clock).where(not_(sound(home_clock)))
    with storage_errors(_WHAT), reading(engine) as connection:
        row = connection.execute(select(home_clock).where(sound(home_clock))).first()
        damaged = connection.execute(wrong).scalar_one() > 0
    if row is None:
        return NotedTime(None, None, damaged)
    # What was entered is, within the bound that makes a step, what is held.
    return NotedTime(SeenTime(row.now, row.unset, row.boot, row.held, row.told), row.told, damaged)


def forget(engine: Engine) -> None:
    """Let the next start have no time to compare with.

    Raises:
        StorageError: it can't be written.
    """
    with storage_errors(_WHAT), engine.begin() as connection:
        connection.execute(delete(home_clock))


def note(engine: Engine, seen: SeenTime, told: float | None) -> None:
    """Note the time for the next start.

    Raises:
        StorageError: it can't be written.
    """
    values = {
        "now": seen.now,
        "unset": seen.unset,
        "boot": seen.boot,
        "held": seen.held,
        "told": told,
    }
    statement = insert(home_clock).values(id=1, **values)
    with storage_errors(_WHAT), engine.begin() as connection:
        # A change would leave a row that is not sound as it is.
        connection.execute(delete(home_clock).where(not_(sound(home_clock))))
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
