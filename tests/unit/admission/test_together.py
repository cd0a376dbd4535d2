"""One bound for all together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.admission.together import PARTS, Together


@pytest.mark.row("G1")
def test_who_has_little_gets_a_little_when_all_is_taken() -> None:
    """Who took all of it gets nothing new; a hundred others, and one more, get theirs."""
    room = Together(PARTS * 10)
    room.add("hog", PARTS * 10)
    assert "own" == room.over("hog", 1)
    for number in range(100):
        assert "" == room.over(f"other {number}", 10)
        room.add(f"other {number}", 10)
    assert ("own", "") == (room.over("other 1", 1), room.over("victim", 10))
    room.less("hog", 1100)
    assert "" == room.over("hog", 1)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50)), max_size=600))
def test_all_take_at_most_twice_the_bound(asked: list[tuple[int, int]]) -> None:
    """Whoever asks for however much, in any order; and all of it can be given back."""
    room, taken = Together(1000), []
    for name, amount in asked:
        if not room.over(str(name), amount):
            room.add(str(name), amount)
            taken.append((str(name), amount))
    assert room.all <= 2000
    for name, amount in taken:
        room.less(name, amount)
    assert (0, 0) == (room.all, room.of("0"))
