"""What stands before every page: the console's own names, and the headers that each answer has.

* A request must name this console in its `Host` header, so that no other site's name can be
  pointed at it (DNS rebinding).
* Pages load nothing from elsewhere, run no script but the console's own files, and can't be framed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=()",
    b"cache-control": b"no-store",
}


class Guarded:
    """Answers only to its own names, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        """`hosts` are the `Host` headers that are answered."""
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                there = {name for name, _ in own}
                missing = [pair for pair in _HEADERS.items() if pair[0] not in there]
                message["headers"] = own + missing
            await send(message)

        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        app: Callable[[Scope, Receive, Send], Awaitable[None]] = self._app
        if host not in self._hosts:
            app = PlainTextResponse("this console has another name\n", 421)
        await app(scope, receive, send_guarded)
