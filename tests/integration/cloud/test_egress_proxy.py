"""The egress proxy as a session sees it: each rule as a dialogue, over real sockets and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
import trustme

from bailee.cloud.egress import Budgets, ConnectionOutcome, EgressProxy, EgressRecord, EgressRules
from bailee.cloud.ports import End
from bailee.outbound.addresses import Address
from bailee.outbound.dialing import Dialer
from bailee.outbound.network import Network
from support.servers.corporate_network import squid_with_password
from support.servers.registries import WebServer
from support.servers.serving import Served

from .conftest import LOOPBACK

pytestmark = pytest.mark.row("C3")

NAME = "registry.test"


@dataclass
class Egress:
    """A proxy, two servers that it may reach, and what was recorded."""

    served: Served
    plain: WebServer
    secure: WebServer
    authority: trustme.CA
    records: list[EgressRecord] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    addresses: dict[str, list[list[str]]] = field(default_factory=dict)
    proxy: EgressProxy = field(init=False)

    def start(
        self,
        *,
        level: str = "trusted",
        more: Sequence[str] = (),
        deny: Sequence[str] = (),
        budgets: Budgets | None = None,
        violations: int = 100,
        change: Callable[[EgressRules], EgressRules] = lambda rules: rules,
        private: Sequence[ipaddress.IPv4Network] = LOOPBACK,
        network: Network | None = None,
    ) -> None:
        """A new proxy for the same servers."""
        allow = [f"{NAME}:{self.plain.port}", f"{NAME}:{self.secure.port}", *more]
        self.proxy = EgressProxy(
            change(EgressRules.of(level, allow=[*allow, f"two.test:{self.plain.port}"], deny=deny)),
            record=self.records.append,
            end=self.ends.append,
            dialer=Dialer(self.resolve, private=private, seconds=10, network=network or Network()),
            budgets=budgets or Budgets(),
            violations=violations,
        )
        self.served.service = self.proxy.serve

    async def resolve(self, name: str, _port: int) -> list[Address]:
        """The resolver: loopback, unless a name has answers of its own, one after another."""
        self.resolved.append(name)
        answers = self.addresses.get(name, [["127.0.0.1"]])
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ipaddress.ip_address(text) for text in now]

    def connect(self) -> socket.socket:
        """A connection to the proxy."""
        return socket.create_connection(("127.0.0.1", self.served.port), timeout=30)

    def say(self, request: bytes) -> bytes:
        """Send bytes, and take everything that comes until the end."""
        with self.connect() as connection:
            connection.sendall(request)
            return everything(connection)

    def tunnel(self, target: str) -> tuple[socket.socket, bytes]:
        """A CONNECT, and the head of its answer."""
        connection = self.connect()
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = b""
        with contextlib.suppress(ConnectionResetError):
            while b"\r\n\r\n" not in head and (byte := connection.recv(1)):
                head += byte
        return connection, head

    def refused(self, target: str) -> tuple[int, str]:
        """Status and rule of a CONNECT that is refused."""
        connection, head = self.tunnel(target)
        with connection:
            return refusal(head + everything(connection))

    def get(self, path: str = "/file", server_name: str = NAME) -> bytes:
        """A file over TLS through a tunnel; `server_name` is what TLS asks for."""
        connection, head = self.tunnel(f"{NAME}:{self.secure.port}")
        assert b"200" in head.splitlines()[0], head
        trust = ssl.create_default_context()
        self.authority.configure_trust(trust)
        with trust.wrap_socket(connection, server_hostname=server_name) as tls:
            tls.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return everything(tls)

    @property
    def last(self) -> EgressRecord:
        """The last record, when all streams have ended."""
        self.served.idle()
        return self.records[-1]


def everything(connection: socket.socket) -> bytes:
    """What comes until the end."""
    out = b""
    try:
        while piece := connection.recv(65536):
            out += piece
    except ConnectionResetError:
        pass
    return out


@pytest.fixture(scope="module")
def servers(authority: trustme.CA) -> Iterator[tuple[WebServer, WebServer]]:
    """One server of plain HTTP, one of TLS."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, "other.test").configure_cert(tls)
    files = {"/file": b"content of the file" * 100}
    with WebServer(files) as plain, WebServer(files, tls) as secure:
        yield plain, secure


