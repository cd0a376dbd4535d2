"""A place is told as it was stored, and any flipped bit of its row is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bailee.vault.places import stored, told

KEY, DIGEST = bytes(range(32)), b"d" * 16
numbers = st.integers(0, 1 << 20)


@given(numbers, numbers)
def test_a_place_is_told_as_it_was_stored(exchange: int, position: int) -> None:
    """With its check; without one it is none."""
    place = (exchange, position)
    assert place == told(KEY, DIGEST, exchange, stored(KEY, DIGEST, place))
    assert told(KEY, DIGEST, exchange, position) is None
    assert stored(KEY, DIGEST, place) < 1 << 63


@given(numbers, numbers, st.integers(0, 63), st.booleans())
def test_a_flipped_bit_is_found(exchange: int, position: int, bit: int, first: bool) -> None:
    """In either number, at any place of it."""
    there = stored(KEY, DIGEST, (exchange, position))
    row = (exchange ^ (1 << bit), there) if first else (exchange, there ^ (1 << bit))
    assert told(KEY, DIGEST, *row) is None


def test_what_is_no_number_is_no_place() -> None:
    """A row may hold anything, once it is damaged."""
    for row in ((None, 1), (1, None), (1, b"1"), ("1", 1), (1, -1)):
        assert told(KEY, DIGEST, *row) is None
