"""Periods and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.policy.period import Period, expires_at, parse

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(2500, 1, 1), timezones=st.just(UTC)
)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("P5Y", Period(5, "Y")),
        ("P6M", Period(6, "M")),
        ("P30D", Period(30, "D")),
        ("P0D", Period(0, "D")),
    ],
)
def test_periods_are_read_and_written_alike(text: str, period: Period) -> None:
    """A period survives reading and writing."""
    assert period == parse(text)
    assert text == str(period)


@pytest.mark.parametrize(
    "text",
    [
        *("", "P", "30D", "P30", "P-1D", "P+1D", "P1.5D", "p5y", "P1Y2M", "PT1H", "P1W", "P030D"),
        *("P٣D", "P99999999D", "P5Y\n", " P5Y"),
    ],
)
def test_anything_else_is_no_period(text: str) -> None:
    """A period that is not one of ours is refused, never approximated."""
    with pytest.raises(InputError):
        parse(text)


@pytest.mark.row("R1")
@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        ("2025-08-28T12:00:00+00:00", "P5Y", "2030-08-28T12:00:00+00:00"),
        ("2025-08-28T12:00:00+00:00", "P30D", "2025-09-27T12:00:00+00:00"),
        ("2024-02-29T23:59:59+00:00", "P5Y", "2029-02-28T23:59:59+00:00"),
        ("2024-02-29T00:00:00+00:00", "P4Y", "2028-02-29T00:00:00+00:00"),
        ("2025-01-31T00:00:00+00:00", "P1M", "2025-02-28T00:00:00+00:00"),
        ("2025-12-31T00:00:00+00:00", "P2M", "2026-02-28T00:00:00+00:00"),
        ("2025-12-31T00:00:00+00:00", "P0D", "2025-12-31T00:00:00+00:00"),
    ],
)
def test_periods_end_on_the_calendar(start: str, period: str, end: str) -> None:
    """Years and months are the calendar's; a day that is not there becomes the month's last."""
    assert datetime.fromisoformat(end) == expires_at(datetime.fromisoformat(start), period)


def test_a_naive_moment_has_no_end() -> None:
    """Without a time zone nothing can be said to be past its time."""
    with pytest.raises(InputError):
        expires_at(datetime(2025, 1, 1), "P30D")


def test_an_end_beyond_the_calendar_is_an_input_error() -> None:
    """A period that leaves the calendar is refused, not wrapped."""
    for period in ("P9000Y", "P99999D"):
        with pytest.raises(InputError):
            expires_at(datetime(9990, 1, 1, tzinfo=UTC), period)


@given(MOMENTS, st.integers(0, 500), st.sampled_from("YMD"))
def test_nothing_is_kept_longer_than_its_period(moment: datetime, count: int, unit: str) -> None:
    """An end lies within the period's longest span, and never before the start."""
    period = parse(f"P{count}{unit}")
    end = expires_at(moment, period)
    assert moment <= end <= moment + timedelta(days=period.longest_days)


@given(MOMENTS, MOMENTS, st.integers(0, 500), st.sampled_from("YMD"))
def test_later_activity_never_ends_earlier(
    one: datetime, other: datetime, count: int, unit: str
) -> None:
    """Ends keep the order of the moments they are counted from."""
    first, second = sorted((one, other))
    period = parse(f"P{count}{unit}")
    assert expires_at(first, period) <= expires_at(second, period)