@pytest.fixture
def egress(servers: tuple[WebServer, WebServer], authority: trustme.CA) -> Iterator[Egress]:
    """A proxy at the level `trusted`, with the two servers on its list."""
    with Served() as served:
        made = Egress(served, *servers, authority)
        made.start()
        yield made


def refusal(answer: bytes) -> tuple[int, str]:
    """Status and rule of a refusal; the rule stands in the status line, a field and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    (rule,) = [line.partition(": ")[2] for line in lines if line.startswith("x-bailee-rule")]
    assert f"(rule {rule})" in lines[0]
    assert f"rule: {rule}\n" in body.decode()
    return int(lines[0].split()[1]), rule


class TestPassing:
    def test_tls(self, egress: Egress) -> None:
        """TLS passes end to end, and its bytes are on record; what was asked for is not."""
        answer = egress.get("/file?secret-query")
        assert answer.endswith(b"content of the file" * 100)
        last = egress.last
        assert (ConnectionOutcome.ALLOWED, f"allow:{NAME}:{egress.secure.port}", "tls", NAME) == (
            *(last.outcome, last.rule, last.kind),
            last.host,
        )
        assert "127.0.0.1" == last.address
        assert last.sent > 200
        assert last.received > len(answer)
        assert "secret" not in str(egress.records)

    def test_plain(self, egress: Egress) -> None:
        """A plain request goes out as it was meant, without the fields of its hop."""
        url = f"http://{NAME}:{egress.plain.port}/file?a=b"
        done = subprocess.run(
            [
                *("curl", "-sS", "-x", f"http://127.0.0.1:{egress.served.port}", url),
                *("-H", "X-Kept: yes", "-H", "Connection: X-Hop", "-H", "X-Hop: no"),
                *("-H", "Proxy-Authorization: secret", "-d", "body"),
            ],
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        assert b"content of the file" * 100 == done.stdout, done.stderr
        method, path, headers, body = egress.plain.asked[-1]
        named = {name.lower(): value for name, value in headers.items()}
        assert ("POST", "/file?a=b", b"body") == (method, path, body)
        assert f"{NAME}:{egress.plain.port}" == named["host"]
        assert "yes" == named["x-kept"]
        assert set() == {"x-hop", "proxy-authorization", "proxy-connection"} & set(named)
        assert "http" == egress.last.kind

    def test_several_requests_on_one_connection(self, egress: Egress) -> None:
        """A client may keep its connection, and send before it was answered."""
        port = egress.plain.port
        one = f"GET http://{NAME}:{port}/file HTTP/1.1\r\nHost: {NAME}:{port}\r\n\r\n"
        head = one.replace("GET", "HEAD")
        last = one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        answer = egress.say((one + head + one + last).encode())
        assert 4 == answer.count(b"HTTP/1.1 200")
        assert 3 == answer.count(b"content of the file" * 100)
        assert egress.last
        assert [ConnectionOutcome.ALLOWED] * 4 == [r.outcome for r in egress.records]

    def test_a_body_in_chunks(self, egress: Egress) -> None:
        """A body without a length arrives whole."""
        connection = http.client.HTTPConnection("127.0.0.1", egress.served.port, timeout=30)
        url = f"http://{NAME}:{egress.plain.port}/file"
        pieces = iter([b"a" * 70_000, b"b" * 70_000])
        connection.request("POST", url, pieces, {"Expect": "100-continue"}, encode_chunked=True)
        assert 200 == connection.getresponse().status
        assert b"a" * 70_000 + b"b" * 70_000 == egress.plain.asked[-1][3]

    def test_plain_requests_in_a_tunnel(self, egress: Egress) -> None:
        """Some clients tunnel plain HTTP too: it is held to the same rules."""
        target = f"{NAME}:{egress.plain.port}"
        connection, _ = egress.tunnel(target)
        connection.sendall(f"GET /file HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        assert b"content of the file" in everything(connection)
        assert (ConnectionOutcome.ALLOWED, "http") == (egress.last.outcome, egress.last.kind)
        connection, _ = egress.tunnel(target)
        with connection:
            connection.sendall(b"GET /file HTTP/1.1\r\nHost: other.test\r\n\r\n")
            assert (403, "http.host") == refusal(everything(connection))
        egress.served.idle()
        assert 1 == egress.proxy.violations


class TestNames:
    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            ("example.org:443", (403, "level.trusted")),
            ("pypi.org:22", (403, "port")),
            ("evil.pypi.org:443", (403, "level.trusted")),
            ("127.0.0.1:443", (403, "level.trusted")),
            ("[::1]:443", (403, "level.trusted")),
            ("2130706433:443", (400, "host.malformed")),
            ("0177.0.0.1:443", (400, "host.malformed")),
            ("0x7f.1:443", (400, "host.malformed")),
            ("127.1:443", (400, "host.malformed")),
            ("127.0.0.1.:443", (400, "host.malformed")),
            ("[::1%25lo]:443", (400, "host.malformed")),
            ("::1:443", (400, "host.malformed")),
            ("pypi.org@127.0.0.1:443", (400, "host.malformed")),
            ("pypi.org", (400, "host.malformed")),
            ("pypi.org:0443", (400, "host.malformed")),
            ("pypi.org:99999", (400, "host.malformed")),
            ("pypi%2eorg:443", (400, "host.malformed")),
        ],
    )
    def test_are_decided_before_they_are_resolved(
        self, egress: Egress, target: str, expected: tuple[int, str]
    ) -> None:
        """A host that may not be, or is none, is refused by name; no resolver hears of it."""
        assert expected == egress.refused(target)
        assert [] == egress.resolved
        assert (ConnectionOutcome.REFUSED, expected[1]) == (egress.last.outcome, egress.last.rule)
        assert egress.last.host == "" if expected[0] == 400 else egress.last.host in target

    def test_level_none(self, egress: Egress) -> None:
        """At the level `none` nothing is reached, the organisation's own hosts neither."""
        egress.start(level="none")
        assert (403, "level.none") == egress.refused(f"{NAME}:{egress.secure.port}")

    def test_what_the_organisation_denies(self, egress: Egress) -> None:
        """What is denied is denied at every level, and names the entry."""
        egress.start(level="full", deny=["*.test"])
        assert (403, "deny:*.test") == egress.refused(f"{NAME}:{egress.secure.port}")


