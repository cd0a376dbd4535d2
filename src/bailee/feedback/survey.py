"""The survey: how often each answer was given, by day and version of the client, and nothing else.

Rules kept here:

* An answer is one more in a count. There is no row for it, no moment, no address, no key: nothing
  that it could be joined with.
* A count is on disk before an answer is acknowledged.
* A version is a program that the registry knows and up to three numbers; what else it says is
  "other". So is, of a day, what comes after a hundred: who answers can make up numbers.
* A day's counts go when the day is past the policy's period.

Rows: F3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy import Engine, delete, select

from bailee.db.engine import reading, storage_errors
from bailee.db.feedback import survey_counts as table
from bailee.db.portable import insert as upsert
from bailee.errors import InputError
from bailee.policy.period import expires_at

OTHER: Final = "other"
_VERSION: Final = re.compile(r"([a-z][a-z-]{1,30})/(\d{1,4}(?:\.\d{1,4}){0,2})(?![\d.])")
_NUMBERS: Final = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,2}")
_MOST_VERSIONS: Final = 100
_WHAT: Final = "the survey's counts"


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """How often an answer was given on a day with a version."""

    day: str
    version: str
    answer: str
    count: int


_BY_TELEMETRY: Final = {"bad": "1", "fine": "2", "good": "3", "dismissed": "dismissed"}
_TELLING: Final = "claude-code"  # whose events carry ratings


class Survey:
    """The counts of one home. `answers`: those there are, as the policy lists them now; `period`:
    how long a count is kept, now.

    A home's wiring makes it. The receiver, telemetry and the sweep call it, on any thread but an
    event loop's: counting writes. It has nothing in memory, and never learns who answered.
    """

    name: Final = "survey"

    def __init__(
        self,
        engine: Engine,
        answers: Callable[[], Sequence[str]],
        period: Callable[[], str | None],
        programs: Collection[str],
    ) -> None:
        self._engine = engine
        self._answers = answers
        self._period = period
        self._programs = frozenset(programs)

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers that can be given."""
        return tuple(self._answers())

    def add(self, answer: str, version: str, day: date) -> None:
        """Count an answer; on disk when this returns.

        Raises:
            InputError: it is no answer of the survey.
            StorageError: it can't be counted.
        """
        if answer not in self.answers:
            raise InputError("this is not an answer of the survey.", hint=", ".join(self.answers))
        if self._period() is None:
            return
        today = table.c.day == str(day)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            there = connection.execute(select(table.c.version).where(today).distinct()).scalars()
            versions = set(there)
            if version not in versions and len(versions) >= _MOST_VERSIONS:
                version = OTHER
            row = upsert(table).values(day=str(day), version=version, answer=answer, count=1)
            connection.execute(
                row.on_conflict_do_update(
                    index_elements=["day", "version", "answer"],
                    set_={"count": table.c.count + 1},
                )
            )

    def version_of(self, agent: str) -> str:
        """The program and version that a User-Agent begins with, or "other"."""
        found = _VERSION.match(agent)
        return found[0] if found is not None and found[1] in self._programs else OTHER

    def version_named(self, program: str, version: str | None) -> str:
        """The same of a program's name and a version that stand apart."""
        numbers = None if version is None else _NUMBERS.match(version)
        if numbers is None or program not in self._programs:
            return OTHER
        return f"{program}/{numbers[0]}"

    def all(self, now: datetime) -> list[AnswerCount]:
        """Every count whose time has not passed, by day."""
        query = select(table).order_by(table.c.day, table.c.version, table.c.answer)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found = [AnswerCount(*row) for row in connection.execute(query)]
        return [count for count in found if not self._is_past(count.day, now)]

    def sweep(self, now: datetime) -> dict[str, int]:
        """Remove the counts of days past their time; how many days.

        Raises:
            StorageError: call again.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            days = list(connection.execute(select(table.c.day).distinct()).scalars())
        past = [day for day in days if self._is_past(day, now)]
        if past:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(delete(table).where(table.c.day.in_(past)))
        return {"survey_days": len(past)}

    def _is_past(self, day: str, now: datetime) -> bool:
        began = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        period = self._period()
        return period is None or expires_at(began, period) <= now


def by_telemetry(survey: Survey) -> Callable[[str, str | None, datetime], None]:
    """What counts a rating that came by OpenTelemetry (bad, fine, good), with the client's version.
    One that is no answer here is dropped.
    """

    def count(rating: str, version: str | None, at: datetime) -> None:
        answer = _BY_TELEMETRY.get(rating)
        if answer in survey.answers:
            survey.add(answer, survey.version_named(_TELLING, version), at.date())

    return count
