"""What came and was not kept, counted: turns that went on with a session that their owner deleted.

Rules kept here:

* Nothing of an exchange is here but that there was one, and when.
* It is counted in the transaction that says that the exchange has been dealt with: once.
* A count goes as a tombstone does (`tombstones`): 30 days after its last exchange, or with its
  owner.

Rows: G2, R5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, select

from bailee.db.engine import reading, storage_errors
from bailee.db.portable import insert as upsert
from bailee.db.vault import unkept

_WHAT = "the vault's index"


@dataclass(frozen=True, slots=True)
class Unkept:
    """So many exchanges of an owner's were not kept by a clause, from `since` to `last`."""

    owner: str
    clause: str
    exchanges: int
    since: datetime
    last: datetime


def count(connection: Connection, counts: Mapping[str, int], clause: str, now: datetime) -> None:
    """Count, by owner, what was not kept."""
    rows = [
        {"owner": owner, "clause": clause, "exchanges": more, "since": now, "last": now}
        for owner, more in counts.items()
    ]
    if rows:
        statement = upsert(unkept)
        more, last = statement.excluded.exchanges, statement.excluded.last
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["owner", "clause"],
                set_={"exchanges": unkept.c.exchanges + more, "last": last},
            ),
            rows,
        )


def counted(engine: Engine, owner: str | None = None) -> list[Unkept]:
    """What was not kept of an owner's, or of everybody's, the latest first.

    Raises:
        StorageError: it can't be read.
    """
    query = select(unkept).order_by(unkept.c.last.desc(), unkept.c.owner, unkept.c.clause)
    if owner is not None:
        query = query.where(unkept.c.owner == owner)
    with storage_errors(_WHAT), reading(engine) as connection:
        return [Unkept(**row._mapping) for row in connection.execute(query)]
