"""How answers were distributed over time, as a picture: a bar a week, a piece an answer.

The same numbers stand in a table below it; a piece's title says them. A week in which something is
not shown has no pieces, only an outline, so that no length gives a count away. It is drawn
twice, for a desk and for a phone 400 pixels wide; the style sheet shows one. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.shown import html_text as escape
from bailee.words import Words

_WIDTHS: Final = {"wide": 860.0, "narrow": 400.0}
_HEIGHT: Final = 260.0
_TOP: Final = 34.0
_LEFT: Final = 48.0
_BOTTOM: Final = 28.0
_WIDEST: Final = 64.0
_MOST: Final = 52


@dataclass(frozen=True, slots=True)
class WeekShares:
    """A week by its Monday: a count for each answer and the total; None: not shown."""

    monday: str
    counts: Mapping[str, int | None]
    total: int | None


def shares(weeks: Sequence[WeekShares], answers: Sequence[tuple[str, str]], words: Words) -> str:
    """Two `<svg>` of the last year. `answers`: each with what it is called."""
    return "".join(_shares(weeks[-_MOST:], answers, words, kind) for kind in _WIDTHS)


def _shares(
    shown: Sequence[WeekShares], answers: Sequence[tuple[str, str]], words: Words, kind: str
) -> str:
    all_of_it = _WIDTHS[kind]
    room = (all_of_it - _LEFT) / max(1, len(shown))
    width = min(_WIDEST, room * 0.8)
    tall = _HEIGHT - _TOP - _BOTTOM
    parts = [
        f'<svg class="shares {kind}" viewBox="0 0 {all_of_it:g} {_HEIGHT:g}" role="img" '
        f'aria-labelledby="shares-{kind}">',
        f'<title id="shares-{kind}">{escape(words("survey.picture"))}</title>',
        *_legend(answers),
    ]
    for share in (0, 50, 100):
        y = _TOP + tall * (1 - share / 100)
        parts.append(
            f'<line class="axis" x1="{_LEFT:g}" x2="{all_of_it:g}" y1="{y:g}" y2="{y:g}"/>'
            f'<text x="{_LEFT - 8:g}" y="{y + 4:g}" text-anchor="end">{share}%</text>'
        )
    every = -(-len(shown) // round(all_of_it / 70))
    for number, week in enumerate(shown):
        x = _LEFT + number * room + (room - width) / 2
        parts += _bar(week, answers, (x, width, tall), words)
        if number % every == 0:
            parts.append(
                f'<text x="{x + width / 2:g}" y="{_HEIGHT - 8:g}" text-anchor="middle">'
                f"{escape(week.monday[5:])}</text>"
            )
    return "".join([*parts, "</svg>"])


def _legend(answers: Sequence[tuple[str, str]]) -> list[str]:
    parts, x = [], _LEFT
    for number, (_, name) in enumerate(answers):
        parts.append(
            f'<rect class="share{number}" x="{x:g}" y="4" width="14" height="14" rx="3"/>'
            f'<text x="{x + 20:g}" y="16">{escape(name)}</text>'
        )
        x += 44 + 13.0 * len(name)
    return parts


def _bar(
    week: WeekShares,
    answers: Sequence[tuple[str, str]],
    place: tuple[float, float, float],
    words: Words,
) -> list[str]:
    x, width, tall = place
    counts = [week.counts.get(answer) for answer, _ in answers]
    if week.total is None or any(count is None for count in counts):
        hidden = escape(words("survey.hidden"))
        return [
            f'<rect class="unshown" x="{x:g}" y="{_TOP:g}" width="{width:g}" height="{tall:g}">'
            f"<title>{week.monday}: {hidden}</title></rect>"
        ]
    parts, y = [], _TOP + tall
    for number, ((_, name), count) in enumerate(zip(answers, counts, strict=True)):
        if not count or not week.total:
            continue
        height = tall * count / week.total
        y -= height
        title = escape(f"{week.monday}, {name}: {count} ({count * 100 / week.total:.0f}%)")
        parts.append(
            f'<rect class="share{number}" x="{x:g}" y="{y:g}" width="{width:g}" '
            f'height="{height:g}"><title>{title}</title></rect>'
        )
        if height >= 16 and width >= 20:
            parts.append(
                f'<text class="amount share{number}" x="{x + width / 2:g}" '
                f'y="{y + height / 2 + 4:g}" text-anchor="middle">{count}</text>'
            )
    return parts
