"""A console that answers a little JSON, for clients that ask one at their start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from bailee.testing.threaded import ThreadedServer


class JsonConsole(BaseHTTPRequestHandler):
    """What each of them says is in a class of its own; `held` is what its test changes or reads."""

    held: list[str]

    def answer(self, found: object) -> None:
        """Say it."""
        content = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class _Server(ThreadedServer):
    def __enter__(self) -> ThreadedServer:
        return self


@contextmanager
def served(handler: type[JsonConsole]) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it holds."""
    held: list[str] = []
    with _Server() as server:
        server.begin(type("Handler", (handler,), {"held": held}))
        yield server.url, held
