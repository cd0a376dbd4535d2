"""Counts as bars, drawn as SVG by pygal: a picture that asks nobody for anything and runs nothing.

The same counts give the same bytes. The most frequent come first; what is rarer is one bar.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

_MOST: Final = 15
_SCRIPT: Final = re.compile(r"<script.*?</script>", re.DOTALL)  # pygal's settings, for its script


def bars(title: str, counter: Counter[str]) -> str:
    """A plot of counts.

    Raises:
        ModuleNotFoundError: the extra `training` is not installed.
    """
    import pygal
    from pygal.style import CleanStyle

    ordered = sorted(counter.items(), key=lambda one: (-one[1], one[0]))
    shown = ordered[:_MOST]
    if rest := sum(count for _, count in ordered[_MOST:]):
        shown.append(("all others", rest))
    chart = pygal.HorizontalBar(
        title=title,
        style=CleanStyle(font_family="sans-serif"),
        js=[],  # pygal's own asks a public host for a script
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        print_values=True,
        height=120 + 28 * max(1, len(shown)),
        no_data_text="none",
    )
    chart.x_labels = [name[:40] for name, _ in reversed(shown)]
    chart.add(title, [count for _, count in reversed(shown)])
    return _SCRIPT.sub("", str(chart.render(is_unicode=True)))
