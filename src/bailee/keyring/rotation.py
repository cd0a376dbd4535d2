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

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, select, update

from bailee.clock import Clock
from bailee.db.engine import storage_errors
from bailee.db.keys import deks, keks, rotation, secrets
from bailee.errors import IntegrityError
from bailee.keyring import damage, fitting
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.damage import DEK, KEK, NAMED
from bailee.keyring.destroying import remove_keks, zero_keks
from bailee.keyring.moving import MOVE
from bailee.keyring.wrapping import SEALED_KEY_BYTES, kek_data, secret_data

if TYPE_CHECKING:
    from bailee.keyring.keyring import Keyring

_PORTION = 1000
_DIRTY = 200  # KEKs that are replaced together
_ZEROS = bytes(SEALED_KEY_BYTES)


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
    """What one rotation has set aside."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.keks: list[str] = []
        self.news: list[tuple[str, str]] = []

    def put(self, connection: Connection, kind: str, name: str) -> None:
        if damage.note(connection, kind, name, self._clock()):
            self.news.append((kind, name))
        if kind == KEK:
            self.keks.append(name)
            connection.execute(update(keks).where(keks.c.id == name).values(current=False))


def rotate(ring: Keyring, clock: Clock) -> Rotation:
    """Do or finish a rotation. See the module for the steps.

    Raises:
        IntegrityError: code `home_parts`: nothing opens under the root.
    """
    replaced = rewrapped = 0
    aside = _Aside(clock)
    with storage_errors("the keyring"):
        fitting.check(ring.root, ring.engine)
        began, new = _begin(ring, clock)
        while dirty := _next_dirty(ring, new, aside):
            while (moved := _move_portion(ring, dirty, clock, aside)) > 0:
                rewrapped += moved
            replaced += len(set(dirty).difference(aside.keks))
        while _rewrap_keks(ring, new, aside):
            pass
        with ring.lock:
            _rewrap_secrets(ring, new, aside)
            truncate_log(ring.engine)
            for generation in ring.root.generations():
                if generation < new:
                    ring.root.destroy(generation)
            with ring.engine.begin() as connection:
                connection.execute(update(rotation).values(rotated_at=began))
                damage.forget_gone(connection, new)
    return Rotation(new, began, replaced, rewrapped, tuple(aside.news))


def _begin(ring: Keyring, clock: Clock) -> tuple[datetime, int]:
    """When the rotation began, and its generation. A rotation that was broken off is taken up as it
    is: what was destroyed since it began counts for the next.
    """
    with ring.lock:
        if len(ring.root.generations()) == 1:
            began = clock()
            with ring.engine.begin() as connection:
                connection.execute(update(rotation).values(began_at=began))
            ring.root.add()
            with ring.engine.begin() as connection:
                connection.execute(update(rotation).values(destroyed_since=False))
        else:
            with ring.engine.begin() as connection:
                row = connection.execute(select(rotation)).one()
            began = row.began_at or row.rotated_at
        return began, ring.root.generations()[-1]


def _next_dirty(ring: Keyring, new: int, aside: _Aside) -> list[str]:
    """Some KEKs that are to be replaced; from now on nothing new goes under them."""
    with ring.lock, ring.engine.begin() as connection:
        found = list(
            connection.execute(
                select(keks.c.id)
                .where(
                    keks.c.dirty,
                    keks.c.generation != new,
                    keks.c.wrapped != _ZEROS,
                    keks.c.id.not_in(aside.keks),
                )
                .limit(_DIRTY)
            ).scalars()
        )
        connection.execute(update(keks).where(keks.c.id.in_(found)).values(current=False))
    return found


def _move_portion(ring: Keyring, dirty: list[str], clock: Clock, aside: _Aside) -> int:
    """Rewrap some DEKs of dirty KEKs; 0 when none was left and the KEKs have been destroyed. One
    that does not open is set aside, with what is under it.
    """
    with ring.lock:
        with ring.engine.begin() as connection:
            living = select(keks).where(keks.c.id.in_(dirty), keks.c.id.not_in(aside.keks))
            olds = {row.id: row for row in connection.execute(living)}  # epochs end meanwhile
            full = select(deks.c.kek_id).where(deks.c.kek_id.in_(olds)).distinct()
            opened: dict[str, tuple[str, bytes]] = {}
            for kek_id in connection.execute(full).scalars().all():
                try:
                    opened[kek_id] = (kek_id, ring.open_kek(olds[kek_id]))
                except IntegrityError:
                    aside.put(connection, KEK, kek_id)
                    del olds[kek_id]
            rows = connection.execute(
                select(deks).where(deks.c.kek_id.in_(olds)).order_by(deks.c.kek_id).limit(_PORTION)
            ).all()
            news: dict[str, tuple[str, bytes]] = {}
            moves: list[dict[str, Any]] = []
            for row in rows:
                old, version, wrapped = olds[row.kek_id], row.version + 1, row.wrapped
                if old.id not in news:
                    news[old.id] = ring.current_kek(connection, old.data_class, old.epoch)
                kek = news[old.id]
                try:
                    key = ring.unwrap_dek(
                        row.subject, old.data_class, row.version, row.wrapped, opened[old.id]
                    )
                    wrapped = ring.wrap_dek(row.subject, old.data_class, version, key, kek)
                except IntegrityError:
                    # It goes along as it is, so that its time comes with that of the others.
                    aside.put(connection, DEK, row.subject)
                moves.append(
                    {
                        "of": row.subject,
                        "was": row.version,
                        "to": kek[0],
                        "next": version,
                        "wrap": wrapped,
                    }
                )
            if moves:
                connection.execute(MOVE, moves)
                ring.forget(row.subject for row in rows)
                return len(rows)
            destroyed_since = connection.execute(select(rotation.c.destroyed_since)).scalar()
            zero_keks(ring, connection, list(olds), clock())
            # This destruction is part of the rotation and calls for no further one.
            connection.execute(update(rotation).values(destroyed_since=destroyed_since))
        with ring.engine.begin() as connection:
            remove_keks(connection, list(olds))
    return 0


def _rewrap_keks(ring: Keyring, new: int, aside: _Aside) -> int:
    with ring.lock, ring.engine.begin() as connection:
        rows = connection.execute(
            select(keks)
            .where(
                keks.c.generation != new,
                keks.c.wrapped != _ZEROS,
                keks.c.id.not_in(aside.keks),
            )
            .limit(_PORTION)
        ).all()
        wraps = []
        for row in rows:
            data = kek_data(row.id, row.data_class, row.epoch, new)
            try:
                wraps.append({"of": row.id, "wrap": ring.root.wrap(new, ring.open_kek(row), data)})
            except IntegrityError:
                aside.put(connection, KEK, row.id)
        if wraps:
            connection.execute(
                update(keks)
                .where(keks.c.id == bindparam("of"))
                .values(generation=new, wrapped=bindparam("wrap")),
                wraps,
            )
    return len(rows)


def _rewrap_secrets(ring: Keyring, new: int, aside: _Aside) -> None:
    with ring.engine.begin() as connection:
        for row in connection.execute(select(secrets).where(secrets.c.generation != new)).all():
            try:
                key = ring.open_secret(row)
            except IntegrityError:
                aside.put(connection, NAMED, row.name)
                continue
            wrapped = ring.root.wrap(new, key, secret_data(row.name, new))
            connection.execute(
                update(secrets)
                .where(secrets.c.name == row.name)
                .values(generation=new, wrapped=wrapped)
            )
