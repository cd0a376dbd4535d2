"""What is damaged: named, kept apart, counted and shown, while everything else goes on.

Rules kept here:

* One bad item is one bad item. Who goes over many rows reads each by `Damages.each`, which leaves
  out the one that can't be read and notes it.
* `where` names a thing by its kind and id ("session 2222…"), `what` says what is wrong with it.
  Neither holds content: ids, numbers and names of columns alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from bailee.errors import InputError, IntegrityError
from bailee.shown import line

_Row = TypeVar("_Row")
_Made = TypeVar("_Made")

UNREADABLE = (IntegrityError, InputError, ValueError, TypeError, LookupError, AttributeError)
"""What reading a row raises that holds something else than was written. A store that fails is not
among them: that concerns every row."""

UNSOUND = "the row is not what was written; it counts for nothing."


@dataclass(frozen=True, slots=True, order=True)
class Damaged:
    """A thing that is not as it was written, and what is wrong with it."""

    where: str
    what: str


class Damages:
    """What a process has come upon. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}

    def note(self, where: str, what: str) -> None:
        """Note a thing that is damaged; what is said of it last counts."""
        with self._lock:
            self._found[line(where)] = line(what)

    def note_all(self, kind: str, ids: Iterable[str]) -> None:
        """Note rows whose check is wrong (`db.checks`): `kind` is their table."""
        for one in ids:
            self.note(f"{kind} {one}", UNSOUND)

    def forget(self, where: str) -> None:
        """A thing is whole again, or gone."""
        with self._lock:
            self._found.pop(line(where), None)

    def forget_all(self, kind: str, ids: Iterable[str]) -> None:
        """Rows of a table are gone: what was noted of them is not so any more."""
        with self._lock:
            if self._found:
                for one in ids:
                    self._found.pop(line(f"{kind} {one}"), None)

    def all(self) -> list[Damaged]:
        """All that was noted, by name."""
        with self._lock:
            return sorted(Damaged(*item) for item in self._found.items())

    def each(
        self,
        rows: Iterable[_Row],
        read: Callable[[_Row], _Made],
        name: Callable[[_Row], str],
    ) -> Iterator[_Made]:
        """What `read` makes of each row. A row of which it can make nothing is noted under its
        `name`, and left out.
        """
        for row in rows:
            try:
                made = read(row)
            except UNREADABLE as error:
                self.note(name(row), why(error))
            else:
                yield made


def why(error: BaseException) -> str:
    """What an error says of the thing that could not be read, without what stands in it."""
    if isinstance(error, (IntegrityError, InputError)):
        return error.message
    return f"it can't be read ({type(error).__name__})."
