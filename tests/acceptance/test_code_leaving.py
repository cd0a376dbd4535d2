"""`bailee code` says which of a person's sessions on the server go within a week, once for each."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.clients.terminal import Opens

pytestmark = pytest.mark.row("O7")


class Console(BaseHTTPRequestHandler):
    """A console that names what goes."""

    ends: list[str]

    def do_GET(self) -> None:
        """Sessions where it is asked for those that go; nothing to ask about training."""
        going = self.path.startswith("/api/v1/sessions/going")
        found = {"sessions": [{"kept_until": end} for end in self.ends]} if going else {}
        content = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def console() -> Iterator[tuple[str, list[str]]]:
    """Its address, and when what goes does."""
    ends: list[str] = []
    handler = type("Handler", (Console,), {"ends": ends})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", ends
    server.shutdown()


def test_a_start_says_what_goes_on_the_server_and_says_it_once(
    opens: Opens, console: tuple[str, list[str]]
) -> None:
    """How many, the first day, and where they are kept; a later start names the new one alone."""
    address, ends = console
    ends += ["2027-03-02T10:00:00+00:00", "2027-03-01T10:00:00+00:00"]
    env = {"ANTHROPIC_AUTH_TOKEN": "bl_0123456789_" + "0" * 48, "BAILEE_CONSOLE_URL": address}
    first = opens(columns=400, until="2 of your sessions on the server", **env)
    first.wait("the first on 2027-03-01")
    first.wait(f"{address}/settings/privacy")
    first.wait(r"(?m)^>$")
    first.type("\x04")
    assert 0 == first.end()
    ends.append("2027-03-03T10:00:00+00:00")
    later = "您在服务器上的 1 个会话将在一周内被遗忘，最早的一个在 2027-03-03".replace(" ", "")
    second = opens(columns=400, until="2027-03-03", LANG="zh_CN.UTF-8", **env)
    second.wait(lambda shown: later in shown.replace(" ", ""))
