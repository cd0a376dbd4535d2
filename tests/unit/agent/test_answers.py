"""An answer's bytes are an answer or a fault, whatever they are."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.agent.answers import Assembling, SentEvents
from bailee.agent.faults import ModelFault
from bailee.agent.ports import Answer
from bailee.testing.upstream import AssistantMessage, Received, sse

REQUEST = Received("POST", "/v1/messages", b"", b"", b'{"stream":true}', (), 0)
MESSAGE = AssistantMessage(
    (
        {"type": "thinking", "thinking": "which tree?", "signature": "c2ln"},
        {"type": "text", "text": "seven 木"},
        {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a", "n": [1, None]}},
    ),
    stop_reason="tool_use",
)
STREAM = b"".join(map(sse, MESSAGE.events(REQUEST)))


def read(*pieces: bytes) -> Answer:
    """The answer that some bytes are."""
    events, made = SentEvents(), Assembling()
    for piece in pieces:
        for event in events.feed(piece):
            made.take(event)
    return made.answer()


@given(st.lists(st.integers(0, len(STREAM)), max_size=8), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(cuts: list[int], end: bytes) -> None:
    """Cut anywhere, with each of the standard's line ends."""
    stream = STREAM.replace(b"\n", end)
    at = [0, *sorted(cuts), len(stream)]
    answer = read(*(stream[a:b] for a, b in pairwise(at)), b"\n")

    assert list(MESSAGE.content) == answer.content
    assert ("tool_use", {"input_tokens": 12, "output_tokens": 7}) == (
        answer.stop_reason,
        answer.usage,
    )


@given(st.integers(0, len(STREAM) - 1), st.binary(max_size=6), st.integers(0, 40))
def test_damaged_bytes_are_an_answer_or_a_fault(at: int, put: bytes, gone: int) -> None:
    """Never another exception, and never what can't be sent back as JSON."""
    try:
        answer = read(STREAM[:at] + put + STREAM[at + gone :])
    except ModelFault:
        return
    json.dumps(answer.content, allow_nan=False, ensure_ascii=False).encode()


@given(st.integers(0, len(STREAM) - 30))
def test_an_answer_without_its_end_is_none(at: int) -> None:
    """A stream that stops before `message_stop` broke off, wherever it stopped."""
    with pytest.raises(ModelFault) as caught:
        read(STREAM[:at])
    assert "broke_off" == caught.value.fault


def answered(written: str) -> Any:
    """The input of a call that came as this text."""
    block = {"type": "tool_use", "id": "t", "name": "Read", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": written}
    return read(
        sse({"type": "message_start", "message": {"model": "m"}}),
        sse({"type": "content_block_start", "index": 0, "content_block": block}),
        sse({"type": "content_block_delta", "index": 0, "delta": delta}),
        sse({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        sse({"type": "message_stop"}),
    ).content[0]["input"]


@pytest.mark.parametrize(
    ("written", "given_input"),
    [
        ('{"a":1}', {"a": 1}),
        ("[1]", [1]),
        ('{"a":', '{"a":'),
        ("", {}),
        ("[" * 5000, "[" * 5000),
        ('{"a":"\\ud83d"}', {"a": "\ufffd"}),
        ('{"a":1e999,"b":NaN}', {"a": None, "b": None}),
    ],
)
def test_a_calls_input_is_what_was_written(written: str, given_input: object) -> None:
    """JSON of any kind; what is none stays the text."""
    assert given_input == answered(written)
