"""What an answer used, read from its bytes as they pass, cut anywhere.

Rows: O2.
"""

from __future__ import annotations

import gzip
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.api import Api
from bailee.apis.metering import Metered, meter_for
from bailee.apis.using import Tokens
from bailee.testing.upstream import frame

SSE = b"text/event-stream"


def event(value: object, name: str = "") -> bytes:
    """One server-sent event."""
    first = f"event: {name}\n" if name else ""
    return f"{first}data: {json.dumps(value)}\n\n".encode()


def said(text: str) -> dict[str, object]:
    """A delta of the Messages API, whatever is said in it."""
    return {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    }


START = {
    "type": "message_start",
    "message": {
        "model": "claude-haiku-4-5-20251001", "id": "m", "usage": {
            "input_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
            "output_tokens": 1,
        },
    },
}  # fmt: skip
FALSE = '{"usage": {"output_tokens": 1}}, "model": "pears"'
END = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 55},
}
MESSAGES = [START, said(FALSE), said("plums"), END, {"type": "message_stop"}]
MESSAGES_USED = Metered(Tokens(9, 55, 4, 5, 2), "claude-haiku-4-5-20251001", estimated=False)
CREATED = {"type": "response.created", "response": {"model": "gpt-5", "usage": None}}
RESPONSES = event(CREATED) + event(
    {
        "type": "response.completed",
        "response": {
            "model": "gpt-5", "output": [{"text": FALSE}], "usage": {
                "input_tokens": 20, "input_tokens_details": {"cached_tokens": 8},
                "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 12},
            },
        },
    }
)  # fmt: skip
CHAT = b"".join(
    event({"object": "chat.completion.chunk", "model": "gpt-5", "choices": [], "usage": one})
    for one in (None, {"prompt_tokens": 6, "completion_tokens": 3})
)
GEMINI = b"".join(
    event({"candidates": [], "modelVersion": "gemini-2.5-pro", "usageMetadata": {
        "promptTokenCount": 10, "candidatesTokenCount": n, "thoughtsTokenCount": 2}})
    for n in (1, 4)
)  # fmt: skip
CASES: dict[str, tuple[Api, bytes, bytes, Metered]] = {
    "a stream of messages": (
        Api.MESSAGES, SSE, b"".join(event(one, str(one["type"])) for one in MESSAGES),
        MESSAGES_USED,
    ),
    "a document": (
        Api.MESSAGES, b"application/json",
        json.dumps({"model": "m", "content": [{"text": FALSE}], "usage": {"input_tokens": 3,
                    "output_tokens": 4}}).encode(),
        Metered(Tokens(3, 4), "m", estimated=False),
    ),
    "frames of messages": (
        Api.MESSAGES, b"application/vnd.amazon.eventstream",
        b"".join(frame(one) for one in MESSAGES), MESSAGES_USED,
    ),
    "responses": (
        Api.RESPONSES, SSE, RESPONSES, Metered(Tokens(12, 30, 8, thinking=12), "gpt-5", False),
    ),
    "chat": (Api.CHAT, SSE, CHAT, Metered(Tokens(6, 3), "gpt-5", False)),
    "gemini": (
        Api.GEMINI, SSE, GEMINI, Metered(Tokens(10, 6, thinking=2), "gemini-2.5-pro", False),
    ),
}  # fmt: skip


def read(
    api: Api, kind: bytes, pieces: list[bytes], *, coding: bytes = b"", whole: bool = True
) -> Metered:
    """What is found in an answer that came in these pieces."""
    meter = meter_for(api, kind, coding)
    assert meter is not None
    for piece in pieces:
        meter.feed(piece)
    return meter.found(complete=whole)


@pytest.mark.parametrize("name", CASES)
@given(cuts=st.lists(st.integers(0, 3000), max_size=12))
def test_what_was_used_is_found_however_it_is_cut(name: str, cuts: list[int]) -> None:
    """In every API, and never in what was said."""
    api, kind, body, expected = CASES[name]
    at = sorted({0, len(body), *(one % (len(body) + 1) for one in cuts)})
    pieces = [body[start:end] for start, end in pairwise(at)]
    assert expected == read(api, kind, pieces)


@given(cuts=st.lists(st.integers(0, 3000), max_size=6))
def test_an_encoded_stream_is_read_too(cuts: list[int]) -> None:
    """As a client that takes gzip gets it."""
    api, kind, plain, expected = CASES["a stream of messages"]
    body = gzip.compress(plain)
    at = sorted({0, len(body), *(one % (len(body) + 1) for one in cuts)})
    pieces = [body[start:end] for start, end in pairwise(at)]
    assert expected == read(api, kind, pieces, coding=b"gzip")


def test_a_stream_that_breaks_off_is_counted_by_what_came() -> None:
    """Its input as it was told, its output by the text, and that is said to be an estimate."""
    text = "pears and plums " * 100
    pieces = [
        event(START),
        *[event(said(text[n : n + 16]), "content_block_delta") for n in range(0, len(text), 16)],
    ]
    found = read(Api.MESSAGES, SSE, pieces, whole=False)
    assert found.estimated and 9 == found.tokens.input
    assert 300 <= found.tokens.output <= 800


def test_nothing_of_an_answer_is_held() -> None:
    """After a long text no more is there than is looked at together, and a name's length."""
    meter = meter_for(Api.MESSAGES, SSE, b"")
    assert meter is not None
    for _ in range(100):
        meter.feed(event(said("the quince clock " * 200)))
    assert len(meter._held) + meter._unseen <= 4096 + 128


@given(
    body=st.binary(max_size=400), kind=st.sampled_from([SSE, b"application/vnd.amazon.eventstream"])
)
def test_any_bytes_are_read(body: bytes, kind: bytes) -> None:
    """Nothing raises, and nothing is below zero."""
    for api in Api:
        assert min(read(api, kind, [body[:100], body[100:]]).tokens) >= 0
