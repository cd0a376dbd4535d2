"""Holding a key beyond its epoch: a second wrap of it, under a KEK that belongs to no expiry.

So the KEK of the epoch can be destroyed on time for everything else that was under it. A held key
is a subject of its own (`name`) and is destroyed like any other, which marks the KEK of holds
dirty: the next rotation makes older copies of the wrap worthless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select

from bailee.db.engine import storage_errors
from bailee.db.keys import deks

if TYPE_CHECKING:
    from bailee.keyring.keyring import Keyring

DATA_CLASS: Final = "hold"
NEVER: Final = 2**31 - 1
"""An epoch that no clock reaches: some 120,000 years ahead."""


def hold(ring: Keyring, name: str, subject: str) -> None:
    """Wrap the key of `subject` once more, as `name`. Doing it twice changes nothing.

    Raises:
        IntegrityError: the key has been destroyed (`key_destroyed`) or tampered with.
        StorageError: the store can't be read or written.
    """
    with ring.lock:
        with storage_errors("the keyring"), ring.engine.begin() as connection:
            if connection.execute(select(deks.c.subject).where(deks.c.subject == name)).first():
                return
        key = ring.get(subject).key
        with storage_errors("the keyring"), ring.engine.begin() as connection:
            kek = ring.current_kek(connection, DATA_CLASS, NEVER)
            wrapped = ring.wrap_dek(name, DATA_CLASS, 1, key, kek)
            connection.execute(
                insert(deks).values(subject=name, kek_id=kek[0], version=1, wrapped=wrapped)
            )
