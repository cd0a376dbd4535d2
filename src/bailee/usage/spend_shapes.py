"""Limits on money for each member, as the vendor's admin API writes them. Pure.

Its tools set and show spend limits by `/v1/organizations/spend_limits`, and so does the vendor's
own gateway (its API as seen at version 2.1.332, and the shapes of its SDK). A limit there is what
each of some members may spend in a day, week or month: a member's, each of a team (it says
`rbac_group`), each of the organisation. A team's limit of the month can have a pool beside it
(`pooled_budget`), which the team's members share.

Rules kept here:

* What a request has that is not known is refused: nobody takes a limit for set that is not.
* Amounts are whole cents in a text. `null` sets one that lets everything through.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from bailee.errors import InputError
from bailee.json_values import Json, JsonObject, members, text
from bailee.money import CENT
from bailee.usage.limits import (
    OF_MEMBERS,
    UNLIMITED,
    LimitMeasure,
    LimitSpan,
    LimitStanding,
    Scope,
    Subject,
    UsageLimit,
    other_pool,
)

SPANS: Final = {
    "daily": LimitSpan.DAY,
    "weekly": LimitSpan.WEEK,
    "monthly": LimitSpan.MONTH,
}
"""Its periods."""
PERIODS: Final = {span: period for period, span in SPANS.items()}
"""And what we call them."""
TYPES: Final = {
    Scope.MEMBERS: "organization",
    Scope.TEAM_MEMBERS: "rbac_group",
    Scope.MEMBER: "user",
}
"""Its types of scope."""
_NAMES: Final = {
    "organization": (Scope.MEMBERS, None),
    "rbac_group": (Scope.TEAM_MEMBERS, "rbac_group_id"),
    "user": (Scope.MEMBER, "user_id"),
}
_AMOUNT: Final = re.compile(r"[0-9]{1,11}")  # less than `UNLIMITED`
_KNOWN: Final = frozenset(("scope", "amount", "period", "currency", "pooled_budget"))
_KNOWN_OF_POOL: Final = frozenset(("amount", "paused", "currency"))
_LONGEST_NAME: Final = 320
_PLACE: Final = re.compile(r"([0-9]{1,18}):(\w{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class SpendPool:
    """What a team's members share in a month, in micro-USD. `paused`: nothing is asked of it."""

    amount: int
    paused: bool


@dataclass(frozen=True, slots=True)
class WantedSpendPool:
    """What somebody says of a team's pool. `amount`: None takes it away; `says_amount`: whether
    that is said at all. `paused`: None where it is not said.
    """

    amount: int | None
    says_amount: bool
    paused: bool | None

    def made_of(self, before: SpendPool | None) -> SpendPool | None:
        """The pool that there is to be; None: there is none.

        Raises:
            InputError: it is not paused, and has no amount.
        """
        there = None if before is None else before.amount
        amount = self.amount if self.says_amount else there
        paused = self.paused
        if paused is None:
            paused = amount is None if before is None else before.paused
        if amount is not None:
            return SpendPool(amount, paused)
        if not paused:
            raise InputError("a pool that is not paused has an amount.")
        return None


@dataclass(frozen=True, slots=True)
class WantedSpendLimit:
    """A limit that somebody sets: whose (`name`: a person or a team; of each of the organisation,
    None), and at the most how many micro-USD in what. `amount`: None where it is left as it is,
    since something is said of the pool alone.
    """

    scope: Scope
    name: str | None
    amount: int | None
    span: LimitSpan
    pool: WantedSpendPool | None


@dataclass(frozen=True, slots=True)
class SpendChange:
    """A change of a limit or of its pool, as the audit record has it. `before`, `after`: micro-USD,
    or the pool; None: there was none, or is none any more.
    """

    number: int
    at: datetime
    by: str
    subject: Subject
    span: LimitSpan
    before: int | SpendPool | None
    after: int | SpendPool | None


@dataclass(frozen=True, slots=True)
class SpendMember:
    """A member of an organisation: the person's id, their email and team, where they have one."""

    person: str
    email: str | None
    team: str | None

    def has(self, part: str) -> bool:
        """Whether it is in what a member is called; `part` as `str.casefold` has it."""
        return any(part in (one or "").casefold() for one in (self.person, self.email, self.team))


_Standings = Callable[[SpendMember], list[LimitStanding]]
_Page = tuple[list[tuple[SpendMember, list[LimitStanding]]], str | None]
"""Members with how they stand, and where the next page begins; None: there is none."""


def by_member(
    members: Sequence[SpendMember], standings: _Standings, limit: int, after: str | None
) -> _Page:
    """At most so many members from a place on, by their ids."""
    rest = sorted(
        (one for one in members if one.person > (after or "")), key=lambda one: one.person
    )
    some = [(one, standings(one)) for one in rest[:limit]]
    return some, some[-1][0].person if len(rest) > limit else None


