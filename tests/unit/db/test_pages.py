"""Where a page of a list ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.db.pages import cut, place, read_place
from bailee.errors import InputError

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)
)


@given(MOMENTS, st.from_regex(r"\A[A-Za-z0-9_~-]*\Z"))
def test_a_place_is_read_as_it_was_written(at: datetime, name: str) -> None:
    """Moment and id come back, and nothing in its text has to be escaped in an address."""
    text = place(at, name)
    assert (at, name) == read_place(text)
    assert not set(text) & set("+&?#/% ")


def test_a_place_is_the_same_in_every_time_zone() -> None:
    """Two ways to say one moment are one place."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert place(at, "x") == place(at.astimezone(timezone(timedelta(hours=8))), "x")


@pytest.mark.parametrize(
    "text", ["", "x", "2026-01-01~x", "2026-01-01T00:00:00~x", "9999-12-31T23:59:59-08:00~x"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    """Without a moment, or one without a time zone, there is none."""
    with pytest.raises(InputError):
        read_place(text)


@given(st.lists(st.integers(), max_size=9), st.integers(min_value=1, max_value=9))
def test_a_page_is_no_longer_than_it_may_be(items: list[int], limit: int) -> None:
    """One more than fits says that others follow, and from where."""
    page, more = cut(items, limit, str)
    assert items[:limit] == page
    assert (str(page[-1]) if len(items) > limit else None) == more
