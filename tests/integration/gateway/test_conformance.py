"""The gateway changes nothing: requests and answers compared byte for byte with and without it.

The list is "what a gateway must do" of the client's vendor, and what other gateways get wrong.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from bailee.testing.upstream import (
    AssistantMessage,
    Exactly,
    Failure,
    Received,
    Reply,
    ScriptedUpstream,
    Text,
    ToolUse,
    sse,
)

pytestmark = pytest.mark.row("D3")

KEYS = pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
# What a coding agent sends, and what none sends yet.
FROM_AGENT = (
    "Accept: application/json\r\n"
    "anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14,future-2031-01-01\r\n"
    "anthropic-version: 2023-06-01\r\n"
    "Anthropic-Dangerous-Direct-Browser-Access: true\r\n"
    "User-Agent: claude-cli/2.1.197 (external, cli)\r\n"
    "X-Claude-Code-Session-Id: 5b4d2bd8-9e05-41d8-9bd8-000000000001\r\n"
    "x-claude-code-agent-id: agent-7\r\n"
    "x-claude-code-parent-agent-id: agent-1\r\n"
    "x-claude-code-from-the-future: 1\r\n"
    "X-Stainless-Retry-Count: 0\r\n"
    "x-app: cli\r\n"
    "accept-encoding: gzip, deflate, br, zstd\r\n"
    "X-Odd-Spelling:no space\r\n"
    "x-Latin: caf\xe9\r\n"
)
BODIES: dict[str, bytes] = {
    "system as an array with cache_control": json.dumps(
        {
            "system": [
                {"type": "text", "text": "first: kept first"},
                {"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral"}},
            ],
            "tools": [{"name": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "as a block"}]}],
        }
    ).encode(),
    "fields of the future": b'{"context_management":{"edits":[]},"from_2031":[1e400,{}]}',
    "a system message in the conversation": (
        b'{"messages":[{"role":"user","content":"a"},{"role":"system","content":"b"}]}'
    ),
    "spacing, order, duplicate keys, escapes": (
        b'{ "b" : 1,\n\t"a":2 ,"a":3,"s":"\\u00e9\\/\\ud800" }  '
    ),
    "not JSON": b"{not json",
    "not text": bytes(range(256)) * 5,
    "empty": b"",
    "120 KB": json.dumps({"messages": ["x" * 120_000]}).encode(),
}
ENDS_HERE = {"host", "connection", "x-api-key", "authorization", "x-bailee-key", "te", "keep-alive"}


def passing(request: Received) -> list[tuple[str, str]]:
    """The fields that a gateway must not touch, in order and spelling."""
    return [(n, v) for n, v in request.headers if n.lower() not in ENDS_HERE]


@KEYS
@pytest.mark.parametrize("name", BODIES)
def test_a_request_reaches_the_upstream_as_it_was_sent(
    both: Any, post: Callable[..., bytes], name: str, key: str
) -> None:
    """Target with its query, fields in order and spelling, and every byte of the body."""
    path = "/v1/messages?beta=true&future=%2Fa%20b&&x"
    request = post(BODIES[name], path=path, key=key, extra=FROM_AGENT)
    with ScriptedUpstream() as upstream:
        seen = both(upstream, request)
        assert path == seen.direct.target == seen.through.target
        assert seen.direct.method == seen.through.method
        assert passing(seen.direct) == passing(seen.through)
        assert BODIES[name] == seen.direct.body == seen.through.body
        assert "sk-upstream" == seen.through.header("x-api-key")
        assert upstream.url.removeprefix("http://") == seen.through.header("host")


@KEYS
def test_a_chunked_request_keeps_its_bytes(both: Any, post: Callable[..., bytes], key: str) -> None:
    """An upload in chunks arrives with the same body, extensions and trailers read over."""
    chunks = b"5\r\nhello\r\n6;note=x\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n"
    request = post(chunks, key=key, extra="Transfer-Encoding: chunked\r\n", framing=False)
    with ScriptedUpstream() as upstream:
        # The scripted upstream reads no trailers, so it is sent none directly.
        seen = both(upstream, request.replace(b"x-trailer: 1\r\n", b""))
        assert b"hello world" == seen.direct.body == seen.through.body
        client = seen.serving.connect().send(request)
        assert 200 == client.answer().status
        assert b"hello world" == upstream.requests[-1].body


@KEYS
@pytest.mark.parametrize(
    "path",
    ["/v1/messages/batches", "/v1/files?purpose=x", "/v1/from/2031", "/v1/complete"],
)
def test_with_an_own_credential_unknown_paths_pass_and_are_not_kept(
    both: Any, post: Callable[..., bytes], path: str, key: str
) -> None:
    """What the gateway does not know goes to the upstream unchanged, and leaves no record."""
    with ScriptedUpstream() as upstream:
        request = post(b'{"a":1}', path=path, key="sk-own", extra=f"x-bailee-key: {key}\r\n")
        seen = both(upstream, request)
        assert path == seen.through.target
        assert passing(seen.direct) == passing(seen.through)
        assert "sk-own" == seen.through.header("x-api-key")
        assert seen.direct_answer.body == seen.through_answer.body
        assert [] == seen.serving.recording.exchanges
        assert "/v1/" in seen.serving.summary().path


ERRORS: dict[str, Failure] = {
    "400": Failure(400, "invalid_request_error", "messages.0: odd wording, kept"),
    "401": Failure(401, "authentication_error", "invalid x-api-key"),
    "413": Failure(413, "request_too_large", "too large"),
    "429": Failure(
        429,
        "rate_limit_error",
        "slow down",
        (
            ("retry-after", "17"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("Anthropic-RateLimit-From-2031", "x"),
            ("request-id", "req_upstream_429"),
        ),
    ),
    "500": Failure(500, "api_error", "oops"),
    "529": Failure(529, "overloaded_error", "Overloaded", (("retry-after", "3"),)),
}


@KEYS
@pytest.mark.parametrize("name", ERRORS)
def test_an_upstream_error_reaches_the_client_unmodified(
    both: Any, post: Callable[..., bytes], name: str, key: str
) -> None:
    """Status, reason, every field and every byte: retry logic matches on their wording."""
    with ScriptedUpstream(tools_only=False, after=ERRORS[name]) as upstream:
        seen = both(upstream, post(key=key))
        assert seen.direct_answer == seen.through_answer
        assert int(name) == seen.through_answer.status


def _exactly(body: bytes, kind: str, framing: Any = "length", *extra: tuple[str, str]) -> Reply:
    return Reply(200, (("Content-Type", kind), *extra), (body,), framing, "Fine")


DOCUMENT = b' {"id":"msg_1", "type":"message" ,"from_2031":{}} \n'
ANSWERS: dict[str, Reply] = {
    "a document with a length": _exactly(DOCUMENT, "application/json"),
    "a document in chunks": _exactly(DOCUMENT, "application/json", "chunked"),
    "a document that ends with its connection": _exactly(DOCUMENT, "application/json", "close"),
    "an empty document": _exactly(b"", "application/json"),
    "unknown fields": _exactly(
        DOCUMENT, "application/json", "length", ("X-From-2031", "1"), ("request-id", "req_9")
    ),
    "a gzipped document": _exactly(
        gzip.compress(DOCUMENT), "application/json", "length", ("content-encoding", "gzip")
    ),
    "no content": Reply(204, (("x-a", "b"),), reason="No Content"),
    "not modified": Reply(304, (("etag", '"1"'),), reason="Not Modified"),
    "comments and pings in a stream": _exactly(
        b": comment\n\nevent: ping\ndata: {}\n\n\r\ndata: x\r\n\r\n", "text/event-stream", "chunked"
    ),
    "a stream without message_stop": _exactly(
        b'event: error\ndata: {"type":"error"}\n\n', "text/event-stream; charset=utf-8", "chunked"
    ),
    "an unfinished event": _exactly(b"event: message_st", "text/event-stream", "chunked"),
}


@KEYS
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_reaches_the_client_as_it_was_given(
    both: Any, post: Callable[..., bytes], name: str, key: str
) -> None:
    """Status, reason, fields and body, however it is delimited."""
    with ScriptedUpstream(tools_only=False, after=Exactly(ANSWERS[name])) as upstream:
        seen = both(upstream, post(key=key))
        hop = {"connection", "transfer-encoding"}
        for answer in (seen.direct_answer, seen.through_answer):
            answer.fields = [(n, v) for n, v in answer.fields if n not in hop]
            answer.fields = [(n, v) for n, v in answer.fields if n.lower() not in hop]
        assert seen.direct_answer == seen.through_answer
        assert seen.through_answer.complete


TURN = AssistantMessage(
    (
        {"type": "thinking", "thinking": "Hm, message_stop?", "signature": "c2ln"},
        {"type": "text", "text": 'It says "message_stop" \\ and\n\nevent: message_stop\n\n'},
        {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {"a": ["message_stop"]}},
    ),
    stop_reason="tool_use",
)


def _stream_of(turn: AssistantMessage) -> bytes:
    request = Received("POST", "/v1/messages", b"", b"", b"{}", (), 0)
    return b"".join(sse(event) for event in turn.events(request))


@KEYS
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_a_stream_arrives_the_same_however_it_is_cut(
    both: Any, post: Callable[..., bytes], size: int, key: str
) -> None:
    """Cut into pieces of any size, a stream is the same to the client and in the record."""
    whole = _stream_of(TURN)
    parts: list[Any] = []
    for at in range(0, len(whole), size):
        parts.append(whole[at : at + size])
        if size < 100:
            parts.append(0.0)
    reply = Reply(200, (("content-type", "text/event-stream"),), tuple(parts), "chunked")
    with ScriptedUpstream(tools_only=False, after=Exactly(reply)) as upstream:
        seen = both(upstream, post(key=key))
        assert whole == seen.direct_answer.body == seen.through_answer.body
        assert seen.through_answer.complete
        kept = [exchange.answer for exchange in seen.serving.recording.exchanges]
        assert ([whole] if key == "bl_keep" else []) == kept


@KEYS
@pytest.mark.parametrize("verb", ["invoke", "invoke-with-response-stream"])
def test_bedrock_requests_go_to_bedrock(
    serve: Any, post: Callable[..., bytes], verb: str, key: str
) -> None:
    """The prefix goes, the rest stays; a binary stream is relayed unchanged."""
    path = f"/model/eu.anthropic.claude%3A0/{verb}"
    with ScriptedUpstream(tools_only=False, after=TURN) as upstream:
        serving = serve(upstream)
        client = serving.connect()
        answer = client.send(post(b'{"x":1}', path="/bedrock" + path, key=key)).answer()
        request = upstream.requests[0]
        assert path == request.target
        expected = b"".join(p for p in TURN.reply(request).parts if isinstance(p, bytes))
        assert expected == answer.body
        assert ["bedrock"] * (key == "bl_keep") == [
            exchange.channel for exchange in serving.recording.exchanges
        ]
        assert f"/bedrock/model/*/{verb}" == serving.summary().path


@KEYS
def test_vertex_requests_go_to_vertex(serve: Any, post: Callable[..., bytes], key: str) -> None:
    """The prefix goes, the rest stays, and the channel is vertex."""
    path = "/projects/p/locations/global/publishers/anthropic/models/claude@1:streamRawPredict"
    with ScriptedUpstream(tools_only=False, after=TURN) as upstream:
        serving = serve(upstream)
        answer = serving.connect().send(post(b"{}", path="/vertex" + path, key=key)).answer()
        assert path == upstream.requests[0].target
        assert _stream_of(TURN) == answer.body
        assert ["vertex"] * (key == "bl_keep") == [
            exchange.channel for exchange in serving.recording.exchanges
        ]


def test_tool_calls_and_results_are_one_conversation(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """Turns are answered in order over one connection, which is kept open to the upstream."""
    with ScriptedUpstream([ToolUse("t", {"a": 1}), Text("end")]) as upstream:
        serving = serve(upstream)
        client = serving.connect()
        first = json.loads(client.send(post()).answer().body)
        second = json.loads(client.send(post()).answer().body)
        assert ["tool_use", "end_turn"] == [first["stop_reason"], second["stop_reason"]]
        assert 1 == upstream.connections


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("x-api-key: bl_keep\r\n", ["sk-upstream", None]),
        ("Authorization: Bearer bl_keep\r\n", ["sk-upstream", None]),
        ("authorization: bearer  bl_keep\r\nx-api-key: other\r\n", ["sk-upstream", None]),
        ("x-api-key: bl_keep\r\nAuthorization: Bearer x\r\n", ["sk-upstream", None]),
        (
            "x-bailee-key: bl_keep\r\nX-API-Key: sk-own\r\nAuthorization: Bearer own\r\n",
            ["sk-own", "Bearer own"],
        ),
    ],
)
def test_credentials_are_exchanged_or_passed(
    serve: Any, sent: str, expected: list[str | None]
) -> None:
    """The client's key authenticates here and ends here; beside x-bailee-key the client's own
    credentials go on untouched. Neither is in the record.
    """
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        head = f"POST /v1/messages HTTP/1.1\r\nHost: g\r\n{sent}Content-Length: 2\r\n\r\n"
        assert 200 == serving.connect().send(head.encode() + b"{}").answer().status
        request = upstream.requests[0]
        assert expected == [request.header("x-api-key"), request.header("authorization")]
        assert b"bl_keep" not in request.raw
        record = repr(serving.recording.exchanges)
        assert not any(key in record for key in ("bl_keep", "sk-own", "Bearer", "sk-upstream"))


def test_hop_by_hop_fields_end_at_the_gateway(serve: Any) -> None:
    """Connection, what it names, and the rest of RFC 9110 7.6.1 are not forwarded."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        head = (
            "POST /v1/messages HTTP/1.1\r\nHost: g\r\nx-api-key: bl_keep\r\n"
            "Connection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n"
            "TE: trailers\r\nProxy-Authorization: Basic x\r\nUpgrade: h2c\r\nX-Stays: 1\r\n"
            "Content-Length: 2\r\n\r\n{}"
        )
        assert 200 == serving.connect().send(head.encode()).answer().status
        names = [name for name, _ in upstream.requests[0].headers]
        assert ["Host", "X-Stays", "Content-Length", "x-api-key"] == names


