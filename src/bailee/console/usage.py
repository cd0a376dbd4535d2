"""The pages of what was used of models: a person's own, an organisation's, and everybody's.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from bailee.console import plots
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates, drawn
from bailee.console.parts import Parts
from bailee.console.plots import PlotWords
from bailee.money import dollars
from bailee.operations import usage
from bailee.operations.usage import UsageReport
from bailee.usage.counts import UsageRow

_WHERE: Final = ("channel", "upstream", "key")
_BY: Final[Mapping[str, Sequence[str]]] = {
    "own": ("day", "model", "client", "channel", "key"),
    "organisation": ("day", "person", "model", "client", "channel", "key"),
    "everybody": ("day", "person", "organisation", "model", "client", *_WHERE),
}
"""By what each page can be asked for; the first unless one is named."""


class UsagePages:
    """The handlers of usage, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests; all it shows comes from operations.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._do = parts.do
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """What who asks has used this month; of the operator, what everybody has."""
        return self._shown(ask, None, "everybody" if ask.visitor.operator else "own", "/usage")

    def organisation(self, ask: Ask) -> Response:
        """What an organisation's people have used."""
        of = ask.path["organisation"]
        return self._shown(ask, of, "organisation", f"/organisations/{of}/usage")

    def _shown(self, ask: Ask, of: str | None, whose: str, address: str) -> Response:
        choices = _BY[whose]
        by = ask.query.get("by", "")
        if by not in choices:
            by = choices[0]
        found = self._do(ask, usage.show, by=(by,), of=of)
        limits = self._do(ask, usage.limits, of)
        return self._frame.page(
            ask,
            "usage.html",
            here="usage",
            whose=whose,
            address_of=address,
            by=by,
            choices=choices,
            found=found,
            total=_total(found),
            limits=limits,
            picture=_picture(ask, found, by),
            dollars=dollars,
        )


def _total(found: UsageReport) -> Mapping[str, int]:
    names = ("requests", "refused", "errors", "cost_micro_usd", "unpriced", "estimated")
    sums = {name: sum(int(getattr(row, name)) for row in found.rows) for name in names}
    return sums | {"tokens": sum(map(_tokens, found.rows))}


def _tokens(row: UsageRow) -> int:
    return (
        row.input_tokens
        + row.output_tokens
        + row.cache_read_tokens
        + row.cache_write_5m_tokens
        + row.cache_write_1h_tokens
    )


def _picture(ask: Ask, found: UsageReport, by: str) -> object:
    words = ask.words
    said = PlotWords("usage", words("usage.picture"), words("usage.picture_what"))
    none = words("usage.nobody")
    amounts = {row.group[by] or none: float(_tokens(row)) for row in found.rows}
    return drawn(plots.bars(amounts, said))
