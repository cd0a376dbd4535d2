"""The vendor's admin API for spend limits, at the gateway's address, so that its tools work.

| request | answer |
|---|---|
| `GET /v1/organizations/spend_limits` | the limits of each member's spending in an organisation |
| `POST /v1/organizations/spend_limits` | one is set, in the place of the one on the same |
| `GET`, `DELETE …/{id}` | one of them; it is no more |
| `GET …/effective` | by member and period, which limit holds and what is spent of it |
| `GET …/audit` | who changed which, the newest first |

Rules kept here:

* Who asks is known before a body is read: by a key or token of a person who administers the
  organisation, or by a key that speaks for the operator. What they may is asked of the operations
  that the command line asks too.
* The organisation is the key's; of who speaks for several, the one in `x-bailee-organization`.
* A parameter that is not known is refused: nobody takes a part for the whole.
* Nothing of it goes upstream. An error has the API's shape, and repeats nothing of what was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bailee.accounts.roles import Permission
from bailee.admission.requests import admit
from bailee.admission.workers import Workers
from bailee.app.query_parameters import QueryParameters
from bailee.errors import CODES, BaileeError, InputError
from bailee.gateway.routes import SPEND_LIMITS
from bailee.json_values import JsonObject
from bailee.ledger import Leaf
from bailee.node import Node
from bailee.operations import usage
from bailee.operations.asks import Asks, Via, asked_by, from_outside
from bailee.usage import spend_shapes
from bailee.usage.asking import member_subjects
from bailee.usage.limits import LimitMeasure, LimitSpan, LimitStanding, Scope, Subject, UsageLimit
from bailee.usage.spend_shapes import (
    SPANS,
    TYPES,
    SpendChange,
    SpendMember,
    is_spend_limit,
    spend_limit_id,
)

_log = logging.getLogger("bailee.spend_limits")
_LARGEST: Final = 8192
_THREADS: Final = 2
_WAITING: Final = 64
_CHANGES: Final = 1000
_CHANGES_OF_ALL: Final = 10_000
_LONGEST_SEARCH: Final = 320
_SET, _REMOVED = "usage.limit_set", "usage.limit_removed"
_HEADERS: Final = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, of whoever may ask it: about an organisation, with what stood in the address
    (`id`: which limit) and in the body.
    """

    asks: Asks
    organisation: str
    query: Mapping[str, list[str]]
    id: str
    body: object


