"""Plots as SVG, made on the server: lines, stacks, bars, and a trend in a row. Pure.

Rules kept here:

* A plot is drawn twice, for a desk and for a phone 400 pixels wide, and the style sheet shows one:
  so that its letters are as large as those around it on either, and nothing is beside the screen.
* A plot is read without a mouse and without colour: each line has its own dashes and its name at
  its end (on a phone below it), parts of a stack are named in the order in which they lie, and the
  same numbers stand in a table beside it.
* A plot has a title and a description, which say what a person would look for: from when to when,
  the least, the most, the last.
* A step without figures is a gap, not a zero. Colours are the style sheet's classes, so light and
  dark need no second picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from bailee.policy.drawing import shortened
from bailee.shown import html_text as escape

_TOP: Final = 14.0
_FOOT: Final = 30.0
_NAME_HEIGHT: Final = 15.0
_KEY_HEIGHT: Final = 19.0
_MOST_SERIES: Final = 6
_BOLD: Final = 12.0 * 1.25  # pixels: how large the letters of a name are, by their width


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What a plot is drawn on, in pixels. `right`: for names at its side, on a narrow one none:
    there they stand below. `ticks`: moments along the foot; `bar`: where bars begin.
    """

    name: str
    width: float
    left: float
    right: float
    ticks: int
    bar: float
    height: float = 250.0

    @property
    def room(self) -> float:
        """How wide it is between what stands at its sides."""
        return self.width - self.left - self.right

    def x(self, place: int, count: int) -> float:
        """Where a moment is: half a step from either side, so that columns have their width."""
        return self.left + self.room * (place + 0.5) / max(1, count)

    def y(self, value: float, top: float) -> float:
        """Where a value is."""
        return self.height - _FOOT - (self.height - _TOP - _FOOT) * min(1.0, value / top)


_WIDE: Final = _Sheet("wide", 760.0, 62.0, 132.0, 6, 190.0)
_NARROW: Final = _Sheet("narrow", 360.0, 66.0, 8.0, 3, 122.0)


def _twice(draw: Callable[[_Sheet], str]) -> str:
    return draw(_WIDE) + draw(_NARROW)


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one part of a stack: a value, or None, for each moment of the plot."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class PlotWords:
    """A plot's words: its title, its description, the unit behind its numbers."""

    key: str
    title: str
    description: str
    unit: str = ""


def lines(
    moments: Sequence[datetime],
    series: Sequence[Series],
    said: PlotWords,
    *,
    most: float | None = None,
) -> str:
    """Lines over time. `most`: where the scale ends, else where the values do."""
    shown = series[:_MOST_SERIES]
    values = [v for one in shown for v in one.values if v is not None]
    top = _ceiling(max(values, default=0.0) if most is None else most)
    return _twice(lambda sheet: _lines(sheet, moments, shown, said, top))


def _lines(
    sheet: _Sheet,
    moments: Sequence[datetime],
    shown: Sequence[Series],
    said: PlotWords,
    top: float,
) -> str:
    below = 0 if sheet.right > _KEY_HEIGHT else len(shown)
    parts = _frame(sheet, moments, top, said, below)
    ends: list[tuple[float, str]] = []
    for number, one in enumerate(shown, 1):
        places = [
            None if value is None else (sheet.x(place, len(moments)), sheet.y(value, top))
            for place, value in enumerate(one.values)
        ]
        parts.append(f'<path class="line series{number}" d="{_path(places)}"/>')
        for place, value in zip(places, one.values, strict=True):
            if place is not None and value is not None:
                parts.append(
                    f'<circle class="dot series{number}" cx="{place[0]:.1f}" cy="{place[1]:.1f}" '
                    f'r="2.6"><title>{escape(one.name)}: {_amount(value)}{said.unit}</title>'
                    "</circle>"
                )
        last = next((place for place in reversed(places) if place is not None), None)
        if last is not None:
            ends.append((last[1], one.name))
    names = {one.name: number for number, one in enumerate(shown, 1)}
    if not below:
        return _closed([*parts, *_end_names(sheet, ends, names)])
    for row, (name, number) in enumerate(names.items()):
        y = sheet.height + 6 + row * _KEY_HEIGHT
        parts.append(
            f'<path class="line series{number}" d="M{sheet.left:g} {y:g}h34"/>'
            f'<text class="name series{number}" x="{sheet.left + 44:g}" y="{y + 4:g}">'
            f"{escape(name)}</text>"
        )
    return _closed(parts)


