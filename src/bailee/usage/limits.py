"""Limits on what may be used, and whether a request is within them. Pure.

A limit is on money, tokens, requests or concurrency, of a person, an organisation, a team of one, a
key or everybody together, in a minute, day, week or month (UTC; a week begins on Monday). A request
is under every limit of its person, organisation, team and key; and under one for each measure and
span of what a member of the organisation may use: their own, else what each of their team may, else
each of the organisation. Of a team there are two amounts that its members share: the operator's,
and a pool, which the organisation's own admins set and may pause.

Rules kept here:

* Before a request goes on, what it may cost at the most is reserved; at its end what it did cost
  takes the place of that. While less is left than it may cost at the most, requests go one at a
  time: so all gateways over one database together go over a limit by one request at the most.
* What is refused is refused for the limit that holds it longest, so that nobody waits for a minute
  and is then told of a month.
* Money is micro-USD. Where the price of a model is not known, a limit on money goes by the highest
  price in the table: what is not known is not taken for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple


class Scope(StrEnum):
    """Whose use a limit is on. The values are stored: they do not change."""

    PERSON = "person"
    ORGANISATION = "organisation"
    TEAM = "team"
    KEY = "key"
    EVERYBODY = "everybody"
    MEMBER = "member"
    """A person in an organisation (`member_id`)."""
    MEMBERS = "members"
    """Each member of an organisation: what one uses is no other's."""
    TEAM_MEMBERS = "team_members"
    """Each member of a team."""
    POOL = "pool"
    """A team's pool: what its members share, as their organisation's admins say."""
    PAUSED_POOL = "paused_pool"
    """A pool that nothing is asked of for now, in the place of it: no request is under it."""
    DOCUMENT = "document"
    """An organisation, by what policy documents say of its use: none is set (`document_bounds`)."""


_NEAREST: Final = {Scope.MEMBER: 0, Scope.TEAM_MEMBERS: 1, Scope.MEMBERS: 2}
OF_MEMBERS: Final = frozenset(_NEAREST)
"""The scopes of what a member may use."""
_POOLS: Final = {Scope.POOL: Scope.PAUSED_POOL, Scope.PAUSED_POOL: Scope.POOL}
BY_ADMINS: Final = OF_MEMBERS.union(_POOLS)
"""The scopes of what an organisation's own admins set."""
EACH: Final = OF_MEMBERS - {Scope.MEMBER}
"""Those that are a rule: what it is used of is counted by member."""
UNCOUNTED: Final = EACH | {Scope.PAUSED_POOL}
"""Those of which nothing is counted as used."""
UNLIMITED: Final = 10**15
"""The largest amount. What a member may use is not limited by it: it lifts what would hold of their
team or organisation."""


class LimitMeasure(StrEnum):
    """What a limit is on. The values are stored."""

    MONEY = "money"
    TOKENS = "tokens"
    REQUESTS = "requests"
    CONCURRENCY = "concurrency"


LATER: Final = frozenset({LimitMeasure.MONEY, LimitMeasure.TOKENS})
"""What is held against a limit when it is counted, also of what was asked for before. A limit on
requests is of requests at the gateway."""


class LimitSpan(StrEnum):
    """How long a limit's window is. The values are stored."""

    MINUTE = "minute"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    NOW = "now"
    """Of concurrency, which has no window."""


class Subject(NamedTuple):
    """Whose use: `id` is a person's, an organisation's, a team's (`team_id`), a member's
    (`member_id`) or a key's, or an organisation's with the entry since which documents hold; of
    everybody it is empty.
    """

    scope: Scope
    id: str


def team_id(organisation: str, team: str) -> str:
    """How a team is named among subjects: `org_…/name`."""
    return f"{organisation}/{team}"


def member_id(organisation: str, person: str) -> str:
    """How a person in an organisation is named among subjects: `org_…/per_…`."""
    return f"{organisation}/{person}"


def other_pool(subject: Subject) -> Subject | None:
    """Of a pool that one which is paused, and of that one the pool: one of the two is there at a
    time. None: it is no pool.
    """
    other = _POOLS.get(subject.scope)
    return None if other is None else Subject(other, subject.id)


def organisation_of(subject: Subject) -> str:
    """The organisation that a subject is, or is in; of a person, a key and everybody, none."""
    named = subject.scope in {*BY_ADMINS, Scope.ORGANISATION, Scope.TEAM, Scope.DOCUMENT}
    return subject.id.partition("/")[0] if named else ""


@dataclass(frozen=True, slots=True)
class UsageLimit:
    """One limit. `amount`: micro-USD, tokens, requests, or requests under way at once. Of a policy
    document's: its `clause`, and what that `says`.
    """

    limit_id: str
    subject: Subject
    measure: LimitMeasure
    span: LimitSpan
    amount: int
    clause: str = ""
    says: str = ""


def limit_id(subject: Subject, measure: LimitMeasure, span: LimitSpan) -> str:
    """A limit's id: what it is on."""
    return ":".join((subject.scope, subject.id or "all", measure, span))


class Used(NamedTuple):
    """What was used in a window."""

    requests: int = 0
    tokens: int = 0
    money: int = 0


class UnderWay(NamedTuple):
    """What is reserved for requests that are under way."""

    requests: int = 0
    tokens: int = 0
    money: int = 0


class WantedUse(NamedTuple):
    """What a request may use at the most. `money` in micro-USD."""

    tokens: int
    money: int


class Window(NamedTuple):
    """A window of a subject's use. `start` in Unix seconds."""

    subject: Subject
    span: LimitSpan
    start: int


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """How a subject stands with a limit: what counts as used of it, and when its window ends (None:
    it has none).
    """

    limit: UsageLimit
    used: int
    ends: datetime | None

    @property
    def share(self) -> float:
        """How much of it is used: 1 is all."""
        return self.used / self.limit.amount if self.limit.amount else 1.0


