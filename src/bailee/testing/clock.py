"""A clock that a test moves."""

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