def stack(moments: Sequence[datetime], series: Sequence[Series], said: PlotWords) -> str:
    """Columns over time, each of parts that add up."""
    shown = series[:_MOST_SERIES]
    sums = [sum(one.values[place] or 0 for one in shown) for place in range(len(moments))]
    top = _ceiling(max(sums, default=0.0))
    return _twice(lambda sheet: _stack(sheet, moments, shown, said, top))


def _stack(
    sheet: _Sheet,
    moments: Sequence[datetime],
    shown: Sequence[Series],
    said: PlotWords,
    top: float,
) -> str:
    aside = sheet.right > _KEY_HEIGHT
    parts = _frame(sheet, moments, top, said, 0 if aside else len(shown))
    width = max(1.5, sheet.room / max(1, len(moments)) * 0.72)
    for place in range(len(moments)):
        below = 0.0
        for number, one in enumerate(shown, 1):
            value = one.values[place] or 0
            if value:
                x = sheet.x(place, len(moments)) - width / 2
                y, foot = sheet.y(below + value, top), sheet.y(below, top)
                parts.append(
                    f'<rect class="part series{number}" x="{x:.1f}" y="{y:.1f}" '
                    f'width="{width:.1f}" height="{max(0.5, foot - y):.1f}">'
                    f"<title>{escape(one.name)}: {_amount(value)}{said.unit}</title></rect>"
                )
                below += value
    for row, (number, one) in enumerate(reversed(list(enumerate(shown, 1)))):
        # Named from the top, as they lie.
        x = sheet.width - sheet.right + 14 if aside else sheet.left
        y = (_TOP if aside else sheet.height) + 10 + row * _KEY_HEIGHT
        parts.append(
            f'<rect class="part series{number}" x="{x:g}" y="{y - 9:g}" width="10" height="10"/>'
            f'<text x="{x + 16:g}" y="{y:g}">{escape(one.name)}</text>'
        )
    return _closed(parts)


def bars(amounts: Mapping[str, float], said: PlotWords) -> str:
    """One bar for each name, the longest first."""
    shown = sorted(amounts.items(), key=lambda pair: -pair[1])[:12]
    return _twice(lambda sheet: _bars(sheet, shown, said))


def _bars(sheet: _Sheet, shown: Sequence[tuple[str, float]], said: PlotWords) -> str:
    height = 10 + 28.0 * max(1, len(shown))
    parts = [_opening(sheet, said, height)]
    most = max((amount for _, amount in shown), default=0) or 1
    left, room = sheet.bar, sheet.width - sheet.bar - (90 if sheet is _WIDE else 74)
    for row, (name, amount) in enumerate(shown):
        y = 6 + row * 28.0
        length = max(2.0, room * amount / most)
        parts.append(
            f'<text class="name" x="{left - 10:g}" y="{y + 14:g}" text-anchor="end">'
            f"{escape(shortened(name, left - 10, _BOLD))}</text>"
            f'<rect class="part series1" x="{left:g}" y="{y:g}" width="{length:.1f}" height="19" '
            'rx="3"/>'
            f'<text x="{left + length + 8:.1f}" y="{y + 14:g}">{_amount(amount)}{said.unit}</text>'
        )
    return _closed(parts)


