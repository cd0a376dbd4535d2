"""A session's rows: which conversations there are, and that each is well formed."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.training.dataset import Row, RowMessage
from bailee.training.rows import NO_RESULT, conversation
from bailee.vault.packing import JSON
from support.homes.conversations import Asked, answered, exported, text, user

TOOLS: JSON = [
    {"name": "Bash", "description": "Runs", "input_schema": {"type": "object", "properties": {}}},
    {"type": "web_search_20250305", "name": "web_search"},
]
FIELDS: dict[str, JSON] = {"model": "model-0", "system": [text("Be brief.")], "tools": TOOLS}


def call(which: str, **given: JSON) -> JSON:
    """A call of a tool."""
    return {"type": "tool_use", "id": which, "name": "Bash", "input": given}


def result(which: str, content: JSON) -> JSON:
    """What a call gave."""
    return {"type": "tool_result", "tool_use_id": which, "content": content}


def roles(row: Row) -> list[str]:
    """Who speaks, in order."""
    return [message.role for message in row.messages]


@pytest.mark.row("T7")
def test_a_conversation_with_tools_is_one_row() -> None:
    """System, question, thought and call, result, answer: each in its place."""
    first = [user("What is here?")]
    thought: JSON = {"type": "thinking", "thinking": "I look.", "signature": "c2lnbmF0dXJl"}
    asked = answered(thought, text("I'll look."), call("t1", command="ls"))
    then = [*first, {"role": "assistant", "content": asked["content"]}]  # type: ignore[index,call-overload]
    then.append(user([result("t1", [text("a.py"), text("b.py")])]))

    (row,) = conversation(
        exported(Asked(first, asked, FIELDS), Asked(then, answered(text("Two files.")), FIELDS))
    )

    assert ["system", "user", "assistant", "tool", "assistant"] == roles(row)
    assert "Be brief." == row.messages[0].content
    spoken = row.messages[2]
    assert ("I look.", "I'll look.") == (spoken.thinking, spoken.content)
    assert [("t1", "Bash", {"command": "ls"})] == [
        (one.id, one.name, json.loads(one.arguments)) for one in spoken.tool_calls
    ]
    assert RowMessage("tool", "a.py\nb.py", tool_call_id="t1", name="Bash") == row.messages[3]
    assert ["Bash", "web_search"] == [one["function"]["name"] for one in json.loads(row.tools)]
    assert ("model-1", "2026-11-29", "t1", "consent-1") == (
        *(row.model, row.day, row.clause, row.consent),
    )
    assert "c2lnbmF0dXJl" not in row.blocks


@pytest.mark.row("T7")
def test_subagents_are_rows_and_titles_are_not() -> None:
    """A subagent's row names the row it belongs to; what has no tools and one turn is left out."""
    title = Asked([user("Title for: fix it")], answered(text("Fixing")))
    main = Asked([user("Fix it.")], answered(text("Done.")), FIELDS)
    agent = Asked([user("Look for it.")], answered(text("Found.")), FIELDS, agent="a1")
    compacted = Asked([user("So far: fixed.")], answered(text("Go on.")), FIELDS)

    made = conversation(exported(title, main, agent, compacted))

    assert ["Fix it.", "Look for it.", "So far: fixed."] == [
        row.messages[1].content for row in made
    ]
    assert ["", made[0].id, ""] == [row.parent for row in made]
    assert 3 == len({row.id for row in made})
    assert 1 == len({row.session for row in made})


@pytest.mark.row("T7")
def test_what_can_not_be_looked_into_is_a_placeholder() -> None:
    """An image is its kind and size, in both forms of the row; so is a document in base64."""
    image: JSON = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "QUJDRA==" * 300},
    }
    converse: JSON = {"image": {"format": "png", "source": {"bytes": "QUJDRA==" * 300}}}

    (row,) = conversation(
        exported(Asked([user([text("See:"), image, converse])], answered(text("A cat.")), FIELDS))
    )

    assert "See:\n\n[image: image/png, 1800 bytes]\n\n[image: png, 1800 bytes]" == (
        row.messages[1].content
    )
    assert "QUJD" not in row.blocks


@pytest.mark.row("T7")
def test_converse_gives_the_same_messages() -> None:
    """Bedrock's Converse names the same things otherwise."""
    fields: dict[str, JSON] = {
        "system": [{"text": "Be brief."}],
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "Bash", "inputSchema": {"json": {"type": "object"}}}}]
        },
    }
    messages: list[JSON] = [
        user([{"text": "What is here?"}]),
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "I look.", "signature": "x"}}},
                {"toolUse": {"toolUseId": "t1", "name": "Bash", "input": {"command": "ls"}}},
            ],
        },
        user([{"toolResult": {"toolUseId": "t1", "content": [{"json": {"files": 2}}]}}]),
    ]
    answer: JSON = {"output": {"message": {"role": "assistant", "content": [{"text": "Two."}]}}}

    (row,) = conversation(
        exported(Asked(messages, answer, fields, target="/bedrock/model/some.model-v1:0/converse"))
    )

    assert ["system", "user", "assistant", "tool", "assistant"] == roles(row)
    assert "I look." == row.messages[2].thinking
    assert '{"files":2}' == row.messages[3].content
    assert "some.model-v1" == row.model
    assert "Bash" == json.loads(row.tools)[0]["function"]["name"]


