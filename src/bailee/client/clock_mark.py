"""The time at which this machine's stores were last in use: by it a clock that jumped is seen.

What is kept goes by the machine's clock. One that is wrong by years would destroy all of it at one
start. So each use notes the time, and what a clock that nobody sets says beside it
(`steady.MachineClocks`). At the next the two are compared.

Rules kept here:

* Since the same start of the machine the unset clock says what has passed, its sleep included. A
  wall clock that is off by more than a day has jumped.
* After another start of the machine nobody can say what has passed: a wall clock that is behind, or
  more than a day ahead, may have jumped.
* While it may have, nothing is deleted by time and nothing is noted. It is over when the clock is
  where it was expected, or when a person has said that it is right.
* Where nothing was noted yet, nothing is deleted by time either.

Rows: R3.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bailee.client.local_key import make_private, write_private
from bailee.records import dataclass
from bailee.steady import MachineClocks

BOUND: Final = timedelta(days=1)
_OFTEN: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ClockMark:
    """What was noted: the wall clock, the unset one, and from which start that one counts."""

    wall: datetime
    unset: float
    boot: str


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The wall clock is ahead `by` so much (behind: negative) of what was expected. `sure`: it has
    jumped; else the machine was started anew, and may have been off for so long.
    """

    by: timedelta
    sure: bool


def jump(mark: ClockMark, wall: datetime, unset: float, boot: str) -> ClockJump | None:
    """Whether the clock has jumped, or may have, by more than a day."""
    if boot and boot == mark.boot and unset >= mark.unset:
        by = wall - mark.wall - timedelta(seconds=unset - mark.unset)
        return ClockJump(by, sure=True) if abs(by) > BOUND else None
    by = wall - mark.wall
    return ClockJump(by, sure=by < timedelta()) if abs(by) > BOUND else None


class ClockMarks:
    """The note in one folder. The client's machine asks it at each start, on its own thread."""

    def __init__(self, folder: Path, clocks: MachineClocks) -> None:
        self._folder: Final = folder
        self._clocks: Final = clocks

    def read(self) -> ClockMark | None:
        """What was noted; None: nothing, or it can't be read."""
        try:
            held = json.loads((self._folder / "clock.json").read_bytes())
            wall = datetime.fromisoformat(str(held["wall"])).astimezone(UTC)
            return ClockMark(wall, float(held["unset"]), str(held["boot"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def jumped(self) -> ClockJump | None:
        """Whether the clock has jumped since, or may have."""
        mark = self.read()
        clocks = self._clocks
        return None if mark is None else jump(mark, clocks.wall(), clocks.unset(), clocks.boot)

    def note(self) -> None:
        """Note the present time. Raises `OSError`."""
        wall, unset = self._clocks.wall(), self._clocks.unset()
        before = self.read()
        same = before is not None and before.boot == self._clocks.boot
        if before is not None and same and abs(wall - before.wall) < _OFTEN:
            return
        make_private(self._folder)
        note = {"wall": wall.isoformat(), "unset": unset, "boot": self._clocks.boot}
        write_private(self._folder / "clock.json", json.dumps(note).encode())
