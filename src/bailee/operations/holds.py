"""What can be asked of a home about legal holds. They are the operator's, and nobody else's to see.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bailee.accounts.roles import Permission
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, due, moment, require, text
from bailee.vault.holds import Hold


def _place(node: Node, arguments: Arguments) -> object:
    _require(node, arguments)
    hold = node.vault.place_hold(
        text(arguments, "session"), text(arguments, "reason"), moment(node, arguments)
    )
    node.ledger.append("hold.placing_asked", hold.id, {"by": arguments.by.name})
    return hold_view(hold)


def _release(node: Node, arguments: Arguments) -> object:
    _require(node, arguments)
    now = due(node, arguments)
    asked = node.vault.holds.get(text(arguments, "id"))
    node.ledger.append("hold.release_asked", asked.id, {"by": arguments.by.name})
    hold = node.vault.release_hold(text(arguments, "id"), now)
    node.erasures.resume(now)
    return hold_view(hold) | {
        "driven": [
            {"receipt": receipt.id, "kind": receipt.kind, "state": receipt.state}
            for receipt in node.vault.receipts(hold.session_id)
            if receipt.deferred_at is not None
        ]
    }


def _list(node: Node, arguments: Arguments) -> object:
    _require(node, arguments)
    return [hold_view(hold) for hold in node.vault.holds.all()]


def hold_view(hold: Hold) -> dict[str, object]:
    """A hold as lists show it."""
    return {
        "hold": hold.id,
        "session": hold.session_id,
        "reason": hold.reason,
        "state": hold.state,
        "requested": hold.requested_at.isoformat(),
        "placed": hold.placed_at and hold.placed_at.isoformat(),
        "released": hold.released_at and hold.released_at.isoformat(),
    }


def _require(node: Node, arguments: Arguments) -> None:
    require(node, arguments, Permission.HOLD_CHANGE)


HOLDS: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "hold.place": _place,
    "hold.release": _release,
    "hold.list": _list,
}
