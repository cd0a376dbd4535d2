"""What a client saw complete is kept: the end of an answer waits for its record."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import brotli
import pytest
import zstandard

from bailee.admission import OnDisk
from bailee.gateway.settings import GatewayLimits
from bailee.testing.recording import FaultyRecording, MemoryRecording
from bailee.testing.upstream import (
    AssistantMessage,
    Exactly,
    Received,
    Reply,
    ScriptedUpstream,
    Text,
    frame,
    sse,
)
from bailee.vault.exchange import Outcome

TURN = Text("Some words that take several events to say.")
ASKED = Received("POST", "/v1/messages", b"", b"", b"{}", (), 0)
STREAMING = json.dumps({"stream": True, "tools": [{"name": "t"}]}).encode()
EVENTS = TURN.events(ASKED)
STOP = sse(EVENTS[-1])
STREAM = b"".join(map(sse, TURN.events(replace(ASKED, body=STREAMING))))


def test_the_last_event_waits_for_the_record(serve: Any, post: Callable[..., bytes]) -> None:
    """All before message_stop comes at once; message_stop and the end only when it is durable."""
    recording = MemoryRecording(manual=True)
    with ScriptedUpstream([TURN]) as upstream:
        serving = serve(upstream, recording=recording)
        client = serving.connect().send(post(STREAMING))
        serving.wait(lambda: recording.pending == 1)
        early = client.quiet()
        assert b"message_delta" in early
        assert b"message_stop" not in early
        serving.on_loop(recording.settle)
        answer = client.answer()
        assert STREAM == answer.body
        assert answer.complete
        assert [STREAM] == [exchange.answer for exchange in recording.exchanges]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_document_waits_for_the_record(
    serve: Any, post: Callable[..., bytes], framing: Any
) -> None:
    """Nothing of a small document reaches the client before it is durable."""
    recording = MemoryRecording(manual=True)
    reply = Reply(200, (("content-type", "application/json"),), (b'{"type":"message"}',), framing)
    with ScriptedUpstream([Exactly(reply)]) as upstream:
        serving = serve(upstream, recording=recording)
        client = serving.connect().send(post())
        serving.wait(lambda: recording.pending == 1)
        assert b"" == client.quiet()
        serving.on_loop(recording.settle)
        assert (200, b'{"type":"message"}', True) == _seen(client)


def _seen(client: Any) -> tuple[int, bytes, bool]:
    answer = client.answer()
    return answer.status, answer.body, answer.complete


def _gzip() -> Callable[[bytes], bytes]:
    encoder = zlib.compressobj(wbits=31)
    return lambda piece: encoder.compress(piece) + encoder.flush(zlib.Z_SYNC_FLUSH)


def _deflate() -> Callable[[bytes], bytes]:
    encoder = zlib.compressobj()
    return lambda piece: encoder.compress(piece) + encoder.flush(zlib.Z_SYNC_FLUSH)


def _brotli() -> Callable[[bytes], bytes]:
    encoder = brotli.Compressor()
    return lambda piece: encoder.process(piece) + encoder.flush()


def _zstd() -> Callable[[bytes], bytes]:
    encoder = zstandard.ZstdCompressor().compressobj()
    return lambda piece: encoder.compress(piece) + encoder.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize(
    ("coding", "make"), [("gzip", _gzip), ("deflate", _deflate), ("br", _brotli), ("zstd", _zstd)]
)
def test_an_encoded_stream_waits_for_the_record(
    serve: Any, post: Callable[..., bytes], coding: str, make: Any
) -> None:
    """The end of a compressed stream is recognised, and held; its bytes are those that came."""
    encode = make()
    parts: list[Any] = []
    for event in EVENTS:
        parts += [encode(sse(event)), 0.01]
    reply = Reply(
        200,
        (("content-type", "text/event-stream"), ("content-encoding", coding)),
        (*parts, "wait"),
        "chunked",
    )
    recording = MemoryRecording(manual=True)
    with ScriptedUpstream([Exactly(reply)]) as upstream:
        serving = serve(upstream, recording=recording)
        client = serving.connect().send(post())
        serving.wait(lambda: recording.pending == 1)
        before = client.quiet()
        last = parts[-2]
        assert parts[0] in before
        assert last not in before.removesuffix(b"\r\n")[-len(last) - 8 :]
        serving.on_loop(recording.settle)
        client.until(last)
        assert b"".join(p for p in parts if isinstance(p, bytes)) == recording.exchanges[0].answer


def test_a_binary_stream_waits_for_the_record(serve: Any, post: Callable[..., bytes]) -> None:
    """The last frame of a Bedrock stream is held."""
    recording = MemoryRecording(manual=True)
    frames = [frame(event) for event in EVENTS]
    with ScriptedUpstream([TURN], tools_only=False) as upstream:
        serving = serve(upstream, recording=recording)
        path = "/bedrock/model/m/invoke-with-response-stream"
        client = serving.connect().send(post(b"{}", path=path))
        serving.wait(lambda: recording.pending == 1)
        before = client.quiet()
        assert frames[-2][20:] in before
        assert frames[-1][20:] not in before
        serving.on_loop(recording.settle)
        assert b"".join(frames) == client.answer().body


def test_the_record_holds_what_happened(serve: Any, post: Callable[..., bytes]) -> None:
    """Who, on which terms, what was asked and answered, and the fields that name a session."""
    extra = (
        "X-Claude-Code-Session-Id: ses-1\r\nx-claude-code-agent-id: ag-1\r\n"
        "Content-Type: application/json\r\nX-Other: no\r\n"
    )
    with ScriptedUpstream([TURN]) as upstream:
        serving = serve(upstream)
        path = "/v1/messages?beta=true&api_key=sk-secret"
        serving.connect().send(post(STREAMING, path=path, extra=extra)).answer()
        (exchange,) = serving.recording.exchanges
        assert ("acc_1", "key_1", "pro", "api") == (
            exchange.owner,
            exchange.key_id,
            exchange.plan,
            exchange.channel,
        )
        assert ("POST", "/v1/messages?beta=true", 200, Outcome.COMPLETE) == (
            exchange.method,
            exchange.target,
            exchange.status,
            exchange.outcome,
        )
        assert (
            ("x-claude-code-session-id", "ses-1"),
            ("x-claude-code-agent-id", "ag-1"),
            ("content-type", "application/json"),
        ) == exchange.request_headers
        assert (
            ("content-type", "text/event-stream"),
            ("request-id", "req_scripted"),
        ) == exchange.answer_headers
        assert (STREAMING, STREAM) == (exchange.request, exchange.answer)
        assert exchange.started_at <= exchange.ended_at
        summary = serving.summary()
        assert ("laptop", "pro", 200, "complete", len(STREAMING), len(STREAM)) == (
            summary.key_name,
            summary.plan,
            summary.status,
            summary.outcome,
            summary.bytes_in,
            summary.bytes_out,
        )
        assert exchange.terms == summary.terms


# -- the recorder fails ----------------------------------------------------------------------------


def test_a_known_failure_refuses_before_anything_goes_upstream(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """The policy serves nothing unrecorded: 503 in the API's shape, and no request upstream."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, recording=FaultyRecording(known=True))
        answer = serving.connect().send(post()).answer()
        assert 503 == answer.status
        error = json.loads(answer.body)
        assert ("error", "overloaded_error") == (error["type"], error["error"]["type"])
        assert [] == upstream.requests
        assert "not_recorded" == serving.summary().error
        # What is not kept anyway is served.
        assert 200 == serving.connect().send(post(key="bl_zero")).answer().status


