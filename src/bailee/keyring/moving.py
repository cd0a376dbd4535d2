"""Moving keys to other epochs, when what they protect is to live shorter or longer.

A key that is not there, or no more, is not made: what moves must exist. One that can't be opened
stays where it is, and is named; the others move. Doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, update

from bailee.db.engine import storage_errors
from bailee.db.keys import former_keks, keks, rotation
from bailee.db.portable import insert as insert_or_ignore
from bailee.errors import IntegrityError
from bailee.keyring import damage
from bailee.keyring.epochs import epoch_of
from bailee.keyring.store import Dek, KeyStore, Swap

_PORTION: Final = 1000


@dataclass(frozen=True, slots=True)
class Want:
    """A subject's key is wanted, to live until `expires_at`."""

    subject: str
    data_class: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Moved:
    """How many keys had to be moved, and the subjects whose key could not be opened."""

    count: int
    damaged: tuple[str, ...]


def move(store: KeyStore, wants: Sequence[Want]) -> Moved:
    """Wrap the subjects' keys under the KEKs of their new expiry, thousands at once. Errors as in
    `Keyring.move`.
    """
    moved = 0
    damaged: list[str] = []
    for start in range(0, len(wants), _PORTION):
        some = {want.subject: want for want in wants[start : start + _PORTION]}
        with store.lock, storage_errors("the keyring"):
            try:
                with store.engine.begin() as connection:
                    moved += _move(store, connection, some, damaged)
            finally:  # also when a commit failed, or only seemed to
                store.forget(some)
    return Moved(moved, tuple(damaged))


def _move(
    store: KeyStore, connection: Connection, wants: dict[str, Want], damaged: list[str]
) -> int:
    targets: list[tuple[Dek, str, int]] = []
    closed: list[str] = []
    for subject, row in store.rows(connection, list(wants)).items():
        want = wants[subject]
        target = (want.data_class, epoch_of(want.expires_at))
        if target == (row.data_class, row.epoch):
            continue
        try:
            targets.append((store.open_dek(connection, row), *target))
        except IntegrityError:  # destroyed, or damaged
            closed.append(subject)
    damaged += damage.living(connection, closed)
    shift(store, connection, targets)
    return len(targets)


def shift(
    store: KeyStore, connection: Connection, targets: Sequence[tuple[Dek, str, int]]
) -> list[Dek]:
    """Put keys that are open under the KEKs of another class and epoch, those that are not there
    already; the keys as they are then. The caller holds the lock.

    Raises:
        StorageError: one was moved by somebody else meanwhile.
    """
    under = store.current_keks(
        connection,
        {
            (kind, epoch)
            for dek, kind, epoch in targets
            if (kind, epoch) != (dek.data_class, dek.epoch)
        },
    )
    found: list[Dek] = []
    swaps: list[Swap] = []
    left: list[dict[str, str]] = []
    dirty: set[str] = set()
    for dek, data_class, epoch in targets:
        if (data_class, epoch) == (dek.data_class, dek.epoch):
            found.append(dek)
            continue
        kek = under[data_class, epoch]
        moved = Dek(dek.subject, data_class, epoch, kek.id, dek.version + 1, dek.key)
        found.append(moved)
        swaps.append(Swap(dek.subject, moved.version, kek.id, store.wrap(moved, kek)))
        left.append({"subject": dek.subject, "kek_id": dek.kek_id})
        if epoch < dek.epoch:
            dirty.add(dek.kek_id)
    if not swaps:
        return found
    store.rewrap(connection, swaps)
    connection.execute(insert_or_ignore(former_keks).on_conflict_do_nothing(), left)
    if dirty:
        connection.execute(update(keks).where(keks.c.id.in_(dirty)).values(dirty=True))
        connection.execute(update(rotation).values(destroyed_since=True))
    return found
