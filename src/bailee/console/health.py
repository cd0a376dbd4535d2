"""`/healthz` and `/readyz`: what stands before the site, for whoever asks whether it runs.

They are answered whatever name the request has for this server, since who asks (a load balancer, a
supervisor) knows an address alone. The answer has codes and nothing else.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bailee.health import ALIVE, Ask


class Healthy:
    """An application, and before it these two addresses. Called on the event loop's thread, where
    `ask` must not wait. It asks nobody who they are, and says nothing but codes.
    """

    def __init__(self, app: ASGIApp, ask: Ask) -> None:
        self._app = app
        self._ask = ask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        answer = self._answer(scope) if scope["type"] == "http" else None
        await (self._app if answer is None else answer)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        if scope["path"] not in ("/healthz", "/readyz"):
            return None
        if scope["method"] not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"allow": "GET, HEAD"})
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        if scope["path"] == "/healthz":
            return Response(ALIVE, 200, headers, "application/json")
        health = self._ask()
        return Response(health.body(), health.status, headers, "application/json")
