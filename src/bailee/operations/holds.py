"""What can be asked of a home about legal holds. They are the operator's, and nobody else's to see.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.roles import Permission
from bailee.cloud.sessions.store import Store
from bailee.errors import InputError
from bailee.feedback.reports import Reports
from bailee.keeping import holds
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, extended
from bailee.operations.operation import operation


@dataclass(frozen=True, slots=True)
class HoldSummary:
    """A hold as lists show it. What it is on is one of `session`, `report` and `cloud_session`."""

    hold: str
    session: str | None
    report: str | None
    cloud_session: str | None
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
class Released(HoldSummary):
    """A hold that was released, and what it had deferred."""

    driven: list[Driven]


@operation()
def place(
    asks: Asks,
    node: Node,
    reason: str,
    *,
    session: str | None = None,
    report: str | None = None,
    cloud_session: str | None = None,
) -> HoldSummary:
    """Hold a session, a report, or what a cloud session left: nothing of it is destroyed until the
    hold is released.
    """
    asks.require(node, Permission.HOLD_CHANGE)
    subject = _named(node, {"session": session, "report": report, "cloud session": cloud_session})
    if session is not None:
        node.vault.settle(session=session)
    hold = node.holds.place(subject, reason, asks.at)
    node.ledger.append("hold.placing_asked", hold.id, {"by": asks.actor.name})
    return _shown(node, hold)


@operation(makes_room=True)
def release(asks: Asks, node: Node, id: str) -> Released:
    """Release a hold; what it had deferred is done."""
    asks.require(node, Permission.HOLD_CHANGE)
    asked = node.holds.get(id)
    node.ledger.append("hold.release_asked", asked.id, {"by": asks.actor.name})
    hold = node.holds.release(id, asks.due)
    node.erasures.resume(asks.due)
    driven = [
        Driven(receipt.id, receipt.kind, receipt.state)
        for receipt in node.receipts.all(hold.subject)
        if receipt.deferred_at is not None
    ]
    return extended(Released, _shown(node, hold), driven=driven)


@operation()
def read(asks: Asks, node: Node, id: str) -> Iterator[str]:
    """What a hold keeps, as JSON Lines, also past its time: for the matter, by its reason, and on
    record first. The reason is under a key of the hold's: it is there when who is held was erased.
    """
    asks.require(node, Permission.HOLD_READ)
    hold = node.holds.get(id)
    reason = asks.why(node) if asks.reason else ""
    lines = node.holds.read(id)
    node.registry.staff.read(asks.actor, hold.subject, reason, whose=hold.id)
    node.ledger.append("hold.read", hold.subject, {"hold": hold.id, "by": asks.actor.name})
    return (line.decode() for line in lines)


@operation()
def list_(asks: Asks, node: Node) -> list[HoldSummary]:
    """All holds, also those that were released."""
    asks.require(node, Permission.HOLD_CHANGE)
    return [_shown(node, hold) for hold in node.holds.all()]


def named(subject: str) -> dict[str, str]:
    """An id as `place` takes it: by its beginning it says what it is of."""
    for name, prefix in (("report", Reports.prefix), ("cloud_session", Store.prefix)):
        if subject.startswith(prefix):
            return {name: subject}
    return {"session": subject}


def _named(node: Node, given: Mapping[str, str | None]) -> str:
    """The one thing that is named, by what it is."""
    named = [(what, subject) for what, subject in given.items() if subject is not None]
    if len(named) != 1:
        raise InputError(
            "a hold is on one thing.", hint="name a session, a report or a cloud session"
        )
    ((what, subject),) = named
    if node.holds.keeper(subject).what != what:
        raise InputError(f"there is no such {what}, or no more.", code="not_found")
    return subject


def _shown(node: Node, hold: holds.Hold) -> HoldSummary:
    what = node.holds.keeper(hold.subject).what
    return HoldSummary(
        hold.id,
        hold.subject if what == "session" else None,
        hold.subject if what == "report" else None,
        hold.subject if what == "cloud session" else None,
        hold.reason,
        hold.state,
        hold.requested_at,
        hold.placed_at,
        hold.released_at,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "hold.place": place,
    "hold.release": release,
    "hold.read": read,
    "hold.list": list_,
}
