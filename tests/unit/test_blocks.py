"""A message as people read it: all of it, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.blocks import blocks_of, marks_of, role_of

JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("\ud83d"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "input", "a"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        ("so", [("", "so")]),
        ([{"type": "text", "text": "so"}, "bare"], [("", "so"), ("", "bare")]),
        ([{"type": "thinking", "thinking": "Hm.", "signature": "x"}], [("thinking", "Hm.")]),
        (
            [{"type": "tool_use", "name": "ls", "input": {"n": 2**70}}],
            [("tool_use ls", '{\n  "n": 1180591620717411303424\n}')],
        ),
        ([{"type": "tool_result", "content": "done"}], [("tool_result", "done")]),
        (
            [{"type": "text", "text": "so", "citations": [1]}],
            [("", "so"), ("beside the text", '{\n  "citations": [\n    1\n  ]\n}')],
        ),
        (
            [{"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True}],
            [("tool_result", "no"), ("beside the result", '{\n  "is_error": true\n}')],
        ),
    ],
)
def test_each_kind(content: Any, blocks: list[tuple[str, str]]) -> None:
    """Text is text, a tool has its name, and what is beside a text is not left out."""
    assert blocks == blocks_of({"role": "user", "content": content})


def test_what_marks_a_block_is_apart() -> None:
    """With the number of its block; of one that is shown as JSON it is in that."""
    mark = {"type": "ephemeral"}
    content = [
        {"type": "text", "text": "so", "cache_control": mark},
        {"type": "text", "text": "plain"},
        {"type": "tool_use", "id": "t1", "name": "ls", "input": {}},
        {"type": "odd", "id": "o1"},
    ]
    message = {"role": "user", "id": "m1", "content": content}
    assert [
        {"block": None, "id": "m1"},
        {"block": 0, "cache_control": mark},
        {"block": 2, "id": "t1"},
    ] == json.loads(marks_of(message))
    assert "o1" in blocks_of(message)[-1].text
    assert "" == marks_of({"role": "user", "content": "so"})


def test_what_is_beside_the_content_is_there() -> None:
    """A member of a message that nobody knows, and a message without content."""
    assert [("", "so"), ("beside the message", '{\n  "name": "ann"\n}')] == blocks_of(
        {"role": "user", "content": "so", "name": "ann"}
    )
    assert [("odd", '{\n  "type": "odd",\n  "a": 1\n}')] == blocks_of({"type": "odd", "a": 1})


@pytest.mark.row("G3")
@given(JSONISH)
def test_any_value_is_a_message(value: Any) -> None:
    """What is no message by the API is shown too: every text in it is in what is shown."""
    shown = "\n".join([role_of(value), *(f"{label}\n{text}" for label, text in blocks_of(value))])
    if isinstance(value, str):
        assert value in shown
    if isinstance(value, dict) and isinstance(content := value.get("content"), str):
        assert content in shown
    if isinstance(value, list):
        assert all(json.dumps(one) in shown for one in value if isinstance(one, int))
