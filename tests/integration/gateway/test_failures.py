"""Whatever either side does wrong has one defined outcome, in the Messages API's error shape."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bailee.gateway.settings import GatewayLimits
from bailee.health import Health
from bailee.testing.upstream import AssistantMessage, Exactly, Reply, ScriptedUpstream, Text, sse
from bailee.vault.exchange import Outcome

STREAMING = json.dumps({"stream": True, "tools": [{"name": "t"}]}).encode()
KEYS = pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])


def outcomes(serving: Any) -> list[str]:
    """How the recorded exchanges ended."""
    return [exchange.outcome.value for exchange in serving.recording.exchanges]


def check_error(answer: Any, status: int, kind: str) -> None:
    """An answer in the API's error shape, with a request id of ours."""
    assert status == answer.status
    body = json.loads(answer.body)
    assert ("error", kind) == (body["type"], body["error"]["type"])
    assert body["error"]["message"].startswith("bailee: ")
    assert answer.field("request-id") == body["request_id"]
    assert answer.complete


# -- the client ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "bl_revoked", "sk-ant-other"])
def test_a_bad_key_is_refused(serve: Any, post: Callable[..., bytes], key: str) -> None:
    """401, before anything goes upstream."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        check_error(serving.connect().send(post(key=key)).answer(), 401, "authentication_error")
        assert [] == upstream.requests
        assert ("refused", "authentication") == (
            serving.summary().outcome,
            serving.summary().error,
        )


def test_who_it_is_that_asks_is_not_known(serve: Any, post: Callable[..., bytes]) -> None:
    """What is known of keys was not confirmed for too long: 503, which clients repeat, before
    anything goes upstream; others are served.
    """
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        check_error(serving.connect().send(post(key="bl_late")).answer(), 503, "overloaded_error")
        assert [] == upstream.requests
        assert ("refused", "outdated") == (
            serving.summary().outcome,
            serving.summary().error,
        )
        assert 200 == serving.connect().send(post(key="bl_keep")).answer().status


@pytest.mark.parametrize(
    ("request_line", "status", "kind", "allow"),
    [
        ("GET /v1/messages", 405, "invalid_request_error", "POST"),
        ("DELETE /v1/messages?beta=true", 405, "invalid_request_error", "POST"),
        ("POST /v1/models", 405, "invalid_request_error", "GET, HEAD"),
        ("POST /", 405, "invalid_request_error", "GET, HEAD"),
        ("BREW /v1/coffee", 405, "invalid_request_error", None),
        ("GET /nothing", 404, "not_found_error", None),
        ("POST /v2/messages", 404, "not_found_error", None),
        ("POST /v1/../admin", 400, "invalid_request_error", None),
        ("POST /v1/%2e%2E/admin", 400, "invalid_request_error", None),
        ("POST *", 400, "invalid_request_error", None),
    ],
)
def test_wrong_paths_and_methods_are_refused(
    serve: Any, request_line: str, status: int, kind: str, allow: str | None
) -> None:
    """404, 405 with Allow, 400 for a path that could mean two things."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        request = f"{request_line} HTTP/1.1\r\nHost: g\r\nx-api-key: bl_keep\r\n\r\n"
        answer = serving.connect().send(request.encode()).answer()
        check_error(answer, status, kind)
        assert allow is None or allow == answer.field("allow")
        assert [] == upstream.requests


HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nx-api-key: bl_keep\r\n"
MALFORMED: dict[str, bytes] = {
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "a disguised coding": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n",
    "a folded line": HEAD + b"X-A: 1\r\n 2\r\n\r\n",
    "a bare line feed": HEAD + b"X-A: 1\nContent-Length: 2\r\n\r\n{}",
    "only line feeds": HEAD.replace(b"\r\n", b"\n") + b"\n",
    "space before the colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "a nul": HEAD + b"X-A: \x00\r\n\r\n",
    "two hosts": HEAD + b"Host: b\r\n\r\n",
    "the same host twice": HEAD + b"hOST: g\r\n\r\n",
    "a list of hosts": HEAD.replace(b"Host: g", b"Host: g, b") + b"\r\n",
    "a host with a user": HEAD.replace(b"Host: g", b"Host: a@g") + b"\r\n",
    "a host with a path": HEAD.replace(b"Host: g", b"Host: g/b") + b"\r\n",
    "two hosts in a line": HEAD.replace(b"Host: g", b"Host: g b") + b"\r\n",
    "a target at another host": HEAD.replace(b"/v1", b"http://b/v1") + b"\r\n",
    "a target with a user": HEAD.replace(b"/v1", b"http://a@g/v1") + b"\r\n",
    "two authorizations": HEAD + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "two content codings": HEAD + b"Content-Encoding: gzip\r\nContent-Encoding: br\r\n\r\n",
    "two content types": HEAD + b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n",
    "two sessions": HEAD + b"X-Claude-Code-Session-Id: a\r\nX-Claude-Code-Session-Id: b\r\n\r\n",
    "a host on a folded line": HEAD + b"X-A: 1\r\n Host: b\r\n\r\n",
    "a host before the line": HEAD.replace(b"Host: g", b"Host : g") + b"\r\n",
    "no host": HEAD.replace(b"Host: g\r\n", b"") + b"\r\n",
    "HTTP/2": HEAD.replace(b"HTTP/1.1", b"HTTP/2.0") + b"\r\n",
    "a space in the target": HEAD.replace(b"/v1/messages", b"/v1/mess ages") + b"\r\n",
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "two keys": HEAD + b"X-API-Key: bl_zero\r\n\r\n",
    "a bad chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is too long": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_refused_and_the_connection_closed(serve: Any, name: str) -> None:
    """Whatever two readers could read differently is answered 400, and nothing after it is read."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        client = serving.connect().send(MALFORMED[name])
        check_error(client.answer(), 400, "invalid_request_error")
        assert not client.more()
        assert [] == upstream.requests


def test_two_keys_of_two_accounts_are_refused(serve: Any, post: Callable[..., bytes]) -> None:
    """A second credential may be there, but not one that is somebody else's here."""
    with ScriptedUpstream(after=Text("x")) as upstream:
        serving = serve(upstream)
        asked = {"else": 400, "keep": 200, "oauth": 200}
        for key, status in asked.items():
            request = post(extra=f"Authorization: Bearer bl_{key}\r\n")
            assert status == serving.connect().send(request).answer().status, key


def test_a_head_that_is_too_large_is_refused(serve: Any, post: Callable[..., bytes]) -> None:
    """431, whether its end came or not."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, limits=GatewayLimits(max_head=2_000, ping=0))
        answer = serving.connect().send(post(extra="X-A: " + "a" * 2_000 + "\r\n")).answer()
        check_error(answer, 431, "invalid_request_error")
        answer = serving.connect().send(b"GET /" + b"a" * 3_000).answer()
        check_error(answer, 431, "invalid_request_error")


@KEYS
def test_bodies_up_to_the_limit_pass(serve: Any, post: Callable[..., bytes], key: str) -> None:
    """32 MiB pass; one byte more is refused before it is read."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        body = b"x" * (32 * 1024 * 1024)
        assert 200 == serving.connect().send(post(body, key=key)).answer().status
        assert body == upstream.requests[0].body
        assert [len(body)] * (key == "bl_keep") == [
            len(exchange.request) for exchange in serving.recording.exchanges
        ]
        head = post(b"", key=key).replace(b"Content-Length: 0", b"Content-Length: 33554433")
        check_error(serving.connect().send(head).answer(), 413, "request_too_large")
        assert 1 == len(upstream.requests)


def test_a_chunked_body_over_the_limit_is_refused(serve: Any, post: Callable[..., bytes]) -> None:
    """A body of unstated length is counted as it comes."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, limits=GatewayLimits(max_body=10_000, ping=0))
        client = serving.connect()
        client.send(post(b"", extra="Transfer-Encoding: chunked\r\n", framing=False))
        client.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n2000\r\n" + b"x" * 0x2000 + b"\r\n")
        check_error(client.answer(), 413, "request_too_large")
        assert [] == upstream.requests
        assert ["client_aborted"] == outcomes(serving)


@KEYS
def test_a_client_that_leaves_ends_its_request_upstream(
    serve: Any, post: Callable[..., bytes], key: str
) -> None:
    """The upstream's connection is closed, and what came so far is recorded as aborted."""
    slow = Text("a long story " * 20, pause=0.02)
    with ScriptedUpstream([slow]) as upstream:
        serving = serve(upstream)
        client = serving.connect().send(post(STREAMING, key=key))
        client.until(b"content_block_delta")
        client.close()
        assert "client_aborted" == serving.summary().outcome
        assert ["client_aborted"] * (key == "bl_keep") == outcomes(serving)
        for exchange in serving.recording.exchanges:
            assert b"content_block_delta" in exchange.answer
            assert b"message_stop" not in exchange.answer
        assert 0 == serving.on_loop(lambda: serving.gateway._pools["api"].idle)


def test_a_client_that_leaves_while_it_sends(serve: Any, post: Callable[..., bytes]) -> None:
    """What came of the request is recorded; the upstream never sees it complete."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        serving.connect().send(post(b"x" * 1000)[:-10]).close()
        assert "client_aborted" == serving.summary().outcome
        assert [b"x" * 990] == [exchange.request for exchange in serving.recording.exchanges]
        assert [] == upstream.requests


def test_a_client_that_leaves_when_its_record_is_on_its_way(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """An exchange is recorded once, however its client behaves."""
    with ScriptedUpstream(after=Text("x")) as upstream:
        serving = serve(upstream)
        for number in range(30):
            client = serving.connect().send(post(STREAMING))
            serving.wait(lambda: len(upstream.requests) > number)  # noqa: B023 (called at once)
            client.close()
        serving.summary(30)
        assert 30 == len(serving.recording.exchanges)
        ids = {exchange.exchange_id for exchange in serving.recording.exchanges}
        assert 30 == len(ids)


def test_a_request_that_does_not_arrive_in_time(serve: Any, post: Callable[..., bytes]) -> None:
    """408 for a head or a body that stops coming; an idle connection is closed without a word."""
    limits = GatewayLimits(client_head=0.1, client_body_idle=0.1, keep_alive=0.1, ping=0)
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, limits=limits)
        check_error(serving.connect().send(b"POST /v1/mess").answer(), 408, "invalid_request_error")
        client = serving.connect().send(post(b"x" * 100)[:-1])
        check_error(client.answer(), 408, "invalid_request_error")
        assert ["timed_out"] == outcomes(serving)
        assert not serving.connect().more()


@KEYS
def test_a_slow_client_holds_the_upstream_back(
    serve: Any, post: Callable[..., bytes], key: str
) -> None:
    """While a client does not read, the upstream is not read from: memory stays bounded."""
    piece = b"data: " + b"x" * 65_000 + b"\n\n"
    total = 400
    reply = Reply(200, (("content-type", "text/event-stream"),), (piece,) * total, "chunked")
    with ScriptedUpstream([Exactly(reply)]) as upstream:
        serving = serve(upstream)
        client = serving.connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.send(post(STREAMING, key=key))

        def buffered() -> int:
            (peer,) = serving.gateway.clients
            return int(peer.transport.get_write_buffer_size())

        serving.wait(lambda: bool(serving.gateway.clients) and buffered() > 0)
        time.sleep(0.3)
        assert serving.on_loop(buffered) < 2 * 1024 * 1024
        answer = client.answer()
        assert piece * total == answer.body
        assert answer.complete


def test_a_client_that_never_reads_is_given_up(serve: Any, post: Callable[..., bytes]) -> None:
    """After the limit its exchange is ended and recorded."""
    piece = b"data: " + b"x" * 65_000 + b"\n\n"
    reply = Reply(200, (("content-type", "text/event-stream"),), (piece,) * 400, "chunked")
    with ScriptedUpstream([Exactly(reply)]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(client_stalled=0.2, ping=0))
        client = serving.connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.send(post(STREAMING))
        assert "client_aborted" == serving.summary().outcome
        assert ["client_aborted"] == outcomes(serving)


def test_a_slow_upstream_holds_the_client_back(serve: Any, post: Callable[..., bytes]) -> None:
    """While the upstream does not take a request, the client is not read from."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    serving = serve(f"http://127.0.0.1:{listening.getsockname()[1]}")
    client = serving.connect()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    request = post(b"x" * 30_000_000)
    sender = threading.Thread(target=_send_quietly, args=(client, request), daemon=True)
    sender.start()
    peer, _ = listening.accept()

    def paused() -> bool:
        return any(c._why for c in serving.gateway.clients)

    serving.wait(paused)
    size = serving.on_loop(lambda: max(c._course.body_size for c in serving.gateway.clients))
    assert size < 20_000_000
    taken = 0
    while taken < 30_000_000:
        taken += len(peer.recv(1 << 20))
    peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    assert 200 == client.answer().status
    peer.close()
    listening.close()


def _send_quietly(client: Any, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sock.sendall(data)


# -- the upstream ----------------------------------------------------------------------------------


@KEYS
def test_an_upstream_that_is_not_there(serve: Any, post: Callable[..., bytes], key: str) -> None:
    """502, and the request is recorded as failed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = serve(f"http://127.0.0.1:{port}")
    check_error(serving.connect().send(post(key=key)).answer(), 502, "api_error")
    assert ["upstream_failed"] * (key == "bl_keep") == outcomes(serving)
    assert all(b'"tools"' in e.request and e.status == 0 for e in serving.recording.exchanges)


@KEYS
def test_an_upstream_that_is_silent(serve: Any, post: Callable[..., bytes], key: str) -> None:
    """504 when no answer began; an error event when a stream had."""
    waits = Reply(
        200, (("content-type", "text/event-stream"),), (b"data: 1\n\n", "wait"), "chunked"
    )
    with ScriptedUpstream([Exactly(waits)]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(upstream_silence=0.2, ping=0))
        answer = serving.connect().send(post(key=key)).answer()
        assert not answer.complete
        assert answer.body.startswith(b"data: 1\n\nevent: error\ndata: {")
        assert b"timeout_error" in answer.body
        assert "timed_out" == serving.summary().outcome
    with socket.create_server(("127.0.0.1", 0)) as mute:
        serving = serve(
            f"http://127.0.0.1:{mute.getsockname()[1]}", limits=GatewayLimits(upstream_silence=0.2)
        )
        check_error(serving.connect().send(post(key=key)).answer(), 504, "timeout_error")
        assert ["timed_out"] * (key == "bl_keep") == outcomes(serving)


@KEYS
@pytest.mark.parametrize("cut", range(1, 9))
def test_a_stream_that_breaks_off(
    serve: Any, post: Callable[..., bytes], cut: int, key: str
) -> None:
    """What came is passed on, then an error event; what came is recorded as failed."""
    turn = AssistantMessage(({"type": "text", "text": "twenty characters ok"},), cut=cut)
    with ScriptedUpstream([turn]) as upstream:
        serving = serve(upstream)
        answer = serving.connect().send(post(STREAMING, key=key)).answer()
        came = b"".join(p for p in turn.reply(upstream.requests[0]).parts if isinstance(p, bytes))
        assert not answer.complete
        assert answer.body.startswith(came + b"event: error\ndata: {")
        assert "upstream_failed" == serving.summary().outcome
        assert [came] * (key == "bl_keep") == [e.answer for e in serving.recording.exchanges]
        assert ["upstream_failed"] * (key == "bl_keep") == outcomes(serving)


def test_a_stream_that_breaks_off_inside_an_event(serve: Any, post: Callable[..., bytes]) -> None:
    """No event is glued to half of another: the connection just breaks off."""
    half = Reply(200, (("content-type", "text/event-stream"),), (b"data: {", "abort"), "chunked")
    with ScriptedUpstream([Exactly(half)]) as upstream:
        answer = serve(upstream).connect().send(post(STREAMING)).answer()
        assert (b"data: {", False) == (answer.body, answer.complete)


@KEYS
def test_a_document_that_breaks_off(serve: Any, post: Callable[..., bytes], key: str) -> None:
    """A kept one is an error as a whole; otherwise the client sees that it is not complete."""
    half = Reply(200, (("content-type", "application/json"),), (b"{", "abort", b"}"))
    with ScriptedUpstream([Exactly(half)]) as upstream:
        serving = serve(upstream)
        answer = serving.connect().send(post(key=key)).answer()
        if key == "bl_keep":
            check_error(answer, 502, "api_error")
        else:
            assert not answer.complete
        assert "upstream_failed" == serving.summary().outcome


NOT_HTTP: dict[str, bytes] = {
    "noise": b"\x00\x01\x02",
    "a bare line feed": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "another protocol": b"SSH-2.0-x\r\n\r\n",
    "a switch": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "a bad chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "nothing": b"",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_an_upstream_that_does_not_speak_http(
    serve: Any, post: Callable[..., bytes], name: str
) -> None:
    """502, recorded as failed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            peer, _ = listening.accept()
            peer.recv(65536)
            peer.sendall(NOT_HTTP[name])
            peer.close()

        threading.Thread(target=answer, daemon=True).start()
        serving = serve(f"http://127.0.0.1:{listening.getsockname()[1]}")
        check_error(serving.connect().send(post()).answer(), 502, "api_error")
        assert ["upstream_failed"] == outcomes(serving)


def test_a_fresh_connection_that_closes_is_an_error(serve: Any, post: Callable[..., bytes]) -> None:
    """A request is not sent again when its connection was new: it may have been acted upon."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepted = []

        def close() -> None:
            listening.settimeout(1)
            try:
                while True:
                    peer, _ = listening.accept()
                    accepted.append(peer.recv(65536))
                    peer.close()
            except OSError:
                pass

        thread = threading.Thread(target=close)
        thread.start()
        serving = serve(f"http://127.0.0.1:{listening.getsockname()[1]}")
        check_error(serving.connect().send(post()).answer(), 502, "api_error")
        thread.join(60)
        assert 1 == len(accepted)


def test_models_answer_in_time_or_say_so(serve: Any) -> None:
    """A list of models that is late is an error within seconds; a redirect is never passed on."""
    get = b"GET /v1/models?limit=1000 HTTP/1.1\r\nHost: g\r\nx-api-key: bl_keep\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as mute:
        serving = serve(
            f"http://127.0.0.1:{mute.getsockname()[1]}", limits=GatewayLimits(prompt=0.2)
        )
        check_error(serving.connect().send(get).answer("GET"), 504, "timeout_error")
    moved = b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            peer, _ = listening.accept()
            peer.recv(65536)
            peer.sendall(moved)
            peer.close()

        threading.Thread(target=answer, daemon=True).start()
        serving = serve(f"http://127.0.0.1:{listening.getsockname()[1]}")
        check_error(serving.connect().send(get).answer("GET"), 502, "api_error")


def test_an_early_answer_ends_an_upload(serve: Any, post: Callable[..., bytes]) -> None:
    """An upstream may answer before it has read the request; the client gets that answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            peer, _ = listening.accept()
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 413 Too Big\r\ncontent-length: 5\r\n\r\nwhoa!")
            time.sleep(0.2)
            peer.close()

        threading.Thread(target=answer, daemon=True).start()
        serving = serve(f"http://127.0.0.1:{listening.getsockname()[1]}")
        client = serving.connect().send(post(b"x" * 100_000)[:-1000])
        answered = client.answer()
        assert (413, b"whoa!") == (answered.status, answered.body)
        assert "close" == answered.field("connection")
        assert 1 == len(serving.recording.exchanges)


# -- protocol --------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(serve: Any, post: Callable[..., bytes]) -> None:
    """Requests sent ahead wait their turn."""
    with ScriptedUpstream([Text("one"), Text("two"), Text("three")]) as upstream:
        serving = serve(upstream)
        hello = b"HEAD / HTTP/1.1\r\nHost: g\r\n\r\n"
        client = serving.connect().send(post() + post() + hello + post())
        texts = []
        for method in ("POST", "POST", "HEAD", "POST"):
            answer = client.answer(method)
            assert 200 == answer.status
            if method == "POST":
                texts.append(json.loads(answer.body)["content"][0]["text"])
        assert ["one", "two", "three"] == texts


def test_a_request_may_come_byte_by_byte(serve: Any, post: Callable[..., bytes]) -> None:
    """Heads and bodies may be split anywhere."""
    with ScriptedUpstream() as upstream:
        client = serve(upstream).connect()
        request = b"\r\n" + post(b'{"tools":[1]}')
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(request)):
            client.send(request[at : at + 1])
        assert 200 == client.answer().status
        assert b'{"tools":[1]}' == upstream.requests[0].body


def test_expect_continue(serve: Any, post: Callable[..., bytes]) -> None:
    """A client that asks first is told to go on, or refused before it sends."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        request = post(b"0123456789", extra="Expect: 100-continue\r\n")
        client = serving.connect().send(request[:-10])
        client.until(b"100 Continue\r\n\r\n")
        answer = client.send(b"0123456789").answer()
        assert (200, [100]) == (answer.status, answer.informational)
        assert upstream.requests[0].header("expect") is None
        refused = serving.connect().send(request.replace(b"bl_keep", b"bl_none")[:-10]).answer()
        assert (401, []) == (refused.status, refused.informational)


def test_http_1_0_clients_get_what_they_understand(serve: Any, post: Callable[..., bytes]) -> None:
    """No chunks: the answer ends with its connection, as a proxy before us may need it."""
    with ScriptedUpstream([Text("hi"), Text("hi")]) as upstream:
        serving = serve(upstream)
        for body in (STREAMING, b'{"tools":[1]}'):
            request = (
                post(body).replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Host: gateway\r\n", b"")
            )
            answer = serving.connect().send(request).answer()
            assert (200, True, None) == (
                answer.status,
                answer.complete,
                answer.field("transfer-encoding"),
            )
            assert "close" == answer.field("connection")
            assert b"hi" in answer.body
        assert upstream.requests[0].head.startswith(b"POST /v1/messages HTTP/1.1\r\nHost: ")


def test_an_unfinished_answer_to_http_1_0_is_a_reset(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """Where a close would mean the end, a failure resets."""
    half = Reply(200, (("content-type", "text/plain"),), (b"half", "abort"), "chunked")
    with ScriptedUpstream([Exactly(half)]) as upstream:
        request = post(key="bl_zero").replace(b"HTTP/1.1", b"HTTP/1.0")
        answer = serve(upstream).connect().send(request).answer()
        assert not answer.complete


@pytest.mark.parametrize("line", ["HEAD /", "HEAD /api/hello", "GET /api/hello", "GET /healthz"])
def test_a_greeting_needs_no_key(serve: Any, line: str) -> None:
    """Clients connect ahead and ask whether anyone is there."""
    with ScriptedUpstream() as upstream:
        client = serve(upstream).connect()
        for _ in range(2):
            request = f"{line} HTTP/1.1\r\nHost: g\r\n\r\n".encode()
            assert 200 == client.send(request).answer(line.split(" ", maxsplit=1)[0]).status
        assert [] == upstream.requests


@pytest.mark.row("R5")
def test_how_the_server_stands_needs_no_key(serve: Any) -> None:
    """By codes, with a status that a load balancer understands."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        ready = b"GET /readyz HTTP/1.1\r\nHost: g\r\n\r\n"
        client = serving.connect()
        assert 200 == client.send(ready).answer().status
        serving.gateway._health = lambda: Health(("sweep_late",), ("reports",))
        answer = client.send(ready).answer()
        said = b'{"ready":false,"reasons":["sweep_late"],"failing":["reports"],"alerts":[]}'
        assert (503, said) == (answer.status, answer.body)
        assert [] == upstream.requests


def test_a_silent_stream_gets_pings_between_events(serve: Any, post: Callable[..., bytes]) -> None:
    """A client that gives up after a silence is kept; nothing is put inside an event, and our own
    pings are not in the record.
    """
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    stop = sse({"type": "message_stop"})
    parts = (b"data: 1\n\n", 0.5, b"data: ", 0.3, b"2\n\n", stop)
    reply = Reply(200, (("content-type", "text/event-stream"),), parts, "chunked")
    with ScriptedUpstream([Exactly(reply)]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(ping=0.1))
        answer = serving.connect().send(post(STREAMING)).answer()
        assert ping in answer.body
        assert b"data: 1\n\ndata: 2\n\n" + stop == answer.body.replace(ping, b"")
        assert answer.body.endswith(ping + b"data: 2\n\n" + stop)
        assert b"data: 1\n\ndata: 2\n\n" + stop == serving.recording.exchanges[0].answer


def test_nothing_is_left_behind(serve: Any, post: Callable[..., bytes]) -> None:
    """After many exchanges of every kind no exchange and no room is held."""
    from bailee.gateway.exchange import Exchange

    with ScriptedUpstream(after=Text("x")) as upstream:
        serving = serve(upstream)
        for number in range(40):
            client = serving.connect().send(post(STREAMING if number % 2 else b'{"tools":[1]}'))
            if number % 3:
                client.answer()
            client.close()
        serving.summary(40)
        serving.wait(lambda: not serving.gateway.clients)
        assert 0 == serving.gateway.shares.held
        gc.collect()
        left = [
            exchange
            for exchange in gc.get_objects()
            if isinstance(exchange, Exchange) and exchange._shares is serving.gateway.shares
        ]
        assert [] == left


def test_outcomes_are_those_of_the_vault() -> None:
    """The summaries' words are the record's."""
    assert {"complete", "client_aborted", "upstream_failed", "timed_out"} == set(Outcome)
