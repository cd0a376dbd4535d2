"""The arrows of one machine as a picture of text. Pure.

Drawn from the flows and from nothing else, so it can't say what they don't. No line is wider than
`width`; what is too long is wrapped. Widths are those of `unicodedata`, so Chinese labels line up.

Rows: D5, S7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bailee.client.flows import FlowState
from bailee.policy.document import Language
from bailee.shown import columns
from bailee.words import words

_MIN: Final = 50
_GAP: Final = 2


def draw(
    flows: Sequence[FlowState], stays: Sequence[str], width: int = 96, language: Language = "en"
) -> str:
    """A box for this machine with one line for each flow; `stays`: what is kept here."""
    said = words(language, "terminal")
    off, kept = said("flows.picture_off"), said("flows.picture_stays")
    width = max(width, _MIN)
    label = max(columns(flow.label) for flow in flows)
    inner = label + 2 * _GAP
    arrow_on, arrow_off = "──────▶ ", "──╳     "
    room = width - inner - 2 - len(arrow_on)
    lines = [f"┌{_titled(said('flows.picture_here'), inner)}┐"]
    for flow in flows:
        name = flow.label + " " * (label - columns(flow.label))
        arrow = arrow_on if flow.on else arrow_off
        edge = "├" if flow.on else "│"
        told = flow.destination if flow.on else f"{off}{flow.decided_by}"
        first, *rest = wrapped(told, room)
        lines.append(f"│{' ' * _GAP}{name}{' ' * _GAP}{edge}{arrow}{first}")
        lines += [f"│{' ' * inner}│{' ' * len(arrow_on)}{more}" for more in rest]
    lines.append(f"└{'─' * inner}┘")
    for line in stays:
        first, *rest = wrapped(line, width - 2 - columns(kept))
        lines += [f"  {kept}{first}", *(f"  {' ' * columns(kept)}{more}" for more in rest)]
    return "\n".join(lines)


def wrapped(text: str, room: int) -> list[str]:
    """The text in lines of at most `room` columns, cut at spaces where there are any."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and columns(line) + 1 + columns(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
        while columns(line) > room:
            cut = 1
            while columns(line[: cut + 1]) <= room:
                cut += 1
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line] if line or not lines else lines


def cut(text: str, room: int) -> str:
    """The start of a text, in at most `room` columns."""
    while columns(text) > room:
        text = text[:-1]
    return text


def _titled(title: str, inner: int) -> str:
    text = cut(f" {title} ", inner)
    return text + "─" * (inner - columns(text))
