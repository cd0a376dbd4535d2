"""The state of issues: open, resolved, muted; and back to open when one comes again.

What an issue is about (type, frames, versions, counts) is in the encrypted events and leaves with
them. Here stands only what a person decided, by the issue's id, which is a keyed digest.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, delete, insert, select, update

from bailee.db.engine import reading, storage_errors
from bailee.db.telemetry import error_issues
from bailee.errors import InputError
from bailee.shown import named
from bailee.telemetry.records import CaughtError

_WHAT = "the issues"
STATES = ("open", "resolved", "muted")


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue's state. `resolved_in`: the release that mends it, if that was said."""

    id: str
    first_seen: datetime
    last_seen: datetime
    state: str
    changed_at: datetime | None
    resolved_in: str | None
    regressed: bool


Alert = Callable[[str, Issue, CaughtError], None]
"""Told of a `new` issue or a `regression`, with the event that showed it."""


class Issues:
    """The issues of one home: their rows, and a copy of them in memory.

    `Telemetry` owns it. Events are noted on its worker's thread and at a start, operations decide
    on theirs; any thread may call it. `alert` is called inside its lock, so it must not wait. It
    keeps nothing of an event but when it came.
    """

    def __init__(self, engine: Engine, alert: Alert) -> None:
        self._engine = engine
        self._alert = alert
        self._lock = threading.Lock()  # who changes `_known` or a row; `get` reads without
        with storage_errors(_WHAT), reading(engine) as connection:
            self._known = {row.id: Issue(*row) for row in connection.execute(select(error_issues))}

    def note(self, rows: Sequence[CaughtError], now: datetime) -> None:
        """Take notice of events that are durable. Noticing twice changes nothing."""
        latest: dict[str, CaughtError] = {}
        for row in rows:
            if row.issue not in latest or row.at > latest[row.issue].at:
                latest[row.issue] = row
        with self._lock:
            for issue_id, row in latest.items():
                self._note(issue_id, row, now)

    def _note(self, issue_id: str, row: CaughtError, now: datetime) -> None:
        at = datetime.fromtimestamp(row.at / 1000, UTC)
        known = self._known.get(issue_id)
        if known is None:
            issue = Issue(issue_id, at, at, "open", None, None, False)
            self._put(issue, new=True)
            self._alert("new", issue, row)
            return
        again = known.state == "resolved" and _comes_again(known, at, row.release)
        if again:
            issue = Issue(issue_id, known.first_seen, at, "open", now, None, True)
            self._put(issue)
            self._alert("regression", issue, row)
        elif (at - known.last_seen).total_seconds() > 60:
            self._put(
                Issue(
                    issue_id,
                    known.first_seen,
                    at,
                    known.state,
                    known.changed_at,
                    known.resolved_in,
                    known.regressed,
                )
            )

    def set(
        self, issue_id: str, state: str, now: datetime, resolved_in: str | None = None
    ) -> Issue:
        """Decide about an issue.

        Raises:
            InputError: there is none, or the state is none.
        """
        if state not in STATES:
            raise InputError(f"a state is one of {', '.join(STATES)}.")
        resolved_in = resolved_in and named(resolved_in, "a release's name")
        with self._lock:
            known = self._known.get(issue_id)
            if known is None:
                raise InputError(
                    "there is no such issue, or no more.",
                    code="not_found",
                    hint="bailee errors list shows them",
                )
            issue = Issue(
                issue_id, known.first_seen, known.last_seen, state, now, resolved_in, False
            )
            self._put(issue)
            return issue

    def get(self, issue_id: str) -> Issue | None:
        """An issue's state."""
        return self._known.get(issue_id)

    def forget(self, before: datetime) -> int:
        """Remove the issues that were last seen before a moment; how many."""
        with self._lock:
            gone = [issue.id for issue in self._known.values() if issue.last_seen < before]
            with storage_errors(_WHAT), self._engine.begin() as connection:
                for start in range(0, len(gone), 500):
                    some = gone[start : start + 500]
                    connection.execute(delete(error_issues).where(error_issues.c.id.in_(some)))
            for issue_id in gone:
                del self._known[issue_id]
            return len(gone)

    def _put(self, issue: Issue, *, new: bool = False) -> None:
        values = {
            "first_seen": issue.first_seen,
            "last_seen": issue.last_seen,
            "state": issue.state,
            "changed_at": issue.changed_at,
            "resolved_in": issue.resolved_in,
            "regressed": issue.regressed,
        }
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if new:
                connection.execute(insert(error_issues).values(id=issue.id, **values))
            else:
                connection.execute(
                    update(error_issues).where(error_issues.c.id == issue.id).values(**values)
                )
        self._known[issue.id] = issue


def _comes_again(issue: Issue, at: datetime, release: str | None) -> bool:
    """Whether an event of a resolved issue is a regression: it came after the resolution, and not
    from a release before the one that mends it.
    """
    if issue.changed_at is None or at <= issue.changed_at:
        return False
    if issue.resolved_in is None or release is None:
        return True
    return _version(release) >= _version(issue.resolved_in)


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release.rpartition("@")[2]))
