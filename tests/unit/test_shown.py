"""What somebody wrote is text: in a line, in lines, on a page, in JSON, and as a name."""

from __future__ import annotations

import json
import sys
import unicodedata
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee import shown
from bailee.errors import InputError

NASTY = "\x1b]0;own\x07\x1b[2Kci\r\n12:00:00  forged\x9b31m\u202etxt\u2066\u200bx\ud800\U000e0041"
ANY = st.text(st.characters(exclude_categories=()), max_size=60)


def test_no_character_is_left_that_orders_or_hides() -> None:
    """Every control, format, surrogate and separator character of Unicode is shown as an escape."""
    left = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and shown.line(chr(code)) == chr(code)
    ]

    assert [] == left


@pytest.mark.row("G1")
@given(ANY)
def test_a_line_is_one_printable_line_and_bounded(text: str) -> None:
    """Whatever was written, and it can be written to a terminal in UTF-8."""
    made = shown.line(text, 30)

    assert len(made.encode()) <= 30 * 10
    assert shown.is_plain(made)
    assert 1 == len(f"a{made}b".splitlines())


@given(ANY)
def test_lines_and_pages_keep_line_ends_alone(text: str) -> None:
    """Of all that orders, nothing but line ends and tabs is left, in terminals and on pages."""
    for made in (shown.lines(text), shown.page(text)):
        rest = made.replace("\n", "").replace("\t", "").replace("\u200c", "").replace("\u200d", "")
        assert shown.is_plain(rest)
        assert made == made.encode("utf-8").decode()


@given(
    st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"), max_codepoint=0x2E7))
)
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    """Ordinary names are not touched; an accent, a sign or a word in another script neither."""
    assert (text, text) == (shown.line(text), shown.page(text))
    for name in ("Zoë's ключ 密钥 🍐", "<b>[/x]</b> :bomb:", "a — b…"):
        assert name == shown.line(name)


@given(st.dictionaries(ANY, ANY, max_size=3))
def test_json_for_a_terminal_is_the_same_json(value: dict[str, str]) -> None:
    """A reader finds the same value; the terminal finds nothing to obey."""
    written = json.dumps(value, ensure_ascii=False)

    made = shown.json_text(written)

    assert value == json.loads(made)
    assert shown.is_plain(made)


def test_a_page_made_by_hand_is_escaped_too() -> None:
    """Markup and what reorders, both."""
    assert "&lt;b&gt;\\u202e&quot;" == shown.html_text('<b>\u202e"')
    assert escape("<b>") == shown.html_text("<b>")


@pytest.mark.parametrize("name", [NASTY, "a\nb", "\u202eb", "x" * 201, "a\u200bb", "\ud800"])
def test_a_name_that_can_not_be_shown_is_not_taken(name: str) -> None:
    """The refusal does not repeat it."""
    with pytest.raises(InputError) as refused:
        shown.named(name, "a key's name")

    assert name not in refused.value.message
    assert "a key's name" in refused.value.message
    assert "ci" == shown.named(" ci ", "a key's name")
