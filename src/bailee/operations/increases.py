"""What can be asked of a home about requests for more than a limit allows.

A member asks for themselves; who may set what members may use sees what is asked in their
organisation, and decides it.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Final

import msgspec

from bailee.accounts.roles import Permission, may
from bailee.db.pages import place
from bailee.errors import BaileeError, InputError
from bailee.node import Node
from bailee.operations import pages
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page
from bailee.operations.operation import operation
from bailee.operations.usage import Amount
from bailee.usage.asking import member_subjects
from bailee.usage.increase import (
    NEWEST,
    SPANS,
    IncreaseRequest,
    IncreaseState,
    is_asked_beyond,
)
from bailee.usage.limit_store import MOST_AMOUNT
from bailee.usage.limits import LimitSpan, LimitStanding

AskedAmount = Annotated[int, msgspec.Meta(ge=1, le=MOST_AMOUNT)]
"""Micro-USD."""
_MOST_ORGANISATIONS: Final = 100


@dataclass(frozen=True, slots=True)
class IncreaseSummary:
    """That a member asks for more: `amount` micro-USD `per` day, week or month. `state`: pending,
    approved or denied; `granted`: how much they got; `kept_until`: when the request goes.
    """

    id: str
    organisation: str
    person: str
    email: str | None
    amount: int
    per: str
    state: str
    asked: datetime
    decided: datetime | None
    decided_by: str | None
    granted: int | None
    kept_until: datetime


@operation()
def ask(
    asks: Asks, node: Node, amount: AskedAmount, *, per: LimitSpan, organisation: str | None = None
) -> IncreaseSummary:
    """Ask for so much money (micro-USD) per day, week or month as who asks may use in an
    organisation: more than their limit there. One request at a time waits to be decided.
    """
    person, of = _member(asks, node, organisation)
    held = [one for one in standings(node, of, person, asks.at) if one.limit.span is per]
    if not held:
        raise InputError(
            "you have no limit of that time here.",
            hint="of another limit, ask whoever runs this server",
        )
    if amount <= held[0].limit.amount:
        raise InputError("you may use that much already.", hint="ask for more than your limit")
    if amount > MOST_AMOUNT:
        raise InputError("this is no amount for a limit.")
    account = node.accounts.of_organisation(of)
    until = node.deciding.usage_until(account, zero_retention=False, at=asks.due)
    if until is None:
        raise InputError("the policy document has no request for more kept.", code="forbidden")
    return summary(node, node.increases.ask(of, person, per, amount, now=asks.due, until=until))


@operation()
def list_(
    asks: Asks,
    node: Node,
    organisation: str | None = None,
    after: str | None = None,
    limit: Limit = 100,
    *,
    pending: bool = False,
    decidable: bool = False,
) -> Page[IncreaseSummary]:
    """The requests for more of an organisation's members, the newest first; `pending`: those that
    nobody has decided. Without an organisation, the last that who asks made; or with `decidable`
    those of every organisation in which who asks may decide them.
    """
    states = [IncreaseState.PENDING] if pending else []
    if organisation is None and decidable:
        where = _decided_by(asks, node)
        found = node.increases.page(where, asks.at, limit + 1, after, states=states)
        return pages.page(found, limit, partial(summary, node), _place)
    if organisation is None:
        if asks.actor.person_id is None:
            raise InputError("of which organisation?", hint="org_…")
        own = node.increases.of_person(asks.actor.person_id, asks.at, NEWEST)
        return Page([summary(node, one) for one in own if not pending or _is_open(one)])
    asks.require(node, Permission.MEMBERS_LIMIT, node.accounts.of_organisation(organisation))
    found = node.increases.page([organisation], asks.at, limit + 1, after, states=states)
    return pages.page(found, limit, partial(summary, node), _place)


@operation()
def approve(
    asks: Asks,
    node: Node,
    id: str,
    amount: Amount | None = None,
    *,
    per: LimitSpan | None = None,
) -> IncreaseSummary:
    """Grant a request for more: as much as was asked for, or so much money (micro-USD); in what was
    asked for or another `per`. It is the member's own limit from then on.
    """
    found = decidable_one(asks, node, id)
    if per is not None and per not in SPANS:
        raise InputError("there is no such time for it.", hint=", ".join(SPANS))
    if node.serving is not None:
        node.serving.measured()  # what was used before counts
    granted = found.amount if amount is None else amount
    node.increases.approve(found, granted, per or found.span, asks.due, by=asks.actor.name)
    return summary(node, node.increases.get(id, asks.at))


@operation()
def deny(asks: Asks, node: Node, id: str) -> IncreaseSummary:
    """Deny a request for more: the member's limit stays."""
    node.increases.deny(decidable_one(asks, node, id), asks.due, by=asks.actor.name)
    return summary(node, node.increases.get(id, asks.at))


