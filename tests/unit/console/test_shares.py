"""The plot of the survey's answers: it shows what the table shows, and no more."""

from __future__ import annotations

import re

import pytest

from bailee.console.shares import WeekShares, shares
from bailee.words import Words, words

ANSWERS = [("1", "1"), ("2", "2"), ("3", "3"), ("dismissed", "<dismissed>")]


def week(monday: str, *counts: int | None, total: int | None) -> WeekShares:
    """A week of four counts."""
    return WeekShares(monday, dict(zip(("1", "2", "3", "dismissed"), counts, strict=True)), total)


def wide(weeks: list[WeekShares], answers: list[tuple[str, str]], said: Words) -> str:
    """The first of the two pictures; the other has the same weeks."""
    first, second = re.findall(r"<svg.*?</svg>", shares(weeks, answers, said))
    assert re.findall(r"<title>.*?</title>", first) == re.findall(r"<title>.*?</title>", second)
    return str(first)


@pytest.mark.row("F3")
def test_a_week_that_is_shown_whole_has_pieces_as_long_as_their_shares() -> None:
    """Half the answers are half the bar; an answer that nobody gave has no piece."""
    drawn = wide([week("2026-11-23", 10, 0, 5, 5, total=20)], ANSWERS, words("en", "console"))
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"><title>', drawn)]

    assert 3 == len(heights)
    assert heights[0] == pytest.approx(heights[1] + heights[2], rel=0.01)
    assert "2026-11-23, 1: 10 (50%)" in drawn


@pytest.mark.row("F3")
@pytest.mark.parametrize("counts", [(None, None, 40, 7), (6, 7, 40, None)])
def test_a_week_with_something_hidden_gives_no_length_away(
    counts: tuple[int | None, ...],
) -> None:
    """An outline and "not shown": neither its counts nor their shares."""
    drawn = wide([week("2026-11-23", *counts, total=60)], ANSWERS, words("en", "console"))

    assert "2026-11-23: not shown" in drawn
    assert "40" not in re.sub(r'(x|y|width|height)[12]?="[^"]*"', "", drawn)
    assert 1 == drawn.count('class="unshown"')


def test_names_are_escaped_and_a_year_at_most_is_drawn() -> None:
    """Markup in a name stays text; older weeks are in the table alone."""
    weeks = [
        week(f"20{year}-01-0{day}", 9, 9, 9, 9, total=36)
        for year in range(10, 20)
        for day in range(1, 8)
    ]
    drawn = wide(weeks, ANSWERS, words("zh", "console"))

    assert "&lt;dismissed&gt;" in drawn
    assert "<dismissed>" not in drawn
    assert 52 == drawn.count(", 1: 9 (25%)")
    assert shares([], ANSWERS, words("en", "console")).startswith("<svg")
