"""Sends the spans of the server's own requests to a collector of the operator's.

Rules kept here:

* Off unless `tracing.otlp` names a collector; what a span has says `monitoring.spans`.
* A request never waits for it: what is over goes into a queue with a bound, and where the collector
  is away or slow the oldest is left out. How many were, is said when it goes well again.
* What goes wrong is said once, until it goes well again: a kind of failure and a status.

Standard: OTLP/HTTP 1.x (protobuf).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bailee.app.said import Say
from bailee.app.secret_files import secret_file
from bailee.auditing.sinks import NotTaken, Post, bearer, check_url, post, shown, taken
from bailee.clock import Clock
from bailee.config import Settings
from bailee.gateway.summary import METHODS, ExchangeSummary
from bailee.lasting import Lasting
from bailee.monitoring.spans import (
    RANDOM,
    TracedRequest,
    TraceSpan,
    parent_of,
    rejected,
    request,
    span,
)

_EVERY: Final = 5.0
_MOST: Final = 4096  # spans that wait
_AT_ONCE: Final = 512


class Tracing:
    """The spans of one server on their way to `url` (the address without `/v1/traces`). The server
    owns it. `over` is called on any event loop's thread; sending has a thread of its own.
    """

    def __init__(
        self,
        url: str,
        say: Say,
        *,
        percent: int = 100,
        token: Path | None = None,
        post: Post = post,
        every: float = _EVERY,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`percent`: of the traces, those that are kept; `every`: seconds."""
        self._url = url
        self._say = say
        self._percent = percent
        self._token = token
        self._post = post
        self._every = every
        self._random = random
        self._lock = threading.Lock()  # who has it changes these two
        self._waiting: deque[TraceSpan] = deque(maxlen=_MOST)
        self._left_out = 0
        self._stopping = threading.Event()
        self._failed = False
        self.thread = Lasting("tracing", self._run)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """Send what waits, once, and stop."""
        self._stopping.set()
        self.thread.join()

    def over(self, of: TracedRequest, traceparent: str) -> None:
        """A request is over. `traceparent`: the field's value, empty where there was none."""
        made = span(of, parent_of(traceparent), self._random(RANDOM), self._percent)
        if made is not None:
            with self._lock:
                self._left_out += len(self._waiting) == _MOST
                self._waiting.append(made)

    def exchange(self, of: ExchangeSummary) -> None:
        """An exchange of the gateway's is over."""
        more: list[tuple[str, str | int]] = [
            ("http.request.body.size", of.bytes_in),
            ("http.response.body.size", of.bytes_out),
            ("bailee.listener", "gateway"),
            ("bailee.outcome", of.outcome),
        ]
        named = (("bailee.channel", of.channel), ("bailee.upstream", of.upstream))
        more += [(name, value) for name, value in named if value]
        times = (of.started, of.seconds, of.first_byte)
        self.over(
            TracedRequest(of.method, of.path, of.status, of.error, *times, tuple(more)),
            of.traceparent,
        )

    def send(self) -> None:
        """Send what waits.

        Raises:
            NotTaken: not all was taken; what was not waits on, as far as there is room.
        """
        for _ in range(_MOST // _AT_ONCE):
            with self._lock:
                size = min(_AT_ONCE, len(self._waiting))
                some = [self._waiting.popleft() for _ in range(size)]
            if not some:
                return
            try:
                refused = self._deliver(some)
            except NotTaken:
                self._give_back(some)
                raise
            with self._lock:
                self._left_out += refused

    def _deliver(self, some: list[TraceSpan]) -> int:
        fields = {"content-type": "application/x-protobuf", **bearer(self._token)}
        answer = self._post(f"{self._url.rstrip('/')}/v1/traces", request(some), fields)
        taken(answer)
        return rejected(answer.content)

    def _give_back(self, some: list[TraceSpan]) -> None:
        with self._lock:
            room = min(len(some), _MOST - len(self._waiting))
            self._left_out += len(some) - room
            self._waiting.extendleft(reversed(some[len(some) - room :]))

    def _run(self) -> None:
        last = False
        while not last:
            last = self._stopping.wait(self._every)
            try:
                self.send()
            except NotTaken as error:
                if not self._failed:
                    self._say(f"traces can't be sent to {shown(self._url)}: {error}")
                self._failed = True
            else:
                self._failed = False
                self._say_left_out()

    def _say_left_out(self) -> None:
        with self._lock:
            left_out, self._left_out = self._left_out, 0
        if left_out:
            self._say(f"{left_out} requests have no trace: {shown(self._url)} did not take it")


class Traced:
    """Has each request to an application traced, under the route that it took: `listener` is the
    application's name. Called on the event loop's thread.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, listener: str, clock: Clock) -> None:
        self._app = app
        self._tracing = tracing
        self._listener = listener
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, first = self._clock().timestamp(), 0, -1.0

        async def noted(message: Message) -> None:
            nonlocal status, first
            if message["type"] == "http.response.start":
                status, first = message["status"], self._clock().timestamp() - began
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", "*")
            error = str(status) if status >= 500 else ""
            seconds = self._clock().timestamp() - began
            more = (("bailee.listener", self._listener),)
            self._tracing.over(
                TracedRequest(method, route, status, error, began, seconds, first, more),
                _traceparent(scope),
            )


def _traceparent(scope: Scope) -> str:
    said = [value for name, value in scope["headers"] if name == b"traceparent"]
    return said[0].decode("latin-1") if len(said) == 1 else ""


def tracing(settings: Settings, say: Say) -> Tracing:
    """The one that the settings name, not yet started.

    Raises:
        InputError: code `configuration`; a setting is wrong.
    """
    url = check_url(settings.text("tracing.otlp") or "", "tracing.otlp")
    token = secret_file(settings, "tracing.otlp_token_file")
    return Tracing(url, say, percent=settings.number("tracing.percent"), token=token)