class TestAddresses:
    @pytest.mark.parametrize(
        "addresses",
        [
            *(["10.0.0.1"], ["169.254.169.254"], ["100.64.0.1"], ["::1"], ["fd00:ec2::254"]),
            *(["::ffff:10.0.0.1"], ["64:ff9b::a9fe:a9fe"], ["2002:a00:1::"], ["0.0.0.0"]),
            *(["1.1.1.1", "192.168.0.1"], ["127.0.0.1"], ["224.0.0.1"], ["168.63.129.16"]),
        ],
    )
    def test_all_of_them_must_be_public(self, egress: Egress, addresses: list[str]) -> None:
        """At the level `full` too, a name with one address inside is refused, and recorded."""
        egress.start(level="full", private=())
        egress.addresses["inside.example"] = [addresses]
        assert (403, "address.not_public") == egress.refused("inside.example:443")
        assert egress.last.address is not None
        assert "inside.example" == egress.last.host

    @pytest.mark.parametrize("target", ["127.0.0.1:443", "[::1]:443", "[::ffff:10.0.0.1]:80"])
    def test_written_as_addresses(self, egress: Egress, target: str) -> None:
        """An address inside is refused when it is written out, too."""
        egress.start(level="full", private=())
        assert (403, "address.not_public") == egress.refused(target)

    def test_a_name_that_changes_its_mind(self, egress: Egress) -> None:
        """The address that is connected to is the one that was checked: a name is asked for once,
        and what it would answer the next time is nobody's business.
        """
        egress.addresses["two.test"] = [["127.0.0.1"], ["10.0.0.1"]]
        url = f"http://two.test:{egress.plain.port}/file"
        answer = egress.say(f"GET {url} HTTP/1.0\r\n\r\n".encode())
        assert b"200" in answer.splitlines()[0]
        assert (["two.test"], "127.0.0.1") == (egress.resolved, egress.last.address)
        answer = egress.say(f"GET {url} HTTP/1.0\r\n\r\n".encode())
        assert (403, "address.not_public") == refusal(answer)

    def test_what_can_not_be_reached(self, egress: Egress) -> None:
        """No address, or nobody there, is a failure and no violation."""
        egress.addresses[NAME] = [[]]
        assert (502, "dns.none") == egress.refused(f"{NAME}:{egress.secure.port}")
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            egress.start(level="full", change=lambda rules: replace(rules, ports=frozenset({port})))
            egress.addresses[NAME] = [["127.0.0.1"]]
            assert (502, "connect.failed") == egress.refused(f"{NAME}:{port}")
        assert (ConnectionOutcome.FAILED, 0) == (egress.last.outcome, egress.proxy.violations)


