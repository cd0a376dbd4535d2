"""The way out of the sandbox: real bubblewrap, real servers, the allowed hosts and no other."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import ipaddress
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from bailee.agent.egress import Egress, allows
from bailee.agent.sandbox import find
from bailee.agent.tools.arguments import Arguments
from bailee.agent.tools.bash import Bash
from bailee.agent.workspace import Workspace
from bailee.outbound.dialing import Dialer
from bailee.outbound.network import Network
from support.servers.corporate_network import squid_with_password

HERE = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
FETCH = (
    f"{sys.executable} -c 'import sys, urllib.request, urllib.error\n"
    "try: print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())\n"
    "except urllib.error.HTTPError as e: print(e.code, e.read().decode())\n"
    'except OSError as e: print("failed", e)\' '
)


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The ports of a plain site and of one under TLS, both of localhost and bailee.example."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"pears at {self.headers['host']}{self.path}".encode())

        def log_message(self, *_: object) -> None:
            pass

    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "bailee.example").configure_cert(tls)
    servers[1].socket = tls.wrap_socket(servers[1].socket, server_side=True)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers[0].server_port, servers[1].server_port
    for server in servers:
        server.shutdown()
        server.server_close()


Runs = Callable[..., list[str]]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Runs commands in the sandbox, with a way out to some hosts."""

    def run(
        *commands: str,
        hosts: tuple[str, ...],
        ports: tuple[int, ...],
        network: Network | None = None,
        this_machine_too: bool = True,
    ) -> list[str]:
        box = find(hosts=hosts)
        if box.program is None:
            pytest.skip(f"no sandbox here: {box.why}")
        (tmp_path / "work").mkdir(exist_ok=True)
        environment = {
            "PATH": "/usr/bin:/bin", "SSL_CERT_FILE": str(tmp_path / "authority.pem"),
            "HOME": str(tmp_path), "https_proxy": "http://ann:pears@127.0.0.1:9",
        }  # fmt: skip
        dialer = Dialer(private=HERE if this_machine_too else ())
        way = network or Network({})

        async def work() -> list[str]:
            egress = Egress(hosts, way, ports=ports, dialer=dialer)
            bash = Bash(Workspace(tmp_path / "work"), box, environment, egress)
            try:
                return [
                    str((await bash.run(Arguments("Bash", {"command": command}))).content)
                    for command in commands
                ]
            finally:
                await egress.close()

        return asyncio.run(work())

    return run


@pytest.mark.row("S7")
def test_allowed_hosts_are_reached_and_nothing_else(runs: Runs, sites: tuple[int, int]) -> None:
    """Under TLS and without, by the proxy; another name, another port and the way round the proxy
    are refused, and the reason is there for the model.
    """
    plain, secret = sites
    got = runs(
        f"{FETCH} http://localhost:{plain}/a?b=1",
        f"{FETCH} https://localhost:{secret}/c",
        f"{FETCH} http://127.0.0.1:{plain}/",
        f"{FETCH} https://127.0.0.1:{secret}/",
        f"{FETCH} http://localhost:{plain + 1 if plain + 1 != secret else plain + 2}/",
        f"exec 3<>/dev/tcp/127.0.0.1/{plain}",
        "exit 7",
        "kill -9 $$",
        hosts=("localhost",),
        ports=sites,
    )  # fmt: skip

    assert f"pears at localhost:{plain}/a?b=1" == got[0]
    assert f"pears at localhost:{secret}/c" == got[1]
    assert "403 bailee: no connection to 127.0.0.1" in got[2]
    assert "it is not in sandbox.network of the settings." in got[2]
    assert "403" in got[3]
    assert "neither 80 nor 443" in got[4]
    assert "onnection refused" in got[5]
    assert "[exit status 7]" == got[6]
    assert "[exit status 137]" == got[7]


@pytest.mark.row("S7")
def test_a_private_address_stays_out_of_reach_under_an_allowed_name(
    runs: Runs, sites: tuple[int, int]
) -> None:
    """A name that is allowed and stands for this machine is refused."""
    (got,) = runs(
        f"{FETCH} http://localhost:{sites[0]}/", hosts=("localhost",), ports=sites,
        this_machine_too=False,
    )  # fmt: skip

    assert "its address is not public (loopback)" in got


def asked(host: str) -> bytes:
    """What the way out answers to a tunnel to a host that its list allows."""

    async def ask() -> bytes:
        egress = Egress((host.strip("[]"),), Network({}))
        await egress.start()
        try:
            reader, writer = await asyncio.open_unix_connection(str(egress.path))
            writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n".encode())
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer
        finally:
            await egress.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "host", ["168.63.129.16", "[64:ff9b:1::a00:1]", "[fec0::1]", "[64:ff9b::a9fe:a9fe]"]
)
def test_what_python_takes_for_public_is_refused_all_the_same(host: str) -> None:
    """A cloud's own service, local NAT64, site-local: inside, though the list names them."""
    answer = asked(host)

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"its address is not public" in answer


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "a@localhost", "::1"])
def test_a_host_that_can_be_read_in_two_ways_is_no_host(host: str) -> None:
    """It is refused before anything is looked up."""
    assert asked(host).startswith(b"HTTP/1.1 400 ")


@pytest.mark.row("D2")
def test_behind_a_companys_proxy_the_way_out_is_that_proxy(
    runs: Runs, sites: tuple[int, int]
) -> None:
    """A name that squid alone knows, with a password that the sandbox never sees."""
    plain, secret = sites
    with squid_with_password("ann", "pears") as proxy:
        at = f"http://ann:pears@127.0.0.1:{proxy.port}"
        got = runs(
            f"{FETCH} https://bailee.example:{secret}/x; env",
            f"{FETCH} http://bailee.example:{plain}/y",
            hosts=("*.example",),
            ports=sites,
            network=Network({"HTTPS_PROXY": at, "HTTP_PROXY": at}),
        )

    assert got[0].startswith(f"pears at bailee.example:{secret}/x")
    assert "ann:pears" not in got[0]
    assert f"pears at bailee.example:{plain}/y" == got[1]


