"""What the audit record says of spend limits: since when there are which, and who changed which.

No column says it again: `SpendLimits` asks for it with each answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bailee.ledger import Leaf, Ledger
from bailee.usage.limits import LimitMeasure, LimitSpan, Scope, Subject, UsageLimit
from bailee.usage.spend_shapes import (
    SpendChange,
    SpendPool,
    is_spend_limit,
    is_spend_pool,
    limit_beside,
)

_CHANGES: Final = 1000
_CHANGES_OF_ALL: Final = 10_000
_SET, _REMOVED = "usage.limit_set", "usage.limit_removed"

SpendMoments = dict[tuple[Subject, LimitSpan], tuple[datetime, datetime]]
"""By whose limit it is, and in what: when it was set first and last."""


def spend_moments(ledger: Ledger, limits: Sequence[UsageLimit]) -> SpendMoments:
    """Of these limits, so far as the record says it. A change of a pool is one of its limit."""
    found: SpendMoments = {}
    about = {one.subject.id for one in limits}
    for leaf in reversed(ledger.latest_about(_CHANGES_OF_ALL, (_SET, _REMOVED), about)):
        one = _limit(leaf)
        if one.measure is not LimitMeasure.MONEY:
            continue
        which = limit_beside(one.subject), one.span
        if leaf.kind == _REMOVED and which[0] == one.subject:
            found.pop(which, None)
        else:
            first, _ = found.get(which, (leaf.at, leaf.at))
            found[which] = first, leaf.at
    return found


def spend_changes(ledger: Ledger, organisation: str) -> list[SpendChange]:
    """The changes of an organisation's spend limits that are among the last of all, in order."""
    leaves = [*ledger.latest(_CHANGES, kind=_SET), *ledger.latest(_CHANGES, kind=_REMOVED)]
    held: dict[tuple[Subject, LimitSpan], int | SpendPool] = {}
    found = []
    for leaf in sorted(leaves, key=lambda one: one.number):
        limit, amount = _limit(leaf), leaf.body.get("amount")
        if not is_spend_limit(limit, organisation):
            continue
        subject, after = limit.subject, None if amount is None else int(amount)
        state: int | SpendPool | None = after
        if is_spend_pool(limit):
            subject = Subject(Scope.POOL, subject.id)
            paused = limit.subject.scope is Scope.PAUSED_POOL
            state = None if after is None else SpendPool(after, paused)
        before = held.pop((subject, limit.span), None)
        if state is not None:
            held[subject, limit.span] = state
        by = str(leaf.body["by"])
        found.append(SpendChange(leaf.number, leaf.at, by, subject, limit.span, before, state))
    return found


def _limit(leaf: Leaf) -> UsageLimit:
    """What limit an entry is about; its amount says the entry's body."""
    subject = Subject(Scope(str(leaf.body["scope"])), leaf.subject)
    measure, span = LimitMeasure(str(leaf.body["measure"])), LimitSpan(str(leaf.body["span"]))
    return UsageLimit("", subject, measure, span, 0)
