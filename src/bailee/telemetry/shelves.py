"""A shelf: what shares a key and an end: one class, received on one day, for one period. Pure.

What is received on a day expires when that day's first moment is past its period: nothing is kept a
minute longer than the policy says, and what came late in the day up to a day less (decision 50).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from bailee.policy.period import expires_at
from bailee.telemetry.records import ERROR, METRIC, DataClass

_FORM: Final = re.compile(r"(metric|error_event)~(\d{4}-\d{2}-\d{2})~(P\d{1,5}[YMD])~[0-9a-f-]+")


@dataclass(frozen=True, slots=True)
class Shelf:
    """A class, the day of receipt (UTC), the policy's period."""

    data_class: DataClass
    day: date
    period: str

    def __str__(self) -> str:
        return f"{self.data_class}~{self.day}~{self.period}"

    @property
    def subject(self) -> str:
        """The keyring subject of its key."""
        return f"{self.data_class}:{self.day}:{self.period}"

    @property
    def expires_at(self) -> datetime:
        """When all of it is past its time."""
        return expires_at(datetime.combine(self.day, time(), UTC), self.period)


def shelf_of(name: str) -> Shelf:
    """The shelf that a file's name says it is on.

    Raises:
        ValueError: not a name of one of ours.
    """
    found = _FORM.fullmatch(name)
    if found is None:
        raise ValueError(f"not a telemetry file's name: {name!r}")
    data_class: DataClass = METRIC if found[1] == "metric" else ERROR
    return Shelf(data_class, date.fromisoformat(found[2]), found[3])