class TestTls:
    def test_another_name_in_tls(self, egress: Egress) -> None:
        """A tunnel to one host can't be used for TLS to another; the client gets TLS's alert."""
        asked = len(egress.secure.asked)
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            egress.get(server_name="other.test")
        assert (ConnectionOutcome.CUT, "sni.mismatch", 0) == (
            *(egress.last.outcome, egress.last.rule),
            egress.last.sent,
        )
        assert asked == len(egress.secure.asked)

    def test_no_name_in_tls(self, egress: Egress) -> None:
        """TLS without a server name is refused, unless the rules allow it."""
        connection, _ = egress.tunnel(f"{NAME}:{egress.secure.port}")
        anonymous = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anonymous.check_hostname, anonymous.verify_mode = False, ssl.CERT_NONE
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            anonymous.wrap_socket(connection)
        assert "sni.missing" == egress.last.rule
        egress.start(change=lambda rules: replace(rules, without_sni=True))
        connection, _ = egress.tunnel(f"{NAME}:{egress.secure.port}")
        anonymous.wrap_socket(connection).close()
        assert ConnectionOutcome.ALLOWED == egress.last.outcome

    def test_a_hello_in_small_pieces(self, egress: Egress) -> None:
        """A hello cut into records and pieces is put together, and held to the same rule."""
        out = ssl.MemoryBIO()
        session = ssl.create_default_context().wrap_bio(
            ssl.MemoryBIO(), out, server_hostname="other.test"
        )
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        message = out.read()[5:]
        connection, _ = egress.tunnel(f"{NAME}:{egress.secure.port}")
        for at in range(0, len(message), 50):
            piece = message[at : at + 50]
            connection.sendall(b"\x16\x03\x01" + len(piece).to_bytes(2, "big"))
            connection.sendall(piece)
        assert b"\x15\x03\x03\x00\x02\x02\x70" == everything(connection)
        assert "sni.mismatch" == egress.last.rule

    @pytest.mark.parametrize(
        "said", [b"SSH-2.0-OpenSSH_9\r\n", b"\x00\x01\x02\x03", b"\x16\x03\x01\x00\x00"]
    )
    def test_what_is_not_tls(self, egress: Egress, said: bytes) -> None:
        """Another protocol through a tunnel ends it, and nothing of it goes out."""
        connection, head = egress.tunnel(f"{NAME}:{egress.secure.port}")
        assert b"200" in head
        connection.sendall(said)
        everything(connection)
        connection.close()
        assert egress.last.rule in ("tunnel.unknown", "tls.malformed")
        assert (0, 1) == (egress.last.sent, egress.proxy.violations)


