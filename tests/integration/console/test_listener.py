"""The listener of console and ingest: how many may come, how long they take, what they send."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bailee.admission import ConnectionLimits
from bailee.admission.addresses import TrustedProxies, trusted_proxies
from bailee.admission.requests import admit
from bailee.console import Listener, bind
from bailee.console.connection import Patience

IMPATIENT = Patience(handshake=0.5, head=0.5, body=0.5, reading=0.5, linger=0.3, head_bytes=8192)
PATIENT, NOBODY, MANY = Patience(), TrustedProxies(), ConnectionLimits.of(64, 64)
FEW = ConnectionLimits(total=6, by_address=4, by_loopback=4)
HALF = b"GET / HTTP/1.1\r\nHost: x\r\nX: "


class Site:
    """An application behind a listener, on a loop of its own."""

    def __init__(
        self,
        *,
        limits: ConnectionLimits = MANY,
        patience: Patience = PATIENT,
        proxies: TrustedProxies = NOBODY,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.seen: list[tuple[str, str]] = []
        self.admitted = 0
        self.release = asyncio.Event()
        app = Starlette(
            routes=[
                Route("/", self._who, methods=["GET", "POST"]),
                Route("/body", self._body, methods=["POST"]),
                Route("/kept", self._kept),
                Route("/much", self._much),
                Route("/large", self._large),
            ]
        )
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listening = bind("127.0.0.1", 0)
        self.port: int = listening.getsockname()[1]
        self._listener = Listener(
            app, listening, tls, limits=limits, patience=patience, proxies=proxies
        )
        self._do(self._listener.start())

    def close(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self.release.set)
        self._do(self._listener.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def counted(self) -> int:
        """How many connections are counted."""

        async def count() -> int:
            return len(self._listener.connections)

        return int(self._do(count()))

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _who(self, request: Request) -> Response:
        assert request.client is not None
        self.seen.append((request.client.host, request.url.scheme))
        return PlainTextResponse("here")

    async def _body(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def _kept(self, request: Request) -> Response:
        admit(request.scope)
        self.admitted += 1
        await self.release.wait()
        return PlainTextResponse("kept")

    async def _large(self, request: Request) -> Response:
        del request
        return PlainTextResponse(b"x" * (16 << 20))

    async def _much(self, request: Request) -> Response:
        del request

        async def pieces() -> Any:
            for _ in range(1000):
                yield b"x" * 65_536

        return StreamingResponse(pieces())


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    """Makes sites that are closed at the end."""
    with contextlib.ExitStack() as open_sites:

        def make(**given: Any) -> Site:
            made = Site(**given)
            open_sites.callback(made.close)
            return made

        yield make


def connect(site: Site, sent: bytes = b"") -> socket.socket:
    """A connection that has sent something."""
    made = socket.create_connection(("127.0.0.1", site.port), 10)
    made.sendall(sent)
    return made


def ended(connection: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionError:
        pass
    return found


def status(site: Site, method: str = "GET", path: str = "/", **headers: str) -> int:
    """What a whole request on a connection of its own gets."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.port, 10)) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request(method, path, headers=named)
        return client.getresponse().status


def settled(asked: Callable[[], bool]) -> bool:
    """Whether it comes true, soon."""
    until = time.monotonic() + 10
    while not asked():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.row("G2")
def test_who_waits_makes_room_for_who_comes(site: Callable[..., Site]) -> None:
    """Half-open heads beyond an address's share: the one that waited longest goes, and a whole
    request is answered all the same.
    """
    served = site(limits=FEW)
    held = [connect(served, HALF) for _ in range(20)]

    answers = [status(served) for _ in range(3)]

    assert [200, 200, 200] == answers
    assert b"" == ended(held[0])
    assert served.counted() <= FEW.by_loopback


def test_who_is_admitted_is_not_closed_for_others(site: Callable[..., Site]) -> None:
    """A request with a good credential is under way: newcomers go instead."""
    served = site(limits=FEW)
    kept = [http.client.HTTPConnection("127.0.0.1", served.port, 20) for _ in range(4)]
    for one in kept:
        one.request("GET", "/kept")
    assert settled(lambda: served.admitted == 4)

    turned_away = ended(connect(served, HALF))
    served._loop.call_soon_threadsafe(served.release.set)

    assert b"" == turned_away
    assert [200] * 4 == [one.getresponse().status for one in kept]
    for one in kept:
        one.close()


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    "sent",
    [b"", HALF, b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["nothing", "half a head", "half a body"],
)
def test_who_is_late_is_cut_off(site: Callable[..., Site], sent: bytes) -> None:
    """Whatever of a request there is; nothing of it stays."""
    served = site(patience=IMPATIENT)

    connection = connect(served, sent)

    assert b"" == ended(connection)
    assert settled(lambda: served.counted() == 0)


