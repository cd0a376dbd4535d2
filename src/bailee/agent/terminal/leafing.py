"""A long text, page by page: all of it can be seen, and it is said how much there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bailee.shown import columns
from bailee.shown import lines as visible
from bailee.words import Words

_ROWS: Final = 20
_STYLES: Final = {"+": "fg:ansigreen", "-": "fg:ansired"}
_BACK: Final = frozenset({"up", "left", "pageup", "c-b"})
_LEAVES: Final = frozenset({"escape", "c-c", "c-d"})


@dataclass(slots=True)
class Leafing:
    """A `screen.ScreenPage`. Past its last page, it is done; Escape leaves it earlier. No line is
    cut: one that is wider than the page goes on in the next.
    """

    text: str
    words: Words
    diff: bool = False
    done: bool = False
    at: int = 0
    _pages: int = 1

    def press(self, key: str) -> None:
        """See `screen.ScreenPage`."""
        if key in _LEAVES:
            self.done = True
        elif key in _BACK:
            self.at = max(0, self.at - 1)
        elif self.at + 1 < self._pages:
            self.at += 1
        else:
            self.done = True

    def type(self, text: str) -> None:
        """See `screen.ScreenPage`: Space goes on, b back, q leaves."""
        self.press({"b": "up", "q": "escape"}.get(text, "down"))

    def lines(self, width: int) -> list[tuple[str, str]]:
        """See `screen.ScreenPage`."""
        made = [
            (_STYLES.get(line[:1], "") if self.diff else "", piece)
            for line in visible(self.text).split("\n")
            for piece in _pieces(line, width)
        ]
        self._pages = -(-len(made) // _ROWS)
        self.at = min(self.at, self._pages - 1)
        where = self.words("page.keys", number=self.at + 1, pages=self._pages)
        return [*made[self.at * _ROWS : (self.at + 1) * _ROWS], ("bold", where[:width])]


def _pieces(line: str, width: int) -> Iterator[str]:
    """A line in pieces that fit."""
    while columns(line) > width:
        end = min(width, len(line))
        while end > 1 and columns(line[:end]) > width:
            end -= 1
        yield line[:end]
        line = line[end:]
    yield line
