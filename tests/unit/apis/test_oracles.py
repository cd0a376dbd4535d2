"""Streams against the vendors' SDKs: what they make of the same bytes is what is kept, or the bytes
are kept beside.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import event as seen
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.apis import captured, conversations, exchange, names, sse
from tests.support.sdks import Sdks

from bailee.api import Api
from bailee.apis.reading import interpret
from bailee.vault.interpreted import Interpreted

SDKS = Sdks()
THEIRS = ("parsed", "parsed_arguments", "sdkHttpResponse")
"""Members that an SDK adds."""


def holds(said: Any, kept: Any) -> bool:
    """Whether all that the SDK has is in what is kept."""
    if isinstance(said, dict):
        return isinstance(kept, dict) and all(
            value is None or name in THEIRS or holds(value, kept.get(name))
            for name, value in said.items()
        )
    if isinstance(said, list):
        return isinstance(kept, list) and len(said) == len(kept) and all(map(holds, said, kept))
    return bool(said == kept)


def is_theirs(api: Api, body: bytes, found: Interpreted) -> bool:
    """Whether the SDK of the API makes of `body` what is kept of it."""
    if api is Api.CHAT:
        said = SDKS.chat(body)
        for choice in (said or {}).get("choices", ()):
            choice.pop("logprobs", None)  # it counts those of a choice that begins late twice
            for tool in choice["message"].get("tool_calls") or ():
                tool.pop("index", None)
                said_once(tool)
        return said is not None and holds(said, found.answer)
    if api is Api.GEMINI:
        chunks = SDKS.gemini(body)
        return chunks is not None and parts_of(chunks) == parts_of([found.answer])
    said = SDKS.responses(body)
    return said is not None and (holds(said, found.answer) or not said["output"])


def said_once(tool: dict[str, Any]) -> None:
    """The SDK adds an id up that is said with each piece: `t1t1` of `t1`, which nobody said."""
    for named in ("t1", "t2"):
        if tool.get("id") and not tool["id"].replace(named, ""):
            tool["id"] = named


def parts_of(chunks: Any) -> Any:
    """What chunks say in all: of each candidate its parts, texts that go on joined, and its end."""
    parts: dict[int, list[Any]] = {}
    rest: dict[str, Any] = {}
    for chunk in copy.deepcopy(chunks):
        rest["used"] = chunk.get("usageMetadata") or rest.get("used")
        for one in chunk.get("candidates") or ():
            index = one.get("index") or 0
            known = parts.setdefault(index, [])
            if one.get("finishReason"):
                rest[f"end {index}"] = one["finishReason"]
            for part in (one.get("content") or {}).get("parts") or ():
                text = {"text", "thought"} >= {*part} and "text" in part
                if text and known and {*known[-1]} == {*part}:
                    known[-1]["text"] += part["text"]
                else:
                    known.append(part)
    return parts, rest


@pytest.mark.row("G3", "G4")
@pytest.mark.parametrize("name", names())
def test_what_clients_got_is_what_the_sdk_makes_of_it(name: str) -> None:
    """Each stream of the vectors, unless its bytes are kept beside."""
    for one in conversations(name):
        found = interpret(captured(one))
        if one.api is Api.MESSAGES or not one.streamed or found.error is not None:
            continue
        if found.raw_answer is None and "starting_after" not in one.target:
            if '"response": {"candidates"' in one.answer:  # Code Assist: no SDK has its envelope
                continue
            assert is_theirs(one.api, one.answer.encode(), found)


texts = st.text(max_size=4) | st.sampled_from(["", "\ud800", '"', "[DONE]", '"finish_reason": "x"'])
odd = st.none() | st.integers(0, 3) | st.lists(st.integers(), max_size=2) | st.just({"a": "b"})
functions = st.fixed_dictionaries({}, optional={"name": texts, "arguments": texts})
tools = st.fixed_dictionaries(
    {"index": st.integers(0, 2), "function": functions},
    optional={"id": st.sampled_from(["t1", "t2"]), "type": st.just("function")},
)
deltas = st.fixed_dictionaries(
    {},
    optional={
        "content": texts | st.none(),
        "refusal": texts | st.none(),
        "reasoning_content": texts,
        "tool_calls": st.lists(tools, max_size=2),
        "from_2031": texts | odd,
    },
)
choices = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 0, 0, 1]), "delta": deltas},
    optional={
        "finish_reason": st.none() | st.sampled_from(["stop", "tool_calls"]),
        "logprobs": st.none() | st.just({"content": [{"token": "a", "logprob": -1.0}]}),
    },
)
usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
chat_chunks = st.lists(
    st.builds(
        lambda some, more: {
            **{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"},
            "choices": some,
            **more,
        },
        st.lists(choices, max_size=2),
        st.fixed_dictionaries({}, optional={"usage": st.none() | st.just(usage)}),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.row("G3", "G4")
@given(chat_chunks, st.booleans(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_stream_of_chat_is_the_sdk_s_or_kept(
    chunks: list[dict[str, Any]], ends: bool, done: bool
) -> None:
    """Chunks in odd orders, with members that nobody knows."""
    if ends:
        last = {"index": 0, "delta": {}, "finish_reason": "stop"}
        chunks = [*chunks, {**chunks[0], "choices": [last]}]
    check(Api.CHAT, sse(*chunks, done=done))


parts = st.one_of(
    st.builds(lambda text: {"text": text}, texts),
    st.builds(lambda text: {"text": text, "thought": True}, texts),
    st.builds(lambda text: {"text": text, "thoughtSignature": "c2ln"}, texts),
    st.just({"functionCall": {"name": "f", "args": {"a": 1}}}),
    st.just({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}),
    st.just({"inlineData": {"mimeType": "image/png", "data": "aGk="}}),
)
candidates = st.fixed_dictionaries(
    {"content": st.fixed_dictionaries({"role": st.just("model")},
                                      optional={"parts": st.lists(parts, max_size=3)})},
    optional={
        "index": st.sampled_from([0, 0, 1]),
        "finishReason": st.sampled_from(["STOP", "MAX_TOKENS"]),
    },
)  # fmt: skip
used = st.builds(lambda n: {"promptTokenCount": n, "totalTokenCount": n}, st.integers(1, 9))
gemini_chunks = st.lists(
    st.fixed_dictionaries(
        {"candidates": st.lists(candidates, max_size=2), "modelVersion": st.just("m")},
        optional={"usageMetadata": used},
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.row("G3", "G4")
@given(gemini_chunks)
@settings(max_examples=100, deadline=None)
def test_any_stream_of_generate_content_is_the_sdk_s_or_kept(chunks: list[dict[str, Any]]) -> None:
    """All parts in order, the end of each candidate, and the last of what was used."""
    check(Api.GEMINI, sse(*chunks))


def items() -> st.SearchStrategy[list[dict[str, Any]]]:
    """What a response puts out."""
    part = st.builds(lambda text: {"type": "output_text", "text": text, "annotations": []}, texts)
    message = st.builds(
        lambda some: {"type": "message", "role": "assistant", "content": some},
        st.lists(part, max_size=2),
    )
    call = st.builds(
        lambda text: {"type": "function_call", "call_id": "c", "name": "f", "arguments": text},
        texts,
    )
    thought = st.builds(
        lambda text: {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]},
        texts,
    )
    return st.lists(message | call | thought, max_size=3).map(
        lambda some: [{**one, "id": f"i{n}", "status": "completed"} for n, one in enumerate(some)]
    )


def stream_of(output: list[dict[str, Any]], ends: str) -> list[dict[str, Any]]:
    """The events by which the reference says a response of this output."""
    base = {"id": "r", "object": "response", "created_at": 1, "model": "m", "metadata": {}}
    begun = {**base, "status": "in_progress", "output": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for at, item in enumerate(output):
        where = {"output_index": at, "item_id": item["id"]}
        empty = {**item, "status": "in_progress"}
        empty |= {"content": []} if "content" in item else {}
        empty |= {"summary": []} if "summary" in item else {}
        empty |= {"arguments": ""} if "arguments" in item else {}
        events.append({"type": "response.output_item.added", "output_index": at, "item": empty})
        if "arguments" in item:
            events += pieces("function_call_arguments", where, "arguments", item["arguments"])
        for place, part in enumerate(item.get("content", ())):
            there = {**where, "content_index": place}
            fresh = {**part, "text": ""}
            events.append({"type": "response.content_part.added", **there, "part": fresh})
            events += pieces("output_text", {**there, "logprobs": []}, "text", part["text"])
            events.append({"type": "response.content_part.done", **there, "part": part})
        for place, part in enumerate(item.get("summary", ())):
            there = {**where, "summary_index": place}
            events += pieces("reasoning_summary_text", there, "text", part["text"])
        events.append({"type": "response.output_item.done", "output_index": at, "item": item})
    status = ends.partition(".")[2]
    final = {**base, "status": status, "output": output, "error": None}
    if status == "incomplete":
        final["incomplete_details"] = {"reason": "max_output_tokens"}
    events.append({"type": ends, "response": final})
    return [{**one, "sequence_number": n} for n, one in enumerate(events)]


def pieces(kind: str, where: dict[str, Any], name: str, text: str) -> list[dict[str, Any]]:
    """A text in two pieces and whole."""
    cut = len(text) // 2
    return [
        {"type": f"response.{kind}.delta", **where, "delta": text[:cut]},
        {"type": f"response.{kind}.delta", **where, "delta": text[cut:]},
        {"type": f"response.{kind}.done", **where, name: text},
    ]


@st.composite
def responses(draw: Any) -> list[dict[str, Any]]:
    """A stream as the reference has it, in which something may be out of order."""
    ends = draw(st.sampled_from(["response.completed", "response.incomplete"]))
    events = copy.deepcopy(stream_of(draw(items()), ends))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(events) - 1))
        what = draw(st.sampled_from(["drop", "twice", "swap", "alter", "unknown", "empty"]))
        if what == "drop":
            del events[at]
        elif what == "twice":
            events.insert(at, events[at])
        elif what == "swap":
            events[at], events[0] = events[0], events[at]
        elif what == "alter" and isinstance(events[at].get("delta"), str):
            events[at] = {**events[at], "delta": "other"}
        elif what == "unknown":
            events.insert(at, {"type": "response.from_2031", "more": "words"})
        elif what == "empty":
            events.insert(at, {"type": "response.web_search_call.searching", "output_index": 0})
        if not events:
            break
    return events or [{"type": "response.from_2031"}]


@pytest.mark.row("G3", "G4")
@given(responses())
@settings(max_examples=100, deadline=None)
def test_any_stream_of_responses_is_the_sdk_s_or_kept(events: list[dict[str, Any]]) -> None:
    """Events that are lost, doubled, changed, in odd orders, or unknown. Where the SDK refuses what
    is whole here, what is kept is the response that the last event held, word for word.
    """
    body = sse(*events)
    found = interpret(exchange(Api.RESPONSES, b"{}", body))
    seen("whole" if found.raw_answer is None else "kept")
    if found.raw_answer is None and not is_theirs(Api.RESPONSES, body, found):
        assert found.answer in [one.get("response") for one in events]


def test_an_id_that_is_said_again_is_the_same_id() -> None:
    """As `said_once` has it: of an id that changes the bytes are kept."""
    chunk: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "model": "m"}
    for again in ("t1", "t2"):
        begun = {"index": 0, "id": "t1", "type": "function", "function": {"name": "f"}}
        more = {"index": 0, "id": again, "function": {"arguments": "{}"}}
        said = [
            {**chunk, "choices": [{"index": 0, "delta": {"tool_calls": [one]}}]}
            for one in (begun, more)
        ]
        end = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
        body = sse(*said, end, done=True)
        found = interpret(exchange(Api.CHAT, b"{}", body))
        assert (again == "t2") == (found.raw_answer is not None)
        assert again == "t2" or is_theirs(Api.CHAT, body, found)


def check(api: Api, body: bytes) -> None:
    """What is whole is what the SDK makes of it."""
    found = interpret(exchange(api, b"{}", body))
    seen("whole" if found.raw_answer is None else "kept")
    if found.raw_answer is None and found.error is None:
        assert is_theirs(api, body, found), json.dumps(found.answer)
    else:
        assert body == found.raw_answer


@pytest.mark.row("G4")
def test_a_role_that_is_said_with_each_piece_is_one_role() -> None:
    """Several providers repeat it; the SDK makes `assistantassistant` of it, which nobody said."""
    chunk: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "model": "m"}
    said = [
        {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}
        for text in ("one ", "two")
    ]
    end = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    found = interpret(exchange(Api.CHAT, b"{}", sse(*said, end, done=True)))

    assert found.raw_answer is None
    assert {"role": "assistant", "content": "one two"} == found.answer["choices"][0]["message"]  # type: ignore[index, call-overload]
