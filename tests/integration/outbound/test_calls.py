"""What our calls to other services take along, and by what way: for each that makes them."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from bailee.accounts.provider_calls import Visits
from bailee.agent.console_api import ConsoleApi
from bailee.cli.elsewhere import RemoteServer
from bailee.client.bug_report import IssueDraft
from bailee.client.issues_api import file_issue
from bailee.errors import BaileeError, UpstreamError
from bailee.outbound.network import Network, NoAnswer
from bailee.telemetry.forwarding import _posted
from bailee.telemetry.outward import OutwardRequest
from bailee.telemetry.webhook import Webhook
from support.servers.corporate_network import Squid, squid_with_password

PASSWORD = "pe#ars"


@dataclass
class Site:
    """A service under TLS that wants a client certificate, and the heads that it was asked with."""

    port: int
    asked: list[dict[str, str]]
    answer: tuple[int, dict[str, str], bytes] = (204, {}, b"")

    @property
    def url(self) -> str:
        """Its address, under a name that the proxy alone can resolve."""
        return f"https://bailee.example:{self.port}"


Company = tuple[Site, Squid, dict[str, str]]


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Company]:
    """A service, the proxy with a password that is the only way to it, and the variables that tell
    of proxy, authority and certificate.
    """
    folder = tmp_path_factory.mktemp("company")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    mine = authority.issue_cert("bailee@company.example")
    mine.private_key_and_cert_chain_pem.write_to_path(str(folder / "mine.pem"))
    (folder / "netrc").write_text("machine bailee.example login ann password plums\n")
    wants = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("bailee.example").configure_cert(wants)
    wants.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(wants)
    site = Site(0, [])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            site.asked.append({name.lower(): value for name, value in self.headers.items()})
            status, headers, body = site.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = wants.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    site.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with squid_with_password("ann", PASSWORD) as proxy:
        yield (
            site,
            proxy,
            {
                "HTTPS_PROXY": f"http://ann:{PASSWORD}@127.0.0.1:{proxy.port}",
                "SSL_CERT_FILE": str(folder / "ca.pem"),
                "BAILEE_CLIENT_CERT": str(folder / "mine.pem"),
                "NETRC": str(folder / "netrc"),
            },
        )
    server.shutdown()
    server.server_close()


def _webhook(url: str) -> None:
    webhook = Webhook(url, lambda: None)
    try:
        assert webhook._tell({}, 0)
    finally:
        webhook.close()


def _provider(url: str) -> None:
    with Visits().to("orchard") as visit:
        assert visit.ask("GET", url).good


def _passed_on(url: str) -> None:
    status, _ = _posted(OutwardRequest(url, {}, b"{}", 1))
    assert 200 <= status < 300


def _console(url: str) -> None:
    ConsoleApi(url, "bl_key", Network.of()).find("/api/v1/x")


def _issue(url: str) -> None:
    issue = IssueDraft("orchard/pears", "title", "body", ())
    file_issue(issue, token="token", network=Network.of(), api=url)


def _elsewhere(url: str) -> None:
    list(RemoteServer(url, "bl_key").ask("sessions.list", {}))


USERS: dict[str, tuple[Callable[[str], None], tuple[int, bytes]]] = {
    "webhook": (_webhook, (204, b"")),
    "provider": (_provider, (204, b"")),
    "passed on": (_passed_on, (204, b"")),
    "console": (_console, (200, b"{}")),
    "issue": (_issue, (201, b'{"number": 1, "html_url": "https://x.example/1"}')),
    "elsewhere": (_elsewhere, (200, b'{"items": [], "next": null}')),
}


@pytest.mark.row("D2")
@pytest.mark.parametrize("user", USERS)
def test_behind_a_companys_proxy_everything_goes_the_same_way(
    company: Company, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxy with a password, authority, client certificate; without one of them, nothing arrives.
    No login of ~/.netrc goes along.
    """
    site, _, variables = company
    ask, (status, body) = USERS[user]
    site.answer, site.asked[:] = (status, {}, body), []
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ask(site.url)
    (got,) = site.asked
    assert "Basic" not in got.get("authorization", "")
    assert "proxy-authorization" not in got
    for name in ("HTTPS_PROXY", "SSL_CERT_FILE", "BAILEE_CLIENT_CERT"):
        with monkeypatch.context() as lacking:
            lacking.delenv(name)
            with pytest.raises((BaileeError, AssertionError)):
                ask(site.url)
    assert 1 == len(site.asked)


@pytest.mark.parametrize("user", USERS)
def test_no_redirect_is_followed(
    company: Company, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was meant for one address goes to no other."""
    site, _, variables = company
    site.answer, site.asked[:] = (307, {"location": f"{site.url}/elsewhere"}, b""), []
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((BaileeError, AssertionError)):
        USERS[user][0](site.url)
    assert 1 == len(site.asked)


def test_an_answer_has_a_largest_size(
    company: Company,
) -> None:
    """What is more is not taken; to the last byte of the bound it is."""
    site, _, variables = company
    site.answer = (200, {}, b"x" * 1000)
    network = Network(variables)
    assert 1000 == len(network.ask("GET", site.url, largest=1000).content)
    with pytest.raises(NoAnswer):
        network.ask("GET", site.url, largest=999)


def test_a_console_that_is_asked_in_the_clear_gets_no_key(tmp_path: Path) -> None:
    """A key does not go readably to another machine; nobody there is an error of its own."""
    with pytest.raises(BaileeError, match="plain HTTP"):
        ConsoleApi("http://console.example", "bl_key").get("/")
    with pytest.raises(UpstreamError, match="can't be reached"):
        ConsoleApi("http://127.0.0.1:9", "bl_key").get("/")
