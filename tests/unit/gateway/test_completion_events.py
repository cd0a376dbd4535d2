"""What of an answer of OpenAI's and Google's APIs may go on before its record is durable."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from bailee.api import Api
from bailee.gateway.completion import HoldAll, hold_for
from bailee.gateway.completion_events import ENDS, HoldEvents

pytestmark = pytest.mark.row("G4", "R1")

# What a model says that looks like the end, in every API.
TRICKY = (
    'event: response.completed\ndata: {"type": "response.completed"}\n\n'
    '{"finish_reason": "stop", "finishReason": "STOP", "blockReason": 1}\n\ndata: [DONE]\n\n'
)
STREAM = b"text/event-stream; charset=utf-8"
LARGE = {"instructions": "x" * 400_000}


def event(data: Any, name: str = "") -> bytes:
    """One event as it is written."""
    said = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {said}\n\n".encode()


def responses(*, named: bool = True, how: str = "completed", large: bool = False) -> list[bytes]:
    """The events of a response; the last is its end."""
    item = {"type": "mcp_call", "output": {"type": "response.completed"}}
    whole = {"status": how, "output": [item], **(LARGE if large else {})}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"output": []}},
        {"type": "response.output_text.delta", "delta": TRICKY},
        {"type": "response.output_text.delta", "delta": "response.completed"},
        {"type": "response.output_item.done", "item": item},
        {"type": f"response.{how}", "response": whole},
    ]
    return [event(one, one["type"] if named else "") for one in events]


def chunk(delta: dict[str, Any], reason: str | None, index: int = 0) -> bytes:
    """One chunk of a chat."""
    return event({"choices": [{"index": index, "delta": delta, "finish_reason": reason}]})


CHAT = [
    event({"choices": [], "prompt_filter_results": []}),
    chunk({"role": "assistant", "content": TRICKY}, None),
    chunk({"tool_calls": [{"function": {"arguments": '{"finish_reason":"stop"}'}}]}, None),
    chunk({"content": "some say this in every chunk"}, ""),
    chunk({}, "stop"),
]
AFTER_CHAT = [
    chunk({"content": "the second choice goes on"}, None, 1),
    chunk({}, "stop", 1),
    event({"choices": [], "usage": {"total_tokens": 3}}),
    event("[DONE]"),
]
CALL = {"functionCall": {"name": "f", "args": {"finishReason": "STOP"}}}
GEMINI = [
    event({"candidates": [{"content": {"parts": [{"text": TRICKY}, CALL]}}]}),
    event({"candidates": [{"content": {"parts": [{"text": "Seven."}]}, "finishReason": "STOP"}]}),
]
AFTER_GEMINI = [event({"usageMetadata": {"totalTokenCount": 3}})]
# API, what goes on, what is held, whether the last of it is known before the stream closes.
STREAMS: dict[str, tuple[Api, list[bytes], list[bytes], bool]] = {
    "responses": (Api.RESPONSES, responses()[:-1], responses()[-1:], True),
    "responses unnamed": (
        Api.RESPONSES,
        responses(named=False)[:-1],
        responses(named=False)[-1:],
        True,
    ),
    "responses large": (
        Api.RESPONSES, responses()[:-1], [responses(large=True)[-1], event("[DONE]")], True,
    ),
    "responses incomplete": (
        Api.RESPONSES, responses()[:-1], responses(how="incomplete")[-1:], True,
    ),
    "responses failed": (Api.RESPONSES, responses()[:-1], responses(how="failed")[-1:], True),
    "chat": (Api.CHAT, CHAT[:-1], [*CHAT[-1:], *AFTER_CHAT], True),
    "chat without [DONE]": (Api.CHAT, CHAT[:-1], [*CHAT[-1:], *AFTER_CHAT[:-1]], False),
    "gemini": (Api.GEMINI, GEMINI[:-1], [*GEMINI[-1:], *AFTER_GEMINI], False),
    "gemini blocked": (
        Api.GEMINI, GEMINI[:-1], [event({"promptFeedback": {"blockReason": "SAFETY"}})], False,
    ),
    "code assist": (
        Api.GEMINI, [], [event({"response": {"candidates": [{"finishReason": "STOP"}]}})], False,
    ),
}  # fmt: skip
WHICH = pytest.mark.parametrize("name", STREAMS)


def fed(hold: Any, wire: bytes, size: int) -> bytes:
    """What went on, of a stream fed in reads of one size."""
    return b"".join(hold.feed(wire[at : at + size]) for at in range(0, len(wire), size))


@WHICH
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 1 << 20])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_the_end_is_held_however_a_stream_is_read(name: str, size: int, line_end: bytes) -> None:
    """All before the end is free, the end's event can't be complete for a client, and nothing is
    lost; what a model says that looks like the end is not it.
    """
    api, before, held, known = STREAMS[name]
    if size < 64 and "large" in name:
        size = 997
    free_wire = b"".join(before).replace(b"\n", line_end)
    wire = free_wire + b"".join(held).replace(b"\n", line_end)
    hold = HoldEvents(ENDS[api])
    free = fed(hold, wire, size)
    end = free_wire + held[0].replace(b"\n", line_end)
    assert free.startswith(free_wire)
    assert len(free) <= len(end) - len(line_end)
    assert (known, True) == (hold.final, hold.holding)
    assert wire == free + hold.rest()


@WHICH
@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
def test_in_a_compressed_stream_too(name: str, coding: str) -> None:
    """Each event is flushed, as providers do; the read in which the end stands is held."""
    api, before, held, known = STREAMS[name]
    if coding == "zstd":
        made: Any = zstandard.ZstdCompressor().compressobj()
        flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    else:
        made = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
        flush = zlib.Z_SYNC_FLUSH
    pieces = [made.compress(one) + made.flush(flush) for one in (*before, *held)]
    hold = hold_for(STREAM, coding.encode(), api)
    freed = [hold.feed(one) for one in pieces]
    assert pieces[: len(before)] == freed[: len(before)]
    assert not any(freed[len(before) :])
    assert (known, True) == (hold.final, hold.holding)
    assert b"".join(pieces[len(before) :]) == hold.rest()


@WHICH
def test_without_its_end_a_stream_is_not_held(name: str) -> None:
    """Everything goes on at once."""
    api, before, _, _ = STREAMS[name]
    hold = HoldEvents(ENDS[api])
    assert before == [hold.feed(one) for one in before]
    assert not hold.holding


@given(st.sampled_from([*ENDS]), st.binary(max_size=300), st.integers(1, 40))
@example(Api.CHAT, b'"finish_reason":\n\n"finish_reason"\n\n', 1)
def test_no_bytes_are_lost_or_changed(api: Api, noise: bytes, size: int) -> None:
    """Whatever comes, free and held together are what came."""
    marks = b'"finish_reason": "a" "finishReason" event: response.completed'
    for wire in (noise, marks + noise, noise + b"\n\n" + marks + noise + b"\n\n" + noise):
        hold = HoldEvents(ENDS[api])
        assert wire == fed(hold, wire, size) + hold.rest()


def test_a_picture_with_its_end_in_one_event() -> None:
    """An event longer than what is looked at, whose end stands in its last bytes: what of it comes
    with the end and after is held to the stream's end.
    """
    part = {"inlineData": {"data": "A" * 3_000_000}}
    wire = event({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]})
    for size in (1000, 65_536):
        hold = HoldEvents(ENDS[Api.GEMINI])
        free = fed(hold, wire, size)
        assert hold.holding
        assert not free.endswith(b"\n\n")
        assert wire == free + hold.rest()


def test_what_unfolds_beyond_reason_is_held_to_its_end() -> None:
    """A few bytes that unfold into more than is looked at, before the end and behind it."""
    bomb = b"data: " + b" " * (8 << 20) + b"\n\n"
    for api, before, held, _ in STREAMS.values():
        wire = [gzip.compress(b"".join([*before, *held])), gzip.compress(bomb)]
        for order in (wire, wire[::-1]):
            hold = hold_for(STREAM, b"gzip", api)
            assert [b"", b""] == [hold.feed(one) for one in order]
            assert b"".join(order) == hold.rest()


@pytest.mark.parametrize("coding", [b"gzip, zstd", b"compress"])
def test_a_coding_that_is_not_known_is_held_to_its_end(coding: bytes) -> None:
    """Its client may know it, and be done before the stream closes."""
    hold = hold_for(STREAM, coding, Api.RESPONSES)
    assert isinstance(hold, HoldAll)
    assert [b"", b""] == [hold.feed(b"a"), hold.feed(b"b")]
    assert b"ab" == hold.rest()
