"""Places are told as they were stored, and any flipped bit of their row is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bailee.vault.places import stored, told

KEY = bytes(range(32))
numbers = st.integers(0, 1 << 20)
positions = st.dictionaries(st.binary(min_size=16, max_size=16), numbers, min_size=1, max_size=4)


@given(numbers, positions)
def test_places_are_told_as_they_were_stored(exchange: int, said: dict[bytes, int]) -> None:
    """With their checks, 24 bytes each; and nothing where there are none."""
    learned = {digest: (exchange, position) for digest, position in said.items()}
    row = stored(KEY, learned)
    assert row is not None
    assert (learned, True, row) == told(KEY, exchange, row)
    assert 24 * len(learned) == len(row)
    assert stored(KEY, {}) is None
    assert ({}, True, b"") == told(KEY, exchange, None)


@given(numbers, positions, st.data())
def test_a_flipped_bit_costs_one_place(
    exchange: int, said: dict[bytes, int], data: st.DataObject
) -> None:
    """The others are told, and stay as they are."""
    learned = {digest: (exchange, position) for digest, position in said.items()}
    row = stored(KEY, learned)
    assert row is not None
    bit = data.draw(st.integers(0, 8 * len(row) - 1))
    flipped = bytearray(row)
    flipped[bit // 8] ^= 1 << bit % 8
    at = bit // (8 * 24)
    names = list(learned)
    left = {name: learned[name] for name in names if name != names[at]}
    rest = row[: 24 * at] + row[24 * (at + 1) :]
    assert (left, False, rest) == told(KEY, exchange, bytes(flipped))


@given(numbers, positions, st.integers(0, 40))
def test_in_another_exchange_there_is_none(exchange: int, said: dict[bytes, int], bit: int) -> None:
    """A row that was put in another's place tells nothing."""
    row = stored(KEY, {digest: (exchange, position) for digest, position in said.items()})
    assert ({}, False, b"") == told(KEY, exchange ^ 1 << bit, row)


def test_what_is_no_row_tells_nothing() -> None:
    """A row may hold anything, once it is damaged."""
    for row in ("x" * 24, 7, 1.5, b"short", bytes(24)):
        assert ({}, False, b"") == told(KEY, 0, row)
