"""Local transcripts as `bailee local` and `bailee run` look at them: bailee's and other agents'."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bailee.cli.show import question, say
from bailee.errors import StorageError
from bailee.json_values import JsonObject

if TYPE_CHECKING:
    from bailee.client.cleaning_plan import CleaningPlan, NotCleaned, Past
    from bailee.client.clock_mark import ClockJump
    from bailee.client.lifetimes import LocalDue
    from bailee.client.machine import ClientMachine


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session that is here, bailee's or another agent's (`of`). Moments are aware."""

    of: str
    session: str
    folder: str
    title: str
    last_activity: datetime
    forgotten_at: datetime
    kept_until: datetime | None
    records: int | None = None
    size: int | None = None
    path: Path | None = None

    def as_json(self) -> JsonObject:
        """The object that `bailee local list --json` shows."""
        return {
            "of": self.of,
            "session": self.session,
            "folder": self.folder,
            "title": self.title,
            "last_activity": self.last_activity.isoformat(),
            "forgotten_at": self.forgotten_at.isoformat(),
            "kept_until": None if self.kept_until is None else self.kept_until.isoformat(),
            "records": self.records,
            "size": self.size,
        }


def listed(machine: ClientMachine, whose: Sequence[str]) -> list[ListedSession]:
    """The sessions of these that can be gone on with, latest first."""
    found = []
    for of in whose:
        if of == "bailee":
            for one in machine.transcripts().list():
                forgotten = datetime.fromisoformat(one.forgotten_at or one.last_activity)
                kept = None if one.kept_until is None else datetime.fromisoformat(one.kept_until)
                last = datetime.fromisoformat(one.last_activity)
                found.append(
                    ListedSession(
                        of, one.session, one.folder, one.title, last, forgotten, kept,
                        one.records, one.size,
                    )
                )  # fmt: skip
            continue
        for other in planned(machine, of).sessions:
            if other.due.at > machine.clock():
                found.append(
                    ListedSession(
                        of, other.session, other.folder or "", "", other.last, other.due.at,
                        other.kept_until, path=other.path,
                    )
                )  # fmt: skip
    return sorted(found, key=lambda one: one.last_activity, reverse=True)


def planned(machine: ClientMachine, agent: str) -> CleaningPlan:
    """What is past of an agent's files, and what is there."""
    try:
        return machine.plan(agent)
    except OSError as error:
        raise StorageError(
            f"the files of {agent} can't be cleaned ({error.strerror}).",
            hint="fix their permissions",
        ) from error


def carried_out(
    plan: CleaningPlan, may: Callable[[LocalDue], bool]
) -> tuple[list[Past], list[NotCleaned]]:
    """Delete what is past and may go; what was deleted, and what could not be looked at or
    deleted.
    """
    from bailee.client import foreign

    failed = list(plan.unread)
    return foreign.carry_out(plan.where(may), failed), failed


def not_cleaned(failed: Sequence[NotCleaned]) -> StorageError:
    """What could not be looked at or deleted, as an error."""
    first = failed[0]
    others = "" if len(failed) == 1 else f", nor can {len(failed) - 1} more"
    return StorageError(
        f"{first.path} can't be cleaned ({first.why}){others}; that stops nothing else.",
        hint="are they another user's? fix their owner and permissions",
    )


def past_as_json(one: Past) -> JsonObject:
    """One thing that goes."""
    return {
        "of": one.agent,
        "what": str(one.path),
        "last": one.last.isoformat(),
        "records": one.records,
        "size": one.size,
    }


def doubt(jumped: ClockJump) -> str:
    """What a clock in doubt is, in words."""
    from bailee.client.going import doubt_in_words
    from bailee.words import words

    return doubt_in_words(jumped, words("en", "terminal"))


def clock_is_right(machine: ClientMachine, jumped: ClockJump) -> bool:
    """Ask whoever sits at the terminal whether the clock is right, and note it if so. Nobody there:
    it is not.
    """
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(doubt(jumped).partition(" Nothing is deleted")[0], err=True)
    today = machine.clock().astimezone().strftime("%Y-%m-%d %H:%M")
    question(f"Is it {today} now? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        return False
    machine.confirm_clock()
    return True
