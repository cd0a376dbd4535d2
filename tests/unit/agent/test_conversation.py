"""A conversation is well-formed whatever happened."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.agent.conversation import (
    INTERRUPTED,
    LOST,
    STOPPED,
    Conversation,
    answer_record,
    prompt_record,
    result_record,
)
from bailee.agent.ports import Answer

ids = st.sampled_from(["t1", "t2", "t3"])
text = st.fixed_dictionaries(
    {"type": st.just("text"), "text": st.sampled_from(["", " ", "a", "b"])}
)
tool_use = st.fixed_dictionaries(
    {
        "type": st.just("tool_use"),
        "id": ids | st.sampled_from([None, "", "a:1", "t1_2"]),
        "name": st.sampled_from(["Read", "", "a.b", None]),
        "input": st.sampled_from([{}, None, [1], "{"]),
    }
)
image = {"type": "image", "source": {}}
junk = st.sampled_from(
    [None, 3, {}, {"type": 1}, {"type": "text"}, image, {"type": "thinking", "thinking": "hm"}]
)
prompts = st.lists(text | junk, max_size=3).map(lambda c: {"type": "prompt", "content": c})
answers = st.lists(text | tool_use | junk, max_size=4).map(
    lambda c: {"type": "answer", "content": c, "usage": {"input_tokens": 1, "x": "y"}}
)
results = ids.map(lambda i: result_record(i, "r", is_error=False))
others = st.sampled_from(
    [
        {"type": "interrupted"},
        {"type": "compaction", "summary": "s", "waiting": True},
        {"type": "compaction", "summary": "s"},
        {"type": "left_out", "part": "images", "all": True},
        {"type": "left_out", "part": "thinking", "all": True},
        {"type": "left_out", "part": "images"},
        {"type": "left_out", "part": "tongs"},
        {"type": "session"},
        {"type": "result", "block": None},
        {"type": "prompt", "content": None},
        {},
        {"type": ["prompt"]},
    ]
)
records: Any = st.lists(prompts | answers | results | others, max_size=14)


def problems(messages: list[dict[str, Any]]) -> list[str]:
    """What the Messages API would refuse."""
    found = []
    open_calls: list[str] = []
    all_calls: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] != ("user", "assistant")[number % 2]:
            found.append(f"{number}: the roles do not alternate")
        if not message["content"]:
            found.append(f"{number}: empty")
        kinds = [block["type"] for block in message["content"]]
        answered = [b["tool_use_id"] for b in message["content"] if b["type"] == "tool_result"]
        if sorted(answered) != sorted(open_calls):
            found.append(f"{number}: calls {open_calls}, results {answered}")
        if kinds[: len(answered)] != ["tool_result"] * len(answered):
            found.append(f"{number}: results do not come first")
        if any(b["type"] == "text" and not b["text"].strip() for b in message["content"]):
            found.append(f"{number}: an empty text")
        open_calls = [b["id"] for b in message["content"] if b["type"] == "tool_use"]
        if len(all_calls | set(open_calls)) != len(all_calls) + len(open_calls):
            found.append(f"{number}: two calls with one id")
        all_calls.update(open_calls)
        for block in message["content"]:
            if block["type"] == "tool_use":
                letters = re.fullmatch("[A-Za-z0-9_-]{1,128}", block["id"] + block["name"])
                if letters is None or not isinstance(block["input"], dict):
                    found.append(f"{number}: {block}")
    return found


@given(records)
def test_any_records_give_well_formed_messages(given_records: list[Any]) -> None:
    """Once the open calls have results, the messages are what the API takes."""
    conversation = Conversation(given_records)
    for call in conversation.open_calls:
        conversation.apply(result_record(call.id, "r", is_error=False))

    assert [] == problems(conversation.messages)


@given(records)
def test_a_prompt_after_anything_is_the_models_turn(given_records: list[Any]) -> None:
    """Wherever a session was cut off, one can go on with it."""
    conversation = Conversation([*given_records, prompt_record([{"type": "text", "text": "on"}])])

    assert ("call_model", []) == (conversation.step, problems(conversation.messages))
    assert {"type": "text", "text": "on"} == conversation.messages[-1]["content"][-1]


@given(records, records)
def test_a_conversation_resumed_is_the_one_that_was_left(first: list[Any], then: list[Any]) -> None:
    """Reading the records again gives the same messages and the same next step."""
    lived = Conversation(first)
    for record in then:
        lived.apply(record)
    resumed = Conversation([*first, *then])

    assert (lived.messages, lived.step) == (resumed.messages, resumed.step)


def _call(name: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "Bash", "input": {}}


def _asked(*names: str) -> list[Any]:
    answer = Answer([_call(name) for name in names], "tool_use", "m", {"input_tokens": 9})
    return [prompt_record([{"type": "text", "text": "do"}]), answer_record(answer)]


def test_a_call_that_a_crash_left_open_is_said_to_be_lost() -> None:
    """What was not finished is not claimed, in either direction."""
    conversation = Conversation([*_asked("a", "b"), result_record("a", "fine", is_error=False)])

    assert ["b"] == [call.id for call in conversation.open_calls]

    conversation.apply(prompt_record([{"type": "text", "text": "and?"}]))
    first, second, said = conversation.messages[-1]["content"]
    assert ("fine", LOST, "and?") == (first["content"], second["content"], said["text"])


def test_an_interruption_is_told_to_the_model_with_the_next_prompt() -> None:
    """After an interruption it is the person's turn, and the model learns of it."""
    conversation = Conversation([*_asked("a"), {"type": "interrupted"}])
    assert "wait" == conversation.step

    conversation.apply(prompt_record([{"type": "text", "text": "rather this"}]))

    stopped, noted, said = conversation.messages[-1]["content"]
    assert (STOPPED, INTERRUPTED) == (stopped["content"], noted["text"])
    assert ("rather this", "call_model") == (said["text"], conversation.step)


