"""What is past of another agent's files, and what is there: what `foreign` finds and does.

Rows: R3, O7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bailee.client.foreign_databases import Database
from bailee.client.lifetimes import LocalDue


@dataclass(frozen=True, slots=True)
class Past:
    """One thing to be done. `records` None: the file or folder goes; else so many are cut out, or
    deleted from the database of that kind. `dues`: when it was due, by which lifetimes.
    """

    agent: str
    path: Path
    last: datetime
    size: int
    dues: tuple[LocalDue, ...]
    records: int | None = None
    stamp: tuple[int, int] = (0, 0)
    kept: bytes | None = None
    database: Database | None = None
    sessions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LocalSession:
    """A session of an agent's that is there. `due`: when it goes; `kept_until`: its person keeps
    it until then. `path`: its transcript, where that is a file of its own.
    """

    agent: str
    session: str
    folder: str | None
    last: datetime
    due: LocalDue
    kept_until: datetime | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class NotCleaned:
    """A file or folder that can't be read, or not be deleted; `why`: what the system says."""

    path: Path
    why: str

    @classmethod
    def of(cls, path: Path, error: OSError) -> NotCleaned:
        """What could not be done with `path`, or with what is in it."""
        named = error.filename if isinstance(error.filename, str) else path
        return cls(Path(named), error.strerror or "an error of the disk")


@dataclass(frozen=True, slots=True)
class CleaningPlan:
    """What is past; when everything else goes; each session that is there; files whose times lie
    ahead; and what can't be read, and so is neither.
    """

    past: tuple[Past, ...]
    coming: tuple[LocalDue, ...]
    sessions: tuple[LocalSession, ...]
    ahead: tuple[Path, ...]
    now: datetime
    unread: tuple[NotCleaned, ...] = ()

    @property
    def dues(self) -> list[LocalDue]:
        """When everything that is there goes, or should have gone."""
        return [*self.coming, *(due for one in self.past for due in one.dues)]

    def where(self, may: Callable[[LocalDue], bool]) -> CleaningPlan:
        """The plan for what may go."""
        past = tuple(one for one in self.past if all(map(may, one.dues)))
        return replace(self, past=past)
