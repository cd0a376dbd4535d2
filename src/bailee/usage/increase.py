"""A member's request for more than a limit allows. Pure.

A member of an organisation under a limit on money by the day, week or month asks for so much. Who
may set what members may use approves it, with an amount of their own, or denies it. What is granted
is a limit of that member's, as any other.

Nobody says why in words: a request is who, how much, when, and what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bailee.usage.limits import OF_MEMBERS, LimitMeasure, LimitSpan, UsageLimit

SPANS: Final = (LimitSpan.DAY, LimitSpan.WEEK, LimitSpan.MONTH)
"""In what more can be asked for."""
NEWEST: Final = 20
"""How many of their own a person is shown."""


class IncreaseState(StrEnum):
    """What became of a request. The values are stored, and are the vendor's."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class IncreaseRequest:
    """That a member asks for `amount` micro-USD in a span. `granted`: how much they got; `until`:
    when the request goes. `decided_by`: an id, or `operator`.
    """

    id: str
    organisation: str
    person: str
    span: LimitSpan
    amount: int
    state: IncreaseState
    asked_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    granted: int | None
    until: datetime


def is_asked_beyond(limit: UsageLimit) -> bool:
    """Whether it is a limit beyond which a member can ask for more."""
    of_members = limit.subject.scope in OF_MEMBERS
    return of_members and limit.measure is LimitMeasure.MONEY and limit.span in SPANS
