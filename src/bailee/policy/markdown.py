"""The data-usage page as Markdown (CommonMark, with tables as GitHub has them)."""

from __future__ import annotations

import re
from typing import Final

from bailee.policy.document import Language
from bailee.policy.page import Grid, Items, PolicyPage

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#])")


def render(page: PolicyPage) -> str:
    """The whole page; ends with a newline."""
    out = [f"# {_plain(page.title)}", "", _plain(page.intro), ""]
    for section in page.sections:
        out += [f"## {_plain(section.title)}", ""]
        for block in section.blocks:
            if isinstance(block, Items):
                out += _items(block, page.language)
            elif isinstance(block, Grid):
                out += _grid(block)
            else:
                out += [_plain(block), ""]
    out += ["---", ""]
    for line in page.colophon:
        out += [_plain(line), ""]
    return "\n".join(out).rstrip("\n") + "\n"


def _items(block: Items, language: Language) -> list[str]:
    lines = [f"**{_plain(block.title)}**", ""] if block.title else []
    blank, opening, closing = (" ", " (", ")") if language == "en" else ("", "（", "）")
    for item in block.items:
        outcome = f"{blank}**{_plain(item.outcome)}**" if item.outcome else ""
        lines.append(f"- {_plain(item.text)}{outcome}{opening}`{item.id}`{closing}")
    return [*lines, ""]


def _grid(block: Grid) -> list[str]:
    lines = [f"**{_plain(block.caption)}**", "", _row(block.columns)]
    lines.append("|" + " --- |" * len(block.columns))
    lines += [_row(row) for row in block.rows]
    return [*lines, ""]


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is. Underscores within a word need no escape."""
    return _SPECIAL.sub(lambda found: _escape(found, text), text.replace("\n", " "))


def _escape(found: re.Match[str], text: str) -> str:
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    inside = before.isascii() and before.isalnum() and after.isascii() and after.isalnum()
    return found[0] if found[0] == "_" and inside else f"\\{found[0]}"
