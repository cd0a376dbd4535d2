"""What a server says that its document states, as far as it is understood."""

from __future__ import annotations

import pytest

from bailee.client.told_statements import told_statements
from bailee.policy.bounds import NO_CONTENT, VENDOR

pytestmark = pytest.mark.row("P1", "S5")
AT = "https://b.example"


@pytest.mark.parametrize(
    "said",
    [{}, {"bounds": {}}, {"statements": None}, {"statements": [VENDOR]}, {"statements": VENDOR}],
)
def test_where_nothing_was_told_nothing_is_known(said: dict[str, object]) -> None:
    """As of a server that does not know the question."""
    assert None is told_statements(AT, said)


def test_a_statement_that_is_not_there_the_document_does_not_have() -> None:
    """Of what is not asked about, nothing is taken."""
    some = told_statements(AT, {"statements": {VENDOR: {"en": "None.", "zh": "无。"}, "other": {}}})
    none = told_statements(AT, {"statements": {}})
    assert some is not None and none is not None
    assert {VENDOR} == set(some.texts)
    assert ("None.", "无。") == (some.text(VENDOR, "en"), some.text(VENDOR, "zh"))
    assert (None, None) == (some.text(NO_CONTENT, "en"), none.text(VENDOR, "zh"))


def test_what_is_shown_is_a_line_and_a_statement_without_words_holds_all_the_same() -> None:
    """In the language that there is; else by its id. A terminal is told nothing but to show it."""
    told = told_statements(
        AT,
        {
            "statements": {VENDOR: {"zh": "无\x1b[2J。\n"}, NO_CONTENT: 3},
            "document": "a\x1b" + "b" * 70,
        },
    )
    assert told is not None
    assert ("无[2J。", "无[2J。") == (told.text(VENDOR, "en"), told.text(VENDOR, "zh"))
    assert NO_CONTENT == told.text(NO_CONTENT, "en")
    assert ("a" + "b" * 11, AT) == (told.document, told.place)
