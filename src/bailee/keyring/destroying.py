"""Destroying keys: single ones at somebody's word, and everything whose epoch has ended.

Each destruction is two transactions and a checkpoint: zero the wraps in place; delete the rows; cut
the write-ahead log. A crash between them leaves zeros, which open nothing and are removed later.

That a KEK was destroyed is noted until nothing asks for it: while rows of DEKs lie under it, and
for `NOTED` after. By the note alone a file of the spool is known to have expired, which is looked
for at each start and in each sweep. What stays for ever is in the audit record.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, exists, literal, not_, or_, select, update

from bailee.db.among import among
from bailee.db.checks import sound
from bailee.db.engine import storage_errors
from bailee.db.keys import deks, destroyed_keks, former_keks, kek_ends, keks, rotation
from bailee.db.metadata import Moment
from bailee.db.portable import insert as insert_or_ignore
from bailee.db.portable import place_of
from bailee.keyring import ending
from bailee.keyring.ending import EndedKek
from bailee.keyring.store import KeyStore
from bailee.keyring.wrapping import ZEROS

NOTED: Final = timedelta(days=60)
"""For how long the note of a KEK stays that is gone with all that was under it."""
_PORTION: Final = 1000


def destroy(store: KeyStore, subjects: Sequence[str]) -> int:
    """Destroy the keys of `subjects`, and mark dirty every KEK that they are or were under. Where
    none of them has a key any more, no rotation is due by it.
    """
    count = 0
    with store.lock, storage_errors("the keyring"):
        for start in range(0, len(subjects), _PORTION):
            some = subjects[start : start + _PORTION]
            store.forget(some)
            with store.engine.begin() as connection:
                under = select(deks.c.kek_id).where(among(deks.c.subject, some))
                former = among(former_keks.c.subject, some)
                before = select(former_keks.c.kek_id).where(former)
                unknown = exists().where(former, not_(sound(former_keks)))  # it may be any
                marked = connection.execute(
                    update(keks)
                    .where(or_(keks.c.id.in_(under), keks.c.id.in_(before), unknown))
                    .values(dirty=True)
                ).rowcount
                zeroed = connection.execute(
                    update(deks)
                    .where(among(deks.c.subject, some), deks.c.wrapped != ZEROS)
                    .values(wrapped=ZEROS, kek_id="")
                ).rowcount
                count += zeroed
                if marked or zeroed:
                    connection.execute(update(rotation).values(destroyed_since=True))
            with store.engine.begin() as connection:
                connection.execute(delete(deks).where(among(deks.c.subject, some)))
                connection.execute(delete(former_keks).where(among(former_keks.c.subject, some)))
        store.truncate_log()
    return count


def destroy_due(store: KeyStore, now: datetime) -> list[EndedKek]:
    """Destroy the KEKs whose epoch has ended by `now`: one row each, whatever is under it."""
    with store.lock, storage_errors("the keyring"):
        with store.engine.begin() as connection:
            ended = ending.due(connection, now)
            if ended:
                zero_keks(store, connection, [kek.kek_id for kek in ended])
        if ended:
            with store.engine.begin() as connection:
                remove_keks(connection, [kek.kek_id for kek in ended])
        store.truncate_log(if_long=not ended)
    return ended


def zero_keks(store: KeyStore, connection: Connection, ids: Sequence[str]) -> None:
    """The first half of destroying KEKs: overwrite their wraps, forget the keys under them. One
    that is gone already was noted then.
    """
    store.forget_under(ids)
    there = among(keks.c.id, ids)
    noted = select(
        keks.c.id,
        keks.c.data_class,
        keks.c.epoch,
        literal(store.clock(), Moment).label("destroyed_at"),
        literal(False).label("emptied"),
    ).where(there)
    names = [column.name for column in noted.selected_columns]
    connection.execute(
        insert_or_ignore(destroyed_keks).from_select(names, noted).on_conflict_do_nothing()
    )
    connection.execute(update(keks).where(there).values(wrapped=ZEROS, current=False))
    connection.execute(update(rotation).values(destroyed_since=True))


def remove_keks(connection: Connection, ids: Sequence[str]) -> None:
    """The second half: remove their rows."""
    connection.execute(delete(keks).where(among(keks.c.id, ids)))
    connection.execute(delete(kek_ends).where(among(kek_ends.c.id, ids)))


def remove_dead(store: KeyStore, most: int) -> int:
    """Remove up to `most` rows of DEKs whose KEK is gone, and then the log that still has them; and
    as many notes that nothing asks for.
    """
    with store.lock, storage_errors("the keyring"):
        with store.engine.begin() as connection:
            _forget_notes(connection, store.clock() - NOTED, most)
            removed = _remove(connection, most)
        if removed:
            store.truncate_log()
    return removed


def _forget_notes(connection: Connection, before: datetime, most: int) -> None:
    old = select(destroyed_keks.c.id).where(
        destroyed_keks.c.emptied, destroyed_keks.c.destroyed_at < before, sound(destroyed_keks)
    )
    connection.execute(delete(destroyed_keks).where(destroyed_keks.c.id.in_(old.limit(most))))


def _remove(connection: Connection, most: int) -> int:
    removed = 0
    connection.execute(delete(deks).where(deks.c.kek_id == ""))
    dead = select(destroyed_keks.c.id).where(~destroyed_keks.c.emptied)
    if connection.execute(dead.limit(1)).first() is None:
        return 0
    for table in (deks, former_keks):
        place = place_of(table)
        some = select(place).where(table.c.kek_id.in_(dead)).limit(most - removed)
        removed += connection.execute(delete(table).where(place.in_(some))).rowcount
        if removed >= most:
            return removed
    connection.execute(update(destroyed_keks).where(~destroyed_keks.c.emptied).values(emptied=True))
    return removed
