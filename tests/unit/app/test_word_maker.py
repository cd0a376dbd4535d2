"""How much of a processor words are made with."""

from __future__ import annotations

import pytest

from bailee.app.word_maker import rest_after


@pytest.mark.row("G1", "O8")
@pytest.mark.parametrize(("busy", "part"), [(False, 1 / 5), (True, 1 / 25)])
def test_words_are_made_with_a_part_of_a_processor(busy: bool, part: float) -> None:
    """A fifth of it; while exchanges wait to be sealed, which words keep waiting, much less."""
    rest = rest_after(0.02, busy=busy)
    assert part == pytest.approx(0.02 / (0.02 + rest))


def test_a_moment_is_rested_after_however_little() -> None:
    """So that nobody is kept from the interpreter by turns that are each nothing."""
    assert 0.01 == rest_after(0.0, busy=True)
