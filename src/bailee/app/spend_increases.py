"""The vendor's admin API for requests for more, at the gateway's address, beside its spend limits.

| request | answer |
|---|---|
| `GET /v1/organizations/spend_limit_increase_requests` | what members ask for, the newest first |
| `GET …/{id}` | one of them |
| `POST …/{id}/approve` | it is granted, and that is the member's own limit |
| `POST …/{id}/deny` | it is not |

Rules kept here:

* Who asks, and how an error is told, is `spend_desk`'s; who may see and decide, the operations'.
* A parameter that is not known is refused: nobody takes a part for the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.types import ASGIApp

from bailee.accounts.roles import Permission
from bailee.app.query_parameters import QueryParameters
from bailee.app.spend_desk import SpendAsked, SpendDesk
from bailee.app.spend_limits import SpendLimits
from bailee.app.spend_limits import beside as of_limits
from bailee.db.pages import cut, place
from bailee.errors import InputError
from bailee.gateway.routes import INCREASES
from bailee.json_values import JsonObject
from bailee.node import Node
from bailee.operations import increases
from bailee.usage import increase_shapes
from bailee.usage.increase import IncreaseRequest, IncreaseState
from bailee.usage.limits import LimitMeasure, Scope, Subject, UsageLimit, limit_id, member_id


class SpendIncreases:
    """The application over one home, beside that of its limits; `app` is the ASGI side. The server
    makes it; `app` is called on the gateway's event loop. It keeps nothing between requests.
    """

    def __init__(self, node: Node, desk: SpendDesk, limits: SpendLimits) -> None:
        self._node = node
        self._limits = limits
        one = INCREASES + "/{id}"
        self.app: Final[ASGIApp] = Starlette(
            routes=[
                desk.route(INCREASES, "GET", self._list),
                desk.route(one, "GET", self._show),
                desk.route(one + "/approve", "POST", self._approve),
                desk.route(one + "/deny", "POST", self._deny),
            ]
        )

    def _list(self, asked: SpendAsked) -> JsonObject:
        query = QueryParameters(asked.query, "limit", "page", "actor_ids[]", "status[]")
        people = query.several("actor_ids[]")
        states = [IncreaseState(one) for one in query.several("status[]", tuple(IncreaseState))]
        limit, after = query.limit(), query.one("page")
        self._require(asked)
        found = self._node.increases.page(
            [asked.organisation], asked.asks.at, limit + 1, after, states=states, people=people
        )
        some, following = cut(found, limit, lambda one: place(one.asked_at, one.id))
        if self._node.serving is not None:
            self._node.serving.measured()
        return {"data": [self._shown(asked, one) for one in some], "next_page": following}

    def _show(self, asked: SpendAsked) -> JsonObject:
        QueryParameters(asked.query)
        found = self._found(asked)
        if self._node.serving is not None:
            self._node.serving.measured()
        return self._shown(asked, found)

    def _approve(self, asked: SpendAsked) -> JsonObject:
        QueryParameters(asked.query)
        found, wanted = self._found(asked), increase_shapes.grant(asked.body)
        if found.state is not IncreaseState.PENDING:
            raise InputError(f"this request was {found.state} already.")
        increases.approve(asked.asks, self._node, found.id, wanted.amount, per=wanted.span)
        approved = self._found(asked)
        subject = Subject(Scope.MEMBER, member_id(found.organisation, found.person))
        which = limit_id(subject, LimitMeasure.MONEY, approved.span)
        limit = UsageLimit(which, subject, LimitMeasure.MONEY, approved.span, wanted.amount)
        return {**self._shown(asked, approved), "spend_limit": self._limits.shown(limit)}

    def _deny(self, asked: SpendAsked) -> JsonObject:
        QueryParameters(asked.query)
        found = self._found(asked)
        increase_shapes.check_denial(asked.body)
        if found.state is IncreaseState.APPROVED:
            raise InputError("this request was approved already.")
        if found.state is IncreaseState.PENDING:
            increases.deny(asked.asks, self._node, found.id)
        return self._shown(asked, self._found(asked))

    # -- inside ----------------------------------------------------------------------------------

    def _require(self, asked: SpendAsked) -> None:
        account = self._node.accounts.of_organisation(asked.organisation)
        asked.asks.require(self._node, Permission.MEMBERS_LIMIT, account)

    def _found(self, asked: SpendAsked) -> IncreaseRequest:
        self._require(asked)
        found = self._node.increases.get(asked.id, asked.asks.at)
        if found.organisation != asked.organisation:
            raise InputError("there is no such request.", code="not_found")
        return found

    def _shown(self, asked: SpendAsked, one: IncreaseRequest) -> JsonObject:
        summary = None
        if one.state is IncreaseState.PENDING:
            summary = self._limits.summaries(asked, one.person).get(one.span)
        member = self._limits.member(one.organisation, one.person)
        return increase_shapes.increase_request(one, member, self._email(one), summary)

    def _email(self, one: IncreaseRequest) -> str | None:
        """Of who decided, if they are in the organisation: no other's is told there."""
        places = self._node.registry.organisations.of_person(one.decided_by or "")
        if all(place.organisation_id != one.organisation for place in places):
            return None
        return self._limits.member(one.organisation, one.decided_by or "").email


def beside(node: Node, desk: SpendDesk) -> Mapping[str, ASGIApp]:
    """By route, what answers it: requests, and the limits that they come of."""
    limits = SpendLimits(node, desk)
    requests = SpendIncreases(node, desk, limits)
    names = ("", "/{id}", "/{id}/approve", "/{id}/deny")
    return {**of_limits(limits), **{INCREASES + name: requests.app for name in names}}