@pytest.mark.row("T7")
def test_a_servers_tools_have_their_results_between() -> None:
    """A search that the server made stands within the answer: call, result, what was said then."""
    searched: list[JSON] = [
        text("I search."),
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "s1",
            "content": [{"type": "web_search_result", "url": "u", "encrypted_content": "secret"}],
        },
        *(text("Found "), text("it.")),
    ]

    (row,) = conversation(exported(Asked([user("Search.")], answered(*searched), FIELDS)))

    assert ["system", "user", "assistant", "tool", "assistant"] == roles(row)
    assert "Found it." == row.messages[-1].content
    assert "secret" not in row.messages[3].content + row.blocks


def well_formed(row: Row) -> None:
    """What chat templates of trainers expect."""
    waiting: Counter[str] = Counter()
    before = ""
    for message in row.messages:
        assert message.role in ("system", "user", "assistant", "tool")
        if message.role == "tool":
            assert waiting[message.tool_call_id] > 0, "a result of no call"
            waiting[message.tool_call_id] -= 1
            assert message.name
        else:
            assert not message.tool_call_id
        if message.role in ("user", "assistant"):
            assert not +waiting or message.role == "assistant", "a call that has no result"
            assert before != message.role, "two turns of one side"
        for one in message.tool_calls:
            assert "assistant" == message.role
            assert isinstance(json.loads(one.arguments), dict)
            waiting[one.id] += 1
        before = message.role
    json.loads(row.blocks)
    assert all("function" == one["type"] for one in json.loads(row.tools))


IDS = st.sampled_from(["t1", "t2", "t3", ""])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
VALUES = st.recursive(
    LEAVES,
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=3), of),
    max_leaves=5,
)
BLOCKS = st.one_of(
    st.builds(text, st.text(max_size=5)),
    st.builds(lambda which: call(which, x="y"), IDS),
    st.builds(lambda which, value: {**call(which), "input": value}, IDS, VALUES),  # type: ignore[dict-item]
    st.builds(result, IDS, VALUES),
    st.builds(lambda said: {"type": "thinking", "thinking": said}, st.text(max_size=5)),
    st.builds(
        lambda kind, rest: {**(rest if isinstance(rest, dict) else {}), "type": kind},
        st.sampled_from(["image", "document", "redacted_thinking", "mcp_tool_result", "new", ""]),
        VALUES,
    ),
    VALUES,
)
MESSAGES = st.lists(
    st.one_of(
        st.builds(
            lambda role, content: {"role": role, "content": content},
            st.sampled_from(["user", "assistant", "assistant", "user", "system", "other"]),
            st.lists(BLOCKS, max_size=5) | st.text(max_size=5),
        ),
        VALUES,
    ),
    max_size=8,
)


@pytest.mark.row("T7")
@given(messages=MESSAGES, content=st.lists(BLOCKS, max_size=4), tools=VALUES, system=VALUES)
def test_every_row_is_well_formed_whatever_came(
    messages: list[JSON], content: list[JSON], tools: JSON, system: JSON
) -> None:
    """Results without calls, calls without results, blocks of no kind: a trainer can load it."""
    fields: dict[str, JSON] = {"tools": tools, "system": system}
    for row in conversation(exported(Asked(messages, answered(*content), fields))):
        well_formed(row)


@pytest.mark.row("T7")
def test_a_call_that_was_not_answered_has_a_result_that_says_so() -> None:
    """A conversation that goes on without a result is still one that a trainer can load."""
    broken: list[JSON] = [
        user("Go."),
        {"role": "assistant", "content": [call("t1", command="ls")]},
        user("Stop."),
    ]
    (row,) = conversation(exported(Asked(broken, answered(text("Stopped.")), FIELDS)))

    assert NO_RESULT == row.messages[3].content
    assert ["system", "user", "assistant", "tool", "user", "assistant"] == roles(row)


@pytest.mark.row("T7")
def test_what_is_nested_beyond_every_reader_is_cut() -> None:
    """A value of nine hundred levels does not end the process that makes the row."""
    deep: JSON = "bottom"
    for _ in range(800):
        deep = [deep]
    (row,) = conversation(
        exported(Asked([user("Go.")], answered({**call("t1"), "input": {"a": deep}}), FIELDS))  # type: ignore[dict-item]
    )

    assert "nested too deeply" in row.messages[-1].tool_calls[0].arguments
    assert "bottom" not in row.blocks
