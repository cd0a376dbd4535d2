"""bailee.db.versions: what is to be read anew, and for how long what was read may be gone by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.db.versions import (
    BOUND,
    NOTHING,
    ChangedRows,
    Confirmation,
    DataVersion,
    RowChange,
    since,
)
from bailee.errors import StorageError
from bailee.testing.clock import FakeTicks

pytestmark = pytest.mark.row("O6")

ROWS = st.tuples(st.sampled_from(["accounts", "api_keys"]), st.sampled_from(["a", "b", "c"]))


def history(rows: list[tuple[str, str]], mark: int = 7, first: int = 1) -> list[RowChange]:
    """These rows changed, one after the other."""
    return [RowChange(n, mark * 1000 + n, *row) for n, row in enumerate(rows, first)]


def after(known: DataVersion, kept: list[RowChange]) -> ChangedRows | None:
    """As who reads the log asks for it."""
    return since(known, [one for one in kept if one.number >= known.number])


@given(st.lists(ROWS, max_size=30), st.data())
def test_what_changed_since_is_read_anew_and_nothing_else(
    rows: list[tuple[str, str]], data: st.DataObject
) -> None:
    """However much of the log is kept, as long as what was known is in it."""
    every = history(rows)
    at = data.draw(st.integers(1, len(rows))) if rows else 0
    known = every[at - 1].version if at else NOTHING
    kept = every[data.draw(st.integers(0, at - 1)) if at else 0 :]
    found = after(known, kept)
    assert found is not None
    assert (every[-1].version if every else NOTHING) == found.version
    later = every[at:]
    for table in ("accounts", "api_keys"):
        assert {one.id for one in later if one.table == table} == {*found.of(table)}


@given(st.lists(ROWS, min_size=2, max_size=30), st.data())
def test_who_missed_some_reads_everything(rows: list[tuple[str, str]], data: st.DataObject) -> None:
    """What was known is past what is kept, or one that came after it is missing."""
    every = history(rows)
    at = data.draw(st.integers(1, len(rows) - 1))
    known = every[at - 1].version
    assert after(known, every[at:]) is None
    gone = data.draw(st.integers(at, len(rows) - 1))
    torn = [one for one in every if one.number != gone + 1]
    assert (after(known, torn) is None) == (gone < len(rows) - 1)


@given(st.lists(ROWS, min_size=1, max_size=20), st.lists(ROWS, max_size=20))
def test_another_past_is_no_continuation(
    rows: list[tuple[str, str]], others: list[tuple[str, str]]
) -> None:
    """The last commits were lost with a primary, and others have their numbers; or the log begins
    anew. It may be shorter than what was known, as long, or longer.
    """
    known = history(rows)[-1].version
    assert after(known, [*history(rows[:-1]), *history(others, mark=8, first=len(rows))]) is None
    assert after(known, history(others, mark=9)) is None


def test_before_the_first_change_there_is_nothing_to_follow() -> None:
    """An empty log says that nothing changed to who knew it empty; any other, that all has."""
    assert ChangedRows(NOTHING, {}) == after(NOTHING, [])
    assert after(NOTHING, history([("accounts", "a")])) is None


def test_a_confirmation_is_good_until_its_bound() -> None:
    """From before the question, by seconds that only grow; an earlier one takes nothing back."""
    ticks = FakeTicks()
    confirmed = Confirmation(ticks)
    with pytest.raises(StorageError) as refused:
        confirmed.require()
    assert ("outdated", 503) == (refused.value.code, refused.value.http_status)
    asked = ticks()
    ticks.seconds += 3
    confirmed.note(asked)
    assert 3 == confirmed.age
    ticks.seconds += BOUND - 3.5
    confirmed.require()
    confirmed.note(asked - 5)
    confirmed.require()
    ticks.seconds += 0.5
    assert confirmed.is_stale
    with pytest.raises(StorageError, match="not confirmed for 10 seconds"):
        confirmed.require()
    confirmed.note(ticks())
    confirmed.require()


def test_where_the_database_cannot_be_reached_it_may_be_good_for_longer() -> None:
    """Once a look has failed for that reason, until one fails for another or succeeds; and never
    for less than its bound.
    """
    ticks = FakeTicks()
    confirmed = Confirmation(ticks)
    confirmed.let_go_on(60)
    confirmed.missed(unreached=True)
    assert (True, False) == (confirmed.is_stale, confirmed.goes_on)  # there never was one
    confirmed.note(ticks())
    ticks.seconds += BOUND
    assert (True, False) == (confirmed.is_stale, confirmed.goes_on)  # it stood still, or slept
    confirmed.missed(unreached=True)
    assert (False, True) == (confirmed.is_stale, confirmed.goes_on)
    ticks.seconds += 59 - BOUND
    confirmed.require()
    confirmed.missed(unreached=False)
    with pytest.raises(StorageError, match="not confirmed for 10 seconds"):
        confirmed.require()
    confirmed.missed(unreached=True)
    ticks.seconds += 1
    with pytest.raises(StorageError, match="not confirmed for 60 seconds"):
        confirmed.require()
    confirmed.note(ticks())
    assert not confirmed.goes_on
    confirmed.let_go_on(0)
    confirmed.missed(unreached=True)
    ticks.seconds += BOUND - 1
    confirmed.require()
    ticks.seconds += 1
    assert confirmed.is_stale
