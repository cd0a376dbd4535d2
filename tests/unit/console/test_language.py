"""The two languages: complete, and chosen as the visitor wishes."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailee.console import language
from bailee.console.language import LANGUAGES, accepted, words

CONSOLE = Path(language.__file__).parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def places(text: str) -> set[str]:
    """The names of the places in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_catalogues_say_the_same_things() -> None:
    """The same names, with the same places to fill."""
    english, chinese = words("en").texts, words("zh").texts

    assert set(english) == set(chinese)
    assert {} == {
        name: text for name, text in english.items() if places(text) != places(chinese[name])
    }


def test_every_name_that_pages_use_is_there_and_none_is_left_over() -> None:
    """Names in templates and code, those made of two parts by their first."""
    sources = [*CONSOLE.rglob("*.html"), *CONSOLE.glob("*.py")]
    text = "\n".join(file.read_text("utf-8") for file in sources)
    known = set(words("en").texts)
    used = set(re.findall(r"""["'](\w+(?:\.\w+)+)["']""", text)) & known
    called = set(re.findall(r"""\bt\(["'](\w+(?:\.\w+)*)["'][,)]""", text))
    prefixes = set(re.findall(r"""["'](\w+\.\w*)["'] ~""", text))
    prefixes |= set(re.findall(r"""(?:f["']|["'])(\w+\.\w+_)(?:\{|['"] \+)""", text))
    prefixes |= {"error.code.", "time."}
    used |= called | {name for name in known if name.startswith(tuple(prefixes))}

    assert set() == called - known
    assert set() == known - used


def test_chinese_is_written_with_its_own_stops() -> None:
    """No comma, colon or question mark of another script next to a Chinese character."""
    found = [
        name
        for name, text in words("zh").texts.items()
        if re.search(r"[\u4e00-\u9fff][,:;?!]|[,:;?!][\u4e00-\u9fff]", text)
    ]

    assert [] == found


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("zh-CN,zh;q=0.9", "zh"),
        ("en-GB", "en"),
        ("fr, zh-CN;q=0.8, en;q=0.5", "zh"),
        ("fr, zh;q=0.3, en;q=0.5", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=x", None),
        ("", None),
        ("*", None),
    ],
)
def test_the_browser_says_which_language(header: str, expected: str | None) -> None:
    """By weight, then by place; what we have not, or what is refused, does not count."""
    assert expected == accepted(header)


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-1, "past its time"), (0.05, "within two hours"), (1, "in 24 hours"), (29.9, "in 29 days"),
     (1826, "in 5 years")],
)  # fmt: skip
def test_how_far_off_a_moment_is(days: float, expected: str) -> None:
    """In the largest unit that fits, never more than is left."""
    assert expected == words("en").until(NOW + timedelta(days=days), NOW)


def test_languages_are_the_policys() -> None:
    """The pages have what the policy document has."""
    assert ("en", "zh") == LANGUAGES