def test_a_document_that_can_not_be_recorded_is_refused(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """When nothing was sent yet, the client gets 503 in place of the answer."""
    with ScriptedUpstream([TURN]) as upstream:
        serving = serve(upstream, recording=FaultyRecording())
        answer = serving.connect().send(post()).answer()
        assert (503, True) == (answer.status, answer.complete)
        assert b"Some words" not in answer.body
        summary = serving.summary()
        assert (None, "recorder_failed", "not_recorded") == (
            summary.terms,
            summary.not_kept,
            summary.error,
        )


def test_a_stream_that_can_not_be_recorded_has_no_proper_end(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """The client gets an error event and no message_stop, and the stream breaks off."""
    with ScriptedUpstream([TURN]) as upstream:
        serving = serve(upstream, recording=FaultyRecording())
        answer = serving.connect().send(post(STREAMING)).answer()
        assert not answer.complete
        assert b"event: message_stop" not in answer.body
        assert b"event: error" in answer.body
        assert b"can't be recorded" in answer.body


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("body", [b'{"tools":[1]}', STREAMING])
def test_the_policy_may_serve_unrecorded(
    serve: Any, post: Callable[..., bytes], body: bytes, known: bool
) -> None:
    """Then the answer is whole, and it is counted and said that it was not recorded."""
    with ScriptedUpstream([TURN, TURN]) as upstream:
        recording = FaultyRecording(known=known)
        serving = serve(upstream, recording=recording, on_recorder_failure="serve_unrecorded")
        answer = serving.connect().send(post(body)).answer()
        assert (200, True) == (answer.status, answer.complete)
        summary = serving.summary()
        assert (None, "recorder_failed", 200) == (
            summary.terms,
            summary.not_kept,
            summary.status,
        )
        assert 1 == serving.gateway.unrecorded
        recording.broken = False
        assert 200 == serving.connect().send(post(body)).answer().status
        assert 1 == len(recording.exchanges)


def test_service_resumes_when_the_recorder_does(serve: Any, post: Callable[..., bytes]) -> None:
    """A full disk that has room again needs no restart."""
    with ScriptedUpstream([TURN]) as upstream:
        recording = FaultyRecording(known=True)
        serving = serve(upstream, recording=recording)
        client = serving.connect()
        assert 503 == client.send(post()).answer().status
        recording.broken = False
        assert 200 == serving.connect().send(post()).answer().status
        assert 1 == len(recording.exchanges)


# -- back-pressure ---------------------------------------------------------------------------------


@pytest.mark.row("G1")
def test_an_account_whose_records_pile_up_gets_nothing_new_in(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """It is refused with the time to come again, nothing is dropped, and others are served."""
    body = b'{"tools":[1],"x":"' + b"x" * 2_000_000 + b'"}'
    recording = MemoryRecording(manual=True, limit=1)
    with ScriptedUpstream([TURN, TURN, TURN]) as upstream:
        serving = serve(upstream, recording=recording)
        first = serving.connect().send(post(body))
        serving.wait(lambda: recording.pending == 1)
        refused = serving.connect().send(post()).answer()
        assert (429, "2") == (refused.status, refused.field("retry-after"))
        assert b"rate_limit_error" in refused.body
        other = serving.connect().send(post(key="bl_else"))
        assert 200 == serving.connect().send(post(key="bl_zero")).answer().status
        serving.wait(lambda: recording.pending == 2)
        serving.on_loop(recording.settle)
        assert [200, 200] == [first.answer().status, other.answer().status]
        serving.wait(lambda: serving.gateway.shares.held == 0)
        assert 2 == len(recording.exchanges)


@pytest.mark.row("G1")
def test_what_an_account_holds_is_bounded(serve: Any, post: Callable[..., bytes]) -> None:
    """Whoever would go over the share is refused; what is under way is answered and kept."""
    body = b'{"tools":[1],"x":"' + b"x" * 50_000 + b'"}'
    limits = GatewayLimits(memory_per_account=240_000, ping=0)
    slow = Exactly(Reply(200, (("content-type", "application/json"),), (0.5, b"{}"), "chunked"))
    with ScriptedUpstream(after=slow) as upstream:
        serving = serve(upstream, limits=limits)
        clients = []
        for number in range(4):
            clients.append(serving.connect().send(post(body)))
            held = 50_000 * min(number + 1, 2)
            serving.wait(lambda held=held: serving.gateway.shares.held > held)
        assert [200, 200, 429, 429] == [client.answer().status for client in clients]
        assert 2 == len(serving.recording.exchanges)
        serving.wait(lambda: serving.gateway.shares.held == 0)


@pytest.mark.row("G1")
def test_what_waits_to_be_sealed_is_bounded(serve: Any, post: Callable[..., bytes]) -> None:
    """Whose records fill the disk before they are sealed is refused, and nothing goes upstream;
    what is not recorded passes, and so do others. When it is sealed, they go on.
    """
    recording = MemoryRecording()
    with ScriptedUpstream([TURN] * 4) as upstream:
        serving = serve(upstream, recording=recording, limits=GatewayLimits(spool_per_account=1000))
        assert 200 == serving.connect().send(post()).answer().status
        owner = recording.exchanges[0].owner
        recording.unsealed_bytes[owner] = 1001
        refused = serving.connect().send(post()).answer()
        assert (429, "2") == (refused.status, refused.field("retry-after"))
        assert 1 == len(upstream.requests)
        assert 200 == serving.connect().send(post(key="bl_else")).answer().status
        recording.unsealed_bytes[owner] = 1000
        assert 200 == serving.connect().send(post()).answer().status


@pytest.mark.row("G1")
def test_who_outruns_the_sealer_is_refused(serve: Any, post: Callable[..., bytes]) -> None:
    """Many small exchanges that wait to be sealed count as such; nobody else waits for them."""
    recording = MemoryRecording()
    with ScriptedUpstream([TURN] * 3) as upstream:
        serving = serve(
            upstream, recording=recording, limits=GatewayLimits(unsealed_per_account=100)
        )
        assert 200 == serving.connect().send(post()).answer().status
        owner = recording.exchanges[0].owner
        recording.unsealed_exchanges[owner] = 100
        refused = serving.connect().send(post()).answer()
        assert (429, "2") == (refused.status, refused.field("retry-after"))
        assert 200 == serving.connect().send(post(key="bl_else")).answer().status
        recording.unsealed_exchanges[owner] = 99
        assert 200 == serving.connect().send(post()).answer().status


@pytest.mark.row("G1")
def test_who_makes_sealing_long_is_refused(serve: Any, post: Callable[..., bytes]) -> None:
    """A few exchanges that take long count by that; the answer says that nobody but the server has
    anything to do, and nobody else waits.
    """
    recording = MemoryRecording()
    with ScriptedUpstream([TURN] * 3) as upstream:
        serving = serve(upstream, recording=recording, limits=GatewayLimits(sealing_per_account=90))
        assert 200 == serving.connect().send(post()).answer().status
        owner = recording.exchanges[0].owner
        recording.unsealed_seconds[owner] = 90.5
        refused = serving.connect().send(post()).answer()
        assert (429, "2") == (refused.status, refused.field("retry-after"))
        said = refused.body.decode()
        assert "takes over 90 s to be filed" in said
        assert "the server files it by itself" in said
        assert 200 == serving.connect().send(post(key="bl_else")).answer().status
        recording.unsealed_seconds[owner] = 89.5
        assert 200 == serving.connect().send(post()).answer().status


@pytest.mark.row("G1")
def test_when_all_is_full_who_floods_is_refused(serve: Any, post: Callable[..., bytes]) -> None:
    """Who has more waiting than an equal part of what all may have; whoever has no more goes on."""
    recording = MemoryRecording()
    with ScriptedUpstream([TURN] * 3) as upstream:
        serving = serve(upstream, recording=recording, limits=GatewayLimits(unsealed=400))
        assert 200 == serving.connect().send(post()).answer().status
        owner = recording.exchanges[0].owner
        recording.unsealed_exchanges |= {owner: 201, "another": 300}
        refused = serving.connect().send(post()).answer()
        assert (429, "2") == (refused.status, refused.field("retry-after"))
        assert 200 == serving.connect().send(post(key="bl_else")).answer().status
        recording.unsealed_exchanges[owner] = 200
        assert 200 == serving.connect().send(post()).answer().status


@pytest.mark.row("G1")
def test_who_has_as_much_on_disk_as_they_may_is_refused(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """Nothing goes upstream, and the client is told who must act and not to come again by itself;
    what is not recorded passes, and so do others. With less on disk they go on.
    """
    with ScriptedUpstream([TURN] * 4) as upstream:
        serving = serve(upstream, limits=GatewayLimits(stored_per_account=2 << 20))
        serving.disk["acc_1"] = OnDisk(living=2 << 20)
        refused = serving.connect().send(post()).answer()
        assert (429, "false") == (refused.status, refused.field("x-should-retry"))
        assert b"2 MiB" in refused.body
        assert b"delete sessions" in refused.body
        assert [] == upstream.requests
        assert 200 == serving.connect().send(post(key="bl_else")).answer().status
        assert 200 == serving.connect().send(post(key="bl_zero")).answer().status
        serving.disk["acc_1"] = OnDisk(living=1 << 20)
        assert 200 == serving.connect().send(post()).answer().status
        serving.disk["acc_1"] = OnDisk(living=9, all=10, accounts=2, low=True)
        refused = serving.connect().send(post()).answer()
        assert 429 == refused.status
        assert b"make room on the disk" in refused.body


@pytest.mark.row("G1")
def test_requests_that_only_announce_a_body_take_nothing(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """Twenty chunked requests without a body hold no memory, and others go on."""
    with ScriptedUpstream([TURN]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(held=1_000_000, ping=0))
        chunked = post(b"", extra="Transfer-Encoding: chunked\r\n", framing=False)
        for _ in range(20):
            serving.connect().send(chunked)
        serving.wait(lambda: len(serving.gateway.clients) == 20)
        assert 200 == serving.connect().send(post(key="bl_else")).answer().status
        assert 0 == serving.gateway.shares.held


@pytest.mark.row("G1")
def test_a_room_full_of_half_arrived_requests_does_not_stand_still(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """Those of who holds most end, the newest first; another account's comes through, and one that
    was there first can still be finished.
    """
    whole = post(b'{"tools":[1],"x":"' + b"x" * 100_000 + b'"}')
    with ScriptedUpstream([TURN, TURN]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(held=450_000, ping=0))
        halves = []
        for number in range(1, 5):
            halves.append(serving.connect().send(whole[:-10]))
            serving.wait(lambda number=number: serving.gateway.shares.held > 100_000 * number)
        other = whole.replace(b"bl_keep", b"bl_else")
        assert 200 == serving.connect().send(other).answer().status
        assert 429 == halves[-1].answer().status
        assert 200 == halves[0].send(whole[-10:]).answer().status


@pytest.mark.row("G1")
def test_a_record_does_not_stand_behind_all_of_another_account(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """Of an account with much to write, a little is handed over; all of it is written in order."""
    body = b'{"tools":[1],"x":"' + b"x" * 3_000_000 + b'"}'
    recording = MemoryRecording(manual=True)
    with ScriptedUpstream([TURN] * 5) as upstream:
        serving = serve(upstream, recording=recording)
        clients = [serving.connect().send(post(body)) for _ in range(4)]
        serving.wait(lambda: serving.gateway.records.under_way == 4)
        assert 1 == serving.on_loop(lambda: recording.pending)
        other = serving.connect().send(post(key="bl_else"))
        serving.wait(lambda: recording.pending == 2)
        serving.on_loop(recording.settle)
        assert 200 == other.answer().status
        for _ in range(3):
            serving.wait(lambda: recording.pending == 1)
            serving.on_loop(recording.settle)
        assert [200] * 4 == [client.answer().status for client in clients]
        assert 5 == len(recording.exchanges)
        serving.wait(lambda: serving.gateway.shares.held == 0)


def test_an_answer_that_can_not_be_held_is_stopped(serve: Any, post: Callable[..., bytes]) -> None:
    """A record may not lack its end: a longer answer ends in an error, and is kept so far."""
    long = AssistantMessage(({"type": "text", "text": "x" * 5_000},), pause=0.05)
    with ScriptedUpstream([long]) as upstream:
        serving = serve(upstream, limits=GatewayLimits(max_answer=10_000, ping=0))
        answer = serving.connect().send(post(STREAMING)).answer()
        assert not answer.complete
        assert b"event: message_stop" not in answer.body
        assert [Outcome.UPSTREAM_FAILED] == [e.outcome for e in serving.recording.exchanges]


def test_the_end_of_the_process_waits_for_records(serve: Any, post: Callable[..., bytes]) -> None:
    """Closing lets an exchange end, and does not return before its record is durable."""
    slow = Text("slow but complete", pause=0.05)
    with ScriptedUpstream([slow]) as upstream:
        serving = serve(upstream)
        client = serving.connect().send(post(STREAMING))
        client.until(b"message_start")
        serving.stop(grace=5)
        assert [Outcome.COMPLETE] == [e.outcome for e in serving.recording.exchanges]
        assert client.answer().complete


def test_closing_ends_what_does_not_end(serve: Any, post: Callable[..., bytes]) -> None:
    """After the grace an exchange is ended, and recorded as far as it came."""
    endless = Exactly(Reply(200, (("content-type", "text/event-stream"),), ("wait",), "chunked"))
    with ScriptedUpstream([endless]) as upstream:
        serving = serve(upstream)
        client = serving.connect().send(post(STREAMING))
        client.until(b"200 OK")
        serving.stop(grace=0.1)
        assert [Outcome.CLIENT_ABORTED] == [e.outcome for e in serving.recording.exchanges]
