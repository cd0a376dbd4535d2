"""The application that clients sign in with, at the gateway's address.

| request | answer |
|---|---|
| `GET /.well-known/oauth-authorization-server` | where the following is |
| `POST /oauth/device_authorization` | a device grant (RFC 8628) |
| `POST /oauth/token` | tokens for a grant that was confirmed, for a refresh token, for a job's |
| `POST /oauth/revoke` | the sign-in is over (RFC 7009) |
| `GET /managed/settings` | the settings that the client obeys, or 404: it may start without |
| `GET /managed/bailee` | what the document leaves of a machine to `bailee code`, or 404 |
| `GET /api/oauth/usage` | what its person used, or 404: nothing is shown |

Rules kept here:

* A form is short, and its fields are there once.
* A refusal has the protocol's code (RFC 6749, 5.2) with status 400; what is nobody's fault is 503
  with Retry-After, at which a client keeps what it has. To who polls that would be the end, so
  while the database is away their grant is pending. A refusal never says whose sign-in it was.
* `/managed/settings` is asked for at each start; a client that gets anything but 200, 304 or 404
  does not start. So whatever goes wrong with a document is answered as if there were none.
* What may wait for a provider does so on threads of its own, a few, and only with a token that was
  made here, or for the keys of a provider that the operator named, once a minute at the most. What
  asks the database alone has others, and a poll is looked at before, by what it says itself.

Standards: RFC 6749, RFC 7009, RFC 8414, RFC 8628, RFC 8693.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bailee.accounts import Account, ApiKey, PeopleRegistry
from bailee.accounts.device_grants import Poll
from bailee.admission.requests import admit
from bailee.errors import BaileeError, InputError, UpstreamError
from bailee.json_values import JsonObject
from bailee.sign_in import documents

_log = logging.getLogger("bailee.sign_in")
_LARGEST: Final = 8192
_MOST_FIELDS: Final = 16
_THREADS: Final = 16
_ASKING: Final = 4
_WAITING: Final = 256
_LATER: Final = 5
_NO_STORE: Final = {"cache-control": "no-store"}
T = TypeVar("T")

Given = Callable[[ApiKey, Account], JsonObject | None]
"""What is given to who presents a key; None: nothing."""


class SettingsWish(NamedTuple):
    """For which agent settings are asked, as the client wrote it: where its model is, and the
    gateway's address that its file would name.
    """

    agent: str
    provider: str
    gateway: str | None


Compiled = Callable[[ApiKey, Account, SettingsWish], JsonObject | None]
"""What an agent is told that is asked for by a key; None: there is no such agent."""


@dataclass(frozen=True, slots=True)
class SignInPlaces:
    """`gateway`: its public address, where the operator set one; else it is what a client calls it.
    `console`: where grants are confirmed.
    """

    gateway: str | None
    console: str


def nothing(_key: ApiKey, _account: Account) -> JsonObject | None:
    """Of a document, or of figures, that there are none of."""
    return None


def none_compiled(_key: ApiKey, _account: Account, _wish: SettingsWish) -> JsonObject | None:
    """Of settings that are for no agent."""
    return None


class _Refused(Exception):
    """A refusal of the protocol's: its code."""

    def __init__(self, code: str, said: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.said = said


class ClientSignInApplication:
    """The application over one home's people; `app` is the ASGI side.

    The server makes it and closes it; `app` is called on the gateway's event loop. It owns the
    threads `sign-in` and `sign-in-asking`. `settings`, `bounds`, `compiled` and `usage` give what a
    client may see; they are called on the former. It keeps no token.
    """

    def __init__(
        self,
        registry: PeopleRegistry,
        places: Callable[[], SignInPlaces],
        notice: Callable[[str], str],
        *,
        settings: Given = nothing,
        bounds: Given = nothing,
        compiled: Compiled = none_compiled,
        usage: Given = nothing,
    ) -> None:
        """`notice`: what is said of recording, given the console's address."""
        self._registry = registry
        self._places = places
        self._notice = notice
        self._settings = settings
        self._bounds = bounds
        self._compiled = compiled
        self._usage = usage
        self._threads = _Threads(_THREADS, "sign-in")
        self._asking = _Threads(_ASKING, "sign-in-asking")
        self.app = Starlette(
            routes=[
                Route("/.well-known/oauth-authorization-server", self._metadata, methods=["GET"]),
                Route("/oauth/device_authorization", self._begin, methods=["POST"]),
                Route("/oauth/token", self._token, methods=["POST"]),
                Route("/oauth/revoke", self._revoke, methods=["POST"]),
                Route("/managed/settings", self._managed, methods=["GET"]),
                Route("/managed/bailee", self._bounded, methods=["GET"]),
                Route("/api/oauth/usage", self._used, methods=["GET"]),
            ]
        )
        self.app.router.redirect_slashes = False

    def close(self) -> None:
        """Let the threads end with what they have begun."""
        self._threads.close()
        self._asking.close()

    # -- signing in ------------------------------------------------------------------------------

    async def _metadata(self, request: Request) -> Response:
        host = request.headers.get("host")
        called = f"{request.url.scheme}://{host}" if host else ""
        return _json(documents.metadata(self._places().gateway or called))

    async def _begin(self, request: Request) -> Response:
        async def answer() -> Response:
            await _form(request)  # `surface=claude_code`, or nothing: no part of who may
            grants, client = self._registry.device_grants, request.headers.get("user-agent", "")
            address = _address(request)
            begun = await self._asking.do(lambda: grants.begin(client=client, address=address))
            console = self._places().console
            said = documents.device_authorization(begun, console, self._notice(console))
            return _json(said, headers=_NO_STORE)

        return await _answered(answer)

    async def _token(self, request: Request) -> Response:
        async def answer() -> Response:
            form = await _form(request)
            grant = form.get("grant_type")
            if grant == documents.DEVICE_GRANT:
                return await self._claimed(request, _needed(form, "device_code"))
            if grant == documents.REFRESH_GRANT:
                return await self._renewed(request, _needed(form, "refresh_token"))
            if grant == documents.EXCHANGE_GRANT:
                return await self._exchanged(form)
            raise _Refused("unsupported_grant_type")

        return await _answered(answer)

    async def _claimed(self, request: Request, code: str) -> Response:
        grants = self._registry.device_grants
        if not grants.is_genuine(code):
            raise _Refused(Poll.EXPIRED.value)
        try:
            confirmed = await self._asking.do(lambda: grants.poll(code))
        except BaileeError:  # nobody knows now; at a 5xx a client would give up
            confirmed = Poll.PENDING
        if isinstance(confirmed, Poll):
            raise _Refused(confirmed.value)
        admit(request.scope)
        client = request.headers.get("user-agent", "")
        try:
            sign_ins = self._registry.sign_ins
            given = await self._threads.do(lambda: sign_ins.begin(confirmed, client=client))
        except InputError as error:  # they have no part in the account any more
            raise _Refused(Poll.DENIED.value) from error
        return _json(documents.tokens(given, self._places().console), headers=_NO_STORE)

    async def _renewed(self, request: Request, token: str) -> Response:
        sign_ins = self._registry.sign_ins
        if not sign_ins.is_genuine(token):
            raise _Refused("invalid_grant", "this sign-in is over, or was never good")
        admit(request.scope)
        try:
            given = await self._threads.do(lambda: sign_ins.renew(token))
        except InputError as error:
            if error.code != "authentication":  # a setting of ours is wrong: nothing has ended
                raise UpstreamError(error.message) from error
            raise _Refused("invalid_grant", error.message) from error
        return _json(documents.tokens(given, self._places().console), headers=_NO_STORE)

    async def _exchanged(self, form: dict[str, str]) -> Response:
        """A machine's token of its provider for one of a service account (RFC 8693, 2.1)."""
        kind = _needed(form, "subject_token_type")
        wanted = form.get("requested_token_type", documents.ACCESS_TOKEN)
        if kind not in (documents.JWT_TOKEN, documents.ID_TOKEN) or "actor_token" in form:
            raise _Refused("invalid_request", "the subject is a JWT, and nobody acts for it")
        if wanted != documents.ACCESS_TOKEN:
            raise _Refused("invalid_request", "access tokens alone are given")
        token, name = _needed(form, "subject_token"), _needed(form, "audience")
        workloads = self._registry.workloads
        try:
            given = await self._threads.do(lambda: workloads.exchange(name, token))
        except InputError as error:
            code = "invalid_target" if error.code == "not_found" else "invalid_request"
            raise _Refused(code, error.message) from error
        return _json(documents.exchanged(given.access, given.lasts), headers=_NO_STORE)

    async def _revoke(self, request: Request) -> Response:
        async def answer() -> Response:
            token = _needed(await _form(request), "token")
            await self._threads.do(lambda: self._registry.sign_ins.end_by_token(token))
            return _json({})  # RFC 7009, 2.2: also for what is no token

        return await _answered(answer)

    # -- what a client that is signed in asks for --------------------------------------------------

    async def _managed(self, request: Request) -> Response:
        return await self._document(request, self._settings)

    async def _bounded(self, request: Request) -> Response:
        asked = request.query_params
        if "for" not in asked:
            return await self._document(request, self._bounds)
        wish = SettingsWish(asked["for"], asked.get("provider", "api"), asked.get("gateway"))

        def given(key: ApiKey, account: Account) -> JsonObject | None:
            return self._compiled(key, account, wish)

        return await self._document(request, given)

    async def _document(self, request: Request, given: Given) -> Response:
        found = self._known(request)
        if found is None:
            return _unknown()
        try:
            document = await self._threads.do(lambda: given(*found))
            made = None if document is None else documents.settings(document)
        except Exception as error:
            _log.error("a client's settings can't be given: %s", type(error).__name__)
            made = None
        if made is None:
            return _error(404, "not_found_error", "There are no settings for this client.")
        etag, body = made
        headers = {"etag": etag, "vary": "User-Agent", "cache-control": "private, no-cache"}
        if documents.asks_whether(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    async def _used(self, request: Request) -> Response:
        found = self._known(request)
        if found is None:
            return _unknown()
        try:
            used = await self._threads.do(lambda: self._usage(*found))
        except BaileeError:
            used = None
        if used is None:
            return _error(404, "not_found_error", "There are no figures for this client.")
        return _json(used, headers=_NO_STORE)

    def _known(self, request: Request) -> tuple[ApiKey, Account] | None:
        kind, _, presented = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            presented = request.headers.get("x-api-key", "")
        found = self._registry.accounts.authenticate(presented.strip().encode("latin-1", "replace"))
        if found is not None:
            admit(request.scope)
        return found


class _Threads:
    """Some threads, and how many wait for one. The event loop's thread alone asks it."""

    def __init__(self, number: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=name)
        self._waiting = 0

    async def do(self, work: Callable[[], T]) -> T:
        """Carry it out on one of the threads; not when too many wait for one."""
        if self._waiting >= _WAITING:
            raise UpstreamError("too many sign in at once.", code="upstream_timeout")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let them end with what they have begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def _answered(answer: Callable[[], Awaitable[Response]]) -> Response:
    """What `answer` gives, or the protocol's refusal."""
    try:
        return await answer()
    except _Refused as refused:
        return _refusal(400, refused.code, refused.said)
    except InputError as error:
        if error.code == "too_many_attempts":
            return _refusal(429, "slow_down", f"{error.message} {error.hint or ''}".strip())
        return _refusal(400, "invalid_request", error.message)
    except BaileeError as error:
        response = _refusal(503, "temporarily_unavailable", error.message)
        response.headers["retry-after"] = str(_LATER)
        return response


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST:
            raise _Refused("invalid_request", "the form is too large")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _Refused("invalid_request", "this is not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _Refused("invalid_request", "a field is given twice")
    return form


def _needed(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise _Refused("invalid_request", f"{name} is missing")
    return value


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _refusal(status: int, code: str, said: str | None) -> Response:
    body: JsonObject = {"error": code}
    if said is not None:
        body["error_description"] = said
    return _json(body, status, headers=_NO_STORE)


def _unknown() -> Response:
    response = _error(401, "authentication_error", "The sign-in is over, or was never good.")
    response.headers["x-should-retry"] = "false"
    return response


def _error(status: int, kind: str, said: str) -> Response:
    return _json({"type": "error", "error": {"type": kind, "message": f"bailee: {said}"}}, status)


def _json(value: JsonObject, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, "application/json")