class TestRequests:
    @pytest.mark.parametrize(
        ("request_text", "expected"),
        [
            ("GET http://{at}/ HTTP/1.1\r\nHost: other.test\r\n\r\n", (403, "http.host")),
            ("GET http://{at}/ HTTP/1.1\r\nHost: registry.test\r\n\r\n", (403, "http.host")),
            ("GET http://{at}/ HTTP/1.1\r\nHost: a@b\r\n\r\n", (400, "request.malformed")),
            ("GET http://{at}/ HTTP/1.1\r\n\r\n", (400, "request.malformed")),
            ("GET http://{at}/ {1}Host: {at}\r\n\r\n", (400, "request.malformed")),
            ("GET /file {1}\r\n", (400, "request.malformed")),
            ("GET https://{at}/ {1}\r\n", (400, "request.malformed")),
            ("GET ftp://{at}/ {1}\r\n", (400, "request.malformed")),
            ("GET http://{at}/#x {1}\r\n", (400, "request.malformed")),
            ("GET http://x@{at}/ {1}\r\n", (400, "host.malformed")),
            ("GET http://{at}\\@evil/ {1}\r\n", (400, "host.malformed")),
            (
                "POST http://{at}/ {1}Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
                (400, "request.malformed"),
            ),
            ("GET  http://{at}/ {1}\r\n", (400, "request.malformed")),
            ("GET http://{at}/ HTTP/1.1\r\nHost : {at}\r\n\r\n", (400, "request.malformed")),
            ("CONNECT {at} {1}Content-Length: 3\r\n\r\nabc", (400, "request.malformed")),
            ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", (400, "request.malformed")),
            ("GET http://{at}/ HTTP/1.1\r\nX: " + "x" * 70_000, (400, "request.malformed")),
        ],
    )  # fmt: skip
    def test_that_could_be_read_in_two_ways(
        self, egress: Egress, request_text: str, expected: tuple[int, str]
    ) -> None:
        """A request that is not exactly one is refused; the server never hears of it."""
        asked = len(egress.plain.asked)
        text = request_text.replace("{1}", "HTTP/1.1\r\nHost: {at}\r\n")
        text = text.replace("{at}", f"{NAME}:{egress.plain.port}")
        answer = egress.say(text.encode("latin-1"))
        assert expected == refusal(answer)
        assert asked == len(egress.plain.asked)
        assert expected[1] == egress.last.rule

    @pytest.mark.parametrize("lengths", ["3", "0", "100"])
    def test_two_lengths_of_a_body(self, egress: Egress, lengths: str) -> None:
        """A length beside a transfer coding is refused: nothing is smuggled behind it."""
        at = f"{NAME}:{egress.plain.port}"
        asked = len(egress.plain.asked)
        answer = egress.say(
            f"POST http://{at}/file HTTP/1.1\r\nHost: {at}\r\nContent-Length: {lengths}\r\n"
            f"Transfer-Encoding: chunked\r\n\r\n"
            f"0\r\n\r\nGET http://{at}/smuggled HTTP/1.1\r\nHost: {at}\r\n\r\n".encode()
        )
        assert (400, "request.malformed") == refusal(answer)
        assert 1 == answer.count(b"HTTP/1.1 ")
        assert asked == len(egress.plain.asked)

    def test_what_is_sloppy_goes_out_in_order(self, egress: Egress) -> None:
        """Bare line feeds and folded fields, which some clients write, go out as one head that can
        be read in one way only.
        """
        at = f"{NAME}:{egress.plain.port}"
        text = f"GET http://{at}/file HTTP/1.1\nHost: {at}\nConnection: close\nX-A: one\n two\n\n"
        assert b"200" in egress.say(text.encode()).splitlines()[0]
        _, path, headers, _ = egress.plain.asked[-1]
        assert ("/file", at, "one two") == (path, headers["host"], headers["x-a"])


