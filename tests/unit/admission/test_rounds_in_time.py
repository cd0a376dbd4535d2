"""Turns and paces in virtual time: a loop that requests take time of, on a processor that others
use too.

Rows: G1.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from statistics import quantiles

import pytest

from bailee.admission import Rounds

pytestmark = pytest.mark.row("G1")

_STALL = 0.004  # seconds, at the most, for which somebody else has the processor


class Loop:
    """An event loop in virtual time. `stalled`: how often the processor is away when something
    becomes due.
    """

    def __init__(self, stalled: float) -> None:
        self.now = 0.0
        self._stalled = stalled
        self.random = random.Random(7)
        self._soon: list[Callable[[], object]] = []
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self.rounds = Rounds(self._soon.append, self.later, lambda: self.now)

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """A timer, or something that comes over a connection."""
        self._number += 1
        heapq.heappush(self._due, (self.now + seconds, self._number, call))

    def run(self, until: float) -> None:
        """Go on to that moment."""
        looked = self.now
        while self.now < until:
            if self.now >= looked + 1.0:
                looked = self.now
                self.rounds.look()
            calls = self._soon[:]
            self._soon.clear()
            while self._due and self._due[0][0] <= self.now:
                calls.append(heapq.heappop(self._due)[2])
            if not calls:
                self.now = self._due[0][0]
                if self.random.random() < self._stalled:
                    self.now += self.random.random() * _STALL
            for call in calls:
                call()


class Client:
    """Asks again a millisecond after it is answered. `takes`: seconds of the loop for a request."""

    def __init__(self, loop: Loop, account: str, takes: float) -> None:
        self._loop, self._account, self._takes = loop, account, takes
        self.waited: list[float] = []
        loop.later(loop.random.random(), self._ask)

    def _ask(self) -> None:
        loop = self._loop
        self._asked = loop.now
        if loop.rounds.begins(self._account):
            self._go()
        else:
            loop.rounds.wait(self._account, "key", self._go)

    def _go(self) -> None:
        loop = self._loop
        loop.now += self._takes
        if loop.rounds.crowded:
            loop.rounds.spent(self._account, self._takes)
        self.waited.append(loop.now - self._asked)
        loop.later(0.001, self._ask)


@pytest.mark.parametrize("stalled", [0.0, 0.3])
def test_a_flood_hurts_nobody_and_goes_on(stalled: float) -> None:
    """Also where something else makes the loop late: that is no reason to leave one a second of
    requests that take nothing.
    """
    loop = Loop(stalled)
    flood = [Client(loop, "flood", 0.0004) for _ in range(64)]
    quiet = Client(loop, "quiet", 0.0002)
    loop.run(5.0)
    before = sum(len(one.waited) for one in flood)
    loop.run(10.0)
    assert 0.004 > quantiles(quiet.waited, n=100)[98]
    assert sum(len(one.waited) for one in flood) - before > 5 * 100
