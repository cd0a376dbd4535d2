"""A home's time: the machine's, but for its steps.

A wall clock is set: by a person, by a time server, by a machine that wakes up with a wrong one.
What is kept goes by the wall clock, so a step would destroy it early or keep it long. Beside the
wall clock runs one that nobody sets, and tells the two apart.

Rules kept here:

* While the two agree within `BOUND`, the home's time is the wall's. It never goes back for that: it
  stands still until the wall has come up.
* A step of more is *held*: the home's time goes on as if there had been none. Nothing is destroyed
  or prolonged by it. When the wall comes back by itself, it is over.
* A step is followed (`follow`) when somebody has confirmed it. One of a day (`ASKED`) at most is
  followed, too, when it has lasted `LASTS`; a larger one waits for that word, however long: it
  would destroy too much if it were wrong.
* Who reads goes by the later of the two (`latest`): what may be past its time, nobody is shown.
* At a start the last time that was noted (`SeenTime`) is the reference. Since the same start of the
  machine the unset clock says what has passed; else a machine may have been off for `OFF`.

No I/O is here but the two clocks, which are arguments. Used from any thread.

Rows: R1, R5.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from bailee.clock import Clock, system_clock
from bailee.records import dataclass

BOUND: Final = timedelta(minutes=5)
OFF: Final = timedelta(days=1)
LASTS: Final = timedelta(hours=24)
ASKED: Final = timedelta(days=1)

_BOUND: Final = BOUND.total_seconds()
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class MachineClocks:
    """A machine's clocks: `wall`, which can be set; `unset`, in seconds, which nobody sets and
    which goes on while the machine sleeps; and the name of the start that it counts from (empty:
    none is known, and after a restart of the process it says nothing).
    """

    wall: Clock
    unset: Callable[[], float]
    boot: str


def this_machine() -> MachineClocks:
    """The clocks of this machine."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return MachineClocks(system_clock, time.monotonic, "")
    try:
        boot = _BOOT.read_text("ascii").strip()
    except (OSError, ValueError):
        boot = ""
    return MachineClocks(system_clock, partial(time.clock_gettime, time.CLOCK_BOOTTIME), boot)


@dataclass(frozen=True, slots=True)
class SeenTime:
    """What is noted for the next start: the home's time, when it was by the unset clock, of which
    start of the machine. `held`: for how many seconds a step has been held, one `by` so many
    seconds; None: there is none.
    """

    now: datetime
    unset: float
    boot: str
    held: float | None
    by: float | None = None


@dataclass(frozen=True, slots=True)
class HeldStep:
    """A step that is held: by how much the wall is ahead of the home's time, and how long so."""

    by: timedelta
    lasted: timedelta

    @property
    def has_lasted(self) -> bool:
        """Whether it is to be followed without anybody's word."""
        return self.lasted >= LASTS and abs(self.by) <= ASKED


class SteadyClock:
    """A `Clock` that shows the home's time."""

    def __init__(self, machine: MachineClocks, seen: SeenTime | None = None) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        wall, unset = machine.wall(), machine.unset()
        self._at, self._unset = wall, unset  # the home's time, and when it was that
        self._since: float | None = None  # a step is held, since then
        self._by = timedelta()
        if seen is not None:
            self._go_on(seen, wall, unset)
        self()

    def _go_on(self, seen: SeenTime, wall: datetime, unset: float) -> None:
        if seen.boot and seen.boot == self._machine.boot and unset >= seen.unset:
            self._at, self._unset = seen.now, seen.unset
            if seen.held is not None and seen.by is not None:
                # Another step than that one is seen as soon as the two are compared.
                self._by = timedelta(seconds=seen.by)
                self._since = seen.unset - seen.held
            return
        most = OFF if seen.held is None else BOUND
        # From `OFF` on, or back: the step is seen as soon as the two are compared.
        if not -BOUND <= wall - seen.now <= most:
            self._at = seen.now
        else:
            self._at = max(wall, seen.now)

    def __call__(self) -> datetime:
        """The home's time."""
        with self._lock:
            return self._look()[0]

    def latest(self) -> datetime:
        """The home's time, or the wall's if that is later: by it is told what may be read."""
        with self._lock:
            return max(self._look())

    def step(self) -> HeldStep | None:
        """The step that is held, if one is."""
        with self._lock:
            self._look()
            if self._since is None:
                return None
            return HeldStep(self._by, timedelta(seconds=self._machine.unset() - self._since))

    def follow(self) -> None:
        """Follow the wall, wherever it is."""
        with self._lock:
            self._at, self._unset = self._machine.wall(), self._machine.unset()
            self._since = None

    def seen(self) -> SeenTime:
        """What to note for the next start."""
        with self._lock:
            now, _ = self._look()
            if self._since is None:
                return SeenTime(now, self._unset, self._machine.boot, None)
            held, by = self._unset - self._since, self._by.total_seconds()
            return SeenTime(now, self._unset, self._machine.boot, held, by)

    def _expected(self, unset: float) -> datetime:
        return self._at + timedelta(seconds=unset - self._unset)

    def _look(self) -> tuple[datetime, datetime]:
        """The home's time and the wall's."""
        wall, unset = self._machine.wall(), self._machine.unset()
        # Asked twice for each exchange: in plain numbers as long as the two agree.
        ahead = (wall - self._at).total_seconds() - (unset - self._unset)
        if -_BOUND <= ahead <= _BOUND:
            self._since = None
            self._at = max(self._at, wall)
        else:
            expected = self._expected(unset)
            by = wall - expected
            if self._since is None or abs(by - self._by) > BOUND:
                self._since, self._by = unset, by
            self._at = expected
        self._unset = unset
        return self._at, wall