class TestBudgets:
    def test_a_request_that_does_not_arrive(self, egress: Egress) -> None:
        """A head that comes drop by drop is ended in time; silence is ended without a word."""
        egress.start(budgets=Budgets(head=0.5))
        assert (408, "time.head") == refusal(egress.say(b"GET http://a.example/ HT"))
        assert b"" == egress.say(b"")
        with egress.connect() as silent:
            assert b"" == everything(silent)
        connection, _ = egress.tunnel(f"{NAME}:{egress.secure.port}")
        connection.sendall(b"\x16\x03\x01\x02\x00")
        assert b"" == everything(connection)
        assert "time.head" == egress.last.rule

    def test_a_tunnel_in_which_nothing_happens(self, egress: Egress) -> None:
        """A tunnel without a byte either way is ended."""
        egress.start(budgets=Budgets(idle=0.5))
        connection, _ = egress.tunnel(f"{NAME}:{egress.secure.port}")
        trust = ssl.create_default_context()
        egress.authority.configure_trust(trust)
        tls = trust.wrap_socket(connection, server_hostname=NAME, suppress_ragged_eofs=True)
        assert b"" == everything(tls)
        assert (ConnectionOutcome.CUT, "time.idle") == (egress.last.outcome, egress.last.rule)

    def test_one_connection_for_too_long(self, egress: Egress) -> None:
        """A tunnel that is never idle is ended too."""
        egress.start(budgets=Budgets(longest=1.0))
        connection, _ = egress.tunnel(f"{NAME}:{egress.secure.port}")
        trust = ssl.create_default_context()
        egress.authority.configure_trust(trust)
        with trust.wrap_socket(connection, server_hostname=NAME) as tls:
            request = f"GET /file HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
            with pytest.raises((OSError, ssl.SSLError, AssertionError)):
                while True:
                    tls.sendall(request)
                    assert tls.recv(65536)
        assert (ConnectionOutcome.CUT, "time.longest") == (egress.last.outcome, egress.last.rule)

    def test_too_many_at_once(self, egress: Egress) -> None:
        """A stream beyond those at once is refused; when one ends, another may be."""
        egress.start(budgets=Budgets(concurrent=3))
        target = f"{NAME}:{egress.secure.port}"
        held = [egress.tunnel(target)[0] for _ in range(3)]
        assert (429, "budget.concurrent") == refusal(egress.say(b""))
        for connection in held:
            connection.close()
        egress.served.idle()
        assert egress.get().endswith(b"content of the file")

    def test_a_flood(self, egress: Egress) -> None:
        """Connections beyond the rate are refused; a flood of them ends the session."""
        egress.start(budgets=Budgets(per_second=0.001, burst=5), violations=2)
        target = f"{NAME}:{egress.secure.port}"
        heads = []
        for _ in range(40):
            connection, head = egress.tunnel(target)
            heads.append(head.split(b" ", 2)[1:2])
            connection.close()
        assert 5 == heads.count([b"200"])
        assert 20 == heads.count([b"429"])
        assert [End.EGRESS] == egress.ends

    @pytest.mark.parametrize("way", ["tls", "plain"])
    def test_the_volume_into_the_session(self, egress: Egress, way: str) -> None:
        """When the budget of bytes is used up, connections are cut, and no new one is made."""
        egress.start(budgets=Budgets(received=1000))
        if way == "tls":
            with contextlib.suppress(OSError):
                assert len(egress.get()) < 1000
        else:
            url = f"http://{NAME}:{egress.plain.port}/file"
            answer = egress.say(f"GET {url} HTTP/1.0\r\n\r\n".encode())
            assert len(answer) < 1900
        assert (ConnectionOutcome.CUT, "budget.received") == (egress.last.outcome, egress.last.rule)
        assert (429, "budget.received") == egress.refused(f"{NAME}:{egress.secure.port}")

    def test_the_volume_out_of_the_session(self, egress: Egress) -> None:
        """What a session may send out is counted over all its connections."""
        egress.start(budgets=Budgets(sent=200_000))
        url = f"http://{NAME}:{egress.plain.port}/file"
        statuses = []
        for _ in range(4):
            connection = http.client.HTTPConnection("127.0.0.1", egress.served.port, timeout=30)
            try:
                connection.request("POST", url, b"x" * 90_000)
                statuses.append(connection.getresponse().status)
            except OSError:
                statuses.append(0)
        assert [200, 200] == statuses[:2]
        assert 200 not in statuses[2:]
        assert egress.proxy.spending.sent < 300_000


class TestViolations:
    def test_end_the_session(self, egress: Egress) -> None:
        """After so many violations the session is told to end, once, and nothing goes out."""
        egress.start(violations=3)
        for number in range(3):
            assert [] == egress.ends
            assert (403, "level.trusted") == egress.refused(f"evil{number}.example:443")
            egress.served.idle()
        assert [End.EGRESS] == egress.ends
        assert b"" == egress.tunnel(f"{NAME}:{egress.secure.port}")[1]
        assert [End.EGRESS] == egress.ends

    def test_are_recorded_each(self, egress: Egress) -> None:
        """Each attempt has one record, with its rule and no content."""
        egress.get()
        egress.tunnel("evil.example:443")[0].close()
        egress.say(b"nonsense\r\n\r\n")
        egress.served.idle()
        assert [
            ConnectionOutcome.ALLOWED,
            ConnectionOutcome.REFUSED,
            ConnectionOutcome.REFUSED,
        ] == [r.outcome for r in egress.records]
        assert "nonsense" not in str(egress.records)


