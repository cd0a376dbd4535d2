"""What can be asked of a home about what is used of models, and the limits on it.

A person sees what they used; who administers an organisation, what its people did, and limits what
each of them may use; the operator sees and limits everybody. Counts alone: nothing here reads
content.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal

import msgspec

from bailee.accounts import Account
from bailee.accounts.groups import check_team
from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation
from bailee.operations.whose import find_person, named
from bailee.usage.asking import UsageAsker, member_subjects
from bailee.usage.client_shapes import oauth_usage
from bailee.usage.counts import UsageOf, UsageRow
from bailee.usage.document_bounds import bounds_on
from bailee.usage.limit_store import MOST_AMOUNT
from bailee.usage.limits import (
    BY_ADMINS,
    LimitMeasure,
    LimitSpan,
    LimitStanding,
    Scope,
    Subject,
    UsageLimit,
    limit_id,
    member_id,
    organisation_of,
    team_id,
    window_of,
)

Amount = Annotated[int, msgspec.Meta(ge=0, le=MOST_AMOUNT)]
"""Micro-USD, tokens, requests, or requests at once."""
_LONGEST: Final = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What was used from `since` to `until`, a row for each value of what it was asked by."""

    since: datetime
    until: datetime
    by: Sequence[str]
    rows: Sequence[UsageRow]


@dataclass(frozen=True, slots=True)
class LimitSummary:
    """A limit, and how its subject stands. `amount` and `used`: micro-USD, tokens, requests, or
    requests under way; `ends`: when what is used counts from nothing again; `clause`:
    of a policy document, which nobody sets here.
    """

    id: str
    scope: str
    subject: str
    measure: str
    per: str
    amount: int
    used: int
    ends: datetime | None
    clause: str = ""


@dataclass(frozen=True, slots=True)
class ModelListSummary:
    """The models that an organisation, a team of one, or the accounts of a plan, may ask."""

    scope: str
    subject: str
    models: Sequence[str]


@operation()
def show(
    asks: Asks,
    node: Node,
    *,
    by: tuple[str, ...] = ("day",),
    since: str | None = None,
    until: str | None = None,
    of: str | None = None,
) -> UsageReport:
    """What was used, by day, hour, person, organisation, team, account, key, client, model, channel
    or upstream, from a day (UTC) up to the end of another; without days, this month. `of`: a
    person, an organisation, a team (`org_…/name`) or an account; without one, of who asks, and for
    the operator of everybody.
    """
    whose = _whose(asks, node, of)
    first, last = _days(asks.at, since, until)
    if node.serving is not None:
        node.serving.measured()
    return UsageReport(first, last, by, node.usage.of(whose, first, last, by, asks.at))


@operation()
def limits(asks: Asks, node: Node, of: str | None = None) -> list[LimitSummary]:
    """The limits that hold and how much of each is used; as `usage.show` says whose."""
    whose = _whose(asks, node, of)
    if whose.person is not None:
        found = node.limits.standings_under(
            _subjects(node, whose), asks.at, bounds=_bounds(node, whose)
        )
    else:
        subjects = None if whose == UsageOf() else _subjects(node, whose)
        found = node.limits.standings(subjects, asks.at, _bounds(node, whose))
    return [_limit(one) for one in found]


@operation()
def limit(
    asks: Asks,
    node: Node,
    measure: LimitMeasure,
    amount: Amount,
    *,
    per: LimitSpan = LimitSpan.NOW,
    of: str | None = None,
    each: bool = False,
    member: str | None = None,
    pool: bool = False,
    paused: bool = False,
) -> LimitSummary:
    """Set a limit on money (micro-USD), tokens, requests or concurrency, `per` minute, day, week or
    month, of a person, an organisation, a team (`org_…/name`) or a key; without a name, of
    everybody together. `each`: of each member of the organisation or team, instead of all together;
    `member`: of this one in the organisation, in the place of what each may use. The largest amount
    lifts that. `pool`: of a team's pool, which its members share, and which its organisation's own
    admins set; while it is `paused`, nothing is asked of it.
    """
    if paused and not pool:
        raise InputError("what can be paused is a team's pool.")
    if pool:
        if each or member is not None:
            raise InputError("a pool is of a whole team.", hint="neither `each` nor `member`")
        subject = _pool(asks, node, of or "", paused=paused)
    elif each or member is not None:
        subject = _of_members(asks, node, of or "", member)
    else:
        asks.require(node, Permission.USAGE_LIMIT)
        subject = _subject(asks, node, of)
    made = _made(subject, measure, per, amount)
    if node.serving is not None:
        node.serving.measured()  # what was used before counts
    node.limits.set_limit(made, asks.due, by=asks.actor.name)
    (standing,) = [
        one for one in node.limits.standings([made.subject], asks.at) if one.limit == made
    ]
    return _limit(standing)


