"""Streams against the vendor's SDK: what it makes of the same events is what is kept, or the bytes
are kept beside.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx2
import pytest
from anthropic.lib.streaming._beta_messages import accumulate_event
from hypothesis import event as seen
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.apis.test_reading import captured

from bailee.apis.reading import interpret
from bailee.testing.upstream import sse


def of_the_sdk(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The message that the SDK has in the end; None if it refuses the stream."""
    message, pieces = None, dict[int, bytes]()
    try:
        for one in copy.deepcopy(events):
            if one["type"] in ("ping", "error", "from_2031"):
                continue  # its stream hands on neither
            message = accumulate_event(
                event=one,  # type: ignore[arg-type]
                current_snapshot=message,
                json_bufs=pieces,
                request_headers=httpx2.Headers(),
            )
    except Exception:
        return None
    return None if message is None else message.to_dict(mode="json", warnings=False)


def holds(said: Any, kept: Any) -> bool:
    """Whether all that the SDK has is in what is kept."""
    if isinstance(said, dict):
        return isinstance(kept, dict) and all(
            value is None or holds(value, kept.get(name)) for name, value in said.items()
        )
    if isinstance(said, list):
        return isinstance(kept, list) and len(said) == len(kept) and all(map(holds, said, kept))
    return bool(said == kept)


def start(index: int, **block: Any) -> dict[str, Any]:
    """A block begins."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    """A block goes on."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def stream(*events: dict[str, Any]) -> list[dict[str, Any]]:
    """A message of these events."""
    usage = {"input_tokens": 3, "output_tokens": 1}
    message = {
        "type": "message", "id": "msg_1", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    return [
        {"type": "message_start", "message": message},
        *events,
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]  # fmt: skip


def found(events: list[dict[str, Any]]) -> tuple[Any, bool]:
    """What is kept as a message, and whether the bytes are kept beside."""
    wire = b"".join(map(sse, events))
    one = interpret(captured(answer=wire, kind="text/event-stream"))
    assert one.raw_answer in (None, wire)
    return one.answer, one.raw_answer is not None


THINKING = start(0, type="thinking", thinking="", signature="")
TOOL = start(0, type="tool_use", id="t", name="ls", input={"a": 1})


@pytest.mark.row("G3")
def test_thinking_with_a_count_beside_is_the_thinking() -> None:
    """Claude Code asks for counts by default: they are hints, and the thinking is whole."""
    events = stream(
        THINKING,
        delta(0, "thinking_delta", thinking="Hm. ", estimated_tokens=50),
        delta(0, "thinking_delta", thinking="Yes.", estimated_tokens=None),
        delta(0, "signature_delta", signature="c2ln"),
    )
    message, raw = found(events)
    assert [{"type": "thinking", "thinking": "Hm. Yes.", "signature": "c2ln"}] == message["content"]
    assert not raw


def test_a_compaction_is_taken_along() -> None:
    """Its summary and what is opaque in it."""
    events = stream(
        start(0, type="compaction", content=None, encrypted_content=None),
        delta(0, "compaction_delta", content="all of it", encrypted_content="eA=="),
    )
    message, raw = found(events)
    block = {"type": "compaction", "content": "all of it", "encrypted_content": "eA=="}
    assert ([block], False) == (message["content"], raw)


def test_an_input_that_was_there_at_the_start_stays() -> None:
    """An empty piece of JSON says nothing about it."""
    message, raw = found(stream(TOOL, delta(0, "input_json_delta", partial_json="")))
    assert ({"a": 1}, False) == (message["content"][0]["input"], raw)


@pytest.mark.parametrize(
    ("events", "content"),
    [
        (  # two blocks under one index: both are there
            [start(0, type="text", text="a"), start(0, type="text", text="b")],
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        ),
        (  # two starts: the first counts
            [stream()[0], start(0, type="text", text="a")],
            [{"type": "text", "text": "a"}],
        ),
        (  # an input given twice
            [TOOL, delta(0, "input_json_delta", partial_json='{"b":2}')],
            [{**TOOL["content_block"], "input": {"b": 2}}],
        ),
        (  # a member that nobody knows, beside text that everybody knows
            [start(0, type="text", text=""), delta(0, "text_delta", text="a", odd={"x": 1})],
            [{"type": "text", "text": "a"}],
        ),
        (  # a delta of the future
            [start(0, type="scent", scent=""), delta(0, "scent_delta", scent="a", note="b")],
            [{"type": "scent", "scent": "a", "note": "b"}],
        ),
        (  # a signature given twice
            [THINKING, *[delta(0, "signature_delta", signature=one) for one in "ab"]],
            [{"type": "thinking", "thinking": "", "signature": "b"}],
        ),
    ],
)
def test_what_is_taken_otherwise_keeps_the_bytes(
    events: list[dict[str, Any]], content: list[dict[str, Any]]
) -> None:
    """As far as it is understood it is in the message, and all of it is there as it came."""
    message, raw = found(stream(*events))
    assert (content, True) == (message["content"], raw)


INDEX = st.sampled_from([0, 0, 0, 1, 1, 2])
TEXT = st.sampled_from(["", "a", "é ", "\n"])
EXTRA = st.sampled_from([{}, {}, {}, {"odd": 1}, {"odd": "x"}, {"estimated_tokens": 50}])
BLOCKS = st.sampled_from(
    [
        {"type": "text", "text": ""},
        {"type": "text", "text": "before "},
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "tool_use", "id": "t", "name": "ls", "input": {}},
        {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {"q": 1}},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "compaction", "content": None, "encrypted_content": None},
        {"type": "fallback", "from": {"model": "m"}, "to": {"model": "n"}},
    ]
)
DELTAS = st.one_of(
    st.builds(lambda i, t, x: delta(i, "text_delta", text=t, **x), INDEX, TEXT, EXTRA),
    st.builds(lambda i, t, x: delta(i, "thinking_delta", thinking=t, **x), INDEX, TEXT, EXTRA),
    st.builds(lambda i, t: delta(i, "signature_delta", signature=t), INDEX, TEXT),
    st.builds(
        lambda i, t: delta(i, "input_json_delta", partial_json=t),
        INDEX,
        st.sampled_from(["", '{"a":', '"b"}', '{"c":[1,2]}', "nonsense"]),
    ),
    st.builds(
        lambda i, t: delta(i, "compaction_delta", content=t, encrypted_content=None), INDEX, TEXT
    ),
    st.builds(lambda i, t: delta(i, "citations_delta", citation={"cited_text": t}), INDEX, TEXT),
)
EVENTS = st.one_of(
    st.builds(lambda i, block: start(i, **copy.deepcopy(block)), INDEX, BLOCKS),
    DELTAS,
    DELTAS,
    st.builds(lambda i: {"type": "content_block_stop", "index": i}, INDEX),
    st.sampled_from(
        [
            {"type": "ping"},
            {"type": "from_2031", "x": 1},
            {
                "type": "message_delta",
                "delta": {"container": None},
                "usage": {"output_tokens": 2, "input_tokens": None},
            },
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        ]
    ),
)


