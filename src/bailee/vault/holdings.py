"""What is kept and until when, from the sums that the database keeps of it (`db.counting`).

Of sessions that go in the half hour that is under way some are past their time and some are not, so
those are read themselves: of what a service keeps for years that is one part of some ten thousand.

Rows: R1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine, case, func, literal, select, union_all

from bailee.db.checks import sound
from bailee.db.counting import half_hour
from bailee.db.engine import reading, storage_errors
from bailee.db.vault import session_ends, sessions

_HALF_HOUR: Final = timedelta(minutes=30)
_DAY: Final = 10  # characters of a half hour's name that say its day


@dataclass(frozen=True, slots=True)
class Holding:
    """What is kept of one class and plan until one day. `bytes`: of ciphertext; `kept`: how many of
    the sessions are there by an act of their person's.
    """

    data_class: str
    plan: str
    expiry_day: str
    sessions: int
    exchanges: int
    bytes: int
    kept: int


def holdings(engine: Engine, now: datetime) -> list[Holding]:
    """What is kept at `now`, by class, plan and expiry day.

    Raises:
        StorageError: the index can't be read.
    """
    under_way = half_hour(now)
    ends = session_ends.c
    later = select(
        ends.data_class,
        ends.plan,
        func.substr(ends.half_hour, 1, _DAY).label("day"),
        *(ends.sessions, ends.exchanges, ends.bytes, ends.kept),
    ).where(ends.half_hour > under_way, ends.sessions > 0)
    soon = select(
        sessions.c.data_class,
        sessions.c.plan,
        literal(under_way[:_DAY]),
        *(literal(1), sessions.c.exchanges, sessions.c.bytes),
        case((sessions.c.kept_until >= sessions.c.expires_at, 1), else_=0),
    ).where(
        sessions.c.expires_at > now,
        sessions.c.expires_at < _beginning(now) + _HALF_HOUR,
        sound(sessions),
    )
    every = union_all(later, soon).subquery().c
    sums = (func.sum(one) for one in (every.sessions, every.exchanges, every.bytes, every.kept))
    query = (
        select(every.data_class, every.plan, every.day, *sums)
        .group_by(every.data_class, every.plan, every.day)
        .order_by(every.day, every.data_class, every.plan)
    )
    with storage_errors("the vault's index"), reading(engine) as connection:
        return [Holding(*row._mapping.values()) for row in connection.execute(query)]


def _beginning(now: datetime) -> datetime:
    """Of the half hour (UTC) that a moment is in."""
    return now.astimezone(UTC).replace(minute=now.minute // 30 * 30, second=0, microsecond=0)
