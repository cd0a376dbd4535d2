"""Whether each promise of a home is kept now.

What is counted is counted when it is asked for; how a server stands is its watch's word. The last
check of a whole home is what `bailee verify` left in the audit record.

Rows: P3, R5, R6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from bailee.accounts.roles import Permission
from bailee.keeping.receipts import INACCESSIBLE, KEY_DESTROYED, REQUESTED
from bailee.keyring.epochs import ends_at
from bailee.node import Node, verifying
from bailee.node.promises import GRACE, LateOnes, PromiseFacts, PromiseStanding, judged
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.home import VERIFIED
from bailee.operations.operation import operation

_KEYS: Final = "keys"


@dataclass(frozen=True, slots=True)
class KeptPromises:
    """How each promise stands at `at`. `server`: one runs, without which some can't be known."""

    at: datetime
    server: bool
    promises: list[PromiseStanding]


@operation()
def promises(asks: Asks, node: Node) -> KeptPromises:
    """Whether each promise is kept now, and how that is known."""
    asks.require(node, Permission.RETENTION_READ)
    facts = found(node, asks.due)
    return KeptPromises(facts.now, facts.server, judged(facts))


def found(node: Node, now: datetime) -> PromiseFacts:
    """What is found of a home at `now`. Whoever shows it has asked whether it may."""
    health = None if node.serving is None else node.serving.health()
    before = now - GRACE
    receipts = node.vault.receipts
    notes = {note.name: note for note in node.sweeping.notes()}
    node.sweeping.mind_clock()
    lag = before - node.vault.lag(now).at_most
    return PromiseFacts(
        now=now,
        server=health is not None,
        reasons=() if health is None else health.reasons,
        alerts=() if health is None else health.alerts,
        failing=[name for name, note in notes.items() if note.error is not None],
        swept=notes[_KEYS].succeeded_at if _KEYS in notes else None,
        overdue=_overdue(node, before),
        deletions=LateOnes(*receipts.late([REQUESTED, INACCESSIBLE], REQUESTED, before)),
        erasures=LateOnes(*node.erasures.rows.late(before)),
        recoverable=LateOnes(*receipts.late([KEY_DESTROYED], KEY_DESTROYED, lag)),
        snapshot_until=node.snapshots.until(),
        moves=LateOnes(*node.vault.moving.late(before)),
        unasked=_unasked(node),
        damaged=len(verifying.known(node)),
        verified=_verified(node),
        witnesses=bool(node.cosigning.trust.witnesses),
        requests=LateOnes(*node.cases.late(now)),
        requests_open=node.cases.open_ones(),
        clock_held=node.minding is not None and node.minding.clock.step() is not None,
    )


def _overdue(node: Node, before: datetime) -> LateOnes:
    due = node.keyring.due(before)
    return LateOnes(len(due), ends_at(due[0].epoch) if due else None)


def _unasked(node: Node) -> int:
    """How many people the question is open for, whose last day to answer it has passed."""
    if node.policy.phase(node.clock().date()) != "after_deadline":
        return 0
    choices = node.registry.choices

    @cache
    def is_asked(plan: str, choice: str) -> bool:
        return choices.asked_on_plan(plan, choice, "existing").asks

    return sum(
        account.person_id is not None and is_asked(account.plan, account.training_choice)
        for account in node.accounts.every()
    )


def _verified(node: Node) -> tuple[datetime, int] | None:
    """When the whole home was checked last, and how much was found damaged."""
    for entry in node.ledger.latest(1, kind=VERIFIED):
        count = entry.body.get("damaged")
        return entry.at, count if isinstance(count, int) else 0
    return None


OPERATIONS: Final[Mapping[str, Function]] = {"promises": promises}
