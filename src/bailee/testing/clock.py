"""Clocks that a test moves: the time of day, and seconds that only grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bailee.steady import MachineClocks


class FakeClock:
    """Shows the moment it was given until it is moved.

    >>> from datetime import timedelta
    >>> clock = FakeClock()
    >>> start = clock()
    >>> clock.advance(timedelta(days=30))
    >>> (clock() - start).days
    30
    """

    def __init__(self, now: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The moment it shows."""
        return self.now

    def advance(self, by: timedelta) -> None:
        """Move on by `by`."""
        self.now += by


class FakeMachine:
    """A machine whose clocks a test moves: time passes on both, a step is on the wall alone.

    >>> from datetime import timedelta
    >>> from bailee.steady import SteadyClock
    >>> fake = FakeMachine()
    >>> clock = SteadyClock(fake.machine)
    >>> start = clock()
    >>> fake.step(timedelta(days=365))
    >>> fake.passes(timedelta(hours=1))
    >>> str(clock() - start), clock.step().by.days
    ('1:00:00', 365)
    """

    def __init__(self, now: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self.wall = FakeClock(now)
        self.unset = 1000.0
        self.boot = "first"

    @property
    def machine(self) -> MachineClocks:
        """As it is handed over."""
        return MachineClocks(self.wall, lambda: self.unset, self.boot)

    def passes(self, how_long: timedelta) -> None:
        """Time passes."""
        self.wall.advance(how_long)
        self.unset += how_long.total_seconds()

    def step(self, by: timedelta) -> None:
        """Somebody sets the wall clock."""
        self.wall.advance(by)

    def boots(self, off: timedelta) -> None:
        """The machine is off for a time and starts again."""
        self.wall.advance(off)
        self.unset, self.boot = 10.0, self.boot + "+"


class FakeTicks:
    """`bailee.clock.ticks` that stand still until a test lets seconds pass.

    >>> ticks = FakeTicks()
    >>> began = ticks()
    >>> ticks.seconds += 30
    >>> ticks() - began
    30.0
    """

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """The seconds so far."""
        return self.seconds
