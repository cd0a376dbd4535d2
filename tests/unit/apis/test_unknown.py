"""What nobody knows, in any place of any event: it is in the answer, or the bytes are kept."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.apis import conversations, exchange, sse
from tests.unit.apis.test_messages import CONVERSE, THINKING, converse_frame, delta, start, stream

from bailee.api import Api
from bailee.apis.reading import interpret
from bailee.vault.interpreted import Interpreted

pytestmark = pytest.mark.row("G3", "G4")

WORD = "from_2031"
MESSAGES = stream(
    THINKING,
    delta(0, "thinking_delta", thinking="hm", estimated_tokens=3),
    delta(0, "signature_delta", signature="s"),
    {"type": "content_block_stop", "index": 0},
    start(1, type="text", text=""),
    delta(1, "text_delta", text="a"),
    delta(1, "citations_delta", citation={"type": "char_location", "cited_text": "q"}),
    {"type": "content_block_stop", "index": 1},
    start(2, type="tool_use", id="t", name="ls", input={}),
    delta(2, "input_json_delta", partial_json='{"a": 1}'),
    {"type": "content_block_stop", "index": 2},
    start(3, type="server_tool_result", tool_use_id="t", content=[{"type": "odd"}]),
    {"type": "content_block_stop", "index": 3},
    {"type": "ping"},
)
VECTORS = {
    Api.RESPONSES: ("codex-lite", "opencode-responses", "synthetic-responses-hosted-tools"),
    Api.CHAT: ("opencode-chat", "synthetic-chat-parallel-tools", "synthetic-chat-two-choices"),
    Api.GEMINI: ("gemini-tool-resume", "gemini-end-safety", "synthetic-gemini-parallel-calls"),
}
REPEATED = ("response.created", "response.in_progress", "response.output_item.added")
"""Events whose object the last ones say again, whole: of it the members' names are compared."""


def streams(api: Api) -> Iterator[tuple[str, list[Any]]]:
    """Streams of an API as events."""
    if api is Api.MESSAGES:
        yield "messages", MESSAGES
        return
    for name in VECTORS[api]:
        for one in conversations(name)[-1:]:
            if one.streamed:
                lines = one.answer.replace("\r\n", "\n").split("\n")
                events = [line[5:] for line in lines if line.startswith("data:")]
                yield name, [json.loads(event) for event in events if "[DONE]" not in event]


def places(value: Any, most: int = 99) -> Iterator[list[Any]]:
    """The paths of all that is in a value, and of itself."""
    yield []
    some: Any = ()
    if most and isinstance(value, dict | list):
        some = value.items() if isinstance(value, dict) else enumerate(value)
    for place, one in some:
        yield from ([place, *rest] for rest in places(one, most - 1))


def at(value: Any, path: list[Any]) -> Any:
    """What is there."""
    for one in path:
        value = value[one]
    return value


def of(api: Api, events: list[Any]) -> Interpreted:
    """What is made of such a stream."""
    return interpret(exchange(api, b"{}", sse(*events, done=api is Api.CHAT)))


APIS = [Api.MESSAGES, Api.RESPONSES, Api.CHAT, Api.GEMINI]


@pytest.mark.parametrize("api", APIS)
def test_a_member_that_nobody_knows_is_kept(api: Api) -> None:
    """In each object of each event."""
    for name, events in streams(api):
        for number, event in enumerate(events):
            for path in places(event, 1 if event.get("type") in REPEATED else 99):
                if not isinstance(at(event, path), dict):
                    continue
                changed = copy.deepcopy(events)
                at(changed[number], path)["more"] = WORD
                found = of(api, changed)
                told = json.dumps([found.answer, found.error])
                assert found.raw_answer or WORD in told, (name, event, path)


@pytest.mark.parametrize("odd", [[], {"a": []}])
@pytest.mark.parametrize("api", APIS)
def test_a_value_of_another_kind_is_taken_or_kept(api: Api, odd: Any) -> None:
    """In place of each value: nothing raises."""
    for _, events in streams(api):
        for number, event in enumerate(events):
            for path in places(event, 3):
                if path:
                    changed = copy.deepcopy(events)
                    at(changed[number], path[:-1])[path[-1]] = odd
                    of(api, changed)


def test_in_frames_of_converse_too() -> None:
    """A member, and a value of another kind."""
    headers = [("content-type", "application/vnd.amazon.eventstream")]
    for number, (_, event) in enumerate(CONVERSE):
        for path in places(event):
            changed = copy.deepcopy(CONVERSE)
            there: Any = changed[number][1]
            if isinstance(at(event, path), dict):
                at(there, path)["more"] = WORD
            else:
                at(there, path[:-1])[path[-1]] = [WORD]
            body = b"".join(converse_frame(*one) for one in changed)
            found = interpret(exchange(Api.CONVERSE, b"{}", body, answer_headers=headers))
            assert found.raw_answer or WORD in json.dumps([found.answer, found.error]), path


def twice(event: dict[str, Any]) -> str:
    """The event as a text that has its first member twice: the first says what the value lacks."""
    name = next(iter(event))
    return f'{{"{name}": "{WORD}", ' + json.dumps(event)[1:]


@pytest.mark.parametrize("api", APIS)
def test_a_member_that_is_there_twice_keeps_the_bytes(api: Api) -> None:
    """In each event, though an SDK has the last; texts with colons and braces alone keep nothing
    more than they did.
    """
    for name, events in streams(api):
        plain = of(api, events).raw_answer
        for number, event in enumerate(events):
            lines = [json.dumps(one) for one in events]
            lines[number] = twice(event)
            done = ["[DONE]"] if api is Api.CHAT else []
            body = "".join(f"data: {line}\n\n" for line in [*lines, *done]).encode()
            assert body == interpret(exchange(api, b"{}", body)).raw_answer, (name, event)
        assert plain is None


def test_in_frames_lists_and_inputs_too() -> None:
    """Converse's frames, what Google sends as one list, and the input of a call in pieces."""
    called = [
        start(0, type="tool_use", id="t", name="ls", input={}),
        delta(0, "input_json_delta", partial_json='{"a": 1, '),
        delta(0, "input_json_delta", partial_json='"a": 2}'),
        {"type": "content_block_stop", "index": 0},
    ]
    assert of(Api.MESSAGES, stream(*called)).raw_answer is not None
    kind, event = CONVERSE[1]
    frames = [converse_frame(*one) for one in CONVERSE]
    frames[1] = converse_frame(kind, twice(event))
    headers = [("content-type", "application/vnd.amazon.eventstream")]
    body = b"".join(frames)
    assert body == interpret(exchange(Api.CONVERSE, b"{}", body, answer_headers=headers)).raw_answer
    part = '{"candidates": [{"content": {"parts": [{"text": "a", "text": "b: c"}]}}]}'
    listed = f"[{part}]".encode()
    headers = [("content-type", "application/json")]
    found = interpret(exchange(Api.GEMINI, b"{}", listed, answer_headers=headers))
    assert listed == found.raw_answer