@operation()
def unlimit(asks: Asks, node: Node, id: str) -> None:
    """Take a limit away, by its id."""
    found = [one for one in node.limits.limits() if one.limit_id == id]
    by_admins = bool(found) and found[0].subject.scope in BY_ADMINS
    if by_admins:
        account = node.accounts.of_organisation(organisation_of(found[0].subject))
        asks.require(node, Permission.MEMBERS_LIMIT, account)
    else:
        asks.require(node, Permission.USAGE_LIMIT)
    if not found:
        raise InputError(
            "there is no such limit.", code="not_found", hint="see `bailee limits list`"
        )
    node.limits.remove_limit(found[0], by=asks.actor.name)


@operation()
def models(asks: Asks, node: Node) -> list[ModelListSummary]:
    """The lists of models that may be asked: the operator sees all, others those that hold for
    them.
    """
    every = [ModelListSummary(one.scope, one.subject, one.models) for one in node.limits.lists()]
    if asks.actor.operator:
        return every
    concerned = {
        name
        for account in _accounts(asks, node)
        for name in (account.plan, account.organisation_id)
    }
    if asks.actor.person_id is not None:
        concerned |= {
            team_id(one.organisation_id, one.team)
            for one in node.registry.groups.of_person(asks.actor.person_id)
            if one.team is not None and one.organisation_id in concerned
        }
    return [one for one in every if one.subject in concerned]


@operation()
def allow(
    asks: Asks, node: Node, models: tuple[str, ...] = (), *, of: str
) -> list[ModelListSummary]:
    """Say which models an organisation (org_…), a team of one (`org_…/name`), or the accounts of a
    plan, may ask; none named: all again. A name means its dated ids too; `claude-haiku-*` all that
    begin so.
    """
    asks.require(node, Permission.USAGE_LIMIT)
    if of.startswith("org_"):
        subject = _of_organisation(node, of)
        node.limits.set_models(subject.scope, of, models, by=asks.actor.name)
    elif of in node.policy.plans:
        node.limits.set_models("plan", of, models, by=asks.actor.name)
    else:
        raise InputError(
            "this is neither an organisation, nor a team, nor a plan.",
            code="not_found",
            hint=f"org_…, org_…/team, or one of: {', '.join(node.policy.plans)}",
        )
    return [ModelListSummary(one.scope, one.subject, one.models) for one in node.limits.lists()]


def usage_for_client(node: Node, asker: UsageAsker, now: datetime) -> dict[str, object]:
    """The document that Claude Code's `/usage` is made of (`GET /api/oauth/usage`), for a person
    who has signed in.
    """
    if node.serving is not None:
        node.serving.measured()
    starts = [window_of(span, now)[0] for span in (LimitSpan.DAY, LimitSpan.WEEK, LimitSpan.MONTH)]
    day, week, month = node.usage.spent(asker.person, starts, now)
    return oauth_usage(node.limits.standings_under(asker.subjects, now), (day, week, month))


def _whose(asks: Asks, node: Node, of: str | None) -> UsageOf:
    actor = asks.actor
    if of is None:
        if actor.operator:
            asks.require(node, Permission.USAGE_READ)
            return UsageOf()
        if actor.person_id is not None:
            return UsageOf(person=actor.person_id)
        account = node.accounts.get(actor.account_id or "")
        asks.require(node, Permission.USAGE_READ, account)
        return UsageOf(account=account.account_id)
    if of.startswith(("org_", "acc_")):
        name, _, team = of.partition("/")
        account = named(asks, node, name)
        asks.require(node, Permission.USAGE_READ, account)
        if account.organisation_id is not None:
            return UsageOf(organisation=account.organisation_id, team=team or None)
        return UsageOf(account=account.account_id)
    person = find_person(asks, node, of)
    if person.person_id != actor.person_id:
        asks.require(node, Permission.USAGE_READ)
    return UsageOf(person=person.person_id)


def _subjects(node: Node, whose: UsageOf) -> list[Subject]:
    """Whose limits are told of: theirs, and those of the keys that speak for them."""
    found: list[Subject] = []
    accounts = set()
    if whose.person is not None:
        found.append(Subject(Scope.PERSON, whose.person))
        for one in node.registry.organisations.of_person(whose.person):
            of = one.organisation_id
            found.append(Subject(Scope.ORGANISATION, of))
            found += member_subjects(of, whose.person, node.registry.groups.team(of, whose.person))
        found += [
            Subject(scope, team_id(one.organisation_id, one.team))
            for one in node.registry.groups.of_person(whose.person)
            if one.team is not None
            for scope in (Scope.TEAM, Scope.POOL, Scope.PAUSED_POOL)
        ]
    if whose.organisation is not None and whose.team is not None:
        team = team_id(whose.organisation, whose.team)
        scopes = Scope.TEAM, Scope.TEAM_MEMBERS, Scope.POOL, Scope.PAUSED_POOL
        return [Subject(scope, team) for scope in scopes]
    if whose.organisation is not None:
        found.append(Subject(Scope.ORGANISATION, whose.organisation))
        found += {
            one.subject
            for one in node.limits.limits()
            if one.subject.scope in BY_ADMINS and organisation_of(one.subject) == whose.organisation
        }
        accounts.add(node.accounts.of_organisation(whose.organisation).account_id)
    if whose.account is not None:
        accounts.add(whose.account)
    found += [
        Subject(Scope.KEY, key.key_id)
        for key, _ in node.accounts.api_keys()
        if key.account_id in accounts or (whose.person and key.person_id == whose.person)
    ]
    return found


