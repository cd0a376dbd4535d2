"""Questions in JSON and in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.policy import Policy, load
from bailee.policy.asking import LONGEST_LINE, question, typed

POLICY = load()


def test_json_and_words_ask_the_same(policy: Policy) -> None:
    """Both forms give the action and the same facts."""
    asked = {"flow": "metrics", "provider": "api", "env": {"DISABLE_TELEMETRY": "0"}}
    text = '{"action":"send","flow":"metrics","provider":"api","env":{"DISABLE_TELEMETRY":"0"}}'
    assert ("send", asked) == question(text)
    assert ("send", asked) == question(text.encode())
    words = ["send", "flow=metrics", "provider=api", "DISABLE_TELEMETRY=0"]
    assert ("send", asked) == typed(policy, words)
    assert ("send", asked) == typed(policy, [text])
    assert ("train", {"plan": "pro", "zero_retention": True}) == typed(
        policy, ["train", "plan=pro", "zero_retention=true"]
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "[]",
        '"retain"',
        "{",
        "{}",
        '{"action": 1}',
        '{"action": "send", "action": "train"}',
        '{"action": "send", "env": {"A": "1", "A": ""}}',
        '{"action": "send", "flow": NaN}',
        "{'action': 'send'}",
        '{"action": "send"} {}',
        '{"action": ' + "[" * 30_000,
        b'{"action": "\xff"}',
        b'\xef\xbb\xbf{"action": "send"}',
        b"1" * 10_000,
        b" " * (LONGEST_LINE + 1),
    ],
)
def test_what_is_no_question_is_an_input_error(text: str | bytes) -> None:
    """Odd JSON is refused: readers disagree about it, and a decision must not depend on that."""
    with pytest.raises(InputError):
        question(text)


@pytest.mark.parametrize(
    "words",
    [[], ["send", "flow"], ["send", "flow=metrics", "flow=errors"], ['{"action":"send"}', "x=1"]],
)
def test_words_that_ask_nothing_clear_are_refused(policy: Policy, words: list[str]) -> None:
    """No words, a fact without a value, a fact given twice."""
    with pytest.raises(InputError):
        typed(policy, words)


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60)))
def test_any_bytes_are_a_question_or_an_input_error(text: bytes | str) -> None:
    """Nothing else comes out of reading what anyone might send."""
    try:
        POLICY.decide(*question(text))
    except InputError as error:
        assert error.message
