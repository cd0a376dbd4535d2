"""How long something is kept: ISO 8601 periods, and the moment they end.

Rules kept here:

* A period has one unit: whole years (`P5Y`), months (`P6M`) or days (`P30D`). `P0D` keeps nothing.
* Years and months are calendar years and months. A day that the month of arrival lacks becomes
  its last day: 29 February plus one year is 28 February, so nothing is kept a day too long.
* No mixed periods: their order of evaluation is where implementations disagree.

Standard: ISO 8601-1:2019, 5.5.2.2 (a subset).
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, cast

from bailee.errors import InputError
from bailee.records import dataclass

Unit = Literal["Y", "M", "D"]

_FORM: Final = re.compile(r"P(0|[1-9][0-9]{0,4})([YMD])", re.ASCII)
NOTHING: Final = "P0D"
"""Keeps nothing; so does none of any other unit."""
_LONGEST_DAYS: Final[dict[Unit, int]] = {"Y": 366, "M": 31, "D": 1}
_SHORTEST_DAYS: Final[dict[Unit, int]] = {"Y": 365, "M": 28, "D": 1}


@dataclass(frozen=True, slots=True)
class Period:
    """`count` calendar years, months or days."""

    count: int
    unit: Unit

    def __str__(self) -> str:
        return f"P{self.count}{self.unit}"

    @property
    def longest_days(self) -> int:
        """The most days this period can span; what orders periods by length."""
        return self.count * _LONGEST_DAYS[self.unit]

    @property
    def shortest_days(self) -> int:
        """Days that this period is never shorter than."""
        return self.count * _SHORTEST_DAYS[self.unit]


def never_longer(days: int, period: str) -> bool:
    """Whether so many days are never longer than a period.

    >>> [never_longer(days, "P1M") for days in (28, 30)], never_longer(365, "P1Y")
    ([True, False], True)
    """
    return days <= parse(period).shortest_days


def shorter(days: int, period: str) -> bool:
    """Whether so many days are never longer than a period, and shorter than it can be."""
    return never_longer(days, period) and days < parse(period).longest_days


@lru_cache(maxsize=64)
def parse(text: str) -> Period:
    """Read `PnY`, `PnM` or `PnD`.

    Raises:
        InputError: anything else.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise InputError(
            f"{text!r} is not a period.", hint="write years, months or days: P5Y, P6M, P30D, P0D"
        )
    return Period(int(found[1]), cast("Unit", found[2]))


def expires_at(moment: datetime, period: str | Period) -> datetime:
    """The moment at which what was last active at `moment` (aware) is past its time.

    Raises:
        InputError: not a period, a naive moment, or an end beyond the year 9999.
    """
    if moment.tzinfo is None:
        raise InputError("A moment without a time zone has no end.", hint="give an aware datetime")
    span = parse(period) if isinstance(period, str) else period
    try:
        if span.unit == "D":
            return moment + timedelta(days=span.count)
        months = span.count * (12 if span.unit == "Y" else 1)
        year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
    except (OverflowError, ValueError) as error:
        raise InputError(f"{span} from {moment.year} ends after the year 9999.") from error
