"""Rotating the root, so that older copies of the keyring open nothing that was destroyed.

The steps, each of which may be the last before a crash and is found again by its traces:

1. A new root generation. While there are two, a rotation is under way.
2. Every dirty KEK from before is replaced: its living DEKs are rewrapped under a new KEK in
   portions, and it is destroyed.
3. Every other KEK and every named secret is rewrapped under the new generation.
4. The older generations are destroyed. A copy of the store from before now opens nothing at all;
   a copy from during the rotation opens only KEKs that are living, and none that was dirty.

A key that does not open is set aside (`damage`) and stops nothing: the old generation goes all the
same, since it opens that key no more than the new one. Only where nothing opens at all it is the
root that does not fit, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, bindparam, select, update

from bailee.db.engine import storage_errors
from bailee.db.keys import deks, keks, rotation, secrets
from bailee.errors import IntegrityError
from bailee.keyring import damage, fitting
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.damage import DEK, KEK, NAMED
from bailee.keyring.destroying import remove_keks, zero_keks
from bailee.keyring.store import Dek, Kek, KeyStore, Swap
from bailee.keyring.wrapping import ZEROS, kek_data, secret_data

_PORTION: Final = 1000
_DIRTY: Final = 200  # KEKs that are replaced together


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did. Whatever was destroyed before `began` is gone from older copies, too.
    `damaged`: kind and name of each key that was found damaged, and had not been before.
    """

    generation: int
    began: datetime
    replaced_keks: int
    rewrapped_deks: int
    damaged: tuple[tuple[str, str], ...] = ()


class _Aside:
    """What one rotation has set aside. The rotation makes it and uses it, on its own thread."""

    def __init__(self, store: KeyStore) -> None:
        self._clock = store.clock
        self.keks: list[str] = []
        self.news: list[tuple[str, str]] = []

    def put(self, connection: Connection, kind: str, name: str) -> None:
        if damage.note(connection, kind, name, self._clock()):
            self.news.append((kind, name))
        if kind == KEK:
            self.keks.append(name)
            connection.execute(update(keks).where(keks.c.id == name).values(current=False))


def rotate(store: KeyStore) -> Rotation:
    """Do or finish a rotation. See the module for the steps.

    Raises:
        IntegrityError: code `home_parts`: nothing opens under the root.
    """
    replaced = rewrapped = 0
    aside = _Aside(store)
    with storage_errors("the keyring"):
        fitting.check(store.root, store.engine)
        began, new = _begin(store)
        while dirty := _next_dirty(store, new, aside):
            while (moved := _move_portion(store, dirty, aside)) > 0:
                rewrapped += moved
            replaced += len(set(dirty).difference(aside.keks))
        while _rewrap_keks(store, new, aside):
            pass
        with store.lock:
            _rewrap_secrets(store, new, aside)
            truncate_log(store.engine)
            for generation in store.root.generations():
                if generation < new:
                    store.root.destroy(generation)
            with store.engine.begin() as connection:
                connection.execute(update(rotation).values(rotated_at=began))
                damage.forget_gone(connection, new)
    return Rotation(new, began, replaced, rewrapped, tuple(aside.news))


def _begin(store: KeyStore) -> tuple[datetime, int]:
    """When the rotation began, and its generation. A rotation that was broken off is taken up as it
    is: what was destroyed since it began counts for the next.
    """
    with store.lock:
        if len(store.root.generations()) == 1:
            began = store.clock()
            with store.engine.begin() as connection:
                connection.execute(update(rotation).values(began_at=began))
            store.root.add()
            with store.engine.begin() as connection:
                connection.execute(update(rotation).values(destroyed_since=False))
        else:
            with store.engine.begin() as connection:
                row = connection.execute(select(rotation)).one()
            began = row.began_at or row.rotated_at
        return began, store.root.generations()[-1]


def _next_dirty(store: KeyStore, new: int, aside: _Aside) -> list[str]:
    """Some KEKs that are to be replaced; from now on nothing new goes under them."""
    with store.lock, store.engine.begin() as connection:
        found = list(
            connection.execute(
                select(keks.c.id)
                .where(
                    keks.c.dirty,
                    keks.c.generation != new,
                    keks.c.wrapped != ZEROS,
                    keks.c.id.not_in(aside.keks),
                )
                .limit(_DIRTY)
            ).scalars()
        )
        connection.execute(update(keks).where(keks.c.id.in_(found)).values(current=False))
    return found


