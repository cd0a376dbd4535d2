"""The wall in front of every terminal that rich writes to.

Rules kept here:

* A string is text: what stands in brackets is no markup, and `:name:` no picture.
* Whatever is drawn, its characters pass `shown.lines`. What rich itself tells the terminal
  (colours, the cursor of a live display) is told beside them, and is no part of a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from bailee.shown import lines


class PlainConsole(Console):
    """A console to which strings are text: without markup, and with nothing that a terminal obeys
    but what rich itself puts there.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as text, before rich drops what it takes for control codes."""
        return super().render_str(lines(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of something, as text; rich's own control codes stay."""
        for segment in super().render(renderable, options):
            safe = segment.text if segment.control else lines(segment.text)
            yield segment if safe == segment.text else Segment(safe, segment.style)