def in_order(blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """A stream as the vendor sends it: each block with its deltas, one after the other."""
    events: list[dict[str, Any]] = []
    for index, (block, deltas) in enumerate(blocks):
        events.append(start(index, **copy.deepcopy(block)))
        events += [{**one, "index": index} for one in deltas]
        events.append({"type": "content_block_stop", "index": index})
    return stream(*events)


STREAMS = st.lists(st.tuples(BLOCKS, st.lists(DELTAS, max_size=4)), max_size=3).map(in_order)
ODD = st.lists(EVENTS, max_size=9).map(lambda events: stream(*events))
MEMBERS = st.sampled_from([{}, {}, {"odd": 1}, {"content": [{"type": "text", "text": "x"}]}])
STRANGE = st.one_of(
    EVENTS,
    st.builds(lambda more: {**stream()[0], **more}, MEMBERS),  # a start anywhere, or another
    st.builds(
        lambda more: {"type": "message_start", "message": {**stream()[0]["message"], **more}},
        MEMBERS,
    ),
    st.builds(lambda more: {"type": "message_stop", **more}, MEMBERS),
    st.builds(lambda i, more: {**start(i, type="text", text="s"), **more}, INDEX, MEMBERS),
    st.builds(lambda i, more: {**delta(i, "text_delta", text="d"), **more}, INDEX, MEMBERS),
    st.builds(lambda i, more: {"type": "content_block_stop", "index": i, **more}, INDEX, MEMBERS),
    st.builds(
        lambda i: start(i, type="text", text="half \ud83d", citations=[{"cited_text": "x"}]),
        st.sampled_from([0, 1, -1, 7, True, None, "0"]),
    ),
    st.builds(
        lambda i, kind: delta(i, kind, text="t", thinking="u"),
        st.sampled_from([0, 1, -1, 7, True, None]),
        st.sampled_from(["text_delta", "thinking_delta", "smell_delta"]),
    ),
    st.builds(
        lambda value: {"type": "message_delta", "delta": value, "usage": value},
        st.sampled_from([None, {}, {"output_tokens": 5}, {"content": []}, {"new": [1, None]}, 3]),
    ),
)
ANY_ORDER = st.lists(STRANGE, min_size=1, max_size=10)
"""Events of any kind in any order: with no start, several, or something after the end."""


@pytest.mark.row("G3")
@settings(max_examples=400, deadline=None)
@given(STREAMS | ODD | ANY_ORDER)
def test_the_message_is_the_sdk_s_or_the_bytes_are_kept(events: list[dict[str, Any]]) -> None:
    """Whatever a stream says: all of the SDK's message is in ours, or it is kept as it came."""
    theirs = of_the_sdk(events)
    ours, raw = found(events)
    if not raw:
        seen("whole")
        assert theirs is not None
        assert holds(theirs, ours)


def converse_frame(kind: str, said: dict[str, Any] | str) -> bytes:
    """An event of a Converse stream, or its text (checksums are not looked at)."""
    names = ((b":event-type", kind.encode()), (b":message-type", b"event"))
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + len(value).to_bytes(2, "big") + value
        for name, value in names
    )
    text = said if isinstance(said, str) else json.dumps({**said, "p": "abcd"})
    payload = text.encode()
    size = 16 + len(headers) + len(payload)
    return (
        size.to_bytes(4, "big") + len(headers).to_bytes(4, "big") + bytes(4) + headers + payload
        + bytes(4)
    )  # fmt: skip


