"""On which line of a TOML document each value stands.

`tomli` says what a document holds but not where. This module walks the same text once more and
gives the line of every table, key and array element, so that a refusal can name it.

Rules kept here:

* The text has already been accepted by `tomli`. This is a walk over valid TOML, not a second
  opinion on what is valid.
* A path is the tuple of keys and array indexes that leads to a value in what `tomli` returned:
  `("retain", 0, "when", "plan")`. Every value has exactly one path, and every path a line: its own,
  or that of the nearest path around it, where an array or table stands on one line.

Standard: TOML 1.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import tomli

Path = tuple[str | int, ...]

_PLAIN_PAIR: Final = re.compile(  # most pairs of most documents, in one step
    r"([A-Za-z0-9_-]+)[ \t]*=[ \t]*(?:\"(?!\"\")[^\"\\\n]*\"|[A-Za-z0-9_.:+-]+)(?=[ \t]*[,}\n])"
)
_ON_ONE_LINE: Final = re.compile(  # an array or a table, without another in it
    r"[\[{](?:[^\[\]{}\"'#\n]+|\"(?!\"\")[^\"\\\n]*\"|'(?!'')[^'\n]*')*+[\]}]"
)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}\n#]+")
_BLANK: Final = re.compile(r"[ \t]*")
_BLANK_LINES: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BASIC: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL: Final = re.compile(r"'[^']*'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL)


def lines(text: str) -> dict[Path, int]:
    """The line (from 1) of each value in `text`, a document that `tomli` accepts; without those
    that have no line of their own.
    """
    return _Walk(text.replace("\r\n", "\n")).document()


def line_of(path: Path, found: Mapping[Path, int]) -> int:
    """The line of a value, of what `lines` found."""
    while path not in found:
        path = path[:-1]
    return found[path]


class _Walk:
    """One walk over one document: where it is, and which line each value was found on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {(): 1}
        self.arrays: dict[Path, int] = {}  # arrays of tables, with how many elements so far
        self.counted_to = 0
        self.line = 1

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while True:
            self.skip(_BLANK_LINES)
            if self.at >= len(self.text):
                return self.found
            if self.text.startswith("[[", self.at):
                table = self.header(2)
            elif self.text[self.at] == "[":
                table = self.header(1)
            else:
                self.pair(table)

    def header(self, brackets: int) -> Path:
        self.at += brackets
        keys = self.keys()
        self.at += brackets
        path: Path = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            last = depth == len(keys) - 1
            if last and brackets == 2:
                self.mark(path)
                self.arrays[path] = self.arrays.get(path, 0) + 1
            if path in self.arrays:
                path = (*path, self.arrays[path] - 1)
            self.mark(path)
        return path

    def pair(self, table: Path) -> None:
        if plain := _PLAIN_PAIR.match(self.text, self.at):
            self.mark((*table, plain[1]))
            self.at = plain.end()
            return
        path = table
        for key in self.keys():
            path = (*path, key)
            self.mark(path)
        self.at += 1  # the equals sign
        self.skip(_BLANK)
        self.value(path)

    def keys(self) -> list[str]:
        keys = []
        while True:
            self.skip(_BLANK)
            quote = self.text[self.at]
            if quote in "\"'":
                raw = self.take(_BASIC if quote == '"' else _LITERAL)
                keys.append(next(iter(tomli.loads(f"{raw} = 0"))))
            else:
                keys.append(self.take(_BARE_KEY))
            self.skip(_BLANK)
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def value(self, path: Path) -> None:
        self.mark(path)
        start = self.text[self.at]
        if self.text.startswith('"""', self.at):
            self.skip(_LONG_BASIC)
        elif self.text.startswith("'''", self.at):
            self.skip(_LONG_LITERAL)
        elif start == '"':
            self.skip(_BASIC)
        elif start == "'":
            self.skip(_LITERAL)
        elif start in "[{":
            self.inside(path, array=start == "[")
        else:
            self.skip(_SCALAR)

    def inside(self, path: Path, *, array: bool) -> None:
        if whole := _ON_ONE_LINE.match(self.text, self.at):
            self.at = whole.end()
            return
        self.at += 1
        index = 0
        while True:
            self.skip(_BLANK_LINES)
            if self.text[self.at] in "]}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
            elif array:
                self.value((*path, index))
                index += 1
            else:
                self.pair(path)

    def mark(self, path: Path) -> None:
        self.line += self.text.count("\n", self.counted_to, self.at)
        self.counted_to = self.at
        self.found.setdefault(path, self.line)

    def skip(self, form: re.Pattern[str]) -> None:
        self.take(form)

    def take(self, form: re.Pattern[str]) -> str:
        found = form.match(self.text, self.at)
        if found is None:  # pragma: no cover - tomli has accepted the text
            raise ValueError(f"not TOML at line {self.line}")
        self.at = found.end()
        return found[0]
