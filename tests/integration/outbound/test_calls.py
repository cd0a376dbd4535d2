"""What our calls to other services take along."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bailee.accounts.provider_calls import mount
from bailee.telemetry.forwarding import _poster
from bailee.telemetry.outward import Request
from bailee.telemetry.webhook import Webhook

Asked = list[dict[str, str]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Asked]]:
    """A service whose name stands in ~/.netrc, and the heads that it was asked with."""
    asked: Asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password pears\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


def test_no_login_of_netrc_goes_along(site: tuple[str, Asked]) -> None:
    """To a webhook, an identity provider, and where telemetry is passed on to; it would, else."""
    url, asked = site
    requests.get(url, timeout=5)
    assert "authorization" in asked.pop()

    webhook = Webhook(url, lambda: None)
    try:
        assert webhook._tell({}, 0)
    finally:
        webhook.close()
    with requests.Session() as session:
        mount(session)
        session.get(url, timeout=5)
    assert 204 == _poster()(Request(url, {}, b"{}", 1))[0]

    assert [False] * 3 == ["authorization" in one for one in asked]
