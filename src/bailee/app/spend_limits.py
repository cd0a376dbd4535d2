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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from bailee.errors import CODES, BaileeError, InputError
from bailee.gateway.routes import SPEND_LIMITS
from bailee.json_values import JsonObject
from bailee.ledger import Leaf
from bailee.node import Node
from bailee.operations import usage
from bailee.operations.asks import Asks, Via, asked_by, from_outside
from bailee.usage import spend_shapes
from bailee.usage.asking import member_subjects
from bailee.usage.limits import LimitMeasure, LimitSpan, Scope, Subject, UsageLimit
from bailee.usage.spend_shapes import SPANS, TYPES, SpendChange, is_spend_limit, spend_limit_id

_log = logging.getLogger("bailee.spend_limits")
_LARGEST: Final = 8192
_THREADS: Final = 2
_WAITING: Final = 64
_PAGE: Final = 20
_LARGEST_PAGE: Final = 1000
_MOST_NAMED: Final = 100
_CHANGES: Final = 1000
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
        query = _Query(asked.query, "limit", "page", "after_id", "before_id", "scope_type[]")
        kinds = query.several("scope_type[]", tuple(TYPES.values()))
        rows = [
            self._shown(one)
            for one in self._limits(asked.organisation)
            if not kinds or TYPES[one.subject.scope] in kinds
        ]
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
        _Query(asked.query)
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
        return self._shown(self._found(asked.organisation, spend_limit_id(subject, wanted.span)))

    def _show(self, asked: _Asked) -> JsonObject:
        _Query(asked.query)
        return self._shown(self._found(asked.organisation, asked.id))

    def _delete(self, asked: _Asked) -> JsonObject:
        _Query(asked.query)
        found = self._found(asked.organisation, asked.id)
        usage.unlimit(asked.asks, self._node, found.limit_id)
        return spend_shapes.deleted(asked.id)

    def _effective(self, asked: _Asked) -> JsonObject:
        query = _Query(asked.query, "limit", "page", "user_ids[]", "period[]")
        named = query.several("user_ids[]")
        spans = [SPANS[one] for one in query.several("period[]", tuple(SPANS))]
        limit, after = query.limit(), query.one("page") or ""
        node, of = self._node, asked.organisation
        if node.serving is not None:
            node.serving.measured()
        people = sorted(
            one.person_id
            for one in node.registry.organisations.members(of)
            if one.person_id > after and (not named or one.person_id in named)
        )
        teams, sources = node.registry.groups.teams(), self._limits(of)
        rows: list[JsonObject] = []
        for person in people[:limit]:
            team = teams.get((of, person))
            found = node.limits.standings_under(
                member_subjects(of, person, team), asked.asks.at, lifted=True
            )
            by_id = {one.limit_id: one for one in sources}
            email = node.registry.people.get(person).email
            rows += [
                spend_shapes.summary(one, by_id[one.limit.limit_id], person, email, team)
                for one in found
                if one.limit.limit_id in by_id and (not spans or one.limit.span in spans)
            ]
        return {"data": [*rows], "next_page": people[limit - 1] if len(people) > limit else None}

    def _audit(self, asked: _Asked) -> JsonObject:
        limit = _Query(asked.query, "limit").limit()
        found = self._changes(asked.organisation)
        return {
            "data": [spend_shapes.audit_event(one) for one in reversed(found[-limit:])],
            "has_more": len(found) > limit,
        }

    # -- inside ----------------------------------------------------------------------------------

    def _limits(self, organisation: str) -> list[UsageLimit]:
        return [one for one in self._node.limits.limits() if is_spend_limit(one, organisation)]

    def _found(self, organisation: str, which: str) -> UsageLimit:
        for one in self._limits(organisation):
            if spend_limit_id(one.subject, one.span) == which:
                return one
        raise InputError("there is no such spend limit.", code="not_found")

    def _shown(self, limit: UsageLimit) -> JsonObject:
        """With the moments that the audit record has of it."""
        about = limit.subject.id
        ended = [
            leaf.number
            for leaf in self._node.ledger.latest(_CHANGES, kind=_REMOVED, subject=about)
            if _is_about(leaf, limit)
        ]
        sets = [
            leaf
            for leaf in self._node.ledger.latest(_CHANGES, kind=_SET, subject=about)
            if _is_about(leaf, limit) and leaf.number > max(ended, default=0)
        ]
        now = self._node.clock()
        first, last = (sets[-1].at, sets[0].at) if sets else (now, now)
        return spend_shapes.spend_limit(limit, first, last)

    def _changes(self, organisation: str) -> list[SpendChange]:
        """The changes of its spend limits that are among the last of all, in order."""
        leaves = [
            *self._node.ledger.latest(_CHANGES, kind=_SET),
            *self._node.ledger.latest(_CHANGES, kind=_REMOVED),
        ]
        held: dict[tuple[Subject, LimitSpan], int] = {}
        found = []
        for leaf in sorted(leaves, key=lambda one: one.number):
            subject = Subject(Scope(str(leaf.body["scope"])), leaf.subject)
            measure = LimitMeasure(str(leaf.body["measure"]))
            span, amount = LimitSpan(str(leaf.body["span"])), leaf.body.get("amount")
            if not is_spend_limit(UsageLimit("", subject, measure, span, 0), organisation):
                continue
            before = held.pop((subject, span), None)
            after = None if amount is None else int(amount)
            if after is not None:
                held[subject, span] = after
            by = str(leaf.body["by"])
            found.append(SpendChange(leaf.number, leaf.at, by, subject, span, before, after))
        return found


class _Query:
    """An address's parameters, of which these are known. Made for one request."""

    def __init__(self, given: Mapping[str, list[str]], *known: str) -> None:
        """Raises: InputError: there are others."""
        if not {*given} <= {*known}:
            raise InputError(
                "a parameter is not known here.",
                hint=f"known are: {', '.join(known)}" if known else "it takes none",
            )
        self._given = given

    def one(self, name: str) -> str | None:
        """A parameter that stands once. Raises: InputError: it stands there again."""
        values = self._given.get(name, [])
        if len(values) > 1:
            raise InputError("a parameter stands there twice.")
        return values[0] if values else None

    def several(self, name: str, among: tuple[str, ...] = ()) -> list[str]:
        """One that may be repeated. Raises: InputError: too often, or a value is none of these."""
        values = self._given.get(name, [])
        if len(values) > _MOST_NAMED or (among and not {*values} <= {*among}):
            raise InputError("a parameter has no such value.", hint=", ".join(among) or None)
        return values

    def limit(self) -> int:
        """How many are wanted at the most. Raises: InputError: it is no such number."""
        said = self.one("limit")
        if said is None:
            return _PAGE
        if not (said.isascii() and said.isdecimal() and 1 <= len(said) <= 4):
            raise InputError("limit is no number.")
        if not 1 <= int(said) <= _LARGEST_PAGE:
            raise InputError(f"limit is 1 to {_LARGEST_PAGE}.")
        return int(said)


def _is_about(leaf: Leaf, limit: UsageLimit) -> bool:
    """Whether an entry about the same subject is about this limit."""
    same = limit.subject.scope, limit.measure, limit.span
    return same == tuple(leaf.body[name] for name in ("scope", "measure", "span"))


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
