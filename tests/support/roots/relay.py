"""A way to an HTTP service that fails as a network does: before the request arrives, or after."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler
from typing import Self
from urllib.parse import urlsplit

from bailee.testing.store import Fault
from bailee.testing.threaded import ThreadedServer


class Relay(ThreadedServer):
    """Passes requests on, but for those that are to fail. `asked` counts them. As a context."""

    def __init__(self, to: str) -> None:
        self._to = urlsplit(to).netloc
        self._after: int | None = None
        self._times = 0
        self._fault: Fault | None = None
        self._let_go = threading.Event()
        self.asked = 0
        self.hangs = False

    def fail(self, fault: Fault, *, after: int = 0, times: int = 1_000_000) -> None:
        """Let so many requests fail, after so many that don't."""
        self.asked, self._after, self._times, self._fault = 0, after, times, fault

    def heal(self) -> None:
        """Let none fail any more."""
        self._fault, self.hangs = None, False

    @property
    def failed(self) -> bool:
        """Whether a request came that was to fail."""
        return self._after is not None and self.asked > self._after

    def __enter__(self) -> Self:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if relay.hangs:
                    relay._let_go.wait(30)
                fault = relay._next()
                if fault is not Fault.NOT_PERSISTED:
                    onward = http.client.HTTPConnection(relay._to)
                    onward.request(self.command, self.path, body, dict(self.headers))
                    answer = onward.getresponse()
                    content = answer.read()
                    onward.close()
                if fault is not None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                kind = answer.getheader("content-type")
                if kind is not None:
                    self.send_header("content-type", kind)
                if answer.status != 204:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.begin(Handler)
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go.set()
        super().__exit__()

    def _next(self) -> Fault | None:
        self.asked += 1
        if self._fault is None or self._after is None:
            return None
        return self._fault if self._after < self.asked <= self._after + self._times else None
