"""What captured bytes mean."""

from __future__ import annotations

import gzip
import json
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.apis.decoding import decoded
from bailee.apis.reading import interpret
from bailee.testing.upstream import AssistantMessage, Received, frame, sse
from bailee.vault import bounds, structure
from bailee.vault.bounds import BeyondBound
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from support.attacks.bombs import zipped

TURN = AssistantMessage(
    (
        {"type": "thinking", "thinking": "Hm. \u00e9", "signature": "c2ln"},
        {"type": "text", "text": "Let me look: message_stop \U0001f600"},
        {"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {"a": [1, {"b": None}]}},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "from_2031", "whole": {"x": 1}},
    ),
    stop_reason="tool_use",
    usage={"input_tokens": 5, "output_tokens": 9, "cache_read_input_tokens": 3},
)
ASKED = Received("POST", "/v1/messages", b"", b"", b"{}", (), 0)
MESSAGE = TURN.message(ASKED)
STREAM = b"".join(sse(event) for event in TURN.events(ASKED))
REQUEST = json.dumps({"model": "m", "from_2031": [1], "messages": [{"role": "user"}]}).encode()


def captured(
    request: bytes = REQUEST,
    answer: bytes = b"",
    kind: str = "application/json",
    outcome: Outcome = Outcome.COMPLETE,
    **headers: str,
) -> CapturedExchange:
    """An exchange of these bytes."""
    return CapturedExchange(
        exchange_id="x",
        owner="o",
        key_id="k",
        plan="pro",
        channel="api",
        terms=Terms("P30D", "c", "d"),
        started_at=0.0,
        ended_at=1.0,
        outcome=outcome,
        method="POST",
        target="/v1/messages",
        status=200,
        request_headers=tuple((n.replace("_", "-"), v) for n, v in headers.items()),
        answer_headers=(("content-type", kind),),
        request=request,
        answer=answer,
    )


def test_a_document() -> None:
    """Fields apart from messages, the message, and what it used."""
    found = interpret(captured(answer=json.dumps(MESSAGE).encode()))
    assert {"model": "m", "from_2031": [1]} == found.fields
    assert [{"role": "user"}] == found.messages
    assert MESSAGE == found.answer
    assert TURN.usage == found.usage
    assert (None, None, None) == (found.raw_request, found.raw_answer, found.error)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_becomes_the_document(line_end: bytes) -> None:
    """The message that a non-streaming answer would have been, unknown blocks included."""
    wire = STREAM.replace(b"\n", line_end)
    found = interpret(captured(answer=wire, kind="text/event-stream; charset=utf-8"))
    assert MESSAGE == found.answer
    assert TURN.usage == found.usage
    assert None is found.raw_answer


def test_a_binary_stream_becomes_the_document() -> None:
    """Bedrock's frames carry the same events, and its measurements are kept."""
    events = TURN.events(ASKED)
    events[-1]["amazon-bedrock-invocationMetrics"] = {"inputTokenCount": 5}
    wire = b"".join(frame(event) for event in events)
    found = interpret(captured(answer=wire, kind="application/vnd.amazon.eventstream"))
    assert {**MESSAGE, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5}} == found.answer
    assert None is found.raw_answer


@given(st.integers(0, len(STREAM)))
def test_a_stream_that_broke_off_keeps_its_bytes(cut: int) -> None:
    """As far as it came as a message, and as bytes: nothing is lost."""
    answer = STREAM[:cut]
    found = interpret(
        captured(answer=answer, kind="text/event-stream", outcome=Outcome.UPSTREAM_FAILED)
    )
    assert (answer or None) == found.raw_answer


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "gzip, br", "identity"])
def test_content_codings_are_undone(coding: str) -> None:
    """Of the request and of the answer, one or several."""
    encode = {
        "gzip": gzip.compress,
        "br": brotli.compress,
        "zstd": zstandard.ZstdCompressor().compress,
        "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
        "identity": lambda data: data,
    }[coding]
    exchange = captured(encode(REQUEST), encode(STREAM), "text/event-stream")
    exchange = exchange._replace(
        request_headers=(("content-encoding", coding),),
        answer_headers=(*exchange.answer_headers, ("content-encoding", coding)),
    )
    found = interpret(exchange)
    assert (MESSAGE, [{"role": "user"}]) == (found.answer, found.messages)


def test_an_unknown_coding_keeps_the_bytes() -> None:
    """What can't be read is not lost."""
    exchange = captured(b"??")._replace(request_headers=(("content-encoding", "rot13"),))
    assert b"??" == interpret(exchange).raw_request
    assert None is decoded(b"not gzip", "gzip")


