"""Reading TOML tables strictly: each value by name and type, each refusal with file and line.

Rules kept here:

* A key that nobody asked for is refused, with the nearest name that would be known.
* A wrong type is refused, never converted. A yes or no is never a number.
* Every refusal says `file:line: reason`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import date, datetime
from pathlib import PurePath
from typing import NoReturn, TypeVar

import tomli

from bailee.errors import InputError
from bailee.policy import positions
from bailee.records import dataclass

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """Why a document is refused, and where: `file`, `line` (from 1), `reason`, and what to do."""

    file: str
    line: int
    reason: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class Unsound(InputError):
    """A policy document that can't be used; `problems` has at least one."""

    default_code = "policy_document"

    def __init__(self, problems: Iterable[DocumentProblem]) -> None:
        self.problems: tuple[DocumentProblem, ...] = tuple(problems)
        first = self.problems[0]
        more = len(self.problems) - 1
        super().__init__(
            f"{first}" + (f" (and {more} more)" if more else ""),
            hint=first.hint or "`bailee policy check FILE` names every problem of a document",
        )


@dataclass(slots=True)
class DocumentSource:
    """A document's file name (for messages) and the line of each of its values. All its tables
    share it.
    """

    file: str
    lines: Mapping[positions.Path, int]

    def refuse(self, path: positions.Path, reason: str, hint: str | None = None) -> NoReturn:
        """Refuse the document because of what stands at `path`."""
        raise Unsound([DocumentProblem(self.file, self.line(path), reason, hint)])

    def line(self, path: positions.Path) -> int:
        """The line of `path`, or of the nearest table around it."""
        return positions.line_of(path, self.lines)


_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def parse(content: bytes, file: str | PurePath) -> Table:
    """The document's outermost table.

    Raises:
        Unsound: not UTF-8, or not TOML.
    """
    name = str(file)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unsound([DocumentProblem(name, line, "This is not UTF-8 text.")]) from None
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        said = str(error)
        place = _TOML_PLACE.search(said)
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        reason = _TOML_PLACE.sub("", said)
        raise Unsound([DocumentProblem(name, line, f"This is not TOML: {reason}.")]) from None
    except RecursionError:
        raise Unsound([DocumentProblem(name, 1, "The tables are nested too deeply.")]) from None
    except ValueError:  # a number of thousands of digits
        raise Unsound(
            [DocumentProblem(name, 1, "This is not TOML: a value is too long.")]
        ) from None
    return Table(values, (), DocumentSource(name, positions.lines(text)))


@dataclass(slots=True)
class Table:
    """One table, read key by key; `finish` refuses what was not read. The reading of one document
    owns it. `known`: the keys that were asked for so far.
    """

    values: Mapping[str, object]
    path: positions.Path
    source: DocumentSource
    known: list[str] = field(default_factory=list)

    @property
    def line(self) -> int:
        """The line this table begins on."""
        return self.source.line(self.path)

    def has(self, key: str) -> bool:
        """Whether the table has this key, which is then a known one."""
        self.known.append(key)
        return key in self.values

    def refuse(self, key: str | None, reason: str, hint: str | None = None) -> NoReturn:
        """Refuse the document because of this key, or of the table as a whole."""
        self.source.refuse(self.path if key is None else (*self.path, key), reason, hint)

    def text(self, key: str) -> str:
        """A string that is not blank."""
        value = self._take(key, str, "a string")
        if not value.strip():
            self.refuse(key, f"{key} is empty.")
        return value

    def whole(self, key: str) -> int:
        """A whole number, zero or more."""
        value = self._take(key, int, "a whole number")
        if isinstance(value, bool) or value < 0:
            self.refuse(key, f"{key} must be a whole number, zero or more.")
        return value

    def yes(self, key: str) -> bool:
        """A yes or no."""
        return self._take(key, bool, "true or false", "without quotes")

    def day(self, key: str) -> date:
        """A date, without a time."""
        value = self._take(key, date, "a date", "write it without quotes: 2025-08-28")
        if isinstance(value, datetime):
            self.refuse(key, f"{key} must be a date without a time.", "write it like 2025-08-28")
        return value

    def one_of(self, key: str, allowed: Iterable[str]) -> str:
        """A string that is one of `allowed`."""
        value = self.text(key)
        names = list(allowed)
        if value not in names:
            self.refuse(key, f"{key} can't be {value!r}.", one_of(value, names))
        return value

    def texts(self, key: str, *, some: bool = True) -> tuple[str, ...]:
        """A list of strings, none twice; `some`: at least one."""
        values = self._take(key, list, "a list of strings")
        for index, value in enumerate(values):
            if not isinstance(value, str) or not value.strip():
                self.source.refuse((*self.path, key, index), f"{key} must hold strings only.")
            if value in values[:index]:
                self.source.refuse((*self.path, key, index), f"{value!r} stands in {key} twice.")
        if some and not values:
            self.refuse(key, f"{key} is empty.")
        return tuple(values)

    def table(self, key: str) -> Table:
        """The table under this key."""
        value = self._take(key, dict, "a table")
        return Table(value, (*self.path, key), self.source)

    def tables(self, key: str) -> Iterator[Table]:
        """The tables of the array under this key (none when the key is absent)."""
        if not self.has(key):
            return
        values = self._take(key, list, f"an array of tables ([[{key}]])")
        for index, value in enumerate(values):
            path = (*self.path, key, index)
            if not isinstance(value, dict):
                self.source.refuse(path, f"{key} must hold tables only.")
            yield Table(value, path, self.source)

    def named(self) -> Iterator[tuple[str, Table]]:
        """Every key with the table under it, whatever the keys are."""
        for key in self.values:
            yield key, self.table(key)

    def finish(self) -> None:
        """Refuse a key that nothing has read."""
        for key in self.values:
            if key not in self.known:
                self.refuse(
                    key, f"{key!r} is not a key that belongs here.", one_of(key, self.known)
                )

    def _take(self, key: str, kind: type[Kind], what: str, hint: str | None = None) -> Kind:
        if not self.has(key):
            self.refuse(None, f"{key} is missing here.")
        value = self.values[key]
        if not isinstance(value, kind):
            self.refuse(key, f"{key} must be {what}.", hint)
        return value


def one_of(wrong: str, names: Iterable[str]) -> str:
    """A hint that names the value that was probably meant, else those there are."""
    listed = list(dict.fromkeys(names))
    import difflib

    near = difflib.get_close_matches(wrong, listed, n=1)
    return f"did you mean {near[0]}?" if near else f"one of: {', '.join(listed)}"
