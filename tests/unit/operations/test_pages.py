"""Marks of places in lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.operations import pages
from bailee.operations.codec import Page

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-7))])
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=ZONES)


@given(MOMENTS, st.text())
def test_a_mark_is_read_as_it_was_made(at: datetime, name: str) -> None:
    """To the microsecond, whatever the id and the time zone."""
    assert (at, name) == pages.place(pages.mark(at, name))


@given(st.integers(0, 10**18 - 1))
def test_a_number_is_read_as_it_was_made(number: int) -> None:
    """Any that SQLite gives a row."""
    assert number == pages.number(str(number))


def test_no_mark_is_the_beginning() -> None:
    """Of either kind of list."""
    assert (None, None) == (pages.place(None), pages.number(None))


@pytest.mark.parametrize("wrong", ["", "x", "-1", "²", "1" * 19, "2026-13-01T00:00:00Z/a"])
def test_what_is_no_mark_is_refused(wrong: str) -> None:
    """And is not taken for the beginning."""
    for read in (pages.place, pages.number):
        with pytest.raises(InputError):
            read(wrong)


@given(st.lists(st.integers(), max_size=8), st.integers(1, 9))
def test_a_page_says_what_is_next_only_if_something_is(found: list[int], limit: int) -> None:
    """One more than the limit says that others follow; it is not on the page."""
    more = len(found) > limit
    expected = Page(found[:limit], str(found[limit - 1]) if more else None)
    assert expected == pages.page(found, limit, lambda one: one, str)
