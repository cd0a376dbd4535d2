"""What goes when, as a picture: the next six weeks day by day, then year by year. Pure.

The same numbers stand in a table below it; a cell's title says day and number. Colours come from
the style sheet's classes. It is drawn twice, for a desk and for a phone 400 pixels wide, where the
years stand below the weeks; the style sheet shows one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from bailee.shown import html_text as escape
from bailee.words import Words

_WEEKS: Final = 6
_CELL: Final = 46.0
_GAP: Final = 4.0
_LEFT: Final = 84.0
_TOP: Final = 26.0
_WEEKS_WIDTH: Final = _LEFT + 7 * (_CELL + _GAP)
_WIDTH: Final = 860.0
_YEAR: Final = 34.0


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """How many sessions go on a day."""

    on: date
    sessions: int


def calendar(going: Mapping[date, int], today: date, words: Words) -> str:
    """Two `<svg>`: weeks from the one of `today`, and a bar for each year with what goes later."""
    return "".join(_calendar(going, today, words, narrow=narrow) for narrow in (False, True))


def _calendar(going: Mapping[date, int], today: date, words: Words, *, narrow: bool) -> str:
    monday = today - timedelta(days=today.weekday())
    days = [monday + timedelta(days=number) for number in range(7 * _WEEKS)]
    most = max((going.get(day, 0) for day in days), default=0)
    tall = _TOP + _WEEKS * (_CELL + _GAP) + 6
    later = _later(going, days[-1])
    kind, width, height = "wide", _WIDTH, tall
    if narrow:
        kind, width, height = "narrow", _WEEKS_WIDTH, tall + _TOP + _YEAR * max(1, len(later))
    parts = [
        f'<svg class="calendar {kind}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="calendar-{kind}">',
        f'<title id="calendar-{kind}">{escape(words("retention.picture"))}</title>',
    ]
    for column, name in enumerate(words("retention.weekdays").split()):
        x = _LEFT + column * (_CELL + _GAP) + _CELL / 2
        parts.append(f'<text x="{x:g}" y="14" text-anchor="middle">{escape(name)}</text>')
    for number, day in enumerate(days):
        parts += _cell(number, day, going.get(day, 0), most, today)
    at = (_GAP, tall) if narrow else (_WEEKS_WIDTH + 70, 0.0)
    parts += _years(later, at, (width, height), words)
    return "".join([*parts, "</svg>"])


def _cell(number: int, day: date, sessions: int, most: int, today: date) -> list[str]:
    row, column = divmod(number, 7)
    x, y = _LEFT + column * (_CELL + _GAP), _TOP + row * (_CELL + _GAP)
    heat = 0 if not sessions else 1 + min(3, 4 * sessions // (most + 1))
    kind = f"bar heat{heat}" if heat else "cell"
    parts = []
    if column == 0:
        label = f"{day:%Y-%m-%d}"
        parts.append(f'<text x="{_LEFT - 10:g}" y="{y + 28:g}" text-anchor="end">{label}</text>')
    parts.append(
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{_CELL:g}" height="{_CELL:g}" rx="5">'
        f"<title>{day:%Y-%m-%d}: {sessions}</title></rect>"
    )
    if day == today:
        parts.append(
            f'<rect class="today" fill="none" x="{x - 1:g}" y="{y - 1:g}" width="{_CELL + 2:g}" '
            f'height="{_CELL + 2:g}" rx="6"/>'
        )
    if sessions:
        loud = " loud" if heat >= 3 else ""
        parts.append(
            f'<text class="amount{loud}" x="{x + _CELL / 2:g}" y="{y + 28:g}" '
            f'text-anchor="middle">{sessions}</text>'
        )
    return parts


def _later(going: Mapping[date, int], last: date) -> dict[int, int]:
    """What goes after a day, by year."""
    later: dict[int, int] = {}
    for day, sessions in going.items():
        if day > last:
            later[day.year] = later.get(day.year, 0) + sessions
    return later


def _years(
    later: Mapping[int, int], at: tuple[float, float], size: tuple[float, float], words: Words
) -> list[str]:
    """A bar for each year, from a corner of the picture on."""
    (left, top), (width, height) = at, size
    title = escape(words("retention.later"))
    parts = [f'<text x="{left:g}" y="{top + 14:g}">{title}</text>']
    if not later:
        nothing = escape(words("retention.nothing_later"))
        return [*parts, f'<text x="{left:g}" y="{top + _TOP + 20:g}">{nothing}</text>']
    most = max(later.values())
    room = width - left - 100
    step = min(_YEAR, (height - top - _TOP) / len(later))
    for number, year in enumerate(sorted(later)):
        y = top + _TOP + number * step
        length = max(3.0, room * later[year] / most)
        parts.append(
            f'<text x="{left:g}" y="{y + 15:g}">{year}</text>'
            f'<rect class="bar" x="{left + 44:g}" y="{y:g}" width="{length:g}" height="20" '
            f'rx="4"/><text x="{left + 52 + length:g}" y="{y + 15:g}">{later[year]}</text>'
        )
    return parts
