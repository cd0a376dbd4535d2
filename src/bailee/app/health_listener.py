"""The listener for whoever watches a server: `/healthz`, `/readyz` and `/metrics`.

Rules kept here:

* It stands on an address of its own, which on a machine at large is loopback: who may reach the
  gateway need not see it. It says no content (`monitoring.catalogue`).
* Figures are read beside the event loop, by one at a time, and at most once a second. A crowd of
  scrapers costs no more than one.
* Where no address is set and the usual one is taken, it listens at any free one of this machine. An
  address that was set is listened at, or the start is refused.

Rows: O5.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bailee.clock import Ticks, ticks
from bailee.config import Settings, parse_address
from bailee.console import Healthy, bind
from bailee.errors import InputError
from bailee.health import Ask

SETTING: Final = "health.listen"
CONNECTIONS: Final = 16
"""Of its listener, at once."""
_FRESH: Final = 1.0
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def listening(settings: Settings) -> socket.socket | None:
    """The bound socket; None: the setting says `off`.

    Raises:
        InputError: code `configuration`; the address is none, or can't be had.
    """
    at = listening_at(settings)
    if at is None:
        return None
    host, port = at
    try:
        return bind(host, port, "health")
    except InputError:
        if settings.origin[SETTING] != "default":
            raise
        return bind(host, 0, "health")


def listening_at(settings: Settings) -> tuple[str, int] | None:
    """Its address, or None: nowhere.

    Raises:
        InputError: code `configuration`.
    """
    text = settings.text(SETTING) or "off"
    return None if text == "off" else parse_address(text, SETTING)


def site(health: Ask, said: Callable[[], bytes]) -> ASGIApp:
    """What this listener answers. `said`: all figures, as they are scraped."""
    return Scraped(Healthy(nothing_else, health), said)


class Scraped:
    """Answers `/metrics`, and hands on what else comes. Called on the event loop's thread."""

    def __init__(self, app: ASGIApp, said: Callable[[], bytes], ticking: Ticks = ticks) -> None:
        self._app = app
        self._said = said
        self._ticks = ticking
        self._one = asyncio.Lock()  # while the text is made
        self._text = b""
        self._made = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != "/metrics":
            await self._app(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            answer = Response(status_code=405, headers={"allow": "GET, HEAD"})
        else:
            headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
            answer = Response(await self._fresh(), 200, headers, _CONTENT_TYPE)
        await answer(scope, receive, send)

    async def _fresh(self) -> bytes:
        async with self._one:
            if self._ticks() - self._made >= _FRESH:
                self._text = await asyncio.to_thread(self._said)
                self._made = self._ticks()
            return self._text


async def nothing_else(scope: Scope, _receive: Receive, send: Send) -> None:
    """What this listener answers to any other address."""
    if scope["type"] == "http":
        await Response(status_code=404)(scope, _receive, send)
