"""What is done of a row of numbered things."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bailee.vault.progress import Progress

NUMBERS = st.lists(st.integers(0, 90), max_size=80)


@given(NUMBERS, st.integers(0, 100))
def test_it_says_what_is_done(numbers: list[int], end: int) -> None:
    """In whatever order, and however often, each comes."""
    progress = Progress()
    for number in numbers:
        progress = progress.plus([number])
    done = set(numbers)
    assert progress == Progress().plus(numbers)
    assert done == {number for number in range(100) if number in progress}
    assert len(done) == progress.count
    assert end - len(done & set(range(end))) == progress.missing(end)
    assert progress.next not in progress


@given(NUMBERS)
def test_it_is_stored(numbers: list[int]) -> None:
    """As the number of the first that is not done, and no more bytes than the rest takes."""
    progress = Progress().plus(numbers)
    assert progress == Progress.stored(progress.next, progress.ahead_bytes)
    if progress.ahead_bytes is None:
        assert progress.next == len(set(numbers))
    else:
        assert len(progress.ahead_bytes) == (max(numbers) - progress.next) // 8 + 1


def test_what_was_stored_before_there_were_turns() -> None:
    """A number alone: all below it. What is not what was written is nothing beyond that."""
    assert Progress(7) == Progress.stored(7, None) == Progress.stored(7, "flipped")
    assert Progress(9, 0b10) == Progress.stored(7, b"\x0b")
