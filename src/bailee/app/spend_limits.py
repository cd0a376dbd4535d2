"""The vendor's admin API for spend limits, at the gateway's address, so that its tools work.

| request | answer |
|---|---|
| `GET /v1/organizations/spend_limits` | the limits of each member's spending in an organisation |
| `POST /v1/organizations/spend_limits` | one is set, in the place of the one on the same |
| `GET`, `DELETE …/{id}` | one of them; it is no more |
| `GET …/effective` | by member and period, which limit holds and what is spent of it |
| `GET …/audit` | who changed which, the newest first |

Rules kept here:

* Who asks, and how an error is told, is `spend_desk`'s.
* A parameter that is not known is refused: nobody takes a part for the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from starlette.applications import Starlette
from starlette.types import ASGIApp

from bailee.app.query_parameters import QueryParameters
from bailee.app.spend_desk import SpendAsked, SpendDesk
from bailee.app.spend_record import spend_changes, spend_moments
from bailee.errors import BaileeError, InputError
from bailee.gateway.routes import SPEND_LIMITS
from bailee.json_values import JsonObject
from bailee.node import Node
from bailee.operations import usage
from bailee.usage import spend_shapes
from bailee.usage.asking import member_subjects
from bailee.usage.limits import (
    UNLIMITED,
    LimitMeasure,
    LimitSpan,
    LimitStanding,
    Scope,
    Subject,
    UsageLimit,
    limit_id,
    window_of,
)
from bailee.usage.spend_shapes import (
    SPANS,
    TYPES,
    SpendMember,
    SpendPool,
    is_spend_limit,
    is_spend_pool,
    limit_beside,
    spend_limit_id,
    spend_pool,
)

_LONGEST_SEARCH: Final = 320


class SpendLimits:
    """The application over one home; `app` is the ASGI side. The server makes it; `app` is called
    on the gateway's event loop. It keeps nothing between requests.
    """

    def __init__(self, node: Node, desk: SpendDesk) -> None:
        self._node = node
        one = SPEND_LIMITS + "/{id}"
        self.app: Final[ASGIApp] = Starlette(
            routes=[
                desk.route(SPEND_LIMITS, "GET", self._list),
                desk.route(SPEND_LIMITS, "POST", self._set),
                desk.route(SPEND_LIMITS + "/effective", "GET", self._effective),
                desk.route(SPEND_LIMITS + "/audit", "GET", self._audit),
                desk.route(one, "GET", self._show),
                desk.route(one, "DELETE", self._delete),
            ]
        )

    # -- what is asked ---------------------------------------------------------------------------

    def _list(self, asked: SpendAsked) -> JsonObject:
        query = QueryParameters(
            asked.query, "limit", "page", "after_id", "before_id", "scope_type[]"
        )
        kinds = query.several("scope_type[]", tuple(TYPES.values()))
        limits = self._limits(asked.organisation)
        rows = self._shown(
            [one for one in limits if not kinds or TYPES[one.subject.scope] in kinds]
        )
        rows.sort(key=lambda row: (str(row["created_at"]), str(row["id"])))
        limit, after = query.limit(), query.one("after_id") or query.one("page")
        before = query.one("before_id")
        if after is not None and before is not None:
            raise InputError("either after_id or before_id.")
        ids = [row["id"] for row in rows]
        if not {after, before} <= {None, *ids}:
            raise InputError("there is no such place in the list.")
        if before is not None:
            end = ids.index(before)
            return spend_shapes.page(rows[:end], limit, max(0, end - limit))
        return spend_shapes.page(rows, limit, 0 if after is None else ids.index(after) + 1)

    def _set(self, asked: SpendAsked) -> JsonObject:
        QueryParameters(asked.query)
        wanted = spend_shapes.wanted(asked.body)
        of, member = asked.organisation, None
        if wanted.scope is Scope.TEAM_MEMBERS:
            of = f"{of}/{wanted.name}"
        if wanted.scope is Scope.MEMBER:
            member = wanted.name
        subject, pool = Subject(wanted.scope, of), None
        if wanted.pool is not None:
            if wanted.amount is None:
                self._found(asked.organisation, spend_limit_id(subject, wanted.span))
            pools = [
                spend_pool(one) for one in self._pools() if limit_beside(one.subject) == subject
            ]
            pool = wanted.pool.made_of(pools[0] if pools else None)
        if wanted.amount is not None:
            made = usage.limit(
                *(asked.asks, self._node, LimitMeasure.MONEY, wanted.amount),
                per=wanted.span,
                of=of,
                each=member is None,
                member=member,
            )
            subject = Subject(Scope(made.scope), made.subject)
        if pool is not None:
            usage.limit(
                *(asked.asks, self._node, LimitMeasure.MONEY, pool.amount),
                per=wanted.span,
                of=of,
                pool=True,
                paused=pool.paused,
            )
        elif wanted.pool is not None:
            self._remove_pool(asked, subject)
        which = spend_limit_id(subject, wanted.span)
        return self._shown([self._found(asked.organisation, which)])[0]

    def _show(self, asked: SpendAsked) -> JsonObject:
        QueryParameters(asked.query)
        return self._shown([self._found(asked.organisation, asked.id)])[0]

    def _delete(self, asked: SpendAsked) -> JsonObject:
        QueryParameters(asked.query)
        found = self._found(asked.organisation, asked.id)
        if found.span is LimitSpan.MONTH:
            self._remove_pool(asked, found.subject)
        if any(one.limit_id == found.limit_id for one in self._node.limits.limits()):
            usage.unlimit(asked.asks, self._node, found.limit_id)
        return spend_shapes.deleted(asked.id)

    def _effective(self, asked: SpendAsked) -> JsonObject:
        query = QueryParameters(asked.query, "limit", "page", "user_ids[]", "period[]", "q", "sort")
        spans = [SPANS[one] for one in query.several("period[]", tuple(SPANS))]
        query.several("sort", ("spend_desc",))
        by_spend = query.one("sort") is not None
        limit, after = query.limit(), query.one("page")
        if self._node.serving is not None:
            self._node.serving.measured()
        members = self._members(asked.organisation, query)
        sources = self._sources(asked.organisation)

        def standings(member: SpendMember) -> list[LimitStanding]:
            found = self._standings(asked, member, sources)
            return [one for one in found if not spans or one.limit.span in spans]

        some, next_page = (spend_shapes.most_spent if by_spend else spend_shapes.by_member)(
            members, standings, limit, after
        )
        return {
            "data": [
                spend_shapes.summary(one, sources[one.limit.limit_id], member)
                for member, found in some
                for one in found
            ],
            "next_page": next_page,
        }

    def _members(self, organisation: str, query: QueryParameters) -> list[SpendMember]:
        """The members that a question is about."""
        named, part = query.several("user_ids[]"), (query.one("q") or "").casefold()
        if len(part) > _LONGEST_SEARCH:
            raise InputError(f"q has more than {_LONGEST_SEARCH} characters.")
        teams = self._node.registry.groups.teams()
        found = [
            SpendMember(person, self._email(person), teams.get((organisation, person)))
            for person in (
                one.person_id for one in self._node.registry.organisations.members(organisation)
            )
            if not named or person in named
        ]
        return [one for one in found if one.has(part)]

    def _audit(self, asked: SpendAsked) -> JsonObject:
        limit = QueryParameters(asked.query, "limit").limit()
        found = spend_changes(self._node.ledger, asked.organisation)
        return {
            "data": [spend_shapes.audit_event(one) for one in reversed(found[-limit:])],
            "has_more": len(found) > limit,
        }

    def summaries(self, asked: SpendAsked, person: str) -> Mapping[LimitSpan, JsonObject]:
        """By span, how a member stands with what they may spend: a row of `/effective` each."""
        member, sources = self.member(asked.organisation, person), self._sources(asked.organisation)
        return {
            one.limit.span: spend_shapes.summary(one, sources[one.limit.limit_id], member)
            for one in self._standings(asked, member, sources)
        }

    def shown(self, limit: UsageLimit) -> JsonObject:
        """A limit as the API has it."""
        return self._shown([limit])[0]

    def member(self, organisation: str, person: str) -> SpendMember:
        """A member as they are called there."""
        team = self._node.registry.groups.team(organisation, person)
        return SpendMember(person, self._email(person), team)

    # -- inside ----------------------------------------------------------------------------------

    def _email(self, person: str) -> str | None:
        with suppress(BaileeError):  # a row that can't be read hides no other member
            return self._node.registry.people.get(person).email
        return None

    def _limits(self, organisation: str) -> list[UsageLimit]:
        """Its limits of members. A pool beside which there is none is shown beside one that lets
        everything through.
        """
        every = [one for one in self._node.limits.limits() if is_spend_limit(one, organisation)]
        found = [one for one in every if not is_spend_pool(one)]
        there = {(one.subject, one.span) for one in found}
        for one in every:
            subject = limit_beside(one.subject)
            if (subject, one.span) not in there:
                which = limit_id(subject, one.measure, one.span)
                found.append(UsageLimit(which, subject, one.measure, one.span, UNLIMITED))
        return found

    def _sources(self, organisation: str) -> dict[str, UsageLimit]:
        return {one.limit_id: one for one in self._limits(organisation)}

    def _standings(
        self, asked: SpendAsked, member: SpendMember, sources: Mapping[str, UsageLimit]
    ) -> list[LimitStanding]:
        """How a member stands with each of these limits that they are under."""
        subjects = member_subjects(asked.organisation, member.person, member.team)
        found = self._node.limits.standings_under(subjects, asked.asks.at, lifted=True)
        return [one for one in found if one.limit.limit_id in sources]

    def _found(self, organisation: str, which: str) -> UsageLimit:
        for one in self._limits(organisation):
            if spend_limit_id(one.subject, one.span) == which:
                return one
        raise InputError("there is no such spend limit.", code="not_found")

    def _shown(self, limits: Sequence[UsageLimit]) -> list[JsonObject]:
        """With the moments that the audit record has of them: it is asked once for all."""
        moments = spend_moments(self._node.ledger, limits)
        now = self._node.clock()
        pools = {(limit_beside(one.subject), one.span): one for one in self._pools()}
        return [
            spend_shapes.spend_limit(
                one,
                *moments.get((one.subject, one.span), (now, now)),
                self._spent(pools.get((one.subject, one.span))),
            )
            for one in limits
        ]

    def _pools(self) -> list[UsageLimit]:
        return [one for one in self._node.limits.limits() if is_spend_pool(one)]

    def _spent(self, pool: UsageLimit | None) -> tuple[SpendPool, int] | None:
        """A pool with what its team has spent, by the counts: also while it is paused."""
        if pool is None:
            return None
        if self._node.serving is not None:
            self._node.serving.measured()
        window = window_of(pool.span, self._node.clock())
        return spend_pool(pool), self._node.usage.used_by(pool.subject, *window).money

    def _remove_pool(self, asked: SpendAsked, subject: Subject) -> None:
        for one in self._pools():
            if limit_beside(one.subject) == subject:
                usage.unlimit(asked.asks, self._node, one.limit_id)


def beside(limits: SpendLimits) -> Mapping[str, ASGIApp]:
    """By route, what answers it."""
    names = ("", "/effective", "/audit", "/{id}")
    return {SPEND_LIMITS + name: limits.app for name in names}
