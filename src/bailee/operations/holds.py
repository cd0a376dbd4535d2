"""What can be asked of a home about legal holds. They are the operator's, and nobody else's to see.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.roles import Permission
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, extended
from bailee.operations.operation import operation
from bailee.vault import holds


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as lists show it."""

    hold: str
    session: str
    reason: str
    state: str
    requested: datetime
    placed: datetime | None
    released: datetime | None


@dataclass(frozen=True, slots=True)
class Driven:
    """What waited for a hold's end, and how far it has come."""

    receipt: str
    kind: str
    state: str


@dataclass(frozen=True, slots=True)
class Released(Hold):
    """A hold that was released, and what it had deferred."""

    driven: list[Driven]


@operation()
def place(asks: Asks, node: Node, session: str, reason: str) -> Hold:
    """Hold a session: nothing of it is destroyed until the hold is released."""
    asks.require(node, Permission.HOLD_CHANGE)
    hold = node.vault.place_hold(session, reason, asks.at)
    node.ledger.append("hold.placing_asked", hold.id, {"by": asks.actor.name})
    return _shown(hold)


@operation(makes_room=True)
def release(asks: Asks, node: Node, id: str) -> Released:
    """Release a hold; what it had deferred is done."""
    asks.require(node, Permission.HOLD_CHANGE)
    asked = node.vault.holds.get(id)
    node.ledger.append("hold.release_asked", asked.id, {"by": asks.actor.name})
    hold = node.vault.release_hold(id, asks.due)
    node.erasures.resume(asks.due)
    driven = [
        Driven(receipt.id, receipt.kind, receipt.state)
        for receipt in node.vault.receipts(hold.session_id)
        if receipt.deferred_at is not None
    ]
    return extended(Released, _shown(hold), driven=driven)


@operation()
def list_(asks: Asks, node: Node) -> list[Hold]:
    """All holds, also those that were released."""
    asks.require(node, Permission.HOLD_CHANGE)
    return [_shown(hold) for hold in node.vault.holds.all()]


def _shown(hold: holds.Hold) -> Hold:
    return Hold(
        hold.id,
        hold.session_id,
        hold.reason,
        hold.state,
        hold.requested_at,
        hold.placed_at,
        hold.released_at,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "hold.place": place,
    "hold.release": release,
    "hold.list": list_,
}
