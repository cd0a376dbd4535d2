"""The SCIM service at the console's address, below `/scim/v2`.

Rules kept here:

* Who asks is known before anything of a body is read: a bearer token of an organisation's
  (`accounts.provisioning_tokens`), and nothing else. A cookie or an API key opens nothing here.
* A body is short, and so is an answer. How many requests an organisation makes has a bound, and so
  has how many are under way; who is over it is told when to come again.
* A refusal is the protocol's `Error`, with words of ours; what was sent is never repeated.
* The library of the protocol takes a moment to import: it is, with the first request.

Standards: RFC 7644; RFC 6750 for the token.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bailee.accounts import PeopleRegistry
from bailee.accounts.provisioning_tokens import ProvisioningToken, has_form
from bailee.admission.requests import admit
from bailee.admission.workers import Workers
from bailee.clock import Ticks, ticks
from bailee.errors import BaileeError, InputError
from bailee.ingest.quotas import Quota, Rate
from bailee.json_values import JsonObject

BASE: Final = "/scim/v2"
LARGEST: Final = 1 << 20
RATE: Final = Rate(per_second=50, burst=500)
_THREADS: Final = 4
_WAITING: Final = 64
_SECONDS: Final = 30.0
_MEDIA: Final = "application/scim+json"
_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class _NoJson(InputError):
    """What was sent is none."""

    def __init__(self) -> None:
        super().__init__("this is no JSON.")


class Scim:
    """An application: what is below `BASE` is answered here, the rest handed on. The server makes
    it for the console's listener, which calls it on its event loop, and closes it. It owns the
    threads `scim`, and counts requests in memory.
    """

    def __init__(
        self,
        app: ASGIApp,
        registry: PeopleRegistry,
        address: str,
        *,
        defect: Callable[[BaseException], None] = lambda _error: None,
        rate: Rate = RATE,
        ticking: Ticks = ticks,
    ) -> None:
        """`address`: the console's, as the world reaches it."""
        self._app = app
        self._registry = registry
        self._base = address.rstrip("/") + BASE
        self._defect = defect
        self._ticks = ticking
        self._workers = Workers("scim", _THREADS, _WAITING)
        self._quota = Quota(rate)  # the event loop's thread's alone

    def close(self) -> None:
        """Let the threads end with what they have begun."""
        self._workers.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or (path != BASE and not path.startswith(BASE + "/")):
            await self._app(scope, receive, send)
            return
        response = await self._answered(Request(scope, receive))
        await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except ClientDisconnect:
            return Response(status_code=499)
        except BaileeError as error:
            return _refused(error)
        except Exception as defect:
            # Which kind and where; what it says may hold content.
            place = traceback.extract_tb(defect.__traceback__)[-1]
            sys.stderr.write(f"scim: {type(defect).__name__}, {place.filename}:{place.lineno}\n")
            await self._workers.do(partial(self._defect, defect))
            return _refused(BaileeError("this is a defect of bailee.", code="internal"))

    async def _answer(self, request: Request) -> Response:
        scheme, _, presented = request.headers.get("authorization", "").partition(" ")
        token: ProvisioningToken | None = None
        if scheme.lower() == "bearer" and has_form(presented.strip()):
            token = await self._workers.do(
                lambda: self._registry.provisioning_tokens.find(presented.strip())
            )
        if token is None:
            raise InputError("a token of an organisation is needed.", code="authentication")
        admit(request.scope)
        wait = self._quota.take(token.organisation_id, 1, self._ticks())
        if wait:
            response = _refused(
                InputError("too many requests; come again later.", code="over_share")
            )
            response.headers["retry-after"] = str(wait)
            return response
        body = await _body(request)
        organisation, token_id = token.organisation_id, token.token_id
        query, headers = dict(request.query_params), request.headers
        method, path = request.method, request.url.path.removeprefix(BASE)

        def carry_out() -> Response:
            from bailee.scim.serving import ScimRequest, serve

            asked = ScimRequest(
                *(organisation, token_id, self._base, query, body),
                *(headers.get("if-match"), headers.get("if-none-match")),
            )
            answer = serve(self._registry, method, path, asked)
            more = {
                "etag": answer.version,
                "location": answer.location,
                "allow": ", ".join(answer.allow),
            }
            said = {name: value for name, value in more.items() if value}
            return Response(answer.body, answer.status, _HEADERS | said, _MEDIA)

        return await self._workers.do(carry_out)


async def _body(request: Request) -> object:
    """What was sent, as JSON; None: nothing was.

    Raises:
        InputError: it is too large, does not come in time, or is no JSON.
    """
    raw = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for piece in request.stream():
                raw += piece
                if len(raw) > LARGEST:
                    raise InputError("the request is too large.", code="request_too_large")
    except TimeoutError:
        raise InputError("the request did not arrive in time.", code="request_timeout") from None
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _NoJson from None


def _refused(error: BaileeError) -> Response:
    """An error of ours as the protocol says one (RFC 7644, 3.12)."""
    status = 503 if error.code == "overloaded" else error.http_status
    detail = f"{error.message} {error.hint or ''}".strip()
    body: JsonObject = {"schemas": [_ERROR], "status": str(status), "detail": detail}
    if status == 400:
        body["scimType"] = "invalidSyntax" if isinstance(error, _NoJson) else "invalidValue"
    elif error.code == "changed_meanwhile":
        body["scimType"] = "uniqueness"
    headers = dict(_HEADERS)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(orjson.dumps(body), status, headers, _MEDIA)
