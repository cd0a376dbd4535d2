"""Expiry time in buckets: what expires in one epoch shares a KEK and is forgotten by destroying it.

An epoch is half an hour long. What expires at a moment belongs to the epoch that ends at or next
after it, so a key outlives its content's time by less than half an hour, plus the time until the
next sweep. Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

EPOCH_SECONDS: Final = 1800


def epoch_of(expires_at: datetime) -> int:
    """The number of the epoch that `expires_at` belongs to.

    >>> from datetime import UTC, datetime
    >>> ends_at(epoch_of(datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC))).isoformat()
    '2026-01-01T12:30:00+00:00'
    >>> ends_at(epoch_of(datetime(2026, 1, 1, 12, 30, tzinfo=UTC))).isoformat()
    '2026-01-01T12:30:00+00:00'
    """
    seconds = int(expires_at.timestamp() // 1)
    whole = seconds if expires_at.microsecond == 0 else seconds + 1
    return -(-whole // EPOCH_SECONDS)


def ends_at(epoch: int) -> datetime:
    """The moment at which `epoch` ends and its keys are due to be destroyed."""
    return datetime.fromtimestamp(epoch * EPOCH_SECONDS, UTC)


def last_ended(now: datetime) -> int:
    """The newest epoch that has ended by `now`."""
    return int(now.timestamp() // EPOCH_SECONDS)