def most_spent(
    members: Sequence[SpendMember], standings: _Standings, limit: int, after: str | None
) -> _Page:
    """Likewise, who has spent most in one of their periods first. What is spent between two pages
    can move a member from one to the other.

    Raises:
        InputError: there is no such place.
    """
    place = _PLACE.fullmatch(after or "")
    if after is not None and place is None:
        raise InputError("there is no such place in the list.")
    stand = {one.person: (one, standings(one)) for one in members}
    spent = {
        person: max((each.used for each in found), default=0)
        for person, (_, found) in stand.items()
    }
    ranked = sorted((-micro, person) for person, micro in spent.items())
    if place is not None:
        ranked = [one for one in ranked if one > (-int(place[1]), place[2])]
    some = ranked[:limit]
    more = f"{-some[-1][0]}:{some[-1][1]}" if len(ranked) > limit else None
    return [stand[person] for _, person in some], more


def is_spend_limit(limit: UsageLimit, organisation: str) -> bool:
    """Whether it is one that this API shows of an organisation."""
    return (
        (limit.subject.scope in OF_MEMBERS or is_spend_pool(limit))
        and limit.subject.id.partition("/")[0] == organisation
        and limit.measure is LimitMeasure.MONEY
        and limit.span in PERIODS
    )


def is_spend_pool(limit: UsageLimit) -> bool:
    """Whether it is a team's pool that this API shows, paused or not."""
    return (
        other_pool(limit.subject) is not None
        and limit.measure is LimitMeasure.MONEY
        and limit.span is LimitSpan.MONTH
    )


def spend_pool(limit: UsageLimit) -> SpendPool:
    """The pool that a limit is."""
    return SpendPool(limit.amount, limit.subject.scope is Scope.PAUSED_POOL)


def limit_beside(pool: Subject) -> Subject:
    """The limit of each of the team, beside which a pool is shown; any other subject as it is."""
    return pool if other_pool(pool) is None else Subject(Scope.TEAM_MEMBERS, pool.id)


def spend_limit_id(subject: Subject, span: LimitSpan) -> str:
    """What a limit is called there: the same for the same, whatever its amount."""
    name = f"{subject.scope}:{subject.id}:{span}".encode()
    return "spl_" + base64.b32encode(hashlib.sha256(name).digest()[:15]).decode().lower()


def wanted(body: object) -> WantedSpendLimit:
    """What the body of a POST asks for.

    Raises:
        InputError: it is none, or has more than is known.
    """
    given = members(body)
    if not given or not _KNOWN.issuperset(given):
        raise InputError(
            "this is no spend limit.", hint='{"scope": …, "amount": …, "period": …}, and no more'
        )
    if given.get("currency", "USD") != "USD":
        raise InputError("amounts are in USD.")
    period = given.get("period", "monthly")
    span = SPANS.get(period) if isinstance(period, str) else None
    if span is None:
        raise InputError("there is no such period.", hint=", ".join(SPANS))
    scope, name = _scope(given.get("scope"))
    pool = _wanted_pool(given.get("pooled_budget"))
    if pool is not None and (scope, span) != (Scope.TEAM_MEMBERS, LimitSpan.MONTH):
        raise InputError("a pool is of a group, and monthly.")
    if "amount" not in given and pool is None:
        raise InputError("the amount is missing.", hint="cents in a text, or null")
    amount = micro_of(given["amount"]) if "amount" in given else None
    return WantedSpendLimit(scope, name, amount, span, pool)


def _wanted_pool(said: Json) -> WantedSpendPool | None:
    if said is None:
        return None
    given, paused = members(said), members(said).get("paused")
    if not isinstance(said, dict) or not _KNOWN_OF_POOL.issuperset(given):
        raise InputError("this is no pooled_budget.", hint='{"amount": …, "paused": …}')
    if given.get("currency", "USD") != "USD":
        raise InputError("amounts are in USD.")
    if paused is not None and not isinstance(paused, bool):
        raise InputError("paused is true or false.")
    amount = given.get("amount")
    return WantedSpendPool(None if amount is None else micro_of(amount), "amount" in given, paused)


def _scope(said: Json) -> tuple[Scope, str | None]:
    given = members(said)
    found = _NAMES.get(text(given.get("type")))
    if found is None:
        raise InputError("there is no such scope.", hint=f"its type is {', '.join(_NAMES)}")
    scope, called = found
    if {*given} != {"type", called} - {None}:
        raise InputError("this scope is named otherwise.", hint=f"by {called}" if called else None)
    name = None if called is None else text(given.get(called))
    if name is not None and not 0 < len(name) <= _LONGEST_NAME:
        raise InputError("this is no name of a scope.")
    return scope, name


