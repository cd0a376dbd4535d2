"""Plots for a desk and for a phone: both say the same, and neither has anything beside itself."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bailee.console import plots
from bailee.console.plots import PlotWords, Series

SAID = PlotWords("some", "What there was", "From 1 to 9.", " ms")
MOMENTS = [datetime(2026, 11, 30, 12, tzinfo=UTC) + timedelta(hours=n) for n in range(30)]
SERIES = [
    Series(name, [None if n % 7 == 3 else float(n * k) for n in range(30)])
    for k, name in enumerate(("p50", "<p95>", "a name that goes on for a while"), 1)
]
DRAWN: dict[str, Callable[[], str]] = {
    "lines": lambda: plots.lines(MOMENTS, SERIES, SAID),
    "stack": lambda: plots.stack(MOMENTS, SERIES, SAID),
    "bars": lambda: plots.bars({one.name: float(len(one.name)) for one in SERIES}, SAID),
    "wide names": lambda: plots.bars(
        {"mmw@example.org": 3.0, "果园有限公司的编程智能体团队": 2.0, "果园": 1.0}, SAID
    ),
    "no bars": lambda: plots.bars({}, SAID),
}


def letters(text: ET.Element) -> tuple[float, float]:
    """From where to where a text reaches at the most, by letters of 12 pixels, bold where they
    name something: an "m", an "@" or a Chinese one is as wide as it is high, an "i" or a
    space less than half of that.
    """
    said = text.text or ""
    wide = sum(1 for one in said if one in "mMwW@" or ord(one) >= 0x2E80)
    slim = sum(1 for one in said if one in "iljtf ()")
    at, long = float(text.attrib["x"]), 12.0 * wide + 7.2 * (len(said) - wide) - 2.4 * slim
    anchor = text.attrib.get("text-anchor", "start")
    begin = at - {"start": 0.0, "middle": long / 2, "end": long}[anchor]
    return begin, begin + long


@pytest.mark.parametrize("kind", DRAWN)
def test_a_phone_has_the_same_plot_in_letters_as_large(kind: str) -> None:
    """All names and figures of the wide one, on 360 pixels that are not made smaller; no text is
    cut at a side, and no two of one line lie on each other.
    """
    wide, narrow = ET.fromstring(f"<both>{DRAWN[kind]()}</both>")
    titles = [{one.text for one in picture.iter("title")} for picture in (wide, narrow)]

    assert ("plot wide", "plot narrow") == (wide.attrib["class"], narrow.attrib["class"])
    assert titles[0] == titles[1]
    assert not {one.attrib["id"] for one in wide.iter() if "id" in one.attrib} & {
        one.attrib["id"] for one in narrow.iter() if "id" in one.attrib
    }
    width, height = map(float, narrow.attrib["viewBox"].split()[2:])
    assert 360 == width
    lines: dict[str, list[tuple[float, float]]] = {}
    for text in narrow.iter("text"):
        begin, end = letters(text)
        assert begin >= 0 and end <= width and float(text.attrib["y"]) <= height, text.text
        lines.setdefault(text.attrib["y"], []).append((begin, end))
    for line in lines.values():
        line.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(line))


@pytest.mark.parametrize("kind", ["lines", "stack"])
def test_each_line_is_named_on_both(kind: str) -> None:
    """At its end, or below the plot."""
    for picture in ET.fromstring(f"<both>{DRAWN[kind]()}</both>"):
        said = [one.text for one in picture.iter("text")]
        assert {one.name for one in SERIES} <= set(said)