def _bounds(node: Node, whose: UsageOf) -> list[UsageLimit]:
    """What policy documents say of the use of an organisation, or of those that a person is in."""
    names = [whose.organisation] if whose.organisation is not None and whose.team is None else []
    if whose.person is not None:
        names = [one.organisation_id for one in node.registry.organisations.of_person(whose.person)]
    return [limit for name in names for limit in bounds_on(name, node.holding.of(name)).limits]


def _subject(asks: Asks, node: Node, of: str | None) -> Subject:
    if of is None:
        return Subject(Scope.EVERYBODY, "")
    if of.startswith("key_"):
        return Subject(Scope.KEY, node.accounts.api_key(of).key_id)
    if of.startswith("org_"):
        return _of_organisation(node, of)
    return Subject(Scope.PERSON, find_person(asks, node, of).person_id)


def _of_organisation(node: Node, of: str) -> Subject:
    """An organisation (`org_…`), or a team of one (`org_…/name`)."""
    name, slash, team = of.partition("/")
    node.accounts.of_organisation(name)
    if not slash:
        return Subject(Scope.ORGANISATION, name)
    return Subject(Scope.TEAM, team_id(name, check_team(team)))


def _of_members(asks: Asks, node: Node, of: str, member: str | None) -> Subject:
    """What each member of an organisation (`org_…`) or of a team of one may use, or one of them."""
    if not of.startswith("org_"):
        raise InputError(
            "whose members? Name an organisation, or a team.", hint="org_…, or org_…/team"
        )
    name, slash, team = of.partition("/")
    asks.require(node, Permission.MEMBERS_LIMIT, node.accounts.of_organisation(name))
    if member is None:
        if not slash:
            return Subject(Scope.MEMBERS, name)
        return Subject(Scope.TEAM_MEMBERS, team_id(name, check_team(team)))
    if slash:
        raise InputError("a member has one limit in the organisation, whatever their team.")
    people = node.registry.people
    found = people.by_email(member) if "@" in member else None
    person = member if found is None else found.person_id
    if all(one.person_id != person for one in node.registry.organisations.members(name)):
        raise InputError("this is no member of the organisation.", code="not_found")
    return Subject(Scope.MEMBER, member_id(name, person))


def _pool(asks: Asks, node: Node, of: str, *, paused: bool) -> Subject:
    """A team's pool (`org_…/team`)."""
    name, _, team = of.partition("/")
    if not of.startswith("org_") or not team:
        raise InputError("whose pool? Name a team.", hint="org_…/team")
    asks.require(node, Permission.MEMBERS_LIMIT, node.accounts.of_organisation(name))
    scope = Scope.PAUSED_POOL if paused else Scope.POOL
    return Subject(scope, team_id(name, check_team(team)))


def _accounts(asks: Asks, node: Node) -> list[Account]:
    actor = asks.actor
    if actor.account_id is not None:
        return [node.accounts.get(actor.account_id)]
    if actor.person_id is None:
        raise InputError("it takes a key, or that you have signed in.", code="authentication")
    own = node.accounts.of_person(actor.person_id)
    places = node.registry.organisations.of_person(actor.person_id)
    found = [node.accounts.of_organisation(one.organisation_id) for one in places]
    return found if own is None else [own, *found]


def _made(subject: Subject, measure: LimitMeasure, per: LimitSpan, amount: int) -> UsageLimit:
    return UsageLimit(limit_id(subject, measure, per), subject, measure, per, amount)


def _limit(one: LimitStanding) -> LimitSummary:
    limit = one.limit
    return LimitSummary(
        limit.limit_id,
        limit.subject.scope,
        organisation_of(limit.subject) if limit.clause else limit.subject.id,
        limit.measure,
        limit.span,
        limit.amount,
        one.used,
        one.ends,
        limit.clause,
    )


def _days(now: datetime, since: str | None, until: str | None) -> tuple[datetime, datetime]:
    today = now.astimezone(UTC).date()
    first = today.replace(day=1) if since is None else _day(since, "since")
    last = today if until is None else _day(until, "until")
    start = datetime.combine(first, time(), UTC)
    end = datetime.combine(last, time(), UTC) + timedelta(days=1)
    if not timedelta(0) < end - start <= _LONGEST:
        raise InputError("there is no such time.", hint=f"at most {_LONGEST.days} days, in order")
    return start, end


def _day(said: str, name: Literal["since", "until"]) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise InputError(f"{name} is no day.", hint="write it as 2026-11-29") from None


OPERATIONS: Final[Mapping[str, Function]] = {
    "usage.show": show,
    "usage.limits": limits,
    "usage.limit": limit,
    "usage.unlimit": unlimit,
    "usage.models": models,
    "usage.allow": allow,
}
