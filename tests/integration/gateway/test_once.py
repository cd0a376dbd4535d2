"""Once means once: a request that an upstream may have begun on is never written to it again."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
import trustme

from bailee.gateway.settings import GatewayLimits
from bailee.gateway.way_out import way_out
from bailee.testing.upstream import Exactly, Reply, ScriptedUpstream

pytestmark = pytest.mark.row("G2")

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
GET = b"GET /v1/models HTTP/1.1\r\nHost: g\r\nx-api-key: bl_keep\r\n\r\n"
SECOND = b'{"second":"' + b"x" * 100_000 + b'"}'
KEYS = pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
ENDS = pytest.mark.parametrize("how", ["close", "reset"])
PATHS = [
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/bedrock/model/anthropic.claude-x/invoke",
    "/vertex/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict",
]


class Peer:
    """One connection that the upstream took; whole requests are noted in `requests`."""

    def __init__(self, sock: socket.socket, requests: list[bytes]) -> None:
        self._sock = sock
        self._requests = requests

    def request(self) -> None:
        """Reads a whole request; nothing when the gateway closed instead."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._sock.recv(65536)
            if not more:
                return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        if b"chunked" in head:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._sock.recv(65536)
        elif b"Content-Length: " in head:
            length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += self._sock.recv(65536)
        self._requests.append(body or head)

    def part(self) -> None:
        """Reads the beginning of a request."""
        assert self._sock.recv(1000)

    def answer(self, raw: bytes = OK) -> None:
        """Answers."""
        self._sock.sendall(raw)

    def end(self, how: str) -> None:
        """Closes, or resets."""
        if how == "reset":
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


@contextlib.contextmanager
def upstream(*scripts: Callable[[Peer], None]) -> Iterator[tuple[str, list[bytes]]]:
    """An upstream whose first connection goes as the first of `scripts` says, and so on; those
    beyond answer everything. Gives its address and the requests that it read whole.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        requests: list[bytes] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                for script in (*scripts, *[answers] * 3):
                    sock, _ = listening.accept()
                    sock.settimeout(10)
                    script(Peer(sock, requests))

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", requests


def answers(peer: Peer) -> None:
    """Takes one request and answers it."""
    peer.request()
    peer.answer()


def check_closed(answer: Any) -> None:
    """502 in the API's error shape, which says that the request may have been acted upon."""
    assert 502 == answer.status
    error = json.loads(answer.body)["error"]
    assert "api_error" == error["type"]
    assert "may have acted on the request" in error["message"]


@KEYS
@ENDS
@pytest.mark.parametrize("path", PATHS)
def test_a_post_that_was_taken_whole_is_never_written_again(
    serve: Any, post: Callable[..., bytes], key: str, path: str, how: str
) -> None:
    """A pooled connection that ends after it took the request: an error and one request, since
    the upstream may have answered, and charged, and only the way back was lost.
    """

    def dies(peer: Peer) -> None:
        answers(peer)
        peer.request()
        peer.end(how)

    with upstream(dies) as (url, requests):
        serving = serve(url)
        client = serving.connect()
        assert 200 == client.send(post(key=key, path=path)).answer().status
        check_closed(client.send(post(SECOND, key=key, path=path)).answer())
        assert "upstream_closed" == serving.summary(2).error
        assert [SECOND] == requests[1:]


@ENDS
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_post_whose_end_was_not_written_goes_again_whole(
    serve: Any, post: Callable[..., bytes], how: str, framing: str
) -> None:
    """Named case: the pooled connection ends while the client still sends. By its framing the
    upstream knows that what it has is incomplete. The request arrives whole, and once.
    """
    gone = threading.Event()

    def dies(peer: Peer) -> None:
        answers(peer)
        peer.part()
        peer.end(how)
        gone.set()

    if framing == "length":
        request, body = post(SECOND), SECOND
    else:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SECOND), SECOND)
        request = post(body, extra="Transfer-Encoding: chunked\r\n", framing=False)
    with upstream(dies) as (url, requests):
        serving = serve(url)
        client = serving.connect()
        assert 200 == client.send(post()).answer().status
        client.send(request[:-50])
        assert gone.wait(60)
        serving.wait(lambda: not serving.gateway._pools["api"].idle)
        client.quiet(0.3)  # the gateway sees the end, and connects anew
        assert 200 == client.send(request[-50:]).answer().status
        assert 1 == len(requests[1:])
        assert requests[1].endswith(body[-20:])
        assert requests[1].count(b"second") == 1


@ENDS
def test_a_get_goes_again_and_only_once(serve: Any, how: str) -> None:
    """Named case: GET asks for nothing to be done. A pooled connection that ends is made good by
    one new connection; when that ends too, it is an error.
    """

    def dies(peer: Peer) -> None:
        answers(peer)
        peer.request()
        peer.end(how)

    def dies_at_once(peer: Peer) -> None:
        peer.request()
        peer.end(how)

    with upstream(dies, answers) as (url, requests):
        client = serve(url).connect()
        assert [200, 200] == [client.send(GET).answer().status for _ in range(2)]
        assert 3 == len(requests)
    with upstream(dies, dies_at_once) as (url, requests):
        client = serve(url).connect()
        assert [200, 502] == [client.send(GET).answer().status for _ in range(2)]
        assert 3 == len(requests)


