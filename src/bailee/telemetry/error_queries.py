"""Questions to the error events that are kept, by issue.

What is past its time at `now` is not counted, whether it was swept yet or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypedDict

from bailee.errors import InputError
from bailee.telemetry.days import Days
from bailee.telemetry.issues import Issue, Issues
from bailee.telemetry.queries import equals, moment, with_step
from bailee.telemetry.records import ERROR, frames_from_json, where

if TYPE_CHECKING:
    import pyarrow as pa

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class IssueDay:
    """How many events of an issue there were on a day."""

    day: str
    count: int


@dataclass(frozen=True, slots=True)
class SeenIssue:
    """An issue by the events of it that are kept. `where`: the innermost function of a program's
    own that has a name; `trend`: the last days, the latest last.
    """

    id: str
    type: str
    where: str | None
    platform: str
    level: str
    state: str
    regressed: bool
    resolved_in: str | None
    first_seen: datetime
    last_seen: datetime
    count: int
    releases: list[str]
    trend: list[IssueDay]


@dataclass(frozen=True, slots=True)
class FrameOfIssue:
    """A place in a stack. `ours`: it is in the program's own code."""

    module: str | None
    function: str | None
    line: int | None
    ours: bool


@dataclass(frozen=True, slots=True)
class WholeIssue(SeenIssue):
    """One issue with the stack of its latest event, and how often it was seen, by field."""

    frames: list[FrameOfIssue]
    by: Mapping[str, Mapping[str, int]]


class ErrorQueries:
    """Questions to the error events. Operations ask, on any thread; each question reads the files
    anew. It keeps nothing, and changes no issue.
    """

    def __init__(self, days: Days, issues: Issues) -> None:
        self._days = days
        self._states = issues

    def issues(self, now: datetime) -> list[SeenIssue]:
        """The issues of which events are kept, latest first."""
        columns = ["at", "issue", "type", "level", "platform", "release", "frames"]
        return self._issues_of(self._days.read(ERROR, columns, now=now), now)

    def show(self, issue_id: str, now: datetime) -> WholeIssue:
        """One issue with its stack, its versions and its days.

        Raises:
            InputError: code `not_found`.
        """
        columns = [
            "at", "issue", "type", "level", "platform", "release", "environment", "handled",
            "frames", "a.process.runtime.name", "a.process.runtime.version", "a.os.type",
            "a.telemetry.sdk.name",
        ]  # fmt: skip
        table = self._days.read(ERROR, columns, now=now)
        table = table.filter(equals(table, "issue", issue_id))
        if not table.num_rows:
            raise InputError(
                "there is no such issue, or no more.",
                code="not_found",
                hint="bailee errors list shows them",
            )
        (issue,) = self._issues_of(table, now, days=30)
        latest = table.sort_by([("at", "descending")]).slice(0, 1).to_pylist()[0]
        by = {}
        for column in ("release", "environment", "handled", *columns[-4:]):
            counts = table.group_by([column]).aggregate([("at", "count")]).to_pylist()
            by[column.removeprefix("a.")] = {
                str(row[column]): row["at_count"]
                for row in sorted(counts, key=lambda row: -row["at_count"])[:20]
                if row[column] is not None
            }
        about = {one.name: getattr(issue, one.name) for one in fields(issue)}
        frames = [
            FrameOfIssue(one.module, one.function, one.line, one.ours)
            for one in frames_from_json(latest["frames"])
        ]
        return WholeIssue(**about, frames=frames, by=by)

    def _issues_of(self, table: pa.Table, now: datetime, *, days: int = 14) -> list[SeenIssue]:
        import pyarrow as pa

        table = table.append_column("row", pa.array(range(table.num_rows), type=pa.int64()))
        grouped = table.group_by(["issue"]).aggregate(
            [("at", "count"), ("at", "min"), ("at", "max"), ("row", "max")]
        )
        # What an issue is about is read from the event that arrived last.
        latest = table.take(grouped.column("row_max")).select(
            ["type", "platform", "level", "frames"]
        )
        stepped = with_step(table, int(_DAY.total_seconds() * 1000))
        by_day = stepped.group_by(["issue", "step"]).aggregate([("at", "count")]).to_pylist()
        releases = table.group_by(["issue", "release"]).aggregate([("at", "count")]).to_pylist()
        trend: dict[str, dict[str, int]] = {}
        for row in by_day:
            day = datetime.fromtimestamp(row["step"] / 1000, UTC).date()
            trend.setdefault(row["issue"], {})[str(day)] = row["at_count"]
        versions: dict[str, list[str]] = {}
        for row in releases:
            if row["release"] is not None:
                versions.setdefault(row["issue"], []).append(row["release"])
        today = now.astimezone(UTC).date()
        rows = [
            _issue(
                found | about,
                self._states.get(found["issue"]),
                trend,
                versions,
                today,
                back_to=days,
            )
            for found, about in zip(grouped.to_pylist(), latest.to_pylist(), strict=True)
        ]
        rows.sort(key=lambda issue: issue.id)
        return sorted(rows, key=lambda issue: issue.last_seen, reverse=True)


class _Events(TypedDict):
    """An issue's events, counted, with what the latest of them says."""

    issue: str
    at_count: int
    at_min: int
    at_max: int
    type: str
    platform: str
    level: str
    frames: str


def _issue(
    found: _Events,
    known: Issue | None,
    trend: dict[str, dict[str, int]],
    versions: dict[str, list[str]],
    today: date,
    *,
    back_to: int,
) -> SeenIssue:
    counts = trend[found["issue"]]
    days = [str(today - timedelta(days=back)) for back in range(back_to - 1, -1, -1)]
    return SeenIssue(
        id=found["issue"],
        type=found["type"],
        where=where(frames_from_json(found["frames"])),
        platform=found["platform"],
        level=found["level"],
        state="open" if known is None else known.state,
        regressed=known is not None and known.regressed,
        resolved_in=None if known is None else known.resolved_in,
        first_seen=moment(found["at_min"]) if known is None else known.first_seen,
        last_seen=moment(found["at_max"]),
        count=found["at_count"],
        releases=sorted(versions.get(found["issue"], [])),
        trend=[IssueDay(day, counts.get(day, 0)) for day in days],
    )
