"""`BAILEE_NOW`: the time that a test sets, and only in a home that was made for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bailee.clock import parse_moment
from bailee.errors import InputError
from bailee.home.layout import Home


def time_set(home: Home, environment: Mapping[str, str]) -> datetime | None:
    """The moment in `BAILEE_NOW`; None when it is not set.

    Raises:
        InputError: it is set, and the home has no test clock; or it is not a date and time.
    """
    text = environment.get("BAILEE_NOW")
    if not text:
        return None
    if not home.has_test_clock:
        raise InputError(
            f"BAILEE_NOW is set, but the time of {home.path} is the machine's.",
            code="configuration",
            hint="unset it; only a home made with `bailee up --test-clock` takes it",
        )
    return parse_moment(text, name="BAILEE_NOW")
