"""What stands before every page: the console's own names, and the headers that each answer has.

* A request must name this console in its `Host` header, once, so that no other site's name can be
  pointed at it (DNS rebinding). What each name gets says `names`.
* Where the console's address is one of TLS, a request that a trusted proxy took without TLS is led
  there before anything is read of it.
* Pages load nothing from elsewhere, run no script but the console's own files, and can't be framed.
"""

from __future__ import annotations

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bailee.admission.addresses import PROXIED
from bailee.console.names import Names, NameVerdict

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_ELSEWHERE = """\
This console has a name of its own on this machine, so that its cookie goes to no other program.
The link that `bailee up` printed opens it; `bailee sign-in` prints another.
"""
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
    """Answers only to its own names, and adds the headers that every answer has. It stands before
    the site as its ASGI application, on the event loop's thread. It reads no body, and knows
    nobody.
    """

    def __init__(self, app: ASGIApp, names: Names) -> None:
        self._app = app
        self._names = names

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

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """What is answered in place of what was asked for; None when the name is good."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return PlainTextResponse("send one Host header\n", 400)
        reply = self._names.reply(hosts[0].decode("latin-1"), scope["path"])
        if reply is NameVerdict.ELSEWHERE:
            return PlainTextResponse(_ELSEWHERE, 421)
        if reply is NameVerdict.FOREIGN:
            return PlainTextResponse("this console has another name\n", 421)
        plain = self._names.secure and scope["scheme"] == "http" and scope.get(PROXIED, False)
        if reply is NameVerdict.THERE or plain:
            return self._there(scope)
        return None

    def _there(self, scope: Scope) -> Response:
        to = self._names.url
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(f"this console is at {to}\n", 421)
        query = scope["query_string"].decode("latin-1")
        path = "/" + scope["raw_path"].decode("latin-1").lstrip("/")
        return RedirectResponse(f"{to}{path}" + (f"?{query}" if query else ""), 307)
