"""What is long in a text's strings is left out, and nothing else of it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailee.api import Api
from bailee.apis import brief as module
from bailee.apis.brief import brief
from bailee.apis.requests import request_of
from bailee.vault import structure
from bailee.vault.packing import parse

pytestmark = pytest.mark.row("G1")
LONG = 40
LETTERS = st.sampled_from(["\\", '"', "a", "u", "\n", "é", "世", "😀", "\x7f", "\\u"])
STRINGS = st.lists(LETTERS, max_size=300).map("".join)
VALUES = st.recursive(
    STRINGS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is a hundred bytes, and forty are long."""
    monkeypatch.setattr(structure, "_PIECE", 100)
    monkeypatch.setattr(module, "_LONG", LONG)


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same but for what is long in their strings."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other or (len(other) < len(one) and one[:1] == other[:1])
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=True)
        return len(one) == len(other) and all(alike([*x], [*y]) for x, y in pairs)
    if isinstance(one, list):
        return len(one) == len(other) and all(alike(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


@pytest.mark.usefixtures("small")
def test_nothing_changes_but_what_is_long() -> None:
    """Escapes, letters of several bytes and keys included, wherever a piece ends."""

    @settings(max_examples=100)
    @given(VALUES, st.booleans())
    def holds(value: Any, plain: bool) -> None:
        text = json.dumps({"a": value, "z": ["x" * 500, 1]}, ensure_ascii=plain).encode()
        short = brief(text)
        assert len(short) < len(text)
        assert alike(parse(text), parse(short))

    holds()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("bad", [b"\x01", b"\xff", b"\xc0\xa2", b"\\q", b"\\u12g4", b'"', b"\n"])
def test_what_is_no_json_stays_none(bad: bytes) -> None:
    """At whatever place it is: what is left out was read."""
    for at in range(250):
        text = b'{"a":"' + b"x" * at + bad + b"x" * (250 - at) + b'"}'
        with pytest.raises(ValueError):
            parse(brief(text))


def test_a_request_that_is_read_briefly_names_what_it_names() -> None:
    """Model, fields and number of messages; its size is that of what came."""
    body = json.dumps(
        {
            "model": "m",
            "messages": [{"role": "user", "content": "\\\n" * 2_000_000}],
            "max_tokens": 9,
        }
    ).encode()
    found = request_of(Api.MESSAGES, body, "", briefly=True)
    assert ({"model": "m", "max_tokens": 9}, len(body)) == (found.fields, found.size)
    assert found.items is not None
    assert (1, None) == (len(found.items), found.raw)
    assert len(json.dumps(found.items)) < 10_000
    assert request_of(Api.MESSAGES, body[:-9] + b"\xff" + body[-8:], "", briefly=True).raw
