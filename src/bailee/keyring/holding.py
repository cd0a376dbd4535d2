"""Holding a key beyond its epoch: a second wrap of it, under a KEK that belongs to no expiry.

So the KEK of the epoch can be destroyed on time for everything else that was under it. A held key
is a subject of its own (`name`) and is destroyed like any other, which marks the KEK of holds
dirty: the next rotation makes older copies of the wrap worthless.
"""

from __future__ import annotations

from typing import Final

from bailee.db.engine import reading, storage_errors
from bailee.keyring.store import Dek, KeyStore
from bailee.keyring.taking import get

DATA_CLASS: Final = "hold"
NEVER: Final = 2**31 - 1
"""An epoch that no clock reaches: some 120,000 years ahead."""


def hold(store: KeyStore, name: str, subject: str) -> None:
    """Wrap the key of `subject` once more, as `name`. Doing it twice changes nothing. Errors as in
    `Keyring.hold`.
    """
    with store.lock, storage_errors("the keyring"):
        with reading(store.engine) as connection:
            if store.rows(connection, [name]):
                return
        key = get(store, subject).key
        with store.engine.begin() as connection:
            (kek,) = store.current_keks(connection, [(DATA_CLASS, NEVER)]).values()
            store.add(connection, [(Dek(name, DATA_CLASS, NEVER, kek.id, 1, key), kek)])
