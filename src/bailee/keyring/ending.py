"""Which KEKs are due: those whose epoch has ended, by both rows that say which it is.

A KEK goes when its epoch has ended, and everything under it with it, of whichever class. So its
epoch is written twice, in two rows. Where they differ, the KEK itself says which of them is right,
since its wrap is bound to its epoch and opens with no other: the other one is put right
(`mending`). Where it opens with neither, or the root is away, the later one counts.

Rows: R5.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, select

from bailee.db.engine import DbRow
from bailee.db.keys import kek_ends, keks
from bailee.db.portable import greatest
from bailee.keyring.epochs import last_ended
from bailee.keyring.store import KeyStore
from bailee.keyring.wrapping import ZEROS, kek_data

_BOTH = keks.join(kek_ends, keks.c.id == kek_ends.c.id)


@dataclass(frozen=True, slots=True)
class EndedKek:
    """A KEK whose epoch has ended."""

    kek_id: str
    data_class: str
    epoch: int


def due(connection: Connection, now: datetime) -> list[EndedKek]:
    """The KEKs whose epoch has ended by `now`, the oldest first."""
    end = last_ended(now)
    again = select(kek_ends.c.epoch).where(kek_ends.c.id == keks.c.id).scalar_subquery()
    later = greatest(keks.c.epoch, func.coalesce(again, keks.c.epoch))
    query = select(keks.c.id, keks.c.data_class, later).where(keks.c.epoch <= end, later <= end)
    rows = connection.execute(query.order_by(later))
    return [EndedKek(*row) for row in rows]


def differing(connection: Connection) -> list[str]:
    """The KEKs of which two rows say two epochs, in order."""
    query = _differing(select(keks.c.id))
    return list(connection.execute(query.order_by(keks.c.id)).scalars())


def _differing(query: Select[*tuple[object, ...]]) -> Select[*tuple[object, ...]]:
    return query.select_from(_BOTH).where(keks.c.epoch != kek_ends.c.epoch, keks.c.wrapped != ZEROS)


def _right(store: KeyStore, row: DbRow) -> int | None:
    """The epoch with which a KEK opens, of the two."""
    epochs = [epoch for epoch in (row.epoch, row.again) if isinstance(epoch, int)]
    bound = [
        (row.wrapped, kek_data(row.id, row.data_class, epoch, row.generation)) for epoch in epochs
    ]
    opened = store.root.unwrap_all(row.generation, bound)
    found = [epoch for epoch, key in zip(epochs, opened, strict=True) if isinstance(key, bytes)]
    return found[0] if found else None
