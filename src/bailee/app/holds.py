"""What can be asked of a home about legal holds. They are the operator's, and nobody else's to see.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from bailee.app.node import Node
from bailee.app.people import actor_of
from bailee.errors import InputError
from bailee.vault.holds import Hold

Arguments = Mapping[str, Any]


def _place(node: Node, arguments: Arguments) -> object:
    _require(node, arguments)
    hold = node.vault.place_hold(
        _text(arguments, "session"), _text(arguments, "reason"), _now(node, arguments)
    )
    return hold_view(hold)


def _release(node: Node, arguments: Arguments) -> object:
    _require(node, arguments)
    now = _now(node, arguments)
    hold = node.vault.release_hold(_text(arguments, "id"), now)
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
    node.registry.authority.require(actor_of(node, arguments), "hold.change")


def _now(node: Node, arguments: Arguments) -> datetime:
    given = arguments.get("now")
    return node.clock() if given is None else datetime.fromisoformat(given)


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise InputError(f"the argument {name!r} is missing.")
    return value


HOLDS: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "hold.place": _place,
    "hold.release": _release,
    "hold.list": _list,
}