@pytest.mark.parametrize(("waiting", "step"), [(True, "wait"), (False, "call_model")])
def test_a_summary_takes_the_place_of_all_before(waiting: bool, step: str) -> None:
    """After a compaction there is one message, and the work goes on if it was not finished."""
    record = {"type": "compaction", "summary": "all of it", "waiting": waiting}
    conversation = Conversation([*_asked("a"), record])

    (message,) = conversation.messages
    assert message["content"][0]["text"].endswith("all of it")
    assert (step, 0) == (conversation.step, conversation.tokens)


def test_tokens_are_those_of_the_last_answer_and_spending_is_the_sum() -> None:
    """The size of the context is not the sum of what was spent."""
    usage = {"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 7}
    answer = answer_record(Answer([{"type": "text", "text": "x"}], "end_turn", "m", usage))
    conversation = Conversation([*_asked(), answer, *_asked(), answer])

    assert 112 == conversation.tokens
    assert 14 == conversation.spent["output_tokens"]


def test_a_call_with_an_id_that_is_taken_gets_one_of_its_own() -> None:
    """Its result finds it by either id, so that older transcripts read as they were meant."""
    block = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
    answer = answer_record(Answer([block], "tool_use", "m"))
    done = result_record("t1", "r", is_error=False)
    made = Conversation(
        [prompt_record([{"type": "text", "text": "a"}]), answer, done, answer, done]
    )

    assert [] == made.open_calls
    called, answered = made.messages[3]["content"][0], made.messages[4]["content"][0]
    assert ("t1_2", "t1_2", "r") == (called["id"], answered["tool_use_id"], answered["content"])


def test_what_is_left_out_is_the_newest_or_all() -> None:
    """Images of the last message alone, unless all are meant; in a tool's result as well."""
    shot = result_record("t1", [image], is_error=False)
    block = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
    records = [prompt_record([image]), answer_record(Answer([block], "tool_use", "m")), shot]
    some = Conversation([*records, {"type": "left_out", "part": "images"}]).messages
    everything = Conversation(
        [*records, {"type": "left_out", "part": "images", "all": True}]
    ).messages

    (inner,) = some[2]["content"][0]["content"]
    assert ("image", "text") == (some[0]["content"][0]["type"], inner["type"])
    assert "image" not in [everything[0]["content"][0]["type"], inner["type"]]
