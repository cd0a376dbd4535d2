"""The sweep's schedule: a thread of a server that sweeps at the start and every few minutes.

Rules kept here:

* Intervals are counted by a clock that only grows (`clock.ticks`), so a wall clock that is set puts
  no sweep off and makes none up; after a sleep, or a sweep that took long, there is one, however
  many were missed.
* Whatever a sweep comes to, another follows: sooner after one that failed.

Rows: R5.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from bailee.app.promise import pause
from bailee.clock import Clock, Ticks, ticks
from bailee.lasting import Lasting
from bailee.node.sweeping import SEALING, NodeSweep, Sweeping

_LOOK: Final = 10.0  # a machine's sleep is not counted by a thread that waits
_ENDING: Final = 10.0

Told = Callable[[NodeSweep], None]
"""What is told of each sweep, in the schedule's thread."""


class Schedule:
    """Sweeps from `start` to `stop`.

    It owns the thread `sweep`, and sweeps on it; `told` is called there after each sweep. The watch
    owns it and starts, hurries and stops it, from any thread. It does not sweep itself: `Sweeping`
    does, one at a time.
    """

    def __init__(
        self, sweeping: Sweeping, clock: Clock, every: float, told: Told, *, ticking: Ticks = ticks
    ) -> None:
        """`every`: seconds from the end of a sweep to the next."""
        self._sweeping = sweeping
        self._clock = clock
        self._every = every
        self._told = told
        self._ticks = ticking
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._failed = 0  # the schedule's thread's alone
        self._next = ticking()  # set by whoever wants a sweep soon, too
        self.thread = Lasting("sweep", self._run)

    def start(self) -> None:
        """Sweep now and on schedule."""
        self.thread.start()

    def sweep_soon(self) -> None:
        """Let the next sweep be now, unless one is under way."""
        self._next = self._ticks()
        self._wake.set()

    def stop(self) -> None:
        """Let the sweep that runs come to its end, ten seconds at most. The next start sweeps."""
        self._ending.set()
        self._sweeping.ending = True
        self._wake.set()
        self.thread.join(_ENDING)

    def _run(self) -> None:
        while not self._ending.is_set():
            left = self._next - self._ticks()
            if left > 0:
                self._wake.wait(min(left, _LOOK))
                self._wake.clear()
                continue
            done = self._sweeping.sweep(self._clock())
            if self._ending.is_set():
                return
            failed = not done.kept or bool(set(done.failures) - {SEALING})
            if done.sessions.waits:  # not long; and each time like the first
                self._failed = 0
            self._failed = self._failed + 1 if failed else 0
            self._next = self._ticks() + pause(self._every, self._failed)
            self._told(done)
