"""Which counts of the survey are shown: no small one, and none that can be worked out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.feedback.suppression import LEAST, TOTAL, monday, results, sums, suppressed

ANSWERS = ("1", "2", "3", "dismissed")
COUNTS = st.dictionaries(
    st.tuples(
        st.sampled_from(["2026-11-02", "2026-11-09", "2026-11-16", "2026-11-23"]),
        st.sampled_from(["bailee/1", "bailee/2", "other"]),
        st.sampled_from(ANSWERS),
    ),
    st.one_of(st.integers(1, 6), st.integers(1, 60)),
)


def cells(counts: dict[tuple[str, str, str], int]) -> tuple[dict, list, frozenset]:  # type: ignore[type-arg]
    """The true values, the sums, and what is hidden."""
    values: dict[tuple[str, str, str], int] = {}
    rows = {
        "week": sorted({monday(day) for day, _, _ in counts}),
        "version": sorted({version for _, version, _ in counts}),
    }
    lines = sums(rows, ANSWERS)
    for line in lines:
        values.update(dict.fromkeys(line, 0))
    for (day, version, answer), count in counts.items():
        for table, row in (("week", monday(day)), ("version", version), ("all", "")):
            values[table, row, answer] += count
            values[table, row, TOTAL] += count
    return values, lines, suppressed(values, lines)


@pytest.mark.row("F3")
@given(COUNTS)
def test_no_count_below_the_least_is_shown(counts: dict[tuple[str, str, str], int]) -> None:
    """Neither in a table nor as a total."""
    found = results(((*key, count) for key, count in counts.items()), ANSWERS)
    shown = [
        count
        for line in (*found.weeks, *found.versions, found.all)
        for count in (*line.counts.values(), line.total)
    ]

    assert [] == [count for count in shown if count is not None and 0 < count < LEAST]


@pytest.mark.row("F3")
@given(COUNTS)
def test_no_sum_gives_a_hidden_count_away(counts: dict[tuple[str, str, str], int]) -> None:
    """In each row and column nothing is hidden, or two at least whose sum is not small itself; what
    a reader can take away from a total is never one count.
    """
    values, lines, hidden = cells(counts)
    for line in lines:
        gone = [cell for cell in line if cell in hidden]
        assert len(gone) != 1
        if gone and line[-1] not in hidden:
            total = values[line[-1]] - sum(values[c] for c in line[:-1] if c not in hidden)
            assert total >= LEAST or total == 0 or len(gone) == len(line) - 1


@pytest.mark.row("F3")
@given(COUNTS)
def test_what_is_shown_is_true(counts: dict[tuple[str, str, str], int]) -> None:
    """A shown count is the count; when all are large, all are shown."""
    values, _, hidden = cells(counts)
    found = results(((*key, count) for key, count in counts.items()), ANSWERS)
    for line in found.weeks:
        for answer, count in line.counts.items():
            assert count in (None, values["week", line.name, answer])
    if all(value == 0 or value >= LEAST for value in values.values()):
        assert frozenset() == hidden


def test_nothing_answered_shows_nothing() -> None:
    """No rows, and zeros together."""
    found = results([], ANSWERS)
    assert ((), (), 0) == (found.weeks, found.versions, found.all.total)
