"""The last time that a home has seen, for the next start (`bailee.steady`)."""

from __future__ import annotations

from sqlalchemy import Column, Engine, Float, Integer, String, Table, delete, select
from sqlalchemy.dialects.sqlite import insert

from bailee.db.engine import reading, storage_errors
from bailee.db.metadata import Moment, data
from bailee.steady import SeenTime

home_clock = Table(
    "home_clock",
    data,
    Column("id", Integer, primary_key=True),
    Column("now", Moment, nullable=False),
    Column("unset", Float, nullable=False),
    Column("boot", String, nullable=False),
    Column("held", Float),
    Column("told", Float),
)
"""One row. `told`: by how many seconds the step is that stands in the audit record as held."""

_WHAT = "the home's time"


def last_seen(engine: Engine) -> tuple[SeenTime | None, float | None]:
    """The time that was noted last, and by how many seconds the step is that was entered.

    Raises:
        StorageError: it can't be read.
    """
    with storage_errors(_WHAT), reading(engine) as connection:
        row = connection.execute(select(home_clock)).first()
    if row is None:
        return None, None
    # What was entered is, within the bound that makes a step, what is held.
    return SeenTime(row.now, row.unset, row.boot, row.held, row.told), row.told


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
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