def waiting(asks: Asks, node: Node) -> Mapping[str, int]:
    """How many requests wait for who asks to decide them, by organisation; of 100 at the most."""
    return node.increases.waiting(_decided_by(asks, node), asks.at, _MOST_ORGANISATIONS)


def decidable_one(asks: Asks, node: Node, request_id: str) -> IncreaseRequest:
    """A request that who asks may decide, whether it was decided or not.

    Raises:
        InputError: there is none, or they may not.
    """
    found = node.increases.get(request_id, asks.at)
    account = node.accounts.of_organisation(found.organisation)
    asks.require(node, Permission.MEMBERS_LIMIT, account)
    return found


def standings(node: Node, organisation: str, person: str, now: datetime) -> list[LimitStanding]:
    """How a member stands with the limits beyond which they can ask for more."""
    team = node.registry.groups.team(organisation, person)
    subjects = member_subjects(organisation, person, team)
    found = node.limits.standings_under(subjects, now)
    return [one for one in found if is_asked_beyond(one.limit)]


def summary(node: Node, one: IncreaseRequest) -> IncreaseSummary:
    """A request as it is shown. Who can't be read has no email, and hides no other."""
    email = None
    with suppress(BaileeError):
        email = node.registry.people.get(one.person).email
    return IncreaseSummary(
        one.id,
        one.organisation,
        one.person,
        email,
        one.amount,
        one.span,
        one.state,
        one.asked_at,
        one.decided_at,
        one.decided_by,
        one.granted,
        one.until,
    )


def _decided_by(asks: Asks, node: Node) -> list[str] | None:
    """The organisations in which who asks may decide; None: in every one."""
    actor, authority = asks.actor, node.registry.authority
    if actor.operator:
        return None
    if actor.person_id is None:
        return []
    places = node.registry.organisations.of_person(actor.person_id)
    return [
        one.organisation_id
        for one in places
        if may(
            Permission.MEMBERS_LIMIT,
            authority.standings(actor, node.accounts.of_organisation(one.organisation_id)),
        )
    ]


def _place(one: IncreaseRequest) -> str:
    return place(one.asked_at, one.id)


def _is_open(one: IncreaseRequest) -> bool:
    return one.state is IncreaseState.PENDING


def _member(asks: Asks, node: Node, named: str | None) -> tuple[str, str]:
    """Who asks, and in which organisation.

    Raises:
        InputError: it is nobody, or they are not in it.
    """
    actor = asks.actor
    if actor.person_id is None:
        raise InputError("it takes a person who asks for themselves.", code="forbidden")
    places = node.registry.organisations.of_person(actor.person_id)
    mine = [one.organisation_id for one in places]
    if named is None and actor.account_id is not None:
        named = node.accounts.get(actor.account_id).organisation_id
    if named is None and len(mine) != 1:
        raise InputError("in which organisation?", hint=", ".join(mine) or "you are in none")
    of = mine[0] if named is None else named
    if of not in mine:
        raise InputError("you are in no such organisation.", code="not_found")
    return actor.person_id, of


OPERATIONS: Final[Mapping[str, Function]] = {
    "increase.ask": ask,
    "increase.list": list_,
    "increase.approve": approve,
    "increase.deny": deny,
}
