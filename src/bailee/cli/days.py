"""Days as a person writes them."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from bailee.errors import InputError


def end_of_day(day: str) -> datetime:
    """The end of a day, where the person is.

    Raises:
        InputError: it is none.
    """
    try:
        given = datetime.strptime(day, "%Y-%m-%d").date()
        return datetime.combine(given + timedelta(days=1), time()).astimezone()
    except (ValueError, OverflowError):
        raise InputError("--until takes a day.", hint="write it like 2027-01-31") from None