@dataclass(frozen=True, slots=True)
class OverLimit:
    """That a request is over a limit. `waits`: there would be room once what is under way has
    ended, since that may have reserved more than it uses.
    """

    standing: LimitStanding
    waits: bool


def window_of(span: LimitSpan, now: datetime) -> tuple[datetime, datetime]:
    """The window that `now` is in: its beginning, and the moment at which it ends. UTC."""
    at = now.astimezone(UTC)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    match span:
        case LimitSpan.MINUTE:
            start = at.replace(second=0, microsecond=0)
            return start, start + timedelta(minutes=1)
        case LimitSpan.DAY:
            return day, day + timedelta(days=1)
        case LimitSpan.WEEK:
            start = day - timedelta(days=day.weekday())
            return start, start + timedelta(days=7)
        case LimitSpan.MONTH:
            start = day.replace(day=1)
            return start, (start + timedelta(days=32)).replace(day=1)
        case LimitSpan.NOW:
            return at, at


def resolved(limits: Sequence[UsageLimit], subjects: Sequence[Subject]) -> list[UsageLimit]:
    """Of these limits those that subjects are under, what each member may use as limits on them:
    for each measure and span the nearest. One that is `UNLIMITED` is among them.
    """
    found = [one for one in limits if one.subject.scope not in OF_MEMBERS]
    rules = sorted(
        (one for one in limits if one.subject.scope in OF_MEMBERS),
        key=lambda one: _NEAREST[one.subject.scope],
    )
    for member in subjects:
        if member.scope is not Scope.MEMBER:
            continue
        nearest_ones: dict[tuple[LimitMeasure, LimitSpan], UsageLimit] = {}
        for one in rules:
            theirs = (
                one.subject == member
                if one.subject.scope is Scope.MEMBER
                else organisation_of(one.subject) == organisation_of(member)
            )
            if theirs:
                nearest_ones.setdefault((one.measure, one.span), replace(one, subject=member))
        found += nearest_ones.values()
    return found


def windows(
    subjects: Sequence[Subject], limits: Sequence[UsageLimit], now: datetime
) -> list[Window]:
    """The windows in which what these subjects use is counted for their limits, each once."""
    among = {*subjects}
    found = {
        Window(one.subject, one.span, int(window_of(one.span, now)[0].timestamp()))
        for one in limits
        if one.subject in among
        and one.span is not LimitSpan.NOW
        and one.subject.scope not in UNCOUNTED
    }
    return sorted(found)


def standings(
    limits: Sequence[UsageLimit],
    used: Mapping[Window, Used],
    under_way: Mapping[Subject, UnderWay],
    now: datetime,
) -> list[LimitStanding]:
    """How each of these limits' subjects stands, without what is reserved."""
    return [_standing(one, used, under_way, now) for one in limits]


def over(
    limits: Sequence[UsageLimit],
    used: Mapping[Window, Used],
    under_way: Mapping[Subject, UnderWay],
    wanted: WantedUse,
    now: datetime,
) -> OverLimit | None:
    """The limit that a request of these limits' subjects is over, None if it is within all."""
    worst: OverLimit | None = None
    for one in limits:
        standing = _standing(one, used, under_way, now)
        reserved = under_way.get(one.subject, UnderWay())
        found: OverLimit | None = None
        if standing.used >= one.amount:
            found = OverLimit(standing, one.measure is LimitMeasure.CONCURRENCY)
        elif (
            reserved.requests and _more(one.measure, reserved, wanted) > one.amount - standing.used
        ):
            found = OverLimit(standing, True)
        if found is not None and (worst is None or _rank(found) > _rank(worst)):
            worst = found
    return worst


def _standing(
    one: UsageLimit,
    used: Mapping[Window, Used],
    under_way: Mapping[Subject, UnderWay],
    now: datetime,
) -> LimitStanding:
    if one.measure is LimitMeasure.CONCURRENCY:
        return LimitStanding(one, under_way.get(one.subject, UnderWay()).requests, None)
    start, end = window_of(one.span, now)
    found = used.get(Window(one.subject, one.span, int(start.timestamp())), Used())
    by_measure = {
        LimitMeasure.MONEY: found.money,
        LimitMeasure.TOKENS: found.tokens,
        LimitMeasure.REQUESTS: found.requests,
    }
    return LimitStanding(one, by_measure[one.measure], end)


def _more(measure: LimitMeasure, reserved: UnderWay, wanted: WantedUse) -> int:
    """What would be reserved with this request, of what is not counted as used yet."""
    if measure is LimitMeasure.MONEY:
        return reserved.money + wanted.money
    if measure is LimitMeasure.TOKENS:
        return reserved.tokens + wanted.tokens
    return 0  # a request counts as used when it begins


def _rank(found: OverLimit) -> tuple[bool, float]:
    ends = found.standing.ends
    return not found.waits, 0.0 if ends is None else ends.timestamp()


WARNED: Final = (0.95, 0.75)
"""The shares at which a client is warned."""


def nearest(found: Sequence[LimitStanding]) -> LimitStanding | None:
    """The limit on money, but for a minute's, of which most is used: what a person is shown. Not a
    pool, since clients call it the person's own.
    """
    money = [
        one
        for one in found
        if one.limit.measure is LimitMeasure.MONEY
        and one.limit.span is not LimitSpan.MINUTE
        and one.limit.subject.scope is not Scope.POOL
    ]
    return max(money, key=lambda one: one.share, default=None)