def test_a_body_that_unfolds_without_end_is_left_alone() -> None:
    """A few kilobytes that would become gigabytes stay a few kilobytes."""
    bomb = gzip.compress(zipped(bytes(1 << 20), 512, "gzip"), 9)
    with pytest.raises(BeyondBound, match="decoded_size"):
        decoded(bomb, "gzip, gzip")


@pytest.mark.parametrize(
    ("user", "headers", "session"),
    [
        ('{"device_id":"d","session_id":"s-1"}', {}, "s-1"),
        ("user_ab_account__session_s-2", {}, "s-2"),
        ('{"session_id":"s-1"}', {"x_claude_code_session_id": "s-3"}, "s-3"),
        ("someone", {}, None),
        (7, {}, None),
        ('{"session_id":7}', {}, None),
    ],
)
def test_the_session_that_a_client_names(
    user: Any, headers: dict[str, str], session: str | None
) -> None:
    """The header, else what metadata.user_id says, else none."""
    body = json.dumps({"metadata": {"user_id": user}, "messages": []}).encode()
    found = interpret(captured(body, **headers, x_claude_code_agent_id="ag"))
    assert (session, "ag", []) == (found.client_session, found.agent, found.messages)


def test_errors() -> None:
    """An error body, and an error within a stream."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}
    found = interpret(captured(answer=json.dumps(error).encode()))
    assert (None, error, None) == (found.answer, found.error, found.raw_answer)
    wire = b"".join(sse(event) for event in TURN.events(ASKED)[:3]) + sse(error)
    found = interpret(captured(answer=wire, kind="text/event-stream"))
    assert error == found.error
    assert isinstance(found.answer, dict)


def test_numbers_and_text_are_exact() -> None:
    """Integers over 64 bits and half surrogates survive."""
    body = b'{"messages":[{"n":123456789012345678901234567890,"s":"\\ud800"}]}'
    assert [{"n": 123456789012345678901234567890, "s": "\ud800"}] == interpret(
        captured(body)
    ).messages


def test_an_unknown_event_keeps_the_bytes() -> None:
    """A stream of the future is assembled as far as it is understood, and kept as it was."""
    wire = sse({"type": "from_2031"}) + STREAM
    found = interpret(captured(answer=wire, kind="text/event-stream"))
    assert (MESSAGE, wire) == (found.answer, found.raw_answer)


KINDS = st.sampled_from(
    ["text/event-stream", "application/json", "application/vnd.amazon.eventstream", ""]
)
CODINGS = st.sampled_from(["", "gzip", "deflate", "br", "zstd", "x, y"])
SNIPPETS = st.sampled_from(
    [
        b'data: {"type":"content_block_start","index":0,"content_block":{}}\n\n',
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}\n\n',
        b'data: {"type":"content_block_delta","index":0,"delta":{"a":"b"}}\n\n',
        b'data: {"type":"content_block_delta","index":[],"delta":{"a":"b"}}\n\n',
        b'data: {"type":"message_delta","usage":7}\n\n',
        b'data: {"type":"message_start","message":{"usage":[],"content":7}}\n\n',
        b'data: {"type":[]}\n\n',
        b'{"messages":{"a":1}}',
        b'{"metadata":{"user_id":"[[["}}',
        b"[" * 100_000,
        b"data: [1]\n\n",
        frame({"type": "message_start", "message": {}}),
        b"\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\0\0\0\x20\xff\xff\xff\xff" + bytes(24),
    ]
)
BYTES = st.lists(st.one_of(SNIPPETS, st.binary(max_size=60)), max_size=6).map(b"".join)


@given(request=BYTES, answer=BYTES, kind=KINDS, coding=CODINGS, outcome=st.sampled_from(Outcome))
def test_any_bytes_are_interpreted(
    request: bytes, answer: bytes, kind: str, coding: str, outcome: Outcome
) -> None:
    """It never raises, and what it could not take apart is there as bytes."""
    exchange = captured(request, answer, kind, outcome)
    exchange = exchange._replace(
        request_headers=(("content-encoding", coding),),
        answer_headers=(*exchange.answer_headers, ("content-encoding", coding)),
    )
    found = interpret(exchange)
    if found.messages is None and not found.fields and found.raw_request is None:
        assert request in (b"", b"{}") or coding
    if found.answer is None and found.error is None and found.raw_answer is None:
        assert answer == b"" or kind == "application/json" or coding


NAMES = st.sampled_from(["messages", "role", "content", "system", "a", "b", "c"])
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=40,
)
BODIES = st.binary(max_size=60) | st.one_of(
    st.dictionaries(NAMES, JSONISH, max_size=6).map(lambda body: json.dumps(body).encode()),
    JSONISH.map(lambda body: json.dumps(body).encode()),
    st.integers(1, 60).map(lambda deep: b'{"messages":' + b"[" * deep + b"]" * deep + b"}"),
)


@pytest.mark.row("G1")
def test_what_is_taken_apart_is_bounded_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes: within every bound it is taken apart and gives the request back; past one it
    is kept as the bytes that came, and which bound it was is said.
    """
    for name, most in {"VALUES": 40, "MESSAGES": 3, "FIELDS": 4, "DEPTH": 6}.items():
        monkeypatch.setattr(bounds, name, most)
    monkeypatch.setattr(structure, "WHOLE", 20)

    @settings(max_examples=400, deadline=None)
    @given(BODIES)
    def holds(body: bytes) -> None:
        found = interpret(captured(body))
        assert found.values <= 40
        assert len(found.messages or []) <= 3
        assert len(found.fields) <= 4
        if found.raw_request is not None:
            assert (body, {}, None) == (found.raw_request, found.fields, found.messages)
        elif body:
            said = {} if found.messages is None else {"messages": found.messages}
            assert json.loads(body) == {**found.fields, **said}
        assert found.beyond is None or found.raw_request is not None

    holds()


