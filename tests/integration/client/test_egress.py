"""The egress watch with real clients, servers and a company's proxy."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from bailee.client.egress import EgressWatch
from bailee.outbound.network import Network
from support.servers.corporate_network import receiver, squid

POST = (
    "import sys, urllib.request, ssl\n"
    "url, ca = sys.argv[1:]\n"
    "context = ssl.create_default_context(cafile=ca) if ca else None\n"
    "request = urllib.request.Request(url, b'pears', method='POST')\n"
    "try:\n"
    "    print(urllib.request.urlopen(request, context=context, timeout=20).status)\n"
    "except Exception as error:\n"
    "    print(type(error).__name__, error)\n"
)


def post(watch: EgressWatch, url: str, ca: str = "") -> str:
    """A POST by a program that heeds proxy variables; what it says of it."""
    done = subprocess.run(
        [sys.executable, "-c", POST, url, ca],
        env=watch.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_plain_requests_pass_and_are_counted() -> None:
    """Loopback is promised; the body arrives; bytes are counted; proxy fields go no further."""
    with receiver() as server, EgressWatch(frozenset()) as watch:
        assert "200" == post(watch, server.url() + "/x?y=1")

    (got,) = server.received
    assert ("/x?y=1", b"pears") == (got.path, got.body)
    assert not [name for name in got.headers if name.startswith("proxy")]
    (contact,) = watch.contacts.values()
    assert (f"127.0.0.1:{server.port}", True, 1) == (contact.host, contact.promised, contact.count)
    assert contact.sent > 5
    assert contact.received > 0
    assert [] == watch.broken


@pytest.mark.row("D2")
def test_tunnels_pass_through_a_companys_proxy(tmp_path: Path) -> None:
    """TLS is not opened; the way out is squid, which alone knows the name."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("bailee.example").configure_cert(context)
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    with receiver(context) as far, squid() as proxy:
        out = Network({"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"})
        with EgressWatch(frozenset({f"bailee.example:{far.port}"}), out) as watch:
            assert "200" == post(watch, far.url("https", "bailee.example"), str(ca))

    assert b"pears" == far.received[0].body
    assert any("CONNECT bailee.example" in line for line in proxy.lines)
    assert [] == watch.broken


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_is_not_promised_is_refused_and_reported(scheme: str) -> None:
    """With `only_promised` nothing of it leaves, and it is in the report."""
    with EgressWatch(frozenset(), only_promised=True) as watch:
        said = post(watch, f"{scheme}://vendor.example/v1")

    assert "403" in said
    (contact,) = watch.broken
    assert (1, 1, 0) == (contact.count, contact.refused, contact.sent)
    assert contact.host.startswith("vendor.example:")


def test_what_can_not_be_reached_is_reported() -> None:
    """A host that was asked for counts, though nobody answered."""
    with EgressWatch(frozenset()) as watch:
        assert "502" in post(watch, "http://127.0.0.1:9/")

    (contact,) = watch.contacts.values()
    assert (1, 1) == (contact.count, contact.unreached)


@pytest.mark.parametrize(
    "head",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"CONNECT :\r\n\r\n", b"\xff" * 70000, b"GET / HTTP/1.1\r\n\r\n"],
)
def test_nonsense_does_not_stop_the_watch(head: bytes) -> None:
    """What is no request is answered or dropped, and the next one passes."""
    with receiver() as server, EgressWatch(frozenset()) as watch:
        with socket.create_connection(("127.0.0.1", watch.port), 10) as odd:
            odd.sendall(head)
            odd.shutdown(socket.SHUT_WR)
            while odd.recv(4096):
                pass
        assert "200" == post(watch, server.url())


@pytest.mark.row("S7")
@pytest.mark.parametrize("shown", ["", "Basic YmFpbGVlOg==", "Basic x", "Bearer bailee"])
def test_who_does_not_know_the_secret_does_not_pass(shown: str) -> None:
    """Another person on this machine is answered 407, reaches nothing and is in no report."""
    with receiver() as server, EgressWatch(frozenset()) as watch:
        for how in ("GET http://{0}/ HTTP/1.1", "CONNECT {0} HTTP/1.1"):
            with socket.create_connection(("127.0.0.1", watch.port), 10) as stranger:
                place = f"127.0.0.1:{server.port}"
                line = f"proxy-authorization: {shown}\r\n" if shown else ""
                stranger.sendall(f"{how.format(place)}\r\nhost: {place}\r\n{line}\r\n".encode())
                assert stranger.recv(64).startswith(b"HTTP/1.1 407 ")

    assert [] == server.received
    assert {} == watch.contacts
    assert watch.secret not in repr(watch)


def hello(name: str) -> bytes:
    """TLS's first message, which names a server."""
    outgoing = ssl.MemoryBIO()
    talk = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.do_handshake()
    return outgoing.read()


def said_through(watch: EgressWatch, place: str, first: bytes) -> bytes:
    """What comes back of a tunnel whose first bytes are these."""
    pair = base64.b64encode(f"bailee:{watch.secret}".encode()).decode()
    with socket.create_connection(("127.0.0.1", watch.port), 10) as client:
        ask = f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\nproxy-authorization: Basic {pair}\r\n"
        client.sendall(f"{ask}\r\n".encode())
        assert client.recv(64).startswith(b"HTTP/1.1 200 ")
        client.sendall(first)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while piece := client.recv(4096):
            got += piece
        return got


@contextlib.contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A port, and what each connection to it said until it ended."""
    came: list[bytes] = []

    def listen() -> None:
        while True:
            connection, _ = server.accept()
            with connection:
                said = b""
                while piece := connection.recv(4096):
                    said += piece
                if said == b"stop":
                    return
                came.append(said)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], came
        finally:
            with socket.create_connection(server.getsockname()) as last:
                last.sendall(b"stop")
            thread.join()


@pytest.mark.row("S7")
@pytest.mark.parametrize("only", [False, True])
def test_a_server_that_tls_names_inside_a_tunnel_to_another(only: bool) -> None:
    """It is in the report; and with `only_promised` nothing of it goes out, nor does what is
    neither TLS nor HTTP.
    """
    said = [hello("bailee.example"), hello("vendor.example"), b"\0\1 pears"]
    with listening() as (port, came), squid() as proxy:
        place = f"bailee.example:{port}"
        out = Network({"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"})
        with EgressWatch(frozenset({place}), out, only_promised=only) as watch:
            ends = [said_through(watch, place, one) for one in said]

    assert ([said[0], b"", b""] if only else said) == came
    assert only == (b"\x15\x03\x03\x00\x02\x02\x70" == ends[1])
    assert (2 if only else 0) == watch.contacts[place].refused
    assert only != (f"vendor.example:{port}" in {one.host for one in watch.broken})
