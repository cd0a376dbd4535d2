"""A JSON text is counted before it is read, and read in parts as it would be read whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.vault import bounds, structure
from bailee.vault.bounds import BeyondBound
from bailee.vault.packing import parse

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def counted(value: Any) -> int:
    """The values of `value`, as `bounds` counts them: brackets that open, commas and colons."""
    if isinstance(value, dict):
        return 1 + max(0, len(value) - 1) + len(value) + sum(map(counted, value.values()))
    if isinstance(value, list):
        return 1 + max(0, len(value) - 1) + sum(map(counted, value))
    return 0


def depth(value: Any) -> int:
    """How many lists and objects are within one another."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@pytest.fixture(params=[3, 64], ids=lambda piece: f"pieces of {piece}")
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is long: texts are scanned a few bytes at a time and read entry by entry."""
    monkeypatch.setattr(structure, "_PIECE", request.param)
    monkeypatch.setattr(structure, "WHOLE", 1)


TEXTS = st.builds(
    lambda value, spaced, plain: json.dumps(
        value, separators=(", ", " : ") if spaced else (",", ":"), ensure_ascii=plain
    ),
    VALUES,
    st.booleans(),
    st.booleans(),
)


@pytest.mark.usefixtures("small")
def test_counts_are_those_of_the_value() -> None:
    """Quotes, escapes and brackets within strings count for nothing, wherever a piece ends."""

    @settings(max_examples=300)
    @given(VALUES, TEXTS)
    def holds(value: Any, _text: str) -> None:
        for plain in (True, False):
            found = structure.scan(json.dumps(value, ensure_ascii=plain).encode("utf-8", "replace"))
            assert (counted(value), depth(value)) == (found.values, found.depth)

    holds()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("pairs", [0, 1, 2, 3, 31, 32, 33, 200])
def test_a_text_may_be_made_of_backslashes(before: int, pairs: int) -> None:
    """However many stand in a row, and wherever: what comes behind them is counted."""
    value = {"a": "x" * before + "\\" * pairs, '"\\"': [1, [2, 3]], "messages": [[0], {}, "\\"]}
    text = json.dumps(value).encode()
    found = structure.scan(text)
    assert (counted(value), depth(value)) == (found.values, found.depth)
    assert (value, False) == (
        structure.read(text, "messages")[0],
        structure.drops_members(text, value),
    )


@pytest.mark.usefixtures("small")
def test_in_parts_as_whole() -> None:
    """A request that is read in parts is the one that a parser reads from the whole text."""

    @settings(max_examples=300)
    @given(st.lists(VALUES, max_size=5), st.dictionaries(st.text(), VALUES, max_size=3))
    def holds(messages: list[Any], fields: dict[str, Any]) -> None:
        text = json.dumps({"a": 1, **fields, "messages": messages, "z": [2]}).encode()
        assert parse(text) == structure.read(text, "messages")[0]

    holds()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "text",
    [
        b'{"messages":[1,2],"messages":3}',
        b'{"messages":[1,2],"messages":[4]}',
        b'{"messages":[1,2],"mess\\u0061ges":[3]}',
        b'{"x\\"messages":[1,2]}',
        b'{"a":{"messages":[1]},"messages" : [ 1 , [2,3] ]}',
        b'{"messages":[]}',
        b'{"messages":[ ]}',
        b'{"messages":"[1,2]"}',
        b'[{"messages":[1,2]}]',
        b'{"messages":["\\\\",",\\"]"]}',
        b'{"a":"the list that bailee reads in parts","messages":[1,2]}',
    ],
)
def test_odd_texts_as_whole(text: bytes) -> None:
    """Twice the same member, a key in escapes, a list of that name elsewhere: as a parser does."""
    assert parse(text) == structure.read(text, "messages")[0]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "text",
    [
        b'{"messages":[1,]}',
        b'{"messages":[,1]}',
        b'{"messages":[1,,2]}',
        b'{"messages":[1 2]}',
        b'{"messages":[1}',
        b'{"messages":[1',
        b'{"messages":[1,2]',
        b'{"messages":[1]]}',
        b'"messages":[1,2]',
        b"]",
        b"",
    ],
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    """Cutting makes no JSON of what is none."""
    with pytest.raises(ValueError, match=r"."):
        structure.read(text, "messages")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (b"[" + b",".join([b"0"] * (bounds.VALUES + 1)) + b"]", "values"),
        (b'{"messages":[' + b",".join([b"{}"] * 600_000) + b"]}", "values"),
        (b"[" * 5_000, "depth"),
        (b'{"a":[' * 400_000, "depth"),
        (b"[" * 3_000_000, "depth"),
    ],
)
def test_a_bound_is_named(text: bytes, bound: str) -> None:
    """What would be too much is known before it is read, and which bound it is."""
    with pytest.raises(BeyondBound) as caught:
        structure.read(text, "messages")
    assert bound == caught.value.bound


def test_a_long_text_of_code_is_within_bounds() -> None:
    """Eight megabytes of code in a few thousand messages are few values, whatever is in it."""
    code = 'if x[0] == "{,}" and y: return {"a": [1, 2, 3], "b\\\\": ":"}\n' * 50
    body = {"model": "m", "messages": [{"role": "user", "content": code} for _ in range(2_500)]}
    text = json.dumps(body).encode()
    assert len(text) > 8_000_000
    value, values, _ = structure.read(text, "messages")
    assert body == value
    assert values < bounds.VALUES / 10
