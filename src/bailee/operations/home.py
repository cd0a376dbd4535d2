"""What can be asked of a home as a whole: to check it, its root key, its time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.roles import Permission
from bailee.errors import InputError, StorageError
from bailee.node import Node, verifying
from bailee.node.minding import in_words
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation
from bailee.steady import HeldStep

VERIFIED: Final = "home.verified"
"""The kind of the entry that says that the whole home was checked."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The root's newest generation, how many keys it replaced and wrapped anew, and how many did
    not open and were left aside. `recoverable_until`: when no older root can be brought back any
    more; None: none can. `keys_until`: until when a snapshot of the keys lives, likewise.
    """

    generation: int
    replaced: int
    rewrapped: int
    damaged: int
    recoverable_until: datetime | None
    keys_until: datetime | None


@dataclass(frozen=True, slots=True)
class ClockStep:
    """How far the machine's clock is ahead of the home's time (behind it: less than none), for how
    long, and what to do about it.
    """

    seconds: int
    lasted_seconds: int
    in_words: str


@dataclass(frozen=True, slots=True)
class Clock:
    """The home's time. `minded`: it is not a test's; `step`: what is held of the machine's."""

    now: datetime
    minded: bool
    step: ClockStep | None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The step that is followed, and the home's time since."""

    seconds: int
    now: datetime


@operation()
def verify(asks: Asks, node: Node) -> verifying.Verified:
    """Check the whole home, and say what is damaged. That it was checked is on record."""
    asks.require(node, Permission.HOME_VERIFY)
    found = verifying.verify(node, asks.at)
    with suppress(StorageError):  # who can't note it is told all the same
        node.ledger.append(VERIFIED, "home", {"damaged": len(found.damaged)})
    return found


@operation(makes_room=True)
def rotate(asks: Asks, node: Node) -> Rotated:
    """Rotate the root key: older copies of the keyring open nothing that was destroyed."""
    asks.require(node, Permission.KEYRING_ROTATE)
    if asks.reason:
        said = {"reason": asks.reason[:300]}
        node.ledger.append("keyring.rotation_asked", "root", said, whose=asks.actor.name)
    done = node.vault.rotate(asks.due)
    return Rotated(
        done.generation,
        done.replaced_keks,
        done.rewrapped_deks,
        len(node.keyring.damaged()),
        node.vault.lag(node.clock()).until,
        node.snapshots.until(),
    )


@operation()
def clock(asks: Asks, node: Node) -> Clock:
    """The home's time, and whether the machine's clock has stepped away from it."""
    asks.require(node, Permission.RETENTION_READ)
    node.sweeping.mind_clock()
    held = None if node.minding is None else node.minding.clock.step()
    return Clock(node.clock(), node.minding is not None, None if held is None else _shown(held))


def _shown(step: HeldStep) -> ClockStep:
    seconds = step.by.total_seconds()
    return ClockStep(round(seconds), round(step.lasted.total_seconds()), in_words(seconds))


@operation()
def confirm_clock(asks: Asks, node: Node) -> Confirmed:
    """Say that the machine's clock is right although it has stepped: the home goes by it."""
    asks.require(node, Permission.CLOCK_CONFIRM)
    if node.minding is None:
        raise InputError("this home's time is a test's: it is what it is set to.")
    step = node.minding.confirm(node.ledger, node.sweeping.settle, by="confirmed")
    return Confirmed(round(step.by.total_seconds()), node.clock())


OPERATIONS: Final[Mapping[str, Function]] = {
    "verify": verify,
    "keyring.rotate": rotate,
    "clock.show": clock,
    "clock.confirm": confirm_clock,
}
