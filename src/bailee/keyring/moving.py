"""Moving many keys to other epochs at once, when what they protect is to live shorter or longer.

Like `Keyring.many`, in few statements for thousands. A key that is not there, or no more, is not
made: what moves must exist. One that can't be opened stays where it is, and is named; the others
move. Doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_ignore

from bailee.db.among import among
from bailee.db.engine import storage_errors
from bailee.db.keys import deks, former_keks, keks, rotation
from bailee.errors import IntegrityError, StorageError
from bailee.keyring.epochs import epoch_of
from bailee.keyring.wrapping import SEALED_KEY_BYTES

if TYPE_CHECKING:
    from bailee.keyring.keyring import Keyring, Want

_PORTION = 1000
_ZEROS = bytes(SEALED_KEY_BYTES)

MOVE: Final = (
    update(deks)
    .where(deks.c.subject == bindparam("of"), deks.c.version == bindparam("was"))
    .values(kek_id=bindparam("to"), version=bindparam("next"), wrapped=bindparam("wrap"))
)
"""Puts a key under another KEK (`to`), by compare-and-swap on its version."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many keys had to be moved, and the subjects whose key could not be opened."""

    count: int
    damaged: tuple[str, ...]


def move(ring: Keyring, wants: Sequence[Want]) -> Moved:
    """Wrap the subjects' keys under the KEKs of their new expiry.

    Raises:
        StorageError: the store can't be read or written; call again.
    """
    moved = 0
    damaged: list[str] = []
    for start in range(0, len(wants), _PORTION):
        some = wants[start : start + _PORTION]
        with ring.lock, storage_errors("the keyring"):
            try:
                with ring.engine.begin() as connection:
                    moved += _move(ring, connection, some, damaged)
            finally:  # also when a commit failed, or only seemed to
                ring.forget(want.subject for want in some)
    return Moved(moved, tuple(damaged))


def _move(ring: Keyring, connection: Connection, wants: Sequence[Want], damaged: list[str]) -> int:
    by_subject = {want.subject: want for want in wants}
    rows = connection.execute(select(deks).where(among(deks.c.subject, by_subject))).all()
    held = select(keks).where(keks.c.id.in_({row.kek_id for row in rows}), keks.c.wrapped != _ZEROS)
    olds = {row.id: row for row in connection.execute(held)}
    # Under no KEK that is there: destroyed, or damaged.
    lost = {*ring.living([row.subject for row in rows if row.kek_id not in olds])}
    targets: dict[tuple[str, int], tuple[str, bytes]] = {}
    swaps: list[dict[str, Any]] = []
    left: list[dict[str, Any]] = []
    dirty: set[str] = set()
    for row in rows:
        want, old = by_subject[row.subject], olds.get(row.kek_id)
        target = (want.data_class, epoch_of(want.expires_at))
        if old is None:
            if row.subject in lost:
                damaged.append(row.subject)
            continue
        if target == (old.data_class, old.epoch):
            continue
        if target not in targets:
            targets[target] = ring.current_kek(connection, *target)
        new_key = targets[target]
        try:
            old_key = (old.id, ring.open_kek(old))
            key = ring.unwrap_dek(row.subject, old.data_class, row.version, row.wrapped, old_key)
        except IntegrityError:
            damaged.append(row.subject)
            continue
        version = row.version + 1
        wrapped = ring.wrap_dek(row.subject, want.data_class, version, key, new_key)
        swaps.append(
            {
                "of": row.subject,
                "was": row.version,
                "to": new_key[0],
                "next": version,
                "wrap": wrapped,
            }
        )
        left.append({"subject": row.subject, "kek_id": old.id})
        if target[1] < old.epoch:
            dirty.add(old.id)
    if not swaps:
        return 0
    swapped = connection.execute(MOVE, swaps).rowcount
    if swapped != len(swaps):
        raise StorageError("a key was moved by someone else at the same time.", hint="try again")
    connection.execute(insert_or_ignore(former_keks).on_conflict_do_nothing(), left)
    if dirty:
        connection.execute(update(keks).where(keks.c.id.in_(dirty)).values(dirty=True))
        connection.execute(update(rotation).values(destroyed_since=True))
    return swapped
