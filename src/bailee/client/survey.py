"""When to ask how it is going, and when not. Pure but for the two that read and write the note.

Rules kept here:

* Asked after a decent while: ten minutes and five turns of a session, and never while a turn runs.
* Rarely: once in fourteen days at most, and in one of four sessions that would qualify.
* Never twice in a session, not after a dismissal either. `never` means never: it stays until the
  person takes it back, and no update, no reset of anything else, brings the question back.
* Where a rating could not be sent, there is no question.
* The note on disk says when, never what was answered.

Rows: F3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from bailee.client.local_key import make_private, write_private

AFTER: Final = timedelta(minutes=10)
TURNS: Final = 5
APART: Final = timedelta(days=14)
ONE_IN: Final = 4


@dataclass(frozen=True, slots=True)
class SurveyHistory:
    """What is remembered: when it was last asked, and whether it may ever be again."""

    last: datetime | None = None
    never: bool = False


@dataclass(frozen=True, slots=True)
class SurveyedSession:
    """What counts of a session. `chance`: a number from 0 to 1, drawn once for the session."""

    interactive: bool
    began: datetime
    turns: int
    asked: bool
    chance: float
    busy: bool = False


def ask(asked: SurveyHistory, session: SurveyedSession, *, may_send: bool, now: datetime) -> bool:
    """Whether to ask now."""
    return (
        may_send
        and not asked.never
        and session.interactive
        and not session.asked
        and not session.busy
        and now - session.began >= AFTER
        and session.turns >= TURNS
        and session.chance < 1 / ONE_IN
        and (asked.last is None or now - asked.last >= APART)
    )


def read(folder: Path) -> SurveyHistory:
    """What is remembered. A note that can't be understood means never, until it is mended."""
    try:
        note = json.loads((folder / "survey.json").read_bytes())
        last = note["last"]
        moment = None if last is None else datetime.fromisoformat(last)
        if not isinstance(note["never"], bool) or (moment is not None and moment.tzinfo is None):
            return SurveyHistory(never=True)
        return SurveyHistory(moment, note["never"])
    except FileNotFoundError:
        return SurveyHistory()
    except (OSError, ValueError, KeyError, TypeError):
        return SurveyHistory(never=True)


def write(folder: Path, asked: SurveyHistory) -> None:
    """Remember. Raises `OSError`."""
    make_private(folder)
    last = None if asked.last is None else asked.last.isoformat()
    note = {"last": last, "never": asked.never}
    write_private(folder / "survey.json", json.dumps(note).encode())