def test_which_names_a_list_allows() -> None:
    """The very name, or what ends in what follows `*.`; nothing that only looks so."""
    hosts = ("pypi.org", "*.pythonhosted.org")

    assert all(allows(hosts, name) for name in ("pypi.org", "PyPI.org.", "files.pythonhosted.org"))
    assert not any(
        allows(hosts, name)
        for name in ("a.pypi.org", "pypi.org.evil.example", "xpypi.org", "pythonhosted.org", "",
                     "evilpythonhosted.org", "*.pythonhosted.org.evil.example")
    )  # fmt: skip


def through(said: Callable[[int], bytes], then: bytes = b"") -> tuple[bytes, bytes]:
    """What the way out answers to `said` to a port where somebody listens, and `then` when it has
    answered; and what came to whoever listens.
    """
    came = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                came.extend(await reader.read(65_536))
        writer.close()

    async def ask() -> bytes:
        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        egress = Egress(("localhost",), Network({}), ports=(port,), dialer=Dialer(private=HERE))
        await egress.start()
        try:
            reader, writer = await asyncio.open_unix_connection(str(egress.path))
            writer.write(said(port))
            answer = await reader.readuntil(b"\r\n\r\n") if then else b""
            writer.write(then)
            writer.write_eof()
            answer += await reader.read()
            writer.close()
            return answer
        finally:
            await egress.close()
            server.close()

    return asyncio.run(ask()), bytes(came)


def hello(name: str | None) -> bytes:
    """TLS's first message, which names a server, or none."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    talk = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.do_handshake()
    return outgoing.read()


def tunnel(port: int) -> bytes:
    """A tunnel to localhost is asked for."""
    return f"CONNECT localhost:{port} HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n".encode()


@pytest.mark.row("S7")
def test_an_allowed_name_leads_to_no_other_site() -> None:
    """A Host, or a name in TLS, that is another than the address: nothing of it goes out; the name
    that was asked for does, written anew.
    """
    plain, came = through(
        lambda port: f"GET http://localhost:{port}/ HTTP/1.1\r\nhost: evil.example\r\n\r\n".encode()
    )
    hidden, came_hidden = through(tunnel, b"GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n")
    fronted, came_fronted = through(tunnel, hello("evil.example"))
    unnamed, came_unnamed = through(tunnel, hello(None))
    unknown, came_unknown = through(tunnel, b"\x00\x01\x02 pears")
    ours = hello("localhost")
    good, came_good = through(tunnel, ours)
    sloppy, came_sloppy = through(
        lambda port: (
            f"GET http://localhost:{port}/a HTTP/1.1\nhost: localhost:{port}\n"
            f"proxy-authorization: pears\nx: 1\n\n\r\n\r\n".encode()
        )
    )

    assert plain.startswith(b"HTTP/1.1 403 ") and b"its Host is another" in plain
    assert (b"", b"", b"", b"", b"") == (
        came, came_hidden, came_fronted, came_unnamed, came_unknown,
    )  # fmt: skip
    assert b"\x15\x03\x03\x00\x02\x02\x70" == fronted[-7:] == unnamed[-7:]
    assert hidden.startswith(b"HTTP/1.1 200 ") and unknown.startswith(b"HTTP/1.1 200 ")
    assert good.startswith(b"HTTP/1.1 200 ") and came_good == ours
    assert came_sloppy.startswith(b"GET /a HTTP/1.1\r\n") and b"pears" not in came_sloppy
    assert b"connection: close" in came_sloppy.lower()
    assert sloppy.startswith(b"HTTP/1.1 502 ")


@pytest.mark.row("S7")
@pytest.mark.parametrize("end", ["\r\n\r\n", "\n\n", "\r\n\n"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_second_request_goes_nowhere_behind_the_first(end: str, inside: bool) -> None:
    """Neither behind a plain request nor behind one in a tunnel, however lines end."""

    def both(port: int) -> bytes:
        place = "" if inside else f"http://localhost:{port}"
        first = f"GET {place}/a HTTP/1.1\r\nhost: localhost:{port}{end}"
        second = "GET http://evil.example/b HTTP/1.1\r\nhost: evil.example\r\n\r\n"
        return (tunnel(port) if inside else b"") + f"{first}{second}".encode()

    _, came = through(both)

    assert came.startswith(b"GET /a HTTP/1.1\r\n")
    assert b"evil" not in came and came.count(b"GET ") == 1


@pytest.mark.row("D2")
@pytest.mark.parametrize(
    "answer", [b"\r\n\r\n", b"pears\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"", b"x" * 99]
)
def test_a_companys_proxy_that_answers_nonsense_is_unreachable(answer: bytes) -> None:
    """The program is told, and nothing breaks."""

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def ask() -> bytes:
        server = await asyncio.start_server(proxy, "127.0.0.1", 0)
        at = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        egress = Egress(("bailee.example",), Network({"HTTPS_PROXY": at}))
        await egress.start()
        try:
            reader, writer = await asyncio.open_unix_connection(str(egress.path))
            writer.write(b"CONNECT bailee.example:443 HTTP/1.1\r\nhost: bailee.example:443\r\n\r\n")
            told = await reader.read()
            writer.close()
            return told
        finally:
            await egress.close()
            server.close()

    assert asyncio.run(ask()).startswith(b"HTTP/1.1 502 ")
