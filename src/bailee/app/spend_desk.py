"""Who asks the vendor's admin API for spending, as it is answered here, and how that is answered.

Rules kept here:

* Who asks is known before a body is read: by a key or token of a person who administers the
  organisation, or by a key that speaks for the operator. What they may is asked of the operations
  that the command line asks too.
* The organisation is the key's; of who speaks for several, the one in `x-bailee-organization`.
* Nothing of it goes upstream. An error has the API's shape, and repeats nothing of what was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bailee.accounts.roles import Permission
from bailee.admission.requests import admit
from bailee.admission.workers import Workers
from bailee.errors import CODES, BaileeError, InputError
from bailee.json_values import JsonObject
from bailee.node import Node
from bailee.operations.asks import Asks, Via, asked_by, from_outside

_log = logging.getLogger("bailee.spend_limits")
_LARGEST: Final = 8192
_THREADS: Final = 2
_WAITING: Final = 64
_HEADERS: Final = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class SpendAsked:
    """A question, of whoever may ask it: about an organisation, with what stood in the address
    (`id`: of which one) and in the body.
    """

    asks: Asks
    organisation: str
    query: Mapping[str, list[str]]
    id: str
    body: object


class SpendDesk:
    """Takes the questions of one home. The server makes it and closes it; applications make routes
    of it, which are called on the gateway's event loop. It owns the threads `spend-limits`, and
    keeps nothing between requests.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers = Workers("spend-limits", _THREADS, _WAITING)

    def close(self) -> None:
        """Let the threads end with what they have begun."""
        self._workers.close()

    def route(self, path: str, method: str, work: Callable[[SpendAsked], JsonObject]) -> Route:
        """A route that is answered by `work`, on a thread."""

        async def endpoint(request: Request) -> Response:
            return await self._answered(request, work)

        return Route(path, endpoint, methods=[method], name=f"{method} {path}")

    async def _answered(
        self, request: Request, work: Callable[[SpendAsked], JsonObject]
    ) -> Response:
        try:
            asks, organisation = await self._workers.do(partial(self._who, request))
            admit(request.scope)
            body = await _body(request) if request.method == "POST" else None
            query: dict[str, list[str]] = {}
            for name, value in request.query_params.multi_items():
                query.setdefault(name, []).append(value)
            query.pop("beta", None)
            which = request.path_params.get("id", "")
            asked = SpendAsked(asks, organisation, query, which, body)
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


async def _body(request: Request) -> object:
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > _LARGEST:
            raise InputError("the request is too large.", code="request_too_large")
    try:
        return orjson.loads(raw or b"{}")
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