class SpendLimits:
    """The application over one home; `app` is the ASGI side. The server makes it and closes it;
    `app` is called on the gateway's event loop. It owns the threads `spend-limits`, and keeps
    nothing between requests.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers = Workers("spend-limits", _THREADS, _WAITING)
        one = SPEND_LIMITS + "/{id}"
        self.app: Final[ASGIApp] = Starlette(
            routes=[
                self._route(SPEND_LIMITS, "GET", self._list),
                self._route(SPEND_LIMITS, "POST", self._set),
                self._route(SPEND_LIMITS + "/effective", "GET", self._effective),
                self._route(SPEND_LIMITS + "/audit", "GET", self._audit),
                self._route(one, "GET", self._show),
                self._route(one, "DELETE", self._delete),
            ]
        )

    def close(self) -> None:
        """Let the threads end with what they have begun."""
        self._workers.close()

    def _route(self, path: str, method: str, work: Callable[[_Asked], JsonObject]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._answered(request, work)

        return Route(path, endpoint, methods=[method], name=f"{method} {path}")

    async def _answered(self, request: Request, work: Callable[[_Asked], JsonObject]) -> Response:
        try:
            asks, organisation = await self._workers.do(partial(self._who, request))
            admit(request.scope)
            body = await _body(request) if request.method == "POST" else None
            query: dict[str, list[str]] = {}
            for name, value in request.query_params.multi_items():
                query.setdefault(name, []).append(value)
            query.pop("beta", None)
            which = request.path_params.get("id", "")
            asked = _Asked(asks, organisation, query, which, body)
            return Response(
                orjson.dumps(await self._workers.do(partial(work, asked))),
                media_type="application/json",
                headers=_HEADERS,
            )
        except BaileeError as error:
            return _refused(request, error)
        except Exception as defect:
            # Which kind alone: what it says may hold content.
            _log.error("a spend limit can't be answered: %s", type(defect).__name__)
            return _refused(request, BaileeError("this is a defect of bailee.", code="internal"))

    # -- who asks --------------------------------------------------------------------------------

    def _who(self, request: Request) -> tuple[Asks, str]:
        key = request.headers.get("x-api-key", "")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if not key and scheme.lower() == "bearer":
            key = bearer.strip()
        if not key:
            raise InputError("there is no API key.", code="authentication")
        asks = asked_by(self._node, from_outside(self._node, {"key": key}), Via.API)
        organisation = self._organisation(asks, request.headers.get("x-bailee-organization"))
        return asks, organisation

    def _organisation(self, asks: Asks, named: str | None) -> str:
        accounts, organisations = self._node.accounts, self._node.registry.organisations
        actor = asks.actor
        own = None if actor.account_id is None else accounts.get(actor.account_id).organisation_id
        if named is None and own is not None and not actor.operator:
            named = own
        if named is None:
            if actor.operator:
                found = [one.organisation_id for one in organisations.page(None, 2)[0]]
            else:
                places = organisations.of_person(actor.person_id or "")
                found = [one.organisation_id for one in places]
            if len(found) != 1:
                raise InputError(
                    "of which organisation?", hint="name it in the field x-bailee-organization"
                )
            (named,) = found
        asks.require(self._node, Permission.USAGE_READ, accounts.of_organisation(named))
        return named

    # -- what is asked ---------------------------------------------------------------------------

    def _list(self, asked: _Asked) -> JsonObject:
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

    def _set(self, asked: _Asked) -> JsonObject:
        QueryParameters(asked.query)
        wanted = spend_shapes.wanted(asked.body)
        of, member = asked.organisation, None
        if wanted.scope is Scope.TEAM_MEMBERS:
            of = f"{of}/{wanted.name}"
        if wanted.scope is Scope.MEMBER:
            member = wanted.name
        made = usage.limit(
            *(asked.asks, self._node, LimitMeasure.MONEY, wanted.amount),
            per=wanted.span,
            of=of,
            each=member is None,
            member=member,
        )
        subject = Subject(Scope(made.scope), made.subject)
        which = spend_limit_id(subject, wanted.span)
        return self._shown([self._found(asked.organisation, which)])[0]

    def _show(self, asked: _Asked) -> JsonObject:
        QueryParameters(asked.query)
        return self._shown([self._found(asked.organisation, asked.id)])[0]

    def _delete(self, asked: _Asked) -> JsonObject:
        QueryParameters(asked.query)
        found = self._found(asked.organisation, asked.id)
        usage.unlimit(asked.asks, self._node, found.limit_id)
        return spend_shapes.deleted(asked.id)

    def _effective(self, asked: _Asked) -> JsonObject:
        query = QueryParameters(asked.query, "limit", "page", "user_ids[]", "period[]", "q", "sort")
        spans = [SPANS[one] for one in query.several("period[]", tuple(SPANS))]
        query.several("sort", ("spend_desc",))
        by_spend = query.one("sort") is not None
        limit, after = query.limit(), query.one("page")
        if self._node.serving is not None:
            self._node.serving.measured()
        members = self._members(asked.organisation, query)
        sources = {one.limit_id: one for one in self._limits(asked.organisation)}

        def standings(member: SpendMember) -> list[LimitStanding]:
            subjects = member_subjects(asked.organisation, member.person, member.team)
            found = self._node.limits.standings_under(subjects, asked.asks.at, lifted=True)
            return [
                one
                for one in found
                if one.limit.limit_id in sources and (not spans or one.limit.span in spans)
            ]

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

    def _audit(self, asked: _Asked) -> JsonObject:
        limit = QueryParameters(asked.query, "limit").limit()
        found = self._changes(asked.organisation)
        return {
            "data": [spend_shapes.audit_event(one) for one in reversed(found[-limit:])],
            "has_more": len(found) > limit,
        }

    # -- inside ----------------------------------------------------------------------------------

    def _email(self, person: str) -> str | None:
        with suppress(BaileeError):  # a row that can't be read hides no other member
            return self._node.registry.people.get(person).email
        return None

    def _limits(self, organisation: str) -> list[UsageLimit]:
        return [one for one in self._node.limits.limits() if is_spend_limit(one, organisation)]

    def _found(self, organisation: str, which: str) -> UsageLimit:
        for one in self._limits(organisation):
            if spend_limit_id(one.subject, one.span) == which:
                return one
        raise InputError("there is no such spend limit.", code="not_found")

    def _shown(self, limits: Sequence[UsageLimit]) -> list[JsonObject]:
        """With the moments that the audit record has of them: it is asked once for all."""
        moments: dict[tuple[Subject, LimitSpan], tuple[datetime, datetime]] = {}
        about = {one.subject.id for one in limits}
        leaves = self._node.ledger.latest_about(_CHANGES_OF_ALL, (_SET, _REMOVED), about)
        for leaf in reversed(leaves):
            if LimitMeasure(str(leaf.body["measure"])) is not LimitMeasure.MONEY:
                continue
            which = _which(leaf)
            if leaf.kind == _REMOVED:
                moments.pop(which, None)
            else:
                first, _ = moments.get(which, (leaf.at, leaf.at))
                moments[which] = first, leaf.at
        now = self._node.clock()
        return [
            spend_shapes.spend_limit(one, *moments.get((one.subject, one.span), (now, now)))
            for one in limits
        ]

    def _changes(self, organisation: str) -> list[SpendChange]:
        """The changes of its spend limits that are among the last of all, in order."""
        leaves = [
            *self._node.ledger.latest(_CHANGES, kind=_SET),
            *self._node.ledger.latest(_CHANGES, kind=_REMOVED),
        ]
        held: dict[tuple[Subject, LimitSpan], int] = {}
        found = []
        for leaf in sorted(leaves, key=lambda one: one.number):
            (subject, span), amount = _which(leaf), leaf.body.get("amount")
            measure = LimitMeasure(str(leaf.body["measure"]))
            if not is_spend_limit(UsageLimit("", subject, measure, span, 0), organisation):
                continue
            before = held.pop((subject, span), None)
            after = None if amount is None else int(amount)
            if after is not None:
                held[subject, span] = after
            by = str(leaf.body["by"])
            found.append(SpendChange(leaf.number, leaf.at, by, subject, span, before, after))
        return found


def _which(leaf: Leaf) -> tuple[Subject, LimitSpan]:
    """Of whom, and in what, the limit is that an entry is about."""
    subject = Subject(Scope(str(leaf.body["scope"])), leaf.subject)
    return subject, LimitSpan(str(leaf.body["span"]))


async def _body(request: Request) -> object:
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > _LARGEST:
            raise InputError("the request is too large.", code="request_too_large")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise InputError("the request's body is not JSON.") from None


def _refused(request: Request, error: BaileeError) -> Response:
    said = " ".join(part for part in (error.message, error.hint) if part)
    body: JsonObject = {
        "type": "error",
        "error": {"type": CODES[error.code].api_type, "message": f"bailee: {said}"},
        "request_id": str(request.state.request_id),
    }
    return Response(orjson.dumps(body), error.http_status, _HEADERS, "application/json")


def beside(limits: SpendLimits) -> Mapping[str, ASGIApp]:
    """By route, what answers it."""
    names = ("", "/effective", "/audit", "/{id}")
    return {SPEND_LIMITS + name: limits.app for name in names}
