"""A diagram of boxes in three lanes as SVG: places, lines, and text in lines that fit. Pure.

Two layouts of the same boxes: lanes side by side for a wide page, one below the other for a narrow
one. Widths of text are estimated from its characters, generously, since no font is known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final, Literal

Layout = Literal["wide", "narrow"]


@dataclass(frozen=True, slots=True)
class Box:
    """A box: a name and lines under it. `kind` is a class for the style."""

    key: str
    name: str
    lines: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """All that the diagram says. `machine`: the agent, then what else is there. `service`: boxes
    with the keys gateway, policy, vault, keyring, ledger, and taken or not_taken for what comes
    from `beside`. `work`: what agent and gateway exchange; `steps`: on the arrows down the service.
    """

    title: str
    description: str
    lanes: tuple[str, str, str]
    machine: Sequence[Box]
    service: Sequence[Box]
    models: Sequence[Box]
    work: tuple[str, ...]
    same: str
    steps: tuple[str, str, str, str]


def drawn(story: Story, layout: Layout) -> str:
    """One `<svg>` element, ended by a newline."""
    return _Drawing(story, layout).svg()


_PAD: Final = 14.0
_GAP: Final = 34.0
_LANE_GAP: Final = 56.0
_LINE: Final = 18.0
_LANE_HEAD: Final = 40.0
_RAILS: Final = 16.0
# Where lanes are, as x and width.
_WIDE: Final = ((0.0, 284.0), (396.0, 320.0), (828.0, 232.0))
_WIDE_TOTAL: Final = 1060.0
_NARROW_TOTAL: Final = 380.0


@dataclass(frozen=True, slots=True)
class _Placed:
    """A box with its place, and its text in lines that fit."""

    box: Box
    x: float
    y: float
    width: float
    height: float
    name: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


class _Drawing:
    """Boxes given places, and lines between them. Made for one picture; nobody changes it
    afterwards.
    """

    def __init__(self, story: Story, layout: Layout) -> None:
        self.story = story
        self.layout = layout
        self.rails = 0.0 if layout == "wide" else _RAILS
        self.lanes: list[tuple[str, tuple[float, float, float, float]]] = []
        self.placed: dict[str, _Placed] = {}
        if layout == "wide":
            self.width = _WIDE_TOTAL
            self.height = self._side_by_side()
        else:
            self.width = _NARROW_TOTAL
            self.height = self._below_one_another()

    def svg(self) -> str:
        mark = f"flow-{self.layout}"
        parts = [
            f'<svg class="flow-diagram {self.layout}" xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-labelledby="{mark}-title" aria-describedby="{mark}-text">',
            f'<title id="{mark}-title">{escape(self.story.title)}</title>',
            f'<desc id="{mark}-text">{escape(self.story.description)}</desc>',
        ]
        for name, place in self.lanes:
            parts.append(_rectangle("lane", place, 10))
            parts.append(_text("lane-name", place[0] + _PAD + self.rails, place[1] + 25, name))
        parts += self._edges()
        for one in self.placed.values():
            parts += _shown(one)
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _side_by_side(self) -> float:
        story = self.story
        boxes = (story.machine, story.service, story.models)
        lanes = zip(story.lanes, boxes, _WIDE, strict=True)
        return max(self._lane(name, inside, place, 0) for name, inside, place in lanes)

    def _below_one_another(self) -> float:
        story, place = self.story, (0.0, _NARROW_TOTAL)
        agent, *others = story.machine
        machine, service, models = story.lanes
        end = self._lane(machine, [*others, agent], place, 0)
        end = self._lane(service, story.service, place, end + _LANE_GAP)
        return self._lane(models, story.models, place, end + _LANE_GAP)

    def _lane(self, name: str, boxes: Sequence[Box], place: tuple[float, float], y: float) -> float:
        """Put boxes below one another, in a lane at `place` (x and width); where the lane ends."""
        x, width = place
        margin = _PAD + self.rails
        at = y + _LANE_HEAD
        for box in boxes:
            placed = _placed(box, x + margin, at, width - 2 * margin)
            self.placed[box.key] = placed
            at += placed.height + _GAP
        end = at - _GAP + _PAD
        self.lanes.append((name, (x, y, width, end - y)))
        return end

    def _edges(self) -> Iterator[str]:
        story, at = self.story, self.placed
        gateway, wide = at["gateway"], self.layout == "wide"
        models = [at[box.key] for box in story.models]
        receivers = [at[key] for key in ("taken", "not_taken") if key in at]
        if wide:
            yield from _across(at["agent"], gateway, story.work, both=True)
        else:
            yield from _down(at["agent"], gateway, story.work, both=True)
        for number, model in enumerate(models):
            if wide:
                said = (story.same,) if number == 0 else ()
                yield from _across(gateway, model, said, both=True)
            else:
                yield from _rail(gateway, model, self.width - 14, both=True)
        for one in receivers:
            quiet = one.box.key == "not_taken"
            if wide:
                yield from _across(at["beside"], one, (), quiet=quiet)
            else:
                yield from _rail(at["beside"], one, 14, quiet=quiet)
        chain = [at[key] for key in ("gateway", "policy", "vault", "keyring", "ledger")]
        for (upper, lower), step in zip(pairwise(chain), story.steps, strict=True):
            yield from _down(upper, lower, (step,))


def _placed(box: Box, x: float, y: float, width: float) -> _Placed:
    room = width - 2 * _PAD
    name = tuple(_wrapped(box.name, room, 14.0 * 1.08))
    lines = tuple(tuple(_wrapped(line, room, 13.0)) for line in box.lines)
    rows = len(name) + sum(len(one) for one in lines)
    return _Placed(box, x, y, width, rows * _LINE + 2 * _PAD - 4, name, lines)


def _shown(one: _Placed) -> Iterator[str]:
    place = (one.x, one.y, one.width, one.height)
    yield _rectangle(f"box {one.box.kind}".strip(), place, 6)
    at = one.y + _PAD + 11
    for text in one.name:
        yield _text("name", one.x + _PAD, at, text)
        at += _LINE
    for line in one.lines:
        for text in line:
            yield _text("line", one.x + _PAD, at, text)
            at += _LINE


def _across(
    left: _Placed, right: _Placed, said: Sequence[str], *, both: bool = False, quiet: bool = False
) -> Iterator[str]:
    """An arrow from one lane to the next, with words above it."""
    start, end = left.x + left.width, right.x
    from_y = left.y + min(left.height / 2, 40)
    to_y = from_y if right.y + 8 < from_y < right.y + right.height - 8 else right.y + 30
    middle = (start + end) / 2
    yield _line(f"M{start:g} {from_y:g}H{middle:g}V{to_y:g}H{end:g}", quiet=quiet)
    yield _head(end, to_y, "right", quiet=quiet)
    if both:
        yield _head(start, from_y, "left", quiet=quiet)
    rows = [row for text in said for row in _wrapped(text, end - start - 8, 12.0)]
    for number, row in enumerate(reversed(rows)):
        yield _text("said", middle, from_y - 10 - 15 * number, row, "middle")


def _down(
    upper: _Placed, lower: _Placed, said: Sequence[str], *, both: bool = False
) -> Iterator[str]:
    """An arrow to a box below, with words beside it, no further than the boxes reach."""
    x, right = upper.x + min(upper.width / 2, 60), upper.x + upper.width
    start, end = upper.y + upper.height, lower.y
    yield _line(f"M{x:g} {start:g}V{end:g}")
    yield _head(x, end, "down")
    if both:
        yield _head(x, start, "up")
    # Between two lanes the words stand in the gap, clear of the lower lane's name.
    rows = list(_wrapped(" · ".join(said), right - x - 12, 12.0))
    at = (start + end) / 2 + (-6 if both else 4) - 7.5 * (len(rows) - 1)
    for number, row in enumerate(rows):
        yield _text("said", x + 12, at + 15 * number, row)


def _rail(
    start: _Placed, end: _Placed, x: float, *, both: bool = False, quiet: bool = False
) -> Iterator[str]:
    """An arrow along the edge of the picture."""
    right = x > start.x + start.width / 2
    from_x = start.x + start.width if right else start.x
    to_x = end.x + end.width if right else end.x
    from_y, to_y = start.y + start.height / 2, end.y + end.height / 2
    inwards = "left" if right else "right"
    yield _line(f"M{from_x:g} {from_y:g}H{x:g}V{to_y:g}H{to_x:g}", quiet=quiet)
    yield _head(to_x, to_y, inwards, quiet=quiet)
    if both:
        yield _head(from_x, from_y, inwards, quiet=quiet)


def _rectangle(kind: str, place: tuple[float, float, float, float], corner: float) -> str:
    x, y, width, height = place
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'rx="{corner:g}"/>'
    )


def _text(kind: str, x: float, y: float, text: str, anchor: str = "") -> str:
    place = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{place}>{escape(text)}</text>'


def _line(path: str, *, quiet: bool = False) -> str:
    return f'<path class="edge{" quiet" if quiet else ""}" d="{path}"/>'


def _head(x: float, y: float, direction: str, *, quiet: bool = False) -> str:
    along, across = 8, 4.5
    points = {
        "right": ((x, y), (x - along, y - across), (x - along, y + across)),
        "left": ((x, y), (x + along, y - across), (x + along, y + across)),
        "down": ((x, y), (x - across, y - along), (x + across, y - along)),
        "up": ((x, y), (x - across, y + along), (x + across, y + along)),
    }[direction]
    listed = " ".join(f"{px:g},{py:g}" for px, py in points)
    return f'<polygon class="head{" quiet" if quiet else ""}" points="{listed}"/>'


def _advance(character: str) -> float:
    """About how wide a character is, in ems; rather too wide than too narrow."""
    if ord(character) >= 0x2E80:
        return 1.0
    if character in "mwMW@":
        return 0.88
    if character in "iljtfI.,:;'|!()[] /":
        return 0.36
    return 0.66 if character.isupper() else 0.57


def _wide(text: str, size: float) -> float:
    return sum(_advance(one) for one in text) * size


def _wrapped(text: str, room: float, size: float) -> Iterator[str]:
    """The text in lines no wider than `room`; a word that is too long is broken."""
    line = ""
    for piece in _pieces(text):
        if line and _wide(line + piece.rstrip(), size) > room:
            yield line.rstrip()
            line = ""
        rest = piece
        while _wide(rest.rstrip(), size) > room:
            fits = max(1, _fitting(rest, room, size))
            yield rest[:fits]
            rest = rest[fits:]
        line += rest
    yield line.rstrip()


def _fitting(text: str, room: float, size: float) -> int:
    """How many characters of the text fit."""
    return max((n for n in range(len(text) + 1) if _wide(text[:n], size) <= room), default=0)


def shortened(text: str, room: float, size: float) -> str:
    """The text, with an ellipsis where it would go on beyond `room` in letters of `size` pixels."""
    if _wide(text, size) <= room:
        return text
    return text[: _fitting(text, room - size, size)] + "…"


def _pieces(text: str) -> Iterator[str]:
    """The parts that stay together: a line may end after a space, a hyphen, a dot or a slash, and
    before a wide character that is no stop.
    """
    piece = ""
    for character in text:
        wide = ord(character) >= 0x2E80 and character not in "，。、：；）！？"
        if piece and (wide or (piece[-1] in " -./" and character not in " -./")):
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece
