"""Rotating the root, so that older copies of the keyring open nothing that was destroyed.

The steps, each of which may be the last before a crash and is found again by its traces:

1. A new root generation. While there are two, a rotation is under way.
2. Every dirty KEK from before is replaced: its living DEKs are rewrapped under a new KEK in
   portions, and it is destroyed.
3. Every other KEK and every named secret is rewrapped under the new generation.
4. The older generations are destroyed. A copy of the store from before now opens nothing at all;
   a copy from during the rotation opens only KEKs that are living, and none that was dirty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from bailee.clock import Clock
from bailee.db.engine import storage_errors
from bailee.db.keys import deks, keks, rotation, secrets
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.destroying import zero_keks
from bailee.keyring.wrapping import SEALED_KEY_BYTES, kek_data, secret_data

if TYPE_CHECKING:
    from bailee.keyring.keyring import Keyring

_PORTION = 1000
_ZEROS = bytes(SEALED_KEY_BYTES)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did. Whatever was destroyed before `began` is gone from older copies, too."""

    generation: int
    began: datetime
    replaced_keks: int
    rewrapped_deks: int


def rotate(ring: Keyring, clock: Clock) -> Rotation:
    """Do or finish a rotation. See the module for the steps."""
    replaced = rewrapped = 0
    with storage_errors("the keyring"):
        began, new = _begin(ring, clock)
        while (kek_id := _next_dirty(ring, new)) is not None:
            while (moved := _move_portion(ring, kek_id, clock)) > 0:
                rewrapped += moved
            replaced += 1
        while _rewrap_keks(ring, new):
            pass
        with ring.lock:
            _rewrap_secrets(ring, new)
            truncate_log(ring.engine)
            for generation in ring.root.generations():
                if generation < new:
                    ring.root.destroy(generation)
            with ring.engine.begin() as connection:
                connection.execute(update(rotation).values(rotated_at=began))
    return Rotation(new, began, replaced, rewrapped)


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


def _next_dirty(ring: Keyring, new: int) -> str | None:
    with ring.lock, ring.engine.begin() as connection:
        found: str | None = connection.execute(
            select(keks.c.id)
            .where(keks.c.dirty, keks.c.generation < new, keks.c.wrapped != _ZEROS)
            .limit(1)
        ).scalar()
        if found is not None:
            connection.execute(update(keks).where(keks.c.id == found).values(current=False))
    return found


def _move_portion(ring: Keyring, kek_id: str, clock: Clock) -> int:
    """Rewrap some DEKs of a dirty KEK; 0 when none was left and the KEK has been destroyed."""
    with ring.lock:
        with ring.engine.begin() as connection:
            old = connection.execute(select(keks).where(keks.c.id == kek_id)).first()
            if old is None:
                return 0  # its epoch has ended meanwhile
            rows = connection.execute(
                select(deks).where(deks.c.kek_id == kek_id).limit(_PORTION)
            ).all()
            if rows:
                old_key = (old.id, ring.open_kek(old))
                kek = ring.current_kek(connection, old.data_class, old.epoch)
                for row in rows:
                    key = ring.unwrap_dek(
                        row.subject, old.data_class, row.version, row.wrapped, old_key
                    )
                    version = row.version + 1
                    wrapped = ring.wrap_dek(row.subject, old.data_class, version, key, kek)
                    connection.execute(
                        update(deks)
                        .where(deks.c.subject == row.subject, deks.c.version == row.version)
                        .values(kek_id=kek[0], version=version, wrapped=wrapped)
                    )
                ring.forget(row.subject for row in rows)
                return len(rows)
            destroyed_since = connection.execute(select(rotation.c.destroyed_since)).scalar()
            zero_keks(ring, connection, [kek_id], clock())
            # This destruction is part of the rotation and calls for no further one.
            connection.execute(update(rotation).values(destroyed_since=destroyed_since))
        with ring.engine.begin() as connection:
            connection.execute(delete(keks).where(keks.c.id == kek_id))
    return 0


def _rewrap_keks(ring: Keyring, new: int) -> int:
    with ring.lock, ring.engine.begin() as connection:
        rows = connection.execute(
            select(keks).where(keks.c.generation < new, keks.c.wrapped != _ZEROS).limit(_PORTION)
        ).all()
        for row in rows:
            data = kek_data(row.id, row.data_class, row.epoch, new)
            wrapped = ring.root.wrap(new, ring.open_kek(row), data)
            connection.execute(
                update(keks).where(keks.c.id == row.id).values(generation=new, wrapped=wrapped)
            )
    return len(rows)


def _rewrap_secrets(ring: Keyring, new: int) -> None:
    with ring.engine.begin() as connection:
        for row in connection.execute(select(secrets).where(secrets.c.generation < new)).all():
            key = ring.root.unwrap(
                row.generation, row.wrapped, secret_data(row.name, row.generation)
            )
            wrapped = ring.root.wrap(new, key, secret_data(row.name, new))
            connection.execute(
                update(secrets)
                .where(secrets.c.name == row.name)
                .values(generation=new, wrapped=wrapped)
            )
