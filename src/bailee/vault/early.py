"""Keys that would go before their time, because one bit of the keyring was flipped.

A KEK goes when its epoch has ended, and everything under it with it. Which epoch that is says its
row, and the KEK is bound to it: where the row says another, it does not open. Most of what does not
open is damaged otherwise, and goes at its time. But while a session is under it whose own row is
sound and whose time has not come, it is left, and named: the keyring can be put back, and then
nothing is lost. Reads, and changes nothing.

Rows: R5.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, select

from bailee.damage import Damages
from bailee.db.among import among
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.vault import sessions
from bailee.errors import StorageError
from bailee.keyring import Keyring
from bailee.keyring.epochs import ends_at, last_ended
from bailee.vault.record import subject_of

_SAID: Final = "its epoch is not what was written: sessions whose time has not come are under it."


def too_early(
    engine: Engine, keyring: Keyring, due: Sequence[str], now: datetime, damages: Damages
) -> set[str]:
    """Those of the KEKs that are `due` whose time has not come; they are noted. While the root is
    away nothing is told of any: destroying does not wait for it.

    Raises:
        StorageError: a store can't be read.
    """
    try:
        closed = keyring.unopened(due)
    except StorageError as error:
        if error.code != "root_unreachable":
            raise
        return set()
    prefix = subject_of("")
    found: set[str] = set()
    for kek_id, subjects in closed.items():
        ids = [one.removeprefix(prefix) for one in subjects if one.startswith(prefix)]
        later = sessions.c.expires_at > ends_at(last_ended(now))
        query = select(sessions.c.id).where(among(sessions.c.id, ids), later, sound(sessions))
        with storage_errors("the vault's index"), reading(engine) as connection:
            if connection.execute(query.limit(1)).first() is not None:
                damages.note(f"KEK {kek_id}", _SAID)
                found.add(kek_id)
    return found