def test_a_byte_now_and_then_is_late_too(site: Callable[..., Site]) -> None:
    """The time is of the whole head, also of the second one on a connection."""
    served = site(patience=IMPATIENT)
    connection = connect(served, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while b"here" not in answer:  # head and body may come apart
        piece = connection.recv(65_536)
        assert piece
        answer += piece

    connection.sendall(HALF)
    until = time.monotonic() + 20
    with contextlib.suppress(OSError):
        while time.monotonic() < until:
            connection.sendall(b"x")
            time.sleep(0.1)

    assert time.monotonic() < until
    assert settled(lambda: served.counted() == 0)


def test_a_head_has_a_largest_size(site: Callable[..., Site]) -> None:
    """However it comes: 431, and the end."""
    served = site(patience=IMPATIENT)
    connection = connect(served, HALF)
    with contextlib.suppress(OSError):
        for _ in range(20):
            connection.sendall(b"x" * 1000)

    assert ended(connection).startswith(b"HTTP/1.1 431 ")
    assert 200 == status(served)


def test_an_answer_that_nobody_reads_is_let_go(site: Callable[..., Site]) -> None:
    """64 MB for a client that takes nothing: cut off, and not held."""
    served = site(patience=replace(IMPATIENT, reading=2.0))

    connection = connect(served, b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")

    assert settled(lambda: served.counted() == 1)
    assert settled(lambda: served.counted() == 0)
    connection.close()


def test_an_answer_that_is_read_slowly_comes_whole(site: Callable[..., Site]) -> None:
    """However long it takes, when it was handed over at once, and the connection ends after it."""
    served = site(patience=IMPATIENT)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.connect(("127.0.0.1", served.port))
    connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    found = 0
    while piece := connection.recv(200_000):
        found += len(piece)
        time.sleep(0.02)

    assert found > 16 << 20


def test_a_body_that_was_not_wanted_ends_the_connection(site: Callable[..., Site]) -> None:
    """The answer goes out first; what comes after is not read for long."""
    served = site(patience=IMPATIENT)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
    connection = connect(served, head)

    assert b"here" in ended(connection)
    assert settled(lambda: served.counted() == 0)


@pytest.mark.row("G2")
def test_a_tls_handshake_has_a_time_and_counts(site: Callable[..., Site], tmp_path: Path) -> None:
    """Who says nothing, or half of it, is counted from the first and goes in time; others come in
    meanwhile.
    """
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    served = site(tls=(chain, key), limits=FEW, patience=Patience(handshake=3.0, linger=0.3))
    held = [connect(served, b"\x16\x03\x01") for _ in range(10)]
    assert settled(lambda: 0 < served.counted() <= FEW.by_loopback)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with trusting.wrap_socket(connect(served), server_hostname="localhost") as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"here" in ended(client)

    assert [("127.0.0.1", "https")] == served.seen
    assert [b""] * 10 == [ended(one) for one in held]
    assert settled(lambda: served.counted() == 0)


@pytest.mark.row("G1")
def test_whose_request_it_is_says_the_socket_or_a_trusted_proxy(site: Callable[..., Site]) -> None:
    """Nobody else: this machine's own address is not believed by itself."""
    alone, behind = site(), site(proxies=trusted_proxies("127.0.0.1"))
    forwarded = {"X_Forwarded_For": "203.0.113.5", "X_Forwarded_Proto": "https"}

    status(alone, **forwarded)
    status(behind, **forwarded)

    assert [("127.0.0.1", "http")] == alone.seen
    assert [("203.0.113.5", "https")] == behind.seen


def test_without_descriptors_who_waits_makes_room(site: Callable[..., Site]) -> None:
    """A listener whose process has none left goes on when there are some again."""
    resource = pytest.importorskip("resource")
    served = site()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = [connect(served, HALF) for _ in range(3)]
    assert settled(lambda: served.counted() == 3)
    client = socket.socket()
    client.settimeout(20)
    taken = max(waiting[-1].fileno(), client.fileno()) + 8
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken, hard))
        fill = []
        with contextlib.suppress(OSError):
            while True:
                fill.append(socket.socket())
        client.connect(("127.0.0.1", served.port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = ended(client)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in fill:
            one.close()

    assert b"here" in answer
    assert b"" == ended(waiting[0])
