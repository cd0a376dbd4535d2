"""For how many days what lies on this machine is kept, and whose settings say so. Pure.

Rules kept here:

* A scope decides for itself alone. What a person's own settings say (and those of who manages the
  machine) holds for everything of theirs; what a project's files say holds for what was done in
  that project, and for nothing else.
* Of the two the shorter holds.
* What can't be told to be a project's is kept as the person's own settings say.

Rows: R3, S6.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bailee.records import dataclass


@dataclass(frozen=True, slots=True)
class Lifetime:
    """So many days after the last record. `scope`: the folder whose project's files say so, or ""
    where the person's own settings do.
    """

    days: int
    scope: str = ""


class Lifetimes:
    """Answers for each folder. `own`: days by the person's own settings. `of_project`: for a folder
    the days that its project's files say and the project; None where they say nothing. It is asked
    once for each folder, on the thread that asks here.
    """

    def __init__(
        self, own: int, of_project: Callable[[str], tuple[int, str] | None] | None = None
    ) -> None:
        self.own: Final = Lifetime(own)
        self._of_project: Final = of_project
        self._known: dict[str, Lifetime] = {}

    def of(self, folder: str | None) -> Lifetime:
        """For how long what was done in a folder is kept; None or "": nobody knows where."""
        if not folder or self._of_project is None:
            return self.own
        if folder not in self._known:
            found = self._of_project(folder)
            shorter = found is not None and found[0] < self.own.days
            self._known[folder] = Lifetime(*found) if found and shorter else self.own
        return self._known[folder]


@dataclass(frozen=True, slots=True)
class LocalDue:
    """When something is forgotten, and by which lifetime."""

    at: datetime
    by: Lifetime

    @classmethod
    def after(cls, last: datetime, by: Lifetime, kept_until: datetime | None = None) -> LocalDue:
        """Of what had its last record then; `kept_until`: the person keeps it until then."""
        try:
            at = last + timedelta(days=by.days)
        except OverflowError:  # the last days of the calendar
            at = last
        return cls(at if kept_until is None else max(at, kept_until), by)