@pytest.mark.row("G1")
@pytest.mark.parametrize(
    ("body", "beyond"),
    [
        (b'{"messages":[' + b"0," * 9_999 + b"0]}", None),
        (b'{"messages":[' + b"0," * 10_000 + b"0]}", "messages"),
        (b'{"messages":[' + b"0," * 999_999 + b"0]}", "values"),
        (b"{" + b",".join(b'"%d":0' % n for n in range(1_001)) + b"}", "fields"),
        (b'{"messages":' + b"[" * 300 + b"]" * 300 + b"}", None),
        (b'{"messages":' + b"[" * 300 + b"]" * 300 + b" " * (1 << 20) + b"}", "depth"),
        (b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "depth"),
        (b'{"messages":[{"content":[' + b"{}," * 999_999 + b"{}]}]}", "values"),
    ],
)
def test_a_request_past_a_bound_is_kept_as_it_came(body: bytes, beyond: str | None) -> None:
    """As bytes, with the session that its client named, and with the bound's name; packed too."""
    for coding, wire in (("", body), ("gzip", gzip.compress(body))):
        found = interpret(captured(wire, x_claude_code_session_id="s-1", content_encoding=coding))
        assert beyond == found.beyond
        assert (None if beyond is None else wire) == found.raw_request
        assert "s-1" == found.client_session
        assert (len(body) if beyond is None else 0) == found.size
        assert found.values <= bounds.VALUES


@pytest.mark.row("G1")
@pytest.mark.parametrize(
    ("body", "beyond"),
    [
        (b"\n" * 3_000_000, None),
        (b"a\n\n" * 500_001, "events"),
        (
            b'data: {"type":"content_block_start","index":1,"content_block":{}}\n\n' * 40_000,
            "values",
        ),
        (
            b'data: {"type":"message_start","message":{}}\n\n'
            + b'data: {"type":"message_delta","usage":{"a":1}}\n\n' * 50_000,
            "values",
        ),
        (b"data:\n" * 500_000 + b"\n", None),
        (
            b'data: {"type":"message_start","message":{"x":[' + b"0," * 300_000 + b"0]}}\n\n",
            "values",
        ),
    ],
)
def test_a_stream_past_a_bound_is_kept_as_it_came(body: bytes, beyond: str | None) -> None:
    """Events, what they leave in the message, and one event's own size are bounded."""
    found = interpret(captured(answer=body, kind="text/event-stream"))
    assert (beyond, body) == (found.beyond, found.raw_answer)
    assert found.values <= 2 * bounds.VALUES


def test_a_long_answer_is_within_bounds() -> None:
    """A hundred thousand deltas are one message."""
    delta = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "ab"},
    }
    events = [
        {"type": "message_start", "message": {"type": "message", "role": "assistant"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[delta] * 100_000,
        {"type": "message_stop"},
    ]
    found = interpret(captured(answer=b"".join(map(sse, events)), kind="text/event-stream"))
    assert (None, None) == (found.beyond, found.raw_answer)
    assert "ab" * 100_000 == found.answer["content"][0]["text"]
