"""Clocks that a test moves: the time of day, and seconds that only grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


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
