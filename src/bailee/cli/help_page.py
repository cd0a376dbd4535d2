"""What helps say, and how that is set in lines, without the library that reads command lines, which
takes several times as long to import as the rest of this.

A command's help stands in `help.jsonl`, made by `make docs` from the commands themselves; that of
`bailee` is made of its commands' lines. However a help is come by, it is set in lines here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypedDict

WHAT: Final = "The self-hostable data plane for coding agents."
OPTIONS: Final = {
    "--version": "Show the version.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Show completion for the current shell, to copy it or customize the "
    "installation.",
    "-h, --help": "Show this message and exit.",
}
PREPARED: Final = Path(__file__).with_name("help.jsonl")
_WIDEST: Final = 80
_NARROWEST: Final = 50
_WIDEST_NAME: Final = 30


class HelpPage(TypedDict):
    """What one help says. `words`: how its command is called, after `bailee`. The parameters and
    the commands below it are pairs, of a name and its text. `examples` are lines to be typed.
    """

    words: Sequence[str]
    usage: str
    paragraphs: Sequence[str]
    arguments: Sequence[Sequence[str]]
    options: Sequence[Sequence[str]]
    commands: Sequence[Sequence[str]]
    examples: Sequence[str]


def first_page(commands: Mapping[str, str]) -> HelpPage:
    """What `bailee --help` says. `commands`: a line for each name."""
    return HelpPage(
        words=(),
        usage="[OPTIONS] COMMAND [ARGS]...",
        paragraphs=(WHAT,),
        arguments=(),
        options=tuple(OPTIONS.items()),
        commands=tuple(commands.items()),
        examples=(),
    )


def as_line(page: HelpPage) -> str:
    """How a help stands in the file."""
    return json.dumps(page) + "\n"


def page_of(words: Sequence[str]) -> HelpPage | None:
    """What the help of a command says, by its words after `bailee`; None: there is no such one."""
    begins = json.dumps({"words": [*words]})[:-1] + ","
    with PREPARED.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith(begins):
                page: HelpPage = json.loads(line)
                return page
    return None


def columns() -> int:
    """How wide the terminal is: 80 where nothing says it."""
    try:
        if (said := int(os.environ.get("COLUMNS", "0"))) > 0:
            return said
    except ValueError:
        pass
    try:
        return os.get_terminal_size().columns or _WIDEST
    except OSError:
        return _WIDEST


def set_in_lines(page: HelpPage, columns: int) -> str:
    """The text of a help for a terminal of so many columns, without an end of its last line. Words
    stay whole.
    """
    width = max(_NARROWEST, min(_WIDEST, columns))
    usage = f"{' '.join(page['words'])} {page['usage']}"
    made = [*_wrapped(usage, width, "Usage: bailee ", " " * 11)]
    for paragraph in page["paragraphs"]:
        made += ["", *_wrapped(paragraph, width, "  ", "  ")]
    for heading, rows in (
        ("Arguments", page["arguments"]),
        ("Options", page["options"]),
        ("Commands", page["commands"]),
    ):
        if rows:
            made += ["", f"{heading}:", *_listed(rows, width)]
    if page["examples"]:
        made += ["", "Examples:", *(f"  {line}" for line in page["examples"])]
    return "\n".join(made)


def _listed(rows: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    """Each name with its text beside it, or below one that is too long for that."""
    pairs = [(f"  {name}", text) for name, text in rows]
    beside = [len(name) for name, _ in pairs if len(name) <= 2 + _WIDEST_NAME]
    indent = " " * (2 + max(beside, default=_WIDEST_NAME))
    for name, text in pairs:
        if not text or len(name) > 2 + _WIDEST_NAME:
            yield name
        if text:
            start = indent if len(name) > 2 + _WIDEST_NAME else name.ljust(len(indent))
            yield from _wrapped(text, width, start, indent)


def _wrapped(text: str, width: int, start: str, indent: str) -> Iterator[str]:
    """The words of a text in lines, the first of them after `start`, the others after `indent`."""
    line, empty = start, True
    for word in text.split():
        if not empty and len(line) + 1 + len(word) > width:
            yield line
            line, empty = indent, True
        line += word if empty else f" {word}"
        empty = False
    yield line