def converse_delta(place: int, **delta: Any) -> tuple[str, dict[str, Any]]:
    """A block of a Converse stream goes on."""
    return "contentBlockDelta", {"contentBlockIndex": place, "delta": delta}


CALL = {"toolUseId": "t", "name": "ls"}
USED = {"inputTokens": 3, "outputTokens": 9, "totalTokens": 12}
CONVERSE = [
    ("messageStart", {"role": "assistant"}),
    converse_delta(0, reasoningContent={"text": "Hm."}),
    converse_delta(0, reasoningContent={"signature": "c2ln"}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    converse_delta(1, text="Let me "),
    converse_delta(1, text="look."),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": CALL}}),
    converse_delta(2, toolUse={"input": '{"in":'}),
    converse_delta(2, toolUse={"input": '"."}'}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": USED, "metrics": {"latencyMs": 7}}),
]
DOCUMENT = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
                {"text": "Let me look."},
                {"toolUse": {**CALL, "input": {"in": "."}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": USED,
    "metrics": {"latencyMs": 7},
}


def of_converse(events: list[tuple[str, dict[str, Any]]]) -> tuple[Any, bool, dict[str, int]]:
    """What is kept of a Converse stream, whether its bytes are, and what it used."""
    wire = b"".join(converse_frame(kind, said) for kind, said in events)
    one = interpret(captured(answer=wire, kind="application/vnd.amazon.eventstream"))
    assert one.raw_answer in (None, wire)
    return one.answer, one.raw_answer is not None, one.usage


@pytest.mark.row("G3")
def test_a_converse_stream_becomes_its_document() -> None:
    """What `converse` would have answered, and its usage by the names that are counted."""
    message, raw, usage = of_converse(CONVERSE)
    assert (DOCUMENT, False) == (message, raw)
    assert (3, 9) == (usage["input_tokens"], usage["output_tokens"])


@pytest.mark.row("G3")
@pytest.mark.parametrize("began", ["x", None, {"reasoningText": 5}])
def test_a_thought_that_began_as_something_else_keeps_its_bytes(began: object) -> None:
    """What its deltas say is in the document all the same; nothing else is taken from the rest."""
    start = ("contentBlockStart", {"contentBlockIndex": 0, "start": {"reasoningContent": began}})
    message, raw, _ = of_converse([CONVERSE[0], start, *CONVERSE[1:]])
    assert raw
    assert DOCUMENT == message


@pytest.mark.parametrize("at", range(len(CONVERSE)))
def test_a_converse_stream_that_says_more_keeps_its_bytes(at: int) -> None:
    """An event twice, one with a member that nobody knows, and one that is of the future."""
    kind, said = CONVERSE[at]
    for odd in ((kind, {**said, "odd": 1}), ("from2031", said)):
        message, raw, _ = of_converse([*CONVERSE[:at], odd, *CONVERSE[at + 1 :]])
        assert raw or {**message, "odd": None} == {**DOCUMENT, "odd": None}
        assert raw or message["odd"] == 1
    if kind not in ("contentBlockDelta", "contentBlockStop"):
        assert of_converse([*CONVERSE[: at + 1], *CONVERSE[at:]])[1]
