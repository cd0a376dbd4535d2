"""Where time comes from.

Pure code takes `now` as an argument. The parts that act take a `Clock`: a callable that gives
the present moment as an aware UTC `datetime`. `bailee.testing.FakeClock` is one that a test moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from bailee.errors import InputError

Clock = Callable[[], datetime]

SPANS: Final = {"m": 60, "h": 3600, "d": 86_400}
"""The units of a span of time, in seconds."""


def system_clock() -> datetime:
    """The machine's time, aware, in UTC."""
    return datetime.now(UTC)


Ticks = Callable[[], float]
"""Seconds that only grow, at the pace of real time, whatever is done to the clock."""


def ticks() -> float:
    """Seconds since the machine started, its sleep included where the system counts it (Linux)."""
    return time.clock_gettime(_TICKING)


_TICKING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def starting_at(start: datetime) -> Clock:
    """A clock that shows `start` now and moves on at the machine's pace."""
    offset: timedelta = start - system_clock()
    return lambda: system_clock() + offset


def parse_moment(text: str, *, name: str) -> datetime:
    """An ISO 8601 moment, as UTC; one without a time zone is UTC. `name` is where it came from.

    Raises:
        InputError: not a moment.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{name} is not a date and time.", hint=f"write it like {name}=2026-01-31T12:00:00Z"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_span(text: str, *, name: str) -> timedelta:
    """A span of time, as 90m, 24h or 7d; at least one of its unit. `name` is where it came from.

    Raises:
        InputError: not a span.
    """
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal() and len(number) < 7 and unit in SPANS):
        raise InputError(f"{name} {text[:20]!r} is no span of time.", hint="write 90m, 24h or 7d")
    return timedelta(seconds=max(1, int(number)) * SPANS[unit])
