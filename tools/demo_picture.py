"""Draws the demo: the steps that `bailee demo` prints, and the table of what is kept until when.

Its text is README.md's, whose example is run by the tests and compared with what is printed; so
the picture can't show what does not happen. It is one SVG that asks no other host for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Final

MARK: Final = "✓ "
_BLOCK: Final = re.compile(r"^```console\n\$ (bailee demo)\n(.*?)^```", re.M | re.S)
_TABLE: Final = "kept until"
_LINE, _PAD, _LETTER = 19, 22, 7.85  # pixels: between lines, around all, the width of a letter


def lines(readme: str) -> list[str]:
    """The command, each step, the table of what is kept, and the last word, in their order.

    Raises `ValueError` where the README does not show the demo.
    """
    found = _BLOCK.search(readme)
    if found is None:
        raise ValueError("README.md does not show `bailee demo`")
    return [f"$ {found[1]}", *_chosen(found[2].splitlines())]


def _chosen(printed: list[str]) -> Iterator[str]:
    inside = False
    for line in printed:
        inside = line.startswith(" ") and (inside or _TABLE in line)
        if inside or not line.startswith(" "):
            yield line


def render(readme: str) -> str:
    """The picture, as SVG; ends with a newline."""
    shown = lines(readme)
    width = round(max(map(len, shown)) * _LETTER) + 2 * _PAD
    height = len(shown) * _LINE + 2 * _PAD
    rows = "\n".join(
        f'<text x="{_PAD}" y="{_PAD + number * _LINE + 14}">{_row(line)}</text>'
        for number, line in enumerate(shown)
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>What bailee demo prints, shortened</title>
<style>
text {{ font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  fill: #e6edf3; white-space: pre }}
.quiet {{ fill: #9da7b3 }}
.well {{ fill: #56d364; font-weight: bold }}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>
{rows}
</svg>
"""


def _row(line: str) -> str:
    if line.startswith(MARK):
        return f'<tspan class="well">{MARK}</tspan>{escape(line.removeprefix(MARK))}'
    if line.startswith(" "):
        return f'<tspan class="quiet">{escape(line)}</tspan>'
    return f'<tspan class="well">{escape(line)}</tspan>'
