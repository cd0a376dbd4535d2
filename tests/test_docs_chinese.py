"""The Chinese pages say what the English ones say, and in Chinese stops."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.chinese import STRAY, TIGHT

ROOT = Path(__file__).parents[1]
PAIRS = [
    ("README.md", "README.zh.md"),
    ("docs/tutorial.md", "docs/zh/tutorial.md"),
    *(
        (f"docs/guides/{page.name}", page.relative_to(ROOT).as_posix())
        for page in sorted((ROOT / "docs/zh/guides").glob("*.md"))
    ),
]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pages in ("README.zh.md", "docs/zh/**/*.md", "docs/reference/data-usage/*.zh.md")
    for page in ROOT.glob(pages)
)


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks, each with its language; of those to be typed, without the remarks."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page, re.M | re.S)
    return [
        (language, re.sub(r"\s+# .*$", "", text, flags=re.M) if language == "sh" else text)
        for language, text in found
    ]


def links(page: str, folder: Path) -> set[Path]:
    """The files that a page links to."""
    named = re.findall(r"\]\((?!https?:|#)([^)#]+)", page)
    return {(folder / one).resolve().relative_to(ROOT) for one in named}


def shape(page: str) -> list[str]:
    """What begins each line that is no plain text: headings, points, rows, blocks."""
    page = re.sub(r"^```.*?^```", "```", page, flags=re.M | re.S)
    return re.findall(r"^(?:#+ |- |\d+\. |\||```)", page, re.M)


def prose(page: str) -> str:
    """A page without its blocks and where its links lead; code in a line counts as a letter."""
    page = re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)
    return re.sub(r"`[^`]*`|<code>.*?</code>", "A", re.sub(r"\]\([^)]*\)", "]", page))


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_commands_and_output_are_the_english_pages(english: str, chinese: str) -> None:
    """Block by block; remarks beside commands are in the page's own language."""
    assert blocks((ROOT / english).read_text()) == blocks((ROOT / chinese).read_text())


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_nothing_that_the_english_page_leads_to_is_missing(english: str, chinese: str) -> None:
    """A page that has a Chinese one may be led to by that."""
    translated = {Path(one): Path(other) for one, other in PAIRS}
    there = links((ROOT / chinese).read_text(), (ROOT / chinese).parent)
    wanted = links((ROOT / english).read_text(), (ROOT / english).parent) - {Path(chinese)}

    assert set() == {one for one in wanted if not {one, translated.get(one)} & there}


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_no_part_and_no_row_is_left_out(english: str, chinese: str) -> None:
    """As many headings of each kind, points of lists, and rows of tables, in the same order."""
    assert shape((ROOT / english).read_text()) == shape((ROOT / chinese).read_text())


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_each_page_leads_to_the_other(english: str, chinese: str) -> None:
    """Whoever came upon the one finds the other."""
    assert Path(chinese) in links((ROOT / english).read_text(), (ROOT / english).parent)
    assert Path(english) in links((ROOT / chinese).read_text(), (ROOT / chinese).parent)


@pytest.mark.parametrize("page", PAGES)
def test_chinese_pages_have_chinese_stops(page: str) -> None:
    """No stop of another script beside a Chinese character; a blank beside Latin letters."""
    text = prose((ROOT / page).read_text())

    assert [] == [line for line in text.splitlines() if STRAY.search(line) or TIGHT.search(line)]


@pytest.mark.parametrize("page", PAGES)
def test_a_chinese_sentence_is_one_line(page: str) -> None:
    """A line break within one is shown as a blank, where Chinese has none."""
    broken = re.compile(r"[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]\n *(?![-#|>\d])[^\s]")

    assert [] == [found[0] for found in broken.finditer(prose((ROOT / page).read_text()))]
