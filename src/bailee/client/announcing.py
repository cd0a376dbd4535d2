"""Nothing of a person's is deleted for the first time without having been announced.

The first run that finds something past its time, or near it, says so and deletes nothing; later
ones delete. What was announced for one program's folder says nothing about another's, and a shorter
period is announced anew. Pure but for the two functions that read and write the note.

Rows: R3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from bailee.client.local_key import make_private, write_private

AHEAD: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Announced:
    """For which days' setting a deletion was announced, and when."""

    days: int
    at: str


def may_delete(announced: Announced | None, days: int) -> bool:
    """Whether a deletion under this setting has been announced before."""
    return announced is not None and days >= announced.days


def to_announce(
    announced: Announced | None, days: int, soonest: datetime | None, now: datetime
) -> bool:
    """Whether to announce now: something is past its time or will be within a week."""
    return soonest is not None and not may_delete(announced, days) and soonest - now <= AHEAD


def read(folder: Path, whose: str) -> Announced | None:
    """What was announced for a program's files; None where nothing was, or it can't be read."""
    try:
        note = json.loads((folder / "announced.json").read_bytes())[whose]
        return Announced(int(note["days"]), str(note["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(folder: Path, whose: str, announced: Announced) -> None:
    """Note an announcement. Raises `OSError`."""
    make_private(folder)
    path = folder / "announced.json"
    try:
        notes = json.loads(path.read_bytes())
        if not isinstance(notes, dict):
            notes = {}
    except (OSError, ValueError):
        notes = {}
    notes[whose] = {"days": announced.days, "at": announced.at}
    write_private(path, json.dumps(notes).encode())
