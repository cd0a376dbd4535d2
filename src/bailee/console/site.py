"""The console: one page for the operator, the public data-usage page, and the HTTP API.

Rules kept here:

* Everything a page shows comes from `perform`, the same operations that the command line has.
* A request must name this console in its `Host` header, so that no other site's name can be
  pointed at it; pages load nothing from elsewhere (`Content-Security-Policy`).
* What a person does over HTTP is proved by their API key; what the operator sees, by signing in.

Rows: P3 (the public page), T2 (the choice over HTTP).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bailee.console.sign_in import SESSION_LASTS, SignIn
from bailee.errors import BaileeError, InputError

Perform = Callable[[str, Mapping[str, object]], object]
_COOKIE = "bailee_console"
_PAGES = Path(__file__).parent / "pages"
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        b"form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_LARGEST_BODY = 10_000


def make_site(
    perform: Perform,
    sign_in: SignIn,
    data_usage: Callable[[str], str],
    *,
    gateway: str,
    hosts: frozenset[str],
    secure: bool,
) -> ASGIApp:
    """The console as an ASGI application.

    `perform` carries out an operation; `data_usage` renders the public page in a language (`zh`,
    `en`); `gateway` is the gateway's address; `hosts` are the `Host` headers that are answered;
    `secure` says that the console is reached by TLS.
    """
    site = _Site(perform, sign_in, data_usage, gateway, secure)
    app = Starlette(
        routes=[
            Route("/", site.overview),
            Route("/sign-in", site.sign_in),
            Route("/sign-out", site.sign_out, methods=["POST"]),
            Route("/data-usage", site.data_usage),
            Route("/style.css", site.style),
            Route("/api/v1/privacy/training", site.training, methods=["GET", "PUT"]),
            Route("/api/v1/sessions", site.sessions),
        ],
        exception_handlers={BaileeError: _refuse, HTTPException: _refuse_http},
    )
    return _Guarded(app, hosts)


class _Site:
    def __init__(
        self,
        perform: Perform,
        sign_in: SignIn,
        data_usage: Callable[[str], str],
        gateway: str,
        secure: bool,
    ) -> None:
        self._perform = perform
        self._sign_in = sign_in
        self._data_usage = data_usage
        self._gateway = gateway
        self._secure = secure
        self._pages = Environment(
            loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined
        )

    async def overview(self, request: Request) -> Response:
        if not self._sign_in.is_signed_in(request.cookies.get(_COOKIE)):
            return self._page("signed_out.html", 401)
        sessions = await run_in_threadpool(self._perform, "sessions.list", {})
        report = await run_in_threadpool(self._perform, "retention.report", {})
        keys = await run_in_threadpool(self._perform, "key.list", {})
        return self._page(
            "overview.html", sessions=sessions, report=report, keys=keys, gateway=self._gateway
        )

    async def sign_in(self, request: Request) -> Response:
        cookie = self._sign_in.redeem(request.query_params.get("token", ""))
        if cookie is None:
            return self._page("signed_out.html", 401)
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(
            _COOKIE,
            cookie,
            max_age=int(SESSION_LASTS.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        self._sign_in.end(request.cookies.get(_COOKIE))
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(_COOKIE)
        return response

    async def data_usage(self, request: Request) -> Response:
        language = request.query_params.get("lang") or _preferred(request)
        return HTMLResponse(await run_in_threadpool(self._data_usage, language))

    async def style(self, _request: Request) -> Response:
        return Response((_PAGES / "style.css").read_bytes(), media_type="text/css")

    async def training(self, request: Request) -> Response:
        arguments: dict[str, object] = {"key": _presented(request)}
        if request.method == "GET":
            return _json(await run_in_threadpool(self._perform, "privacy.show", arguments))
        body = await _body(request)
        arguments |= {
            "choice": body.get("choice"),
            "language": _preferred(request),
            "source": "api",
        }
        return _json(await run_in_threadpool(self._perform, "privacy.choose", arguments))

    async def sessions(self, request: Request) -> Response:
        arguments = {"key": _presented(request)}
        state = await run_in_threadpool(self._perform, "privacy.show", arguments)
        owner = cast("dict[str, Any]", state)["account"]
        return _json(await run_in_threadpool(self._perform, "sessions.list", {"owner": owner}))

    def _page(self, name: str, status: int = 200, **values: object) -> HTMLResponse:
        return HTMLResponse(self._pages.get_template(name).render(**values), status)


async def _body(request: Request) -> dict[str, object]:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _LARGEST_BODY:
            raise InputError("the request is too large.", code="request_too_large")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise InputError(
            "the request's body is not a JSON object.", hint='send {"choice": "refused"}'
        )
    return body


def _presented(request: Request) -> str:
    key = request.headers.get("x-api-key")
    if not key:
        raise InputError("there is no API key.", code="authentication", hint="send it as x-api-key")
    return key


def _preferred(request: Request) -> str:
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BaileeError)
    return _json(error.api_body(), error.http_status)


def _refuse_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, headers=error.headers)


class _Guarded:
    """Answers only to its own names, and adds the headers that every page has."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        app: Callable[[Scope, Receive, Send], Awaitable[None]] = self._app
        if host not in self._hosts:
            app = PlainTextResponse("this console has another name\n", 421)
        await app(scope, receive, send_guarded)
