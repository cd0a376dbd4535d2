"""Edits land exactly where they were meant, or nowhere."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bailee.agent.editing import changed_lines, diff, replaced
from bailee.agent.shapes import Shape
from bailee.errors import InputError

texts = st.text("ab\n", max_size=12)


@given(texts, st.text("ab\n", min_size=1, max_size=4), texts)
def test_an_edit_changes_one_place_and_nothing_else(text: str, old: str, new: str) -> None:
    """What stands before and after the replaced piece stays; anything else is refused."""
    assume(old != new)
    if text.count(old) != 1:
        with pytest.raises(InputError):
            replaced(text, old, new)
        return
    before, after = text.split(old)

    assert before + new + after == replaced(text, old, new)


@given(texts, st.text("ab\n", min_size=1, max_size=4), texts)
def test_replacing_every_one(text: str, old: str, new: str) -> None:
    """With `every`, all are replaced, and one at least."""
    assume(old != new)
    if old not in text:
        with pytest.raises(InputError):
            replaced(text, old, new, every=True)
        return

    assert new.join(text.split(old)) == replaced(text, old, new, every=True)


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=6))
def test_windows_line_ends_stay(lines: list[str]) -> None:
    """A text with CRLF, edited with LF, has CRLF everywhere afterwards."""
    text = "".join(f"{line}\r\n" for line in [*lines, "x", "y"])
    edited = replaced(text, "x\ny", Shape(ends="\r\n").fitted("x\nz\ny"))

    assert edited.count("\r\n") == edited.count("\n") == len(lines) + 3


@pytest.mark.parametrize(("old", "new"), [("", "a"), ("a", "a")])
def test_an_edit_that_is_none_is_refused(old: str, new: str) -> None:
    """Nothing to replace, and nothing to change."""
    with pytest.raises(InputError):
        replaced("a", old, new)


@given(texts, texts)
def test_a_diff_counts_what_it_shows(before: str, after: str) -> None:
    """A diff is empty when nothing changed, and its lines add up to the difference."""
    shown = diff(before, after, "x")
    added, taken = changed_lines(shown)

    assert (before == after) == (shown == "")
    lines = [t.count("\n") + (not t.endswith("\n") and t != "") for t in (before, after)]
    assert lines[1] - lines[0] == added - taken