def trend(counts: Sequence[int], description: str) -> str:
    """A small row of columns, for a table's cell."""
    width, height = 6.0 * len(counts), 24.0
    most = max(counts, default=0) or 1
    parts = [
        f'<svg class="trend" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(description)}">'
    ]
    for place, count in enumerate(counts):
        tall = max(1.0, 22 * count / most) if count else 1.0
        kind = "part" if count else "none"
        parts.append(
            f'<rect class="{kind}" x="{place * 6:g}" y="{height - tall:.1f}" width="4" '
            f'height="{tall:.1f}"/>'
        )
    return _closed(parts)


# -- inside ------------------------------------------------------------------------------------


def _opening(sheet: _Sheet, said: PlotWords, height: float) -> str:
    key = f"{said.key}-{sheet.name}"
    return (
        f'<svg class="plot {sheet.name}" viewBox="0 0 {sheet.width:g} {height:g}" role="img" '
        f'aria-labelledby="{key}-title {key}-what"><title id="{key}-title">'
        f'{escape(said.title)}</title><desc id="{key}-what">{escape(said.description)}</desc>'
    )


def _closed(parts: Sequence[str]) -> str:
    return "".join([*parts, "</svg>"])


def _frame(
    sheet: _Sheet, moments: Sequence[datetime], top: float, said: PlotWords, below: int
) -> list[str]:
    """`below`: how many names stand below it."""
    parts = [_opening(sheet, said, sheet.height + below * _KEY_HEIGHT)]
    for quarter in range(5):
        value = top * quarter / 4
        y = sheet.y(value, top)
        parts.append(
            f'<line class="rule" x1="{sheet.left:g}" x2="{sheet.width - sheet.right:g}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/><text x="{sheet.left - 8:g}" y="{y + 4:.1f}" '
            f'text-anchor="end">{_amount(value)}{said.unit}</text>'
        )
    for place in _ticks(len(moments), sheet.ticks):
        parts.append(
            f'<text x="{sheet.x(place, len(moments)):.1f}" y="{sheet.height - 8:g}" '
            f'text-anchor="middle">{_when(moments, place)}</text>'
        )
    return parts


def _ticks(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    # Of a few the outermost would hang over the side: they stand in the middle of their parts.
    parts = [place / (most - 1) for place in range(most)]
    if most < 6:
        parts = [(place + 0.5) / most for place in range(most)]
    return [round(part * (count - 1)) for part in parts]


def _when(moments: Sequence[datetime], place: int) -> str:
    span = (moments[-1] - moments[0]).total_seconds()
    at = moments[place]
    if span > 86_400 * 8:
        return f"{at:%m-%d}"
    return f"{at:%m-%d %H:%M}" if span > 80_000 else f"{at:%H:%M}"


def _path(places: Sequence[tuple[float, float] | None]) -> str:
    steps = []
    down = False
    for place in places:
        if place is None:
            down = False
            continue
        steps.append(f"{'L' if down else 'M'}{place[0]:.1f} {place[1]:.1f}")
        down = True
    return " ".join(steps)


def _end_names(
    sheet: _Sheet, ends: Sequence[tuple[float, str]], numbers: Mapping[str, int]
) -> list[str]:
    """Names at the lines' ends, moved apart where they would lie on each other."""
    placed = sorted(ends)
    ys = [y for y, _ in placed]
    for before, after in pairwise(range(len(ys))):
        ys[after] = max(ys[after], ys[before] + _NAME_HEIGHT)
    over = max(0.0, (ys[-1] if ys else 0) - (sheet.height - _FOOT))
    return [
        f'<text class="name series{numbers[name]}" x="{sheet.width - sheet.right + 10:g}" '
        f'y="{y - over + 4:.1f}">{escape(name)}</text>'
        for y, (_, name) in zip(ys, placed, strict=True)
    ]


def _ceiling(value: float) -> float:
    """The next round number, so that rules stand at round ones."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 2, 4, 5, 8, 10) if size * step >= value * 0.999)


def _amount(value: float) -> str:
    """A number for people: three digits, thousands as k, M, G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size * 0.9995:
            return f"{_digits(value / size)}{unit}"
    return _digits(value)


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
