"""What is found in one pass is what the patterns find, each by itself over the whole text."""

from __future__ import annotations

import re
import warnings
from typing import Final

import pytest
from betterleaks import scan_string
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bailee.json_values import well_formed
from bailee.training import encodings, leaks, personal, secret_values
from bailee.training.screening import PatternScreen, written
from unit.training.test_scrubbing import ENCODINGS, PERSONAL, SECRETS

PATTERNS: Final = (*(one for _, one in secret_values._PATTERNS), *personal._PATTERNS)
SCREEN: Final = PatternScreen(PATTERNS)
RULES: Final = leaks._known_rules()

# What stands around values, and what `re` and Hyperscan could see with other eyes.
WORDS: Final = [
    *("password = '", "PASSWORD=", 'token: "', "secret ", " --token ", "api_key='", "Bearer  "),
    *("https://ada:", "@db.example.org", "/home/", "C:\\Users\\", "tel ", "电话：", "phone", "\n"),
    *("\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "\u00a0", "\u3000", "ſecret=", "toKen='", "ß"),
    *("aws_secret_key = ", "İ", "\\u0041", "%41", "'", '"', " ", "-", ".", "\x1c", "\x0b"),
    "\ud800",
    *("eyJhbGciOi.", "sk-ant-", "AKIA", "ghp_", "a1B2c3D4e5F6g7H8", "0123456789", "====", "\r\n  "),
]


def texts() -> st.SearchStrategy[str]:
    """Words, values, encodings and characters of any kind, one after another."""
    value = st.builds(
        lambda kind, seed: SECRETS[kind](seed), st.sampled_from([*SECRETS]), st.integers(0, 99)
    )
    encoded = st.builds(lambda how, one: ENCODINGS[how](one), st.sampled_from([*ENCODINGS]), value)
    pieces = st.one_of(
        st.sampled_from(WORDS), st.sampled_from([*PERSONAL]), value, encoded, st.text(max_size=8)
    )
    return st.lists(pieces, max_size=14).map("".join)


@pytest.mark.row("T7")
@settings(max_examples=150, deadline=None)
@given(text=texts())
@example(text="ſecret=\u00a0'\u0661\u0662\u0663\u0664\u0665\u0666'")
def test_no_pattern_loses_a_match_or_gains_one(text: str) -> None:
    """One pass says which patterns can match, and where; the others would have found nothing."""
    assert len(text) == len(written(text))
    possible = SCREEN.possible(text)
    for place, pattern in enumerate(PATTERNS):
        whole = [one.span() for one in pattern.finditer(text)]
        assert place in possible or not whole, pattern.pattern
        if place in possible and pattern is not personal._CARD:
            assert whole == [one.span() for one in SCREEN.matches(place, text)], pattern.pattern


@pytest.mark.row("T7")
@settings(max_examples=150, deadline=None)
@given(text=texts())
def test_encoded_runs_are_those_of_the_patterns(text: str) -> None:
    """Found by rows of characters, not by trying each place."""
    for pattern, found in (
        (encodings._BASE64, encodings._base64_in(text)),
        (encodings._HEX, encodings._hex_in(text)),
    ):
        assert [one.span() for one in pattern.finditer(text)] == [one.span() for one in found]


def by_themselves(piece: str) -> set[tuple[str, str]]:
    """What betterleaks finds in a piece as a whole."""
    return {(one.rule_id, one.match.value) for one in scan_string(piece)}


def matching() -> st.SearchStrategy[str]:
    """Texts that a rule of betterleaks matches, as far as Python reads its expression."""
    assert RULES is not None
    readable = []
    for rule in RULES.rules:
        try:
            with warnings.catch_warnings(action="ignore"):
                re.compile(rule.pattern)
        except re.error:
            continue
        readable.append(rule.pattern)
    assert len(readable) > 350
    return st.sampled_from(readable).flatmap(
        lambda one: st.from_regex(one, alphabet=st.characters(codec="ascii"))
    )


@pytest.mark.row("T7")
@settings(max_examples=50, deadline=None)
@given(
    before=texts(), first=matching(), between=texts(), second=matching(), lines=st.integers(0, 60)
)
def test_betterleaks_finds_the_same_in_what_it_is_shown(
    before: str, first: str, between: str, second: str, lines: int
) -> None:
    """Rules of all vendors, in any text, near and far from each other."""
    apart = "nothing is here but words\n" * lines
    piece = well_formed("\n".join((apart, before, first, apart, between, second, apart))).replace(
        "\0", ""
    )
    assert by_themselves(piece) == {(one.rule, one.value) for one in leaks.leaks_in(piece)}


@pytest.mark.row("T7")
def test_what_is_shown_is_little_and_as_far_down() -> None:
    """Lines keep their place, so that what must stand near still does; code alone is not shown."""
    code = "def f(key: str, token: bytes) -> None: ...\n" * 100
    secret = f"{code}TOKEN = '{SECRETS['GitHub'](1)}'\n{code}"
    assert "" == leaks.worth_showing(code)
    shown = leaks.worth_showing(secret)
    assert 101 == len(shown.splitlines()) - len(shown.splitlines()[101:])
    assert secret.splitlines()[100] == shown.splitlines()[100]
    assert len(shown) < len(secret) / 4


@pytest.mark.row("T7")
def test_another_betterleaks_is_shown_everything(tmp_path: object) -> None:
    """Of its rules nothing is known: no line is left out. The one that is installed is known."""
    assert RULES is not None
    assert leaks.rules_of(b"another library") is None
