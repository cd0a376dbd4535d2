"""Pages of what was found, and places that are numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.operations import pages
from bailee.operations.codec import Page


@given(st.integers(0, 10**18 - 1))
def test_a_number_is_read_as_it_was_made(number: int) -> None:
    """Any that SQLite gives a row; no place is the beginning."""
    assert (number, None) == (pages.number(str(number)), pages.number(None))


@pytest.mark.parametrize("wrong", ["", "x", "-1", "²", "1" * 19])
def test_what_is_no_number_is_refused(wrong: str) -> None:
    """And is not taken for the beginning."""
    with pytest.raises(InputError):
        pages.number(wrong)


@given(st.lists(st.integers(), max_size=8), st.integers(1, 9))
def test_a_page_says_what_is_next_only_if_something_is(found: list[int], limit: int) -> None:
    """One more than the limit says that others follow; it is not on the page."""
    more = len(found) > limit
    expected = Page(found[:limit], str(found[limit - 1]) if more else None)
    assert expected == pages.page(found, limit, lambda one: one, str)
