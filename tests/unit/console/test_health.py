"""What stands before the site, for whoever asks whether the server runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from bailee.console import Healthy
from bailee.health import Health

LATE = Health(("sweep_late",), ("reports",))


async def site(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers everything with a page."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"a page"})


def ask(health: Health, path: str, method: str = "GET") -> tuple[int, bytes]:
    """An answer's status and body; the request names no host."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    asyncio.run(Healthy(site, lambda: health)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    ("health", "path", "method", "answer"),
    [
        (
            Health(),
            "/readyz",
            "GET",
            (200, b'{"ready":true,"reasons":[],"failing":[],"alerts":[]}'),
        ),
        (
            LATE,
            "/readyz",
            "GET",
            (503, b'{"ready":false,"reasons":["sweep_late"],"failing":["reports"],"alerts":[]}'),
        ),
        (LATE, "/healthz", "GET", (200, b'{"alive":true}')),
        (LATE, "/readyz", "POST", (405, b"")),
        (LATE, "/readyz/x", "GET", (418, b"a page")),
        (LATE, "/", "GET", (418, b"a page")),
    ],
)
def test_it_is_answered_whatever_the_name(
    health: Health, path: str, method: str, answer: tuple[int, bytes]
) -> None:
    """Two addresses, by codes alone; everything else is the site's."""
    assert answer == ask(health, path, method)
