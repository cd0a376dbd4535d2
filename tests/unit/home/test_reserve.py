"""When room that is kept for deleting is given up, and when it is made again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.home.reserve import SIZE, step
from support.homes.small_files import truly as size_on


def test_a_small_file_system_has_a_small_reserve() -> None:
    """An eighth of it, 32 MiB at the most."""
    assert [8 << 20, SIZE, SIZE] == [size_on(size) for size in (64 << 20, 256 << 20, 1 << 40)]


@pytest.mark.row("R5")
@pytest.mark.parametrize(
    ("free", "held", "borrowed", "expected"),
    [
        (49, 100, True, 0),
        (50, 100, True, 100),
        (0, 100, False, 100),
        (100, 0, False, 100),
        (60, 0, False, 60),
        (60, 60, False, 100),
        (1000, 0, True, 0),
    ],
)
def test_a_reserve_of_100_bytes(free: int, held: int, borrowed: bool, expected: int) -> None:
    """It goes while somebody writes and half of it is not free, and comes as far as there is
    room.
    """
    assert expected == step(free, 100, held, borrowed=borrowed)


@given(st.integers(0, 1 << 40), st.integers(1, SIZE), st.integers(0, SIZE), st.booleans())
def test_it_comes_to_rest(free: int, size: int, held: int, borrowed: bool) -> None:
    """A second look changes nothing."""
    held = min(held, size)
    once = step(free, size, held, borrowed=borrowed)
    assert once == step(free + held - once, size, once, borrowed=borrowed)
