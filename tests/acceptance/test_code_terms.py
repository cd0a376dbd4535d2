"""`bailee code` says which of a person's terms changed, and tells the console that it was seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.clients.terminal import Opens

pytestmark = pytest.mark.row("P5")
NOTICE = {
    "number": 7,
    "at": "2026-11-29T10:00:00+00:00",
    "before": "2025-08-28",
    "after": "2025-10-17",
    "changes": [{"text": "bug report, how long: 30 days → 5 years", "clause": "retain.feedback"}],
}


class Console(BaseHTTPRequestHandler):
    """A console with a notice, until it was seen."""

    seen: list[str]

    def do_GET(self) -> None:
        """The notice where it is asked for; nothing of anything else."""
        asked = self.path.startswith("/api/v1/policy/notices?language=")
        self._answer(([] if self.seen else [NOTICE]) if asked else {})

    def do_PUT(self) -> None:
        """It was seen."""
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.path)
        self._answer([])

    def _answer(self, found: object) -> None:
        content = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def console() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was told."""
    seen: list[str] = []
    handler = type("Handler", (Console,), {"seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()


def test_a_start_says_what_changed_and_that_it_was_seen(
    opens: Opens, console: tuple[str, list[str]]
) -> None:
    """From which document to which, each change with its clause."""
    address, seen = console
    env = {"ANTHROPIC_AUTH_TOKEN": "bl_0123456789_" + "0" * 48, "BAILEE_CONSOLE_URL": address}
    terminal = opens(columns=400, until="Since 2026-11-29 the policy document of 2025-10-17", **env)
    terminal.wait("30 days → 5 years")
    terminal.wait("retain.feedback")
    terminal.wait(r"(?m)^>$")
    terminal.type("\x04")
    assert 0 == terminal.end()
    assert ["/api/v1/policy/notices/7"] == seen