def test_a_base_path_of_the_upstream_comes_first(serve: Any, post: Callable[..., bytes]) -> None:
    """An upstream's URL may have a path."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream.url + "/proxy/anthropic/")
        assert 200 == serving.connect().send(post()).answer().status
        assert "/proxy/anthropic/v1/messages" == upstream.requests[0].target


def test_models_and_token_counts_pass_and_are_not_kept(
    both: Any, post: Callable[..., bytes]
) -> None:
    """They carry no answer of a model."""
    get = b"GET /v1/models?limit=1000 HTTP/1.1\r\nHost: g\r\nx-api-key: bl_keep\r\n\r\n"
    with ScriptedUpstream() as upstream:
        seen = both(upstream, get)
        assert seen.direct_answer == seen.through_answer
        client = seen.serving.connect()
        counted = client.send(post(path="/v1/messages/count_tokens?beta=true")).answer()
        assert 200 == counted.status
        assert [] == seen.serving.recording.exchanges
        assert "not_a_conversation" == seen.serving.summary(2).not_kept


def test_informational_answers_pass(serve: Any, post: Callable[..., bytes]) -> None:
    """A 103 before the answer reaches the client; an answer to HEAD has no body."""
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    body = b"{}"
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + body
    with RawUpstream([early + answer]) as upstream:
        seen = serve(upstream.url).connect().send(post()).answer()
        assert ([103], 200, body) == (seen.informational, seen.status, seen.body)


class RawUpstream:
    """Answers each request with given bytes, whatever they are, then closes."""

    def __init__(self, answers: list[bytes]) -> None:
        import socket
        import threading

        self.answers = answers
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        for answer in self.answers:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            peer.recv(65536)
            peer.sendall(answer)
            peer.close()

    def __enter__(self) -> RawUpstream:
        self.thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.sock.close()
        self.thread.join(60)
