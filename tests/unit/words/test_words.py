"""The catalogue: complete in both languages, used, and written with its own stops."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import bailee
from bailee.errors import CODES, InputError
from bailee.words import LANGUAGES, Where, of_locale, words
from support.chinese import STRAY

SOURCE = Path(bailee.__file__).parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLACES: tuple[Where, ...] = ("console", "terminal")


def places(text: str) -> set[str]:
    """The names of the places in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def is_code(name: str) -> bool:
    """Whether it is the text of an error's code: an error is raised in English, so English has
    none.
    """
    return name.startswith("error.code.")


@pytest.mark.parametrize("where", PLACES)
def test_both_languages_say_the_same_things(where: Where) -> None:
    """The same names, with the same places to fill."""
    english = words("en", where).texts
    chinese = {n: text for n, text in words("zh", where).texts.items() if not is_code(n)}

    assert set(english) == set(chinese)
    assert {} == {
        name: text for name, text in english.items() if places(text) != places(chinese[name])
    }


def test_every_error_can_be_said_in_chinese() -> None:
    """Each code has its text; what was raised in English stands behind it, what was raised in
    Chinese alone.
    """
    chinese, english = words("zh", "terminal"), words("en", "terminal")

    assert set(CODES) == {n.rpartition(".")[2] for n in chinese.texts if is_code(n)}
    assert "政策不允许此操作。（no.）" == chinese.what(InputError("no.", code="policy_denied"))
    assert "没有。" == chinese.what(InputError("没有。"))
    assert "no." == english.what(InputError("no."))
    assert "no. do" == english.of_error(InputError("no.", hint="do"))


def test_every_name_that_is_used_is_there_and_none_is_left_over() -> None:
    """Names in templates and code, those made of two parts by their first."""
    folders = [SOURCE / name for name in ("console", "agent", "client", "cli", "cases")]
    sources = [file for one in folders for kind in ("*.html", "*.py") for file in one.rglob(kind)]
    text = "\n".join(file.read_text("utf-8") for file in sources)
    known = {name for where in PLACES for name in words("en", where).texts}
    used = set(re.findall(r"""["'](\w+(?:\.\w+)+)["']""", text)) & known
    called = set(re.findall(r"""\b(?:t|words|told)\(["'](\w+(?:\.\w+)*)["'][,)]""", text))
    prefixes = set(re.findall(r"""["'](\w+\.\w*)["'] ~""", text))
    prefixes |= set(re.findall(r"""(?:f["']|["'])(\w+\.(?:\w+_)?)(?:\{|['"] \+)""", text))
    used |= called | {name for name in known if name.startswith((*prefixes, "time."))}
    used |= {f"{name}_one" for name in used} & known

    assert set() == called - known - set(LANGUAGES)
    assert set() == known - used


def test_chinese_is_written_with_its_own_stops() -> None:
    """No comma, colon, bracket or question mark of another script beside a Chinese character: in
    the catalogue, the pages and every other text of the source.
    """
    files = [f for kind in ("*.toml", "*.html", "*.py") for f in SOURCE.rglob(kind)]
    found = [
        f"{file.relative_to(SOURCE)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if STRAY.search(line)
    ]

    assert [] == found


def test_one_thing_has_one_name_in_chinese() -> None:
    """What a thing was once called beside its name, and the name: the names are in the docs."""
    named = {
        "清除": "删除", "放出": "披露", "交换": "请求", "密钥库": "密钥环", "见证者": "见证方",
        "封存": "加密归档", "云端会话": "云会话", "遗忘": "删除", "文档": "政策文件",
    }  # fmt: skip
    texts = {t for where in PLACES for t in words("zh", where).texts.values()}

    assert [] == [(old, new, t) for old, new in named.items() for t in texts if old in t]


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-1, "past its time"), (0.05, "within two hours"), (1, "in 24 hours"), (29.9, "in 29 days"),
     (1826, "in 5 years")],
)  # fmt: skip
def test_how_far_off_a_moment_is(days: float, expected: str) -> None:
    """In the largest unit that fits, never more than is left."""
    assert expected == words("en", "console").until(NOW + timedelta(days=days), NOW)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE", "LC_MESSAGES": "ZH_TW"}, "zh"),
    ],
)
def test_a_locale_says_which_language(environment: dict[str, str], expected: str) -> None:
    """The first variable that is set decides."""
    assert expected == of_locale(environment)


def test_languages_are_the_policys() -> None:
    """The catalogue has what the policy document has."""
    assert ("en", "zh") == LANGUAGES
