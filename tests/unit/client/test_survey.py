"""When the survey asks: rarely, after a decent while, never twice, and never means never."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.client.survey import AFTER, APART, TURNS, SurveyedSession, SurveyHistory, ask

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
RIPE = SurveyedSession(interactive=True, began=BEGAN, turns=TURNS, asked=False, chance=0.0)
NOW = BEGAN + AFTER


def test_it_asks_once_all_is_right() -> None:
    """Ten minutes, five turns, a rare draw, fourteen days since the last time."""
    assert ask(SurveyHistory(), RIPE, may_send=True, now=NOW)
    assert ask(SurveyHistory(NOW - APART), RIPE, may_send=True, now=NOW)


@pytest.mark.parametrize(
    ("asked", "session", "may_send", "now"),
    [
        (SurveyHistory(), RIPE, True, NOW - timedelta(seconds=1)),
        (SurveyHistory(), replace(RIPE, turns=TURNS - 1), True, NOW),
        (SurveyHistory(), replace(RIPE, asked=True), True, NOW + timedelta(days=99)),
        (SurveyHistory(), replace(RIPE, interactive=False), True, NOW),
        (SurveyHistory(), replace(RIPE, busy=True), True, NOW),
        (SurveyHistory(), replace(RIPE, chance=0.25), True, NOW),
        (SurveyHistory(), RIPE, False, NOW),
        (SurveyHistory(NOW - APART + timedelta(seconds=1)), RIPE, True, NOW),
        (SurveyHistory(never=True), RIPE, True, NOW),
    ],
)
def test_one_thing_amiss_and_it_does_not_ask(
    asked: SurveyHistory, session: SurveyedSession, may_send: bool, now: datetime
) -> None:
    """Each condition is needed."""
    assert not ask(asked, session, may_send=may_send, now=now)


@given(
    st.builds(
        SurveyedSession,
        interactive=st.booleans(),
        began=st.just(BEGAN),
        turns=st.integers(0, 10**6),
        asked=st.booleans(),
        chance=st.floats(0, 1),
        busy=st.booleans(),
    ),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.booleans(),
    st.timedeltas(timedelta(0), timedelta(days=9000)),
)
def test_never_means_never(
    session: SurveyedSession, last: datetime | None, may_send: bool, later: timedelta
) -> None:
    """No session, no time and no chance brings the question back."""
    assert not ask(SurveyHistory(last, never=True), session, may_send=may_send, now=BEGAN + later)
