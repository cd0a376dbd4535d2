"""Nothing of a person's is deleted by time without their having been told. Pure but for the two
functions that read and write the note.

Rules kept here:

* A start tells of what goes within a week (within half its days where those are fewer) and of what
  is past its time, once for each. It deletes what an earlier start has told of, and nothing else.
* Where seven days or fewer are set, the first start that finds something tells of the setting, and
  what is past later goes without another word: who keeps so little has been told by that.
* What was told for one scope, program or number of days says nothing of another; fewer days are
  told of anew.

Rows: R3, O7.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bailee.client.lifetimes import Lifetime, LocalDue
from bailee.client.local_key import make_private, write_private
from bailee.records import dataclass

AHEAD: Final = timedelta(days=7)
_MOST: Final = 500  # scopes; a clone made for each run must not grow the note without bound


@dataclass(frozen=True, slots=True)
class Announced:
    """For which days' setting a deletion was announced, and when; `until`: of what goes until then
    has been told.
    """

    days: int
    at: str
    until: datetime


Notes = Mapping[str, Announced]
"""What was announced, by scope: see `name`."""


def ahead(by: Lifetime) -> timedelta:
    """How long before its end something is told of."""
    return min(AHEAD, timedelta(days=by.days) / 2)


def told(notes: Notes, due: LocalDue) -> bool:
    """Whether what goes then has been told of, so that it may go."""
    note = notes.get(name(due.by))
    if note is None or due.by.days < note.days:
        return False
    return due.at <= note.until or due.by.days <= AHEAD.days


def news(notes: Notes, dues: Iterable[LocalDue], now: datetime) -> list[LocalDue]:
    """What is to be told of now, soonest first."""
    found = []
    for due in dues:
        note = notes.get(name(due.by))
        fresh = note is None or due.by.days < note.days
        if not fresh and note is not None and due.by.days > 0:
            fresh = due.at > note.until
        if fresh and due.at - now <= ahead(due.by):
            found.append(due)
    return sorted(found, key=lambda due: due.at)


def noted(notes: Notes, dues: Iterable[LocalDue], now: datetime) -> dict[str, Announced]:
    """The notes when these have been told of."""
    made = dict(notes)
    for due in dues:
        until = max(now + ahead(due.by), due.at)
        before = made.get(name(due.by))
        if before is not None and before.days == due.by.days:
            until = max(until, before.until)
        made[name(due.by)] = Announced(due.by.days, now.isoformat(), until)
    newest = sorted(made.items(), key=lambda item: item[1].until, reverse=True)
    return dict(newest[:_MOST])


def name(by: Lifetime) -> str:
    """The scope of a lifetime as it stands in the note: "", or a digest of the project's folder."""
    return hashlib.sha256(by.scope.encode("utf-8", "replace")).hexdigest()[:24] if by.scope else ""


def read(folder: Path, whose: str) -> dict[str, Announced]:
    """What was announced for a program's files; nothing where it can't be read."""
    found: dict[str, Announced] = {}
    for key, note in _all(folder).items():
        of, _, scope = key.partition(" ")
        try:
            if of == whose and isinstance(note, dict):
                at = datetime.fromisoformat(str(note["at"])).astimezone(UTC)
                until = note.get("until")
                end = datetime.fromisoformat(str(until)) if until else at + AHEAD
                found[scope] = Announced(int(note["days"]), at.isoformat(), end.astimezone(UTC))
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
    return found


def write(folder: Path, whose: str, announced: Notes) -> None:
    """Note an announcement. Raises `OSError`."""
    make_private(folder)
    held = _all(folder)
    notes = {key: note for key, note in held.items() if key.partition(" ")[0] != whose}
    for scope, one in announced.items():
        note = {"days": one.days, "at": one.at, "until": one.until.isoformat()}
        notes[f"{whose} {scope}".rstrip()] = note
    write_private(folder / "announced.json", json.dumps(notes).encode())


def _all(folder: Path) -> dict[str, object]:
    try:
        notes = json.loads((folder / "announced.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}
