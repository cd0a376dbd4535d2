"""Keys that are damaged: each is set aside, named and counted, and what is to be done with all keys
goes on with the others.

Nobody can open such a key, whatever generation of the root is kept: its wrap does not authenticate.
So it does not keep an old generation alive. Its row stays where it is until its time comes, and is
destroyed then like every other.

A key under a KEK that is neither there nor on record as destroyed is damaged too, not destroyed:
what says under which KEK it is, or which KEK that is, is not what was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, or_, select

from bailee.db.among import among
from bailee.db.engine import reading, storage_errors
from bailee.db.keys import damaged_keys, deks, destroyed_keks, keks, secrets
from bailee.db.portable import insert as insert_or_ignore
from bailee.keyring.epochs import ends_at

KEK: Final = "kek"
DEK: Final = "dek"
NAMED: Final = "secret"

_KEYS: Final = {KEK: keks.c.id, DEK: deks.c.subject, NAMED: secrets.c.name}


@dataclass(frozen=True, slots=True)
class DamagedKey:
    """A key that does not open. `kind`: `kek`, `dek` or `secret`. `name`: a KEK's id, a subject, a
    secret's name. `keys`: how many don't open with it, itself if there is none under it. Of a KEK
    also what class is under it, and until when.
    """

    kind: str
    name: str
    found_at: datetime
    keys: int = 1
    data_class: str | None = None
    until: datetime | None = None


def undestroyed() -> ColumnElement[bool]:
    """The condition that nothing has destroyed a key: it may be damaged."""
    return and_(deks.c.kek_id != "", deks.c.kek_id.not_in(select(destroyed_keks.c.id)))


def living(connection: Connection, subjects: Iterable[str]) -> list[str]:
    """Those of `subjects` that have a key which nothing has destroyed, damaged or not."""
    query = select(deks.c.subject).where(among(deks.c.subject, subjects), undestroyed())
    return list(connection.execute(query).scalars())


def astray(connection: Connection) -> list[str]:
    """The subjects whose keys are under a KEK that nothing knows, in order."""
    query = select(deks.c.subject).where(undestroyed(), deks.c.kek_id.not_in(select(keks.c.id)))
    return list(connection.execute(query.order_by(deks.c.subject)).scalars())


def note(connection: Connection, kind: str, name: str, now: datetime) -> bool:
    """Note that a key is damaged; whether that is news."""
    row = insert_or_ignore(damaged_keys).values(kind=kind, name=name, found_at=now)
    return connection.execute(row.on_conflict_do_nothing()).rowcount == 1


def listed(engine: Engine) -> list[DamagedKey]:
    """The damaged keys that were found, as long as they are there; the oldest finding first.

    Raises:
        StorageError: the store can't be read.
    """
    under = select(func.count()).where(deks.c.kek_id == damaged_keys.c.name).scalar_subquery()
    query = (
        select(damaged_keys, keks.c.data_class, keks.c.epoch, under.label("under"))
        .select_from(
            damaged_keys.outerjoin(
                keks, and_(damaged_keys.c.kind == KEK, keks.c.id == damaged_keys.c.name)
            )
        )
        .where(_is_there())
        .order_by(damaged_keys.c.found_at, damaged_keys.c.name)
    )
    with storage_errors("the keyring"), reading(engine) as connection:
        rows = connection.execute(query).all()
    return [
        DamagedKey(row.kind, row.name, row.found_at, row.under, row.data_class, _end(row.epoch))
        if row.epoch is not None
        else DamagedKey(row.kind, row.name, row.found_at)
        for row in rows
    ]


def _end(epoch: int) -> datetime | None:
    try:
        return ends_at(epoch)
    except (OverflowError, ValueError):
        return None  # the number is what was damaged


def forget_gone(connection: Connection, generation: int) -> None:
    """Forget the notes of keys that are gone, and of those that are wrapped under the root's newest
    `generation` after all.
    """
    connection.execute(delete(damaged_keys).where(~_is_there()))
    for kind, name in ((KEK, keks.c.id), (NAMED, secrets.c.name)):
        whole = select(name).where(name.table.c.generation == generation)
        connection.execute(
            delete(damaged_keys).where(damaged_keys.c.kind == kind, damaged_keys.c.name.in_(whole))
        )


def _is_there() -> ColumnElement[bool]:
    return or_(
        *(
            and_(damaged_keys.c.kind == kind, damaged_keys.c.name.in_(select(name)))
            for kind, name in _KEYS.items()
        )
    )
