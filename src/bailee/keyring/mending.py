"""Putting right what the store says of keys beside their wraps, where it is not what was written.

Rules kept here:

* What is put right costs nothing: no key goes early, none stays late, and nothing new goes under a
  key by the word of a damaged row.
* Of a KEK its wrap says what is right: it opens with no other id, class, epoch or generation. One
  that opens takes no new keys from then on, and the next rotation replaces it: whether a key under
  it was destroyed is not known.
* Where it is not known which KEK a key was under before, the next rotation replaces all.
* Where it is not known when a root is gone for good, another rotation says it anew, at once.
* An index may have what the row had before: the indexes of a damaged table are made anew first.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Table, delete, not_, select, text, update

from bailee.db import checks
from bailee.db.checks import sound
from bailee.db.engine import DbRow
from bailee.db.keys import (
    damaged_keys,
    destroyed_keks,
    ended_roots,
    former_keks,
    kek_ends,
    keks,
    rotation,
)
from bailee.errors import StorageError
from bailee.keyring import damage, ending, twice
from bailee.keyring.store import KeyStore
from bailee.keyring.wrapping import ZEROS, kek_data

KEK: Final = "KEK "


def mend(store: KeyStore, connection: Connection, *, everything: bool = False) -> list[str]:
    """Put right what can be; of what: `KEK` and its id, or a table. `everything`: also what there
    is much of, and which decides nothing before a rotation. The caller holds the lock.
    """
    mended = [*twice.mend(connection), *_mend_ended_roots(connection)]
    if everything:
        mended += [*_mend_former(connection), *_mend_destroyed(connection)]
    return mended + [f"{KEK}{one}" for one in _mend_keks(store, connection)]


def _mend_keks(store: KeyStore, connection: Connection) -> list[str]:
    wrong = {*checks.unsound(connection, keks), *ending.differing(connection)}
    if not wrong:
        return []
    _index_anew(connection, keks, kek_ends)
    query = select(keks, kek_ends.c.epoch.label("again")).outerjoin(
        kek_ends, kek_ends.c.id == keks.c.id
    )
    rows = connection.execute(query.where(keks.c.id.in_(wrong), keks.c.wrapped != ZEROS)).all()
    mended: list[str] = []
    for row in rows:
        try:
            right = _right(store, row)
        except StorageError as error:
            if error.code != "root_unreachable":
                raise
            return mended
        if right is None:
            continue
        epoch, generation = right
        # For this epoch there may be another one meanwhile.
        values = {"epoch": epoch, "generation": generation, "current": False, "dirty": True}
        connection.execute(update(keks).where(keks.c.id == row.id).values(values))
        checks.accept(connection, keks, row.id)
        connection.execute(delete(kek_ends).where(kek_ends.c.id == row.id))
        connection.execute(kek_ends.insert().values(id=row.id, epoch=epoch))
        noted = (damaged_keys.c.kind == damage.KEK) & (damaged_keys.c.name == row.id)
        connection.execute(delete(damaged_keys).where(noted))
        mended.append(row.id)
    if mended:
        connection.execute(update(rotation).values(destroyed_since=True))
        store.forget_under(mended)
    return mended


def _right(store: KeyStore, row: DbRow) -> tuple[int, int] | None:
    """The epoch and the root's generation with which a KEK opens: an epoch that one of two rows
    says, a generation that there is.
    """
    epochs = [epoch for epoch in (row.epoch, row.again) if isinstance(epoch, int)]
    for generation in store.root.generations():
        bound = [
            (row.wrapped, kek_data(row.id, row.data_class, epoch, generation)) for epoch in epochs
        ]
        opened = store.root.unwrap_all(generation, bound)
        for epoch, key in zip(epochs, opened, strict=True):
            if isinstance(key, bytes):
                return epoch, generation
    return None


def _mend_former(connection: Connection) -> list[str]:
    """Notes of which KEKs keys were under before: all KEKs are replaced, and the notes go."""
    if not _any(connection, former_keks):
        return []
    _index_anew(connection, former_keks)
    connection.execute(update(keks).values(dirty=True))
    connection.execute(delete(former_keks).where(not_(sound(former_keks))))
    return [former_keks.name]


def _mend_destroyed(connection: Connection) -> list[str]:
    """Notes of KEKs that are gone: what was under them is looked for once more. Where it is another
    column that is not what was written, the note stays, says nothing, and is named.
    """
    wrong = checks.unsound(connection, destroyed_keks)
    if not wrong:
        return []
    _index_anew(connection, destroyed_keks)
    some = destroyed_keks.c.id.in_(wrong)
    connection.execute(update(destroyed_keks).where(some).values(emptied=False))
    right = connection.execute(select(destroyed_keks.c.id).where(some, sound(destroyed_keks)))
    return [destroyed_keks.name] if right.first() else []


def _mend_ended_roots(connection: Connection) -> list[str]:
    if not _any(connection, ended_roots):
        return []
    connection.execute(delete(ended_roots).where(not_(sound(ended_roots))))
    connection.execute(update(rotation).values(rotated_at=twice.EVER, destroyed_since=True))
    return [ended_roots.name]


def _any(connection: Connection, table: Table) -> bool:
    query = select(table.primary_key.columns[0]).where(not_(sound(table))).limit(1)
    return connection.execute(query).first() is not None


def _index_anew(connection: Connection, *tables: Table) -> None:
    for table in tables:
        connection.execute(text(f"REINDEX {table.name}"))