def test_what_can_not_be_recorded_does_not_go_on(egress: Egress) -> None:
    """When a record can't be written, the session ends."""

    def record(_one: EgressRecord) -> None:
        raise OSError("the disk is full")

    egress.proxy._record = record  # type: ignore[misc]
    egress.tunnel("evil.example:443")[0].close()
    egress.served.idle()
    assert [End.EGRESS] == egress.ends
    assert b"" == egress.tunnel(f"{NAME}:{egress.secure.port}")[1]


def test_an_address_that_swallows_everything(egress: Egress) -> None:
    """Of several addresses the next is tried when one takes no connection."""
    egress.addresses["two.test"] = [["127.0.0.2", "127.0.0.1"]]
    url = f"http://two.test:{egress.plain.port}/file"
    assert b"200" in egress.say(f"GET {url} HTTP/1.0\r\n\r\n".encode()).splitlines()[0]
    assert "127.0.0.1" == egress.last.address


def test_many_tunnels_at_once(egress: Egress) -> None:
    """Forty tunnels at once each carry their own bytes, a megabyte each way."""
    egress.start(budgets=Budgets(concurrent=50, per_second=1000))

    async def one(number: int) -> bool:
        port = egress.secure.port
        reader, writer = await asyncio.open_connection("127.0.0.1", egress.served.port)
        writer.write(f"CONNECT {NAME}:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        trust = ssl.create_default_context()
        egress.authority.configure_trust(trust)
        await writer.start_tls(trust, server_hostname=NAME)
        body = bytes([number]) * 1_000_000
        head = f"POST /{number} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        got = await reader.read()
        writer.close()
        return b"404" in got

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in range(40)))

    assert [True] * 40 == asyncio.run(all_of_them())
    bodies = {path: body for _, path, _, body in egress.secure.asked if len(body) == 1_000_000}
    assert {f"/{n}": bytes([n]) * 1_000_000 for n in range(40)} == bodies
    egress.served.idle()
    assert 40 == len(egress.records)


def test_a_server_that_says_no_http(egress: Egress) -> None:
    """An answer that is none becomes a 502 with its rule."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    port = listener.getsockname()[1]
    egress.start(level="full", change=lambda rules: replace(rules, ports=frozenset({port})))
    said = egress.say(f"GET http://{NAME}:{port}/ HTTP/1.0\r\n\r\n".encode())
    assert (502, "upstream.closed") == refusal(said)
    listener.close()


@pytest.mark.row("D2")
def test_behind_a_companys_proxy_both_kinds_go_by_it(egress: Egress) -> None:
    """A tunnel by a tunnel, a plain request by its whole address; its password goes no further,
    and the record says that no address was seen.
    """
    host = "bailee.example"  # a name that squid alone can resolve
    egress.addresses[host] = [[]]
    with squid_with_password("ann", "pears") as proxy:
        address = f"http://ann:pears@127.0.0.1:{proxy.port}"
        network = Network({"HTTPS_PROXY": address, "HTTP_PROXY": address})
        port = egress.plain.port
        egress.start(more=[f"{host}:{port}"], network=network)
        # Squid would keep either connection open, for more requests.
        rest = f"HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        got = egress.say(f"GET http://{host}:{port}/file {rest}".encode())
        assert got.startswith(b"HTTP/1.1 200"), got[:300]
        assert (None, "http") == (egress.last.address, egress.last.kind)
        connection, head = egress.tunnel(f"{host}:{port}")
        with connection:
            assert b"200" in head.splitlines()[0], head
            connection.sendall(f"GET /file {rest}".encode())
            assert everything(connection).startswith(b"HTTP/1.1 200")
        assert egress.last.address is None
    assert any(f"CONNECT {host}:{port} ann" in line for line in proxy.lines), proxy.lines
    assert any(f"GET http://{host}:{port}/file ann" in line for line in proxy.lines), proxy.lines
