"""Who is let in, who makes room, and what a slow client may do, on a real gateway."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from bailee.admission.pace import AccountDemand
from bailee.clock import system_clock
from bailee.errors import StorageError
from bailee.gateway.settings import GatewayLimits
from bailee.testing.upstream import Exactly, Part, Reply, ScriptedUpstream, Text
from bailee.vault.exchange import CapturedExchange, Terms
from support.homes.captured import captured

HALF = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nX-A: "
STREAMING = b'{"stream":true,"tools":[{"name":"t"}]}'
BIG = b'{"x":"' + b"x" * (2 << 20) + b'"}'
TERMS = Terms("P30D", "test.clause", "0" * 64)
JSON = (("content-type", "application/json"),)


def big(parts: tuple[Part, ...] = (BIG,)) -> Exactly:
    """An answer of 2 MB."""
    return Exactly(Reply(200, JSON, parts))


# -- connections -----------------------------------------------------------------------------------


@pytest.mark.row("G1")
def test_half_open_heads_make_room_and_a_request_under_way_stays(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """However many there are: the oldest go, a stream that runs is not cut, a new one comes in."""
    with ScriptedUpstream(after=Text("word " * 10, pause=0.05)) as upstream:
        serving = serve(upstream, limits=GatewayLimits(connections=16, ping=0))
        running = serving.connect().send(post(STREAMING))
        running.until(b"message_start")
        halves = [serving.connect().send(HALF) for _ in range(40)]
        assert 200 == serving.connect().send(post()).answer().status
        assert running.answer().complete
        serving.wait(lambda: len(serving.gateway.clients) <= 12)
        assert b"" == halves[0].quiet()
        assert halves[0].closed
        assert not halves[-1].closed


@pytest.mark.row("G1")
def test_when_all_have_requests_the_next_is_turned_away(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """And nobody who was admitted is cut."""
    with ScriptedUpstream(after=Text("word", pause=0.3)) as upstream:
        serving = serve(upstream, limits=GatewayLimits(connections=4, ping=0))
        running = [serving.connect().send(post(STREAMING)) for _ in range(3)]
        for client in running:
            client.until(b"message_start")
        assert not serving.connect().more()
        assert [True] * 3 == [client.answer().complete for client in running]
        assert 200 == serving.connect().send(post()).answer().status


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and a client's that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.mark.row("G1")
def test_tls_handshakes_under_way_count_and_have_their_time(
    serve: Any, tls: tuple[ssl.SSLContext, ssl.SSLContext], post: Callable[..., bytes]
) -> None:
    """They make room before the handshake is done, and end when it does not come."""
    server, client = tls
    with ScriptedUpstream([Text("x")]) as upstream:
        serving = serve(
            upstream, limits=GatewayLimits(connections=8, tls_handshake=0.4, ping=0), context=server
        )
        mute = [serving.connect() for _ in range(20)]
        assert 200 == serving.connect(client).send(post()).answer().status
        assert serving.on_loop(lambda: len(serving.gateway.connections)) <= 6
        assert not mute[-1].more()
        serving.wait(lambda: len(serving.gateway.connections) == 1)


@pytest.mark.row("G1")
def test_without_descriptors_accepting_goes_on(tmp_path: Path) -> None:
    """A process that may have 48 descriptors gets 150 silent connections: who waits makes room, and
    the next request is answered.
    """
    script = tmp_path / "gateway.py"
    script.write_text("""
import asyncio, resource, uvloop
from bailee.clock import system_clock
from bailee.gateway.server import Gateway
from bailee.gateway.settings import GatewayConfig
from bailee.testing.recording import MemoryRecording

class Nobody:
    def authenticate(self, presented):
        return None

