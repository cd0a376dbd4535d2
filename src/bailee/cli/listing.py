"""`bailee --help`: every command with its line, without the library that reads command lines, which
takes several times as long to import as the rest of this. Pure but for the terminal's width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

WHAT: Final = "The self-hostable data plane for coding agents."
OPTIONS: Final = {
    "--version": "Show the version.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Show completion for the current shell, to copy it or customize the "
    "installation.",
    "-h, --help": "Show this message and exit.",
}
_WIDEST: Final = 80
_NARROWEST: Final = 50


def help_of(commands: Mapping[str, str], columns: int) -> str:
    """The text, for a terminal of so many columns. `commands`: a line for each name."""
    width = max(_NARROWEST, min(_WIDEST, columns))
    parts = [
        "Usage: bailee [OPTIONS] COMMAND [ARGS]...\n",
        f"  {WHAT}\n",
        "Options:",
        *_listed(OPTIONS, width),
        "\nCommands:",
        *_listed(commands, width),
    ]
    return "\n".join(parts) + "\n"


def _listed(lines: Mapping[str, str], width: int) -> Iterator[str]:
    first = 4 + max(map(len, lines))
    for name, line in lines.items():
        made = f"  {name}".ljust(first)
        for word in line.split():
            if len(made) + len(word) + 1 > width and made.strip():
                yield made
                made = " " * first
            made += word if len(made) == first else f" {word}"
        yield made