def micro_of(amount: Json) -> int:
    """An amount, in micro-USD; of null, one that lets everything through.

    Raises:
        InputError: it is none.
    """
    if amount is None:
        return UNLIMITED
    if not isinstance(amount, str) or _AMOUNT.fullmatch(amount) is None:
        raise InputError("this is no amount.", hint='cents in a text: "5000" is $50.00')
    return int(amount) * CENT


def spend_limit(
    limit: UsageLimit,
    made: datetime,
    changed: datetime,
    pool: tuple[SpendPool, int] | None = None,
) -> JsonObject:
    """A limit, with when it was set first and last, and the pool beside it with what is spent."""
    has_pool = (limit.subject.scope, limit.span) == (Scope.TEAM_MEMBERS, LimitSpan.MONTH)
    shown: JsonObject = {} if not has_pool else {"pooled_budget": None if pool is None else {
        **_pool(pool[0]), "currency": "USD", "period_to_date_spend": _spent(pool[1]),
    }}  # fmt: skip
    return {
        "type": "spend_limit",
        "id": spend_limit_id(limit.subject, limit.span),
        "created_at": moment(made),
        "updated_at": moment(changed),
        "scope": _scope_of(limit.subject),
        "amount": _amount(limit.amount),
        "currency": "USD",
        "period": PERIODS[limit.span],
        "is_enabled": True,
        **shown,
    }


def deleted(spend_limit_id: str) -> JsonObject:
    """That a limit is no more."""
    return {"type": "spend_limit_deleted", "id": spend_limit_id}


def summary(standing: LimitStanding, source: UsageLimit, member: SpendMember) -> JsonObject:
    """How a member stands with what they may spend, and whose limit that is."""
    return {
        "scope": {"type": "user", "user_id": member.person},
        "actor": user_actor(member.person, member.email),
        "groups": [] if member.team is None else [member.team],
        "amount": _amount(standing.limit.amount),
        "currency": "USD",
        "period": PERIODS[standing.limit.span],
        "source": _scope_of(source.subject),
        "spend_limit_id": spend_limit_id(source.subject, source.span),
        "period_to_date_spend": _spent(standing.used),
    }  # fmt: skip


def user_actor(person: str, email: str | None) -> JsonObject:
    """Somebody."""
    return {
        "type": "user_actor", "user_id": person, "name": None, "email_address": email,
        "deleted": False,
    }  # fmt: skip


def audit_event(change: SpendChange) -> JsonObject:
    """A change of a limit, or of the pool beside it."""
    pool = other_pool(change.subject) is not None
    return {
        "type": "audit_event",
        "id": str(change.number),
        "created_at": moment(change.at),
        "actor": change.by,
        "action": f"spend_limit.{'delete' if change.after is None and not pool else 'upsert'}",
        "target_id": spend_limit_id(limit_beside(change.subject), change.span),
        "before": _state(change, change.before),
        "after": _state(change, change.after),
        "reason": None,
    }


def page(rows: Sequence[JsonObject], limit: int, at: int) -> JsonObject:
    """Some of a list of limits from a place on, as both ways to go through one have it."""
    some, rest = rows[at : at + limit], len(rows) > at + limit
    last = text(some[-1]["id"]) if some else None
    return {
        "data": [*some],
        "has_more": rest,
        "first_id": some[0]["id"] if some else None,
        "last_id": last,
        "next_page": last if rest else None,
    }


def _state(change: SpendChange, held: int | SpendPool | None) -> JsonObject | None:
    if held is None:
        return None
    shown: JsonObject = {"amount": _amount(held)} if isinstance(held, int) else {
        "pooled_budget": _pool(held)
    }  # fmt: skip
    return {
        "scope": _scope_of(limit_beside(change.subject)),
        **shown,
        "period": PERIODS[change.span],
    }


def _pool(pool: SpendPool) -> JsonObject:
    return {"amount": str(pool.amount // CENT), "paused": pool.paused}


def _spent(micro: int) -> str:
    return f"{(Decimal(micro) / CENT).quantize(Decimal('.001')):f}"


def _scope_of(subject: Subject) -> JsonObject:
    kind = TYPES[subject.scope]
    called = _NAMES[kind][1]
    named: JsonObject = {} if called is None else {called: subject.id.partition("/")[2]}
    return {"type": kind, **named}


def _amount(micro: int) -> str | None:
    return None if micro >= UNLIMITED else str(micro // CENT)


def moment(at: datetime) -> str:
    """A moment, as answers have it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
