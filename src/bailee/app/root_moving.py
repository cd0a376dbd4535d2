"""Moving a home's root key from one place to another, at the operator's word.

`keyring.root` says where it goes; where it was is said with the command. Every key that is under
the old root is wrapped under the new one, and then the old one is destroyed: a rotation under both.
Broken off, it is begun again in the same words, and goes on; until it is over nothing else opens
the home.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

from bailee.errors import InputError
from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.node.old_entries import NOBODY
from bailee.node.wiring import OpeningOptions


@dataclass(frozen=True, slots=True)
class MovedRoot:
    """The driver that holds the root key from now on, its generation, and for how many days the old
    one could still be brought back.
    """

    driver: str
    generation: int
    lag_days: float


def move_root(
    home: Home, coming_from: str, reason: str, **given: Unpack[OpeningOptions]
) -> MovedRoot:
    """Move the root key from `coming_from`, written as `keyring.root` is, to where that says.
    `given`: as `Node.open` takes it.

    Raises:
        InputError: the home is not there, or in use; or a setting is wrong.
        IntegrityError: one of the two roots is another home's, or damaged.
        StorageError: one can't be reached, or the keyring not be written; call again.
    """
    if not home.exists:
        raise InputError(f"there is no home at {home.path}.", code="not_found")
    with HomeLock(home), Node.open(home, coming_from=coming_from, **given) as node:
        done = node.vault.rotate(node.clock())
        driver = node.keyring.root_driver
        node.ledger.append(
            "keyring.moved",
            f"generation {done.generation}",
            {"driver": driver, "reason": reason[:300]},
            whose=NOBODY,
        )
        node.keyring.arrived()
        return MovedRoot(driver, done.generation, node.keyring.root_lag.total_seconds() / 86400)