def _move_portion(store: KeyStore, dirty: list[str], aside: _Aside) -> int:
    """Rewrap some DEKs of dirty KEKs; 0 when none was left and the KEKs have been destroyed. One
    that does not open is set aside, with what is under it.
    """
    with store.lock:
        with store.engine.begin() as connection:
            living = select(keks).where(keks.c.id.in_(dirty), keks.c.id.not_in(aside.keks))
            olds = {row.id: row for row in connection.execute(living)}  # epochs end meanwhile
            full = select(deks.c.kek_id).where(deks.c.kek_id.in_(olds)).distinct()
            opened: dict[str, Kek] = {}
            for kek_id in connection.execute(full).scalars().all():
                try:
                    opened[kek_id] = store.open_kek(olds[kek_id])
                except IntegrityError:
                    aside.put(connection, KEK, kek_id)
                    del olds[kek_id]
            rows = connection.execute(
                select(deks).where(deks.c.kek_id.in_(olds)).order_by(deks.c.kek_id).limit(_PORTION)
            ).all()
            under = [olds[row.kek_id] for row in rows]
            news = store.current_keks(connection, {(old.data_class, old.epoch) for old in under})
            swaps: list[Swap] = []
            for row, old in zip(rows, under, strict=True):
                version, wrapped = row.version + 1, row.wrapped
                kek = news[old.data_class, old.epoch]
                try:
                    key = store.unwrap(
                        row.subject, old.data_class, row.version, row.wrapped, opened[old.id]
                    )
                    dek = Dek(row.subject, old.data_class, old.epoch, kek.id, version, key)
                    wrapped = store.wrap(dek, kek)
                except IntegrityError:
                    # It goes along as it is, so that its time comes with that of the others.
                    aside.put(connection, DEK, row.subject)
                swaps.append(Swap(row.subject, version, kek.id, wrapped))
            if swaps:
                store.rewrap(connection, swaps)
                store.forget(row.subject for row in rows)
                return len(rows)
            destroyed_since = connection.execute(select(rotation.c.destroyed_since)).scalar()
            zero_keks(store, connection, list(olds))
            # This destruction is part of the rotation and calls for no further one.
            connection.execute(update(rotation).values(destroyed_since=destroyed_since))
        with store.engine.begin() as connection:
            remove_keks(connection, list(olds))
    return 0


def _rewrap_keks(store: KeyStore, new: int, aside: _Aside) -> int:
    with store.lock, store.engine.begin() as connection:
        rows = connection.execute(
            select(keks)
            .where(keks.c.generation != new, keks.c.wrapped != ZEROS, keks.c.id.not_in(aside.keks))
            .limit(_PORTION)
        ).all()
        wraps = []
        for row in rows:
            data = kek_data(row.id, row.data_class, row.epoch, new)
            try:
                wraps.append((row.id, store.root.wrap(new, store.open_kek(row).key, data)))
            except IntegrityError:
                aside.put(connection, KEK, row.id)
        _put_under(connection, keks.c.id, new, wraps)
    return len(rows)


def _rewrap_secrets(store: KeyStore, new: int, aside: _Aside) -> None:
    with store.engine.begin() as connection:
        wraps = []
        for row in connection.execute(select(secrets).where(secrets.c.generation != new)).all():
            data = secret_data(row.name, new)
            try:
                wraps.append((row.name, store.root.wrap(new, store.open_secret(row), data)))
            except IntegrityError:
                aside.put(connection, NAMED, row.name)
        _put_under(connection, secrets.c.name, new, wraps)


def _put_under(
    connection: Connection, name: Column[str], new: int, wraps: Sequence[tuple[str, bytes]]
) -> None:
    """Put KEKs or secrets under the new generation: of each its name and its wrap."""
    if wraps:
        statement = update(name.table).where(name == bindparam("of"))
        connection.execute(
            statement.values(generation=new, wrapped=bindparam("wrap")),
            [{"of": of, "wrap": wrap} for of, wrap in wraps],
        )
