"""The erasures that are on record: whose, how far each has come, its receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import Engine, select

from bailee.damage import Damages
from bailee.db.checks import sound, unsound
from bailee.db.engine import DbRow, Query, reading, storage_errors
from bailee.db.late import late
from bailee.db.pages import following
from bailee.db.vault import erasures

REQUESTED: Final = "requested"
WAITING: Final = "deferred"
DONE: Final = "done"
WHAT: Final = "the erasures"


@dataclass(frozen=True, slots=True)
class Erasure:
    """The erasure of a person. `receipt`: the signed record, once there is one."""

    id: str
    person_id: str
    account_id: str | None
    state: str
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    receipt: dict[str, object] | None


class ErasureRows:
    """The rows of the erasures in the data database, and in memory which accounts they concern.
    Read on any thread; `Erasures` alone writes. It erases nothing.
    """

    def __init__(self, engine: Engine, damages: Damages) -> None:
        """Raises: StorageError."""
        self._engine = engine
        with storage_errors(WHAT), reading(engine) as connection:  # the damaged ones' too
            accounts = connection.execute(select(erasures.c.account_id)).scalars().all()
            damages.note_all("erasures", unsound(connection, erasures))
        self._gone = {one for one in accounts if one is not None}

    def is_gone(self, account_id: str) -> bool:
        """Whether nothing is to be kept of an account any more."""
        return account_id in self._gone

    def goes(self, account_id: str) -> None:
        """From now on nothing is."""
        self._gone.add(account_id)

    def all(self) -> list[Erasure]:
        """Every erasure whose row is as it was written, oldest first."""
        query = (
            select(erasures).where(sound(erasures)).order_by(erasures.c.requested_at, erasures.c.id)
        )
        return self._found(query)

    def latest(self, most: int, after: str | None = None) -> list[Erasure]:
        """At most so many, the newest first: those that come `after` a place (`db.pages`: when it
        was requested, and its id).
        """
        since = erasures.c.requested_at
        beyond = following(since, erasures.c.id, after)
        query = select(erasures).where(sound(erasures), beyond)
        return self._found(query.order_by(since.desc(), erasures.c.id).limit(most))

    def late(self, before: datetime) -> tuple[int, datetime | None]:
        """How many that were asked for before a moment are neither done nor wait for a hold, and
        when the first of them was asked for.
        """
        waits = erasures.c.state.not_in((DONE, WAITING))
        return late(self._engine, WHAT, erasures.c.requested_at, before, waits)

    def of(self, subject_id: str) -> Erasure | None:
        """The erasure of someone, if there is one."""
        found = self._found(
            select(erasures).where(erasures.c.person_id == subject_id, sound(erasures))
        )
        return found[0] if found else None

    def get(self, erasure_id: str) -> Erasure | None:
        """The erasure with this id, if there is one."""
        found = self._found(select(erasures).where(erasures.c.id == erasure_id, sound(erasures)))
        return found[0] if found else None

    def _found(self, query: Query) -> list[Erasure]:
        with storage_errors(WHAT), reading(self._engine) as connection:
            return [_erasure(row) for row in connection.execute(query)]


def _erasure(row: DbRow) -> Erasure:
    values = dict(row._mapping)
    receipt = values.pop("receipt")
    del values["traces"], values["mac"]
    return Erasure(**values, receipt=None if receipt is None else orjson.loads(receipt))