async def main():
    gateway = Gateway(GatewayConfig(), Nobody(), MemoryRecording(), system_clock, lambda _: None)
    port = await gateway.start("127.0.0.1", 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
    print(port, flush=True)
    await asyncio.Event().wait()

uvloop.run(main())
""")
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    held = []
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        held = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(150)]
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
    finally:
        for sock in held:
            sock.close()
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert 1 == errors.count("can't be accepted")
    assert "Traceback" not in errors


# -- turns -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["bl_keep", "bl_zero", "bl_none"])
def test_requests_that_wait_for_their_turn_are_all_answered(
    serve: Any, post: Callable[..., bytes], key: str
) -> None:
    """Sent ahead, with bodies and without, while another account is there too."""
    body = b'{"tools":[1],"x":"' + b"x" * 3_000 + b'"}'
    expected = 401 if key == "bl_none" else 200
    with ScriptedUpstream(after=Text("x")) as upstream:
        serving = serve(upstream)
        assert 200 == serving.connect().send(post(key="bl_else")).answer().status
        clients = [serving.connect() for _ in range(30)]
        for client in clients:
            client.send(post(body, key=key))
            if expected == 200:
                client.send(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n" + post(key=key))
        for client in clients:
            assert expected == client.answer().status
            if expected == 200:
                assert [200, 200] == [client.answer("GET").status, client.answer().status]
        assert 0 == serving.on_loop(lambda: serving.gateway.rounds.waiting)


@pytest.mark.row("G1")
def test_who_waits_too_long_for_a_turn_is_told_so(serve: Any, post: Callable[..., bytes]) -> None:
    """An account that makes the loop late is answered 429 when its turn does not come; what was
    turned away is not begun afterwards, and another account has its turn.
    """
    with ScriptedUpstream(after=Text("x")) as upstream:
        serving = serve(upstream, limits=GatewayLimits(turn=0.3))
        for key in ("bl_keep", "bl_else"):
            assert 200 == serving.connect().send(post(key=key)).answer().status
        owner = serving.recording.exchanges[0].owner
        found = {owner: AccountDemand(0.9, 1, 0), "another": AccountDemand(0.1, 1, 0)}
        rounds = serving.gateway.rounds

        def slow() -> None:
            rounds._pace._target = -1.0  # never in time
            rounds._pace.adjust(rounds._now(), 1.0, 0.0, found, crowded=True)

        serving.on_loop(slow)
        clients = [serving.connect().send(post(b'{"a":"' + b"x" * 99 + b'"}')) for _ in range(9)]
        assert 200 == serving.connect().send(post(key="bl_else")).answer().status
        answers = [client.answer() for client in clients]
        refused = [one for one in answers if one.status == 429]
        assert 6 <= len(refused)
        assert {"2"} == {one.field("retry-after") for one in refused}
        assert all(b"their turn" in one.body for one in refused)
        assert len(answers) - len(refused) + 3 == len(upstream.requests)


@pytest.mark.row("G1")
def test_a_request_stands_behind_a_few_of_another_account(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """A hundred requests of one key are there, then one of somebody else's: it does not go upstream
    last.
    """
    with ScriptedUpstream(after=Text("x")) as upstream:
        serving = serve(upstream)
        many = [serving.connect() for _ in range(100)]
        other = serving.connect()
        for client, key in ((many[0], "bl_zero"), (other, "bl_else")):
            assert 200 == client.send(post(key=key)).answer().status
        serving.loop.call_soon_threadsafe(time.sleep, 0.4)
        for client in many:
            client.send(post(key="bl_zero"))
        other.send(post(path="/v1/messages?other", key="bl_else"))
        assert [200] * 101 == [client.answer().status for client in (*many, other)]
        order = [request.target for request in upstream.requests[2:]]
        assert order.index("/v1/messages?other") < 50


@pytest.mark.row("G1")
@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_large_record_is_put_together_by_another_thread(serve: Any, size: int) -> None:
    """The loop goes on meanwhile; a small one does not go the long way."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        gateway, made_by = serving.gateway, []
        held = gateway.shares.enter("acc_1", "key_1", 0, full=False)

        def capture() -> CapturedExchange:
            made_by.append(threading.current_thread())
            return captured(
                "s", b"x" * size, system_clock(), owner="acc_1", terms=TERMS, exchange_id="req_1"
            )

        def submit() -> None:
            gateway.shares.take(held, size)
            gateway.records.submit(capture, lambda _: gateway.records.recorded(held), held)

        serving.on_loop(submit)
        serving.wait(lambda: not gateway.records.under_way)
        assert (size, 0) == (len(serving.recording.exchanges[0].request), gateway.shares.held)
        assert (size == 10) == (made_by == [serving._thread])


def test_a_large_record_that_cant_be_put_together_is_known_not_to_be_durable(serve: Any) -> None:
    """Nobody waits for it for ever."""
    with ScriptedUpstream() as upstream:
        gateway = (serving := serve(upstream)).gateway
        held = gateway.shares.enter("acc_1", "key_1", 0, full=False)
        failures: list[StorageError | None] = []

        def capture() -> CapturedExchange:
            raise MemoryError

        def submit() -> None:
            gateway.shares.take(held, 3 << 20)
            gateway.records.submit(capture, failures.append, held)

        serving.on_loop(submit)
        serving.wait(lambda: len(failures) == 1)
        assert isinstance(failures[0], StorageError)


def test_a_large_body_comes_through_whole_while_others_are_there(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """It is read in turns, passed on and kept byte for byte."""
    with ScriptedUpstream(after=Text("x")) as upstream:
        serving = serve(upstream)
        for key in ("bl_zero", "bl_else"):
            assert 200 == serving.connect().send(post(key=key)).answer().status
        assert serving.gateway.rounds.crowded
        assert 200 == serving.connect().send(post(BIG)).answer().status
        assert BIG == serving.recording.exchanges[-1].request == upstream.requests[-1].body


# -- bodies ----------------------------------------------------------------------------------------


@pytest.mark.row("G1")
@pytest.mark.parametrize(
    "limits",
    [
        GatewayLimits(body_rate=100_000, body_grace=0.3, ping=0),
        GatewayLimits(body_rate=1, body_total=0.5, ping=0),
    ],
    ids=["too slow", "too long"],
)
@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
def test_a_body_that_drips_is_not_waited_for(
    serve: Any, post: Callable[..., bytes], key: str, limits: GatewayLimits
) -> None:
    """Although something comes all the time."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, limits=limits)
        request = post(b"x" * 100_000, key=key)
        client = serving.connect().send(request[:-5_000])
        client.sock.settimeout(0.05)
        for _ in range(200):
            client.send(b"x")
            try:
                client.more()
                break
            except TimeoutError:
                continue
        client.sock.settimeout(10)
        assert 408 == client.answer().status


def test_time_in_which_the_upstream_does_not_take_it_is_not_the_clients(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """A large body behind a slow upstream comes through, longer than a body may take by itself."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    size = 20_000_000

    def upstream() -> None:
        sock, _ = listening.accept()
        time.sleep(1.5)
        left = size
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(1)
        while left:
            left -= len(sock.recv(min(left, 1 << 20)))
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        sock.close()

    thread = threading.Thread(target=upstream, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    serving = serve(url, limits=GatewayLimits(body_total=1.0, client_body_idle=1.0, ping=0))
    client = serving.connect()
    client.sock.settimeout(60)
    assert 200 == client.send(post(b"x" * size, key="bl_zero")).answer().status
    listening.close()


# -- slow readers ----------------------------------------------------------------------------------


def small_buffers(serving: Any) -> None:
    """The kernel takes little of what is written to the clients that are there: what a long way
    with much on it would be. The rest is the gateway's to keep until it is taken.
    """

    def shrink() -> bool:
        for client in serving.gateway.clients:
            sock = client.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
        return bool(serving.gateway.clients)

    serving.wait(shrink)


class Slow:
    """A client whose buffers are small and who reads a little at a time."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", port))
        self.sock: socket.socket = sock
        if context is not None:
            self.sock = context.wrap_socket(sock, server_hostname="localhost")

    def body(self, request: bytes) -> bytes:
        """The body of the answer, up to the connection's end."""
        self.sock.sendall(request)
        got = bytearray()
        while data := self.sock.recv(20_000):
            got += data
            time.sleep(0.01)
        self.sock.close()
        return bytes(got).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("over", ["plain", "TLS"])
@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
@pytest.mark.parametrize("asks", ["HTTP/1.0", "Connection: close"])
def test_a_slow_reader_gets_all_of_an_answer_that_closes(
    serve: Any,
    post: Callable[..., bytes],
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
    asks: str,
    key: str,
    over: str,
) -> None:
    """The time for lingering does not run while the answer is on its way."""
    request = post(key=key, extra="Connection: close\r\n")
    if asks == "HTTP/1.0":
        request = post(key=key).replace(b"HTTP/1.1", b"HTTP/1.0")
    server, trusting = tls if over == "TLS" else (None, None)
    with ScriptedUpstream([big()]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(linger=0.05, ping=0), context=server)
        client = Slow(serving.port, trusting)
        small_buffers(serving)
        assert len(BIG) == len(client.body(request))
        assert "complete" == serving.summary().outcome


def test_a_slow_reader_of_an_early_answer_gets_all_of_it(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """One that comes before the request is complete: the rest of that is read over meanwhile."""
    listening = socket.create_server(("127.0.0.1", 0))

    def upstream() -> None:
        sock, _ = listening.accept()
        sock.recv(65_536)
        sock.sendall(b"HTTP/1.1 400 Bad\r\ncontent-length: %d\r\n\r\n" % len(BIG))
        sock.sendall(BIG)
        sock.close()

    threading.Thread(target=upstream, daemon=True).start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    serving = serve(url, limits=GatewayLimits(linger=0.05, ping=0))
    client = Slow(serving.port)
    small_buffers(serving)
    assert len(BIG) == len(client.body(post(b"x" * 50_000, key="bl_zero")[:-10]))
    listening.close()


@pytest.mark.row("G1")
@pytest.mark.parametrize("asks", ["keep-alive", "close"])
def test_who_takes_nothing_of_an_answer_is_given_up(
    serve: Any, post: Callable[..., bytes], asks: str
) -> None:
    """After its exchange is over too."""
    with ScriptedUpstream([big()]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(client_stalled=0.5, ping=0))
        client = serving.connect()
        small_buffers(serving)
        client.send(post(extra=f"Connection: {asks}\r\n"))
        serving.summary()
        serving.wait(lambda: not serving.gateway.clients)


@pytest.mark.row("G1")
def test_who_reads_nothing_is_not_served_what_it_sent_ahead(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """The next request waits until the client has taken what was written; then it is answered."""
    answer = b"x" * 200_000
    with ScriptedUpstream(after=big((answer,))) as upstream:
        serving = serve(upstream)
        client = serving.connect()
        small_buffers(serving)
        client.send(post(key="bl_zero") * 40)
        # Not until one is answered: how much of it the kernel takes is the kernel's to say.
        serving.wait(lambda: bool(upstream.requests))
        time.sleep(0.5)
        assert len(upstream.requests) <= 3
        assert [len(answer)] * 40 == [len(client.answer().body) for _ in range(40)]


NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{gateway}; proxy_buffering off; limit_rate 1m; }}
  }}
}}
"""


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[[int], int]]:
    """Starts nginx before a gateway, as it is by default: HTTP/1.0 and `Connection: close`."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip("nginx is not installed")
    running: list[subprocess.Popen[bytes]] = []

    def start(gateway: int) -> int:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        conf = tmp_path / "nginx.conf"
        conf.write_text(NGINX.format(folder=tmp_path, port=port, gateway=gateway))
        running.append(subprocess.Popen([found, "-p", str(tmp_path), "-c", str(conf), "-e", "err"]))
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                break
        return port

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def test_nginx_with_its_defaults_gets_the_whole_answer(
    serve: Any, post: Callable[..., bytes], nginx: Callable[[int], int]
) -> None:
    """A proxy that takes an answer no faster than its client loses nothing of it."""
    with ScriptedUpstream([big((0.5, BIG))]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(linger=0.05, ping=0))
        with socket.create_connection(("127.0.0.1", nginx(serving.port)), 20) as client:
            client.sendall(post(extra="Connection: close\r\n"))
            small_buffers(serving)
            got = bytearray()
            while data := client.recv(1 << 20):
                got += data
        assert len(BIG) == len(got.partition(b"\r\n\r\n")[2])
        assert "complete" == serving.summary().outcome