def test_nothing_goes_again_once_an_answer_has_begun(serve: Any) -> None:
    """Not even a GET, after a byte of its answer."""

    def dies(peer: Peer) -> None:
        answers(peer)
        peer.request()
        peer.answer(OK[:9])
        peer.end("close")

    with upstream(dies) as (url, requests):
        client = serve(url).connect()
        assert [200, 502] == [client.send(GET).answer().status for _ in range(2)]
        assert 2 == len(requests)


@pytest.mark.parametrize("under_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("what", ["end", "surplus"])
def test_an_ended_connection_is_found_before_anything_is_written(
    serve: Any, post: Callable[..., bytes], tmp_path: Path, under_tls: bool, what: str
) -> None:
    """Named case: what the kernel knows of a pooled connection counts, although the event loop has
    not been told yet. The POST goes over a new connection, and nobody sees an error.
    """
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    # After its answer, and its pause, the upstream says what nobody asked for.
    late = Reply(200, (), (b"{}",))
    with ScriptedUpstream(
        tools_only=False, after=Exactly(late), ssl_context=context if under_tls else None
    ) as scripted:
        serving = serve(scripted, settings={"way_out": way_out(ca_file=tmp_path / "ca.pem")})
        client = serving.connect()
        assert 200 == client.send(post()).answer().status
        pool = serving.gateway._pools["api"]
        serving.wait(lambda: pool.idle == 1)

        def taken_as_it_ends() -> Any:
            scripted.drop_connections() if what == "end" else scripted.write(b"HTTP/1.1 408 ")
            return pool.take()

        assert serving.on_loop(taken_as_it_ends) is None
        assert 200 == client.send(post(SECOND)).answer().status
        assert [0, 1] == [request.connection for request in scripted.requests]


@pytest.mark.parametrize(
    ("says", "connections"), [("timeout=1", 2), ("max=9, Timeout = 1", 2), ("timeout=60", 1)]
)
def test_the_upstreams_keep_alive_is_heeded(
    serve: Any, post: Callable[..., bytes], says: str, connections: int
) -> None:
    """An upstream that will close in a second is not kept: the next request could meet its end."""
    reply = Reply(200, (("Keep-Alive", says),), (b"{}",))
    with ScriptedUpstream(tools_only=False, after=Exactly(reply)) as scripted:
        client = serve(scripted).connect()
        for _ in range(2):
            answer = client.send(post()).answer()
            assert (200, None) == (answer.status, answer.field("keep-alive"))
        assert connections == scripted.connections


def test_an_idle_connection_is_closed_before_the_upstream_closes_it(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """Each after its own time: the one whose upstream said less goes first."""
    peers: list[Peer] = []

    def takes(peer: Peer) -> None:
        peer.request()
        peers.append(peer)

    def answers_both(peer: Peer) -> None:
        takes(peer)
        peers[0].answer(OK.replace(b"\r\n", b"\r\nKeep-Alive: timeout=30\r\n", 1))
        peer.answer()

    with upstream(takes, answers_both) as (url, _):
        serving = serve(url, limits=GatewayLimits(ping=0, upstream_keep_alive=1000))
        pool = serving.gateway._pools["api"]
        first, second = serving.connect().send(post()), serving.connect().send(post())
        assert [200, 200] == [one.answer().status for one in (first, second)]
        serving.wait(lambda: pool.idle == 2)

        def idle_after(seconds: float) -> int:
            pool.sweep(serving.loop.time() + seconds)
            return int(pool.idle)

        for seconds, idle in ((0.2, 2), (30, 1), (900, 1), (1001, 0)):
            assert idle == serving.on_loop(lambda seconds=seconds: idle_after(seconds))


@pytest.mark.parametrize(("retries", "sent"), [(0, 1), (1, 2)])
def test_whether_to_ask_again_is_the_clients_to_say(serve: Any, retries: int, sent: int) -> None:
    """The Anthropic SDK takes the error for what it is and asks again as often as it was told."""

    def dies(peer: Peer) -> None:
        peer.request()
        peer.end("close")

    with upstream(dies, dies) as (url, requests):
        with (
            anthropic.Anthropic(
                base_url=serve(url).url, api_key="bl_keep", max_retries=retries
            ) as client,
            pytest.raises(anthropic.InternalServerError) as failed,
        ):
            client.messages.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
            )
        assert 502 == failed.value.status_code
        assert sent == len(requests)


def test_a_connection_that_can_not_be_made_has_taken_nothing(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """Named case: nothing was written. The error does not say that it may have been."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    answer = serve(url).connect().send(post()).answer()
    assert 502 == answer.status
    assert b"can't be reached" in answer.body
    assert b"may have" not in answer.body
