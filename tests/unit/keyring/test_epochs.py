"""Expiry times in epochs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bailee.keyring.epochs import EPOCH_SECONDS, ends_at, epoch_of, last_ended
from bailee.keyring.wrapping import associated

moments = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)
)


@given(moments)
def test_a_key_outlives_its_content_by_less_than_an_epoch(moment: datetime) -> None:
    """An epoch ends at what expires in it or less than half an hour after."""
    late = ends_at(epoch_of(moment)) - moment
    assert timedelta(0) <= late < timedelta(seconds=EPOCH_SECONDS)


@given(moments)
def test_due_exactly_when_ended(moment: datetime) -> None:
    """An epoch has ended from its end on, and not a moment earlier."""
    epoch = epoch_of(moment)
    assert last_ended(ends_at(epoch)) >= epoch
    assert last_ended(ends_at(epoch) - timedelta(microseconds=1)) < epoch


parts = st.lists(st.text(max_size=4), max_size=4)


@given(parts, parts)
def test_associated_data_is_unambiguous(left: list[str], right: list[str]) -> None:
    """Two lists of parts give the same associated data only when they are the same."""
    assert (left == right) == (associated(*left) == associated(*right))
