"""The retention calendar: the right number in the right place."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bailee.console.calendar import calendar
from bailee.words import words

TODAY = date(2026, 1, 1)
DAYS = st.dates(TODAY, TODAY + timedelta(days=6 * 366))


@given(st.dictionaries(DAYS, st.integers(1, 10_000), max_size=60))
def test_no_session_is_left_out(going: dict[date, int]) -> None:
    """Each is in a day of the six weeks or in a later year; none in both."""
    drawn = calendar(going, TODAY, words("en", "console"))
    for picture in ET.fromstring(f"<both>{drawn}</both>"):
        holds_them(picture, going)


def holds_them(root: ET.Element, going: dict[date, int]) -> None:
    """One of the two pictures has each session once, inside itself."""
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert all(0 <= float(one.attrib["x"]) < width for one in root.iter("text"))
    assert all(0 <= float(one.attrib["y"]) <= height for one in root.iter("text"))
    cells = [one.text or "" for one in root.iter("title")][1:]
    days = {date.fromisoformat(cell[:10]): int(cell.split(": ")[1]) for cell in cells}
    said = [one.text or "" for one in root.iter("text")]
    bars = said[said.index("After these six weeks") + 1 :]
    later: Counter[str] = Counter()
    for day, count in going.items():
        if day not in days:
            later[str(day.year)] += count

    assert 42 == len(days)
    assert {day: count for day, count in going.items() if day in days} == {
        day: count for day, count in days.items() if count
    }
    assert (["Nothing"] if not later else [
        word for year in sorted(later) for word in (year, str(later[year]))
    ]) == bars  # fmt: skip


def test_today_is_marked_once() -> None:
    """In the week that it is in, in either picture."""
    assert 2 == calendar({}, TODAY, words("en", "console")).count('class="today"')
