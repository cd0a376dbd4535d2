"""WebFetch against real servers under TLS, and through a real squid."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from bailee.agent.ports import ToolOutcome
from bailee.agent.tools.arguments import Arguments
from bailee.agent.tools.web import WebFetch, text_of
from bailee.client.agent_bounds import AgentBound
from bailee.errors import BaileeError, InputError, PolicyDenied
from bailee.outbound.dialing import Dialer
from bailee.outbound.network import Network
from support.servers.corporate_network import squid

HERE = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
PAGE = b"""<html><head><title>T</title><style>p{}</style></head><body><nav>menu</nav>
<h1>Pears</h1><p>Ripe in <b>September</b>, see <a href="/quinces">quinces</a>.</p>
<script>steal()</script><ul><li>one</li><li>two</li></ul></body></html>"""


@dataclass
class Site:
    """A site: its port, what was asked of it, and a network that trusts it."""

    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    network: Network = field(default_factory=lambda: Network({}))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the site."""
    return trustme.CA()


@pytest.fixture
def site(authority: trustme.CA, tmp_path: Path) -> Iterator[Site]:
    """A site of localhost and bailee.example."""
    made = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            more: dict[str, str] = {}
            status, kind, body = 200, "text/html; charset=utf-8", PAGE
            match self.path:
                case "/near":
                    status, more = 302, {"location": "/page"}
                case "/round":
                    status, more = 302, {"location": "/round"}
                case "/far":
                    status, more = 302, {"location": "https://elsewhere.example/x"}
                case "/down":
                    status, more = 302, {"location": "http://127.0.0.1/x"}
                case "/none":
                    status = 404
                case "/picture":
                    kind, body = "image/png", b"PNG"
                case "/bomb":
                    body, more = gzip.compress(bytes(20_000_000)), {"content-encoding": "gzip"}
            self.send_response(status)
            for name, value in {"content-type": kind, **more}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "bailee.example").configure_cert(tls)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    made.port = server.server_port
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    made.network = Network({"SSL_CERT_FILE": str(file)})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(tool: WebFetch, url: str) -> ToolOutcome:
    """What the tool gives for an address."""
    return asyncio.run(tool.run(Arguments("WebFetch", {"url": url})))


@pytest.mark.row("D2")
def test_a_page_is_its_text_and_only_the_address_was_sent(site: Site) -> None:
    """Markdown without scripts and menus, after a redirect within the host; no cookie, no referrer,
    the right name for host and certificate although the address that was checked is connected to.
    """
    tool = WebFetch(site.network, Dialer(private=HERE))
    got = fetched(tool, f"https://localhost:{site.port}/near#part")

    title, _, rest = str(got.content).partition("\n\n")
    assert "T" == title
    assert "# Pears\n\nRipe in **September**, see [quinces](/quinces).\n\n* one\n* two" == rest
    assert ["/near", "/page"] == [path for path, _ in site.asked]
    for _, headers in site.asked:
        assert {"host", "accept", "accept-encoding", "connection", "user-agent"} == set(headers)
        assert f"localhost:{site.port}" == headers["host"]


def test_what_is_refused(site: Site) -> None:
    """Private addresses, by name, by number and by a redirect; what is no text, too large, without
    end, or no address; another host is told and not followed.
    """
    here = f"https://localhost:{site.port}"
    for url in (here, f"http://127.0.0.1:{site.port}/", "https://169.254.169.254/latest",
                "https://[::1]/", "https://10.0.0.1/", "https://0x7f000001/"):  # fmt: skip
        with pytest.raises(BaileeError, match=r"private network|no host"):
            fetched(WebFetch(site.network), url)
    assert [] == site.asked

    tool = WebFetch(site.network, Dialer(private=HERE))
    for path, message in (
        ("/picture", "no text"),
        ("/bomb", "larger than"),
        ("/round", "redirects"),
    ):
        with pytest.raises(BaileeError, match=message):
            fetched(tool, here + path)
    assert "Ask for that: https://elsewhere.example/x" in str(fetched(tool, f"{here}/far").content)
    assert "Ask for that: https://127.0.0.1/x" in str(fetched(tool, f"{here}/down").content)
    assert fetched(tool, f"{here}/none").is_error
    for url in (
        "file:///etc/passwd",
        "https://",
        "https://a:b@localhost/",
        "https://x/\ny",
        "pears",
    ):
        with pytest.raises(InputError):
            fetched(tool, url)


@pytest.mark.row("D2")
def test_through_a_companys_proxy_that_looks_names_up(site: Site) -> None:
    """The name is known to the proxy alone; the certificate is still the site's."""
    with squid() as proxy:
        variables = {**site.network.variables, "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
        got = fetched(WebFetch(Network(variables)), f"https://bailee.example:{site.port}/page")

    assert "# Pears" in str(got.content)
    assert any(f"CONNECT bailee.example:{site.port}" in line for line in proxy.lines)


def test_a_text_is_left_as_it_is() -> None:
    """JSON and plain text, in whatever they are encoded."""
    assert '{"a": "ä"}' == text_of(
        '{"a": "ä"}'.encode("latin-1"), "application/json; charset=latin-1"
    )
    assert "pears" == text_of(b"pears\n", "text/plain; charset=nonsense")


@pytest.mark.row("P1", "D2")
def test_a_host_that_the_policy_document_leaves_out_is_not_asked(site: Site) -> None:
    """In the clause's words, from the next page on, and before anything is sent."""
    left = ["localhost"]

    def bounds() -> list[AgentBound]:
        return [
            AgentBound("web_pages", (*left,), "bound.pages", "Our pages alone.", "仅限自有网页。",
                       "managed", "/etc/bailee/settings.json"),
            AgentBound("mcp_servers", (), "bound.servers", "None.", "无。", "managed", "x"),
        ]  # fmt: skip

    tool = WebFetch(site.network, Dialer(private=HERE), bounds)
    address = f"https://localhost:{site.port}/page"
    assert not fetched(tool, address).is_error
    left.clear()
    with pytest.raises(PolicyDenied, match=r"Our pages alone\. \(bound\.pages\)"):
        fetched(tool, address)
    assert 1 == len(site.asked)
