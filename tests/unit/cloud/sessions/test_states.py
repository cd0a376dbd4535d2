"""How far a session may come from where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.sessions.states import SessionState, had_machine, may_follow, takes_follow_ups

STATES = st.sampled_from(SessionState)


@pytest.mark.row("C1")
@given(st.lists(STATES, max_size=12))
def test_what_had_a_machine_is_never_begun_again(wanted: list[SessionState]) -> None:
    """Whatever is asked for, in any order: after `cloning` there is no way back to `queued`."""
    now, cloned = SessionState.QUEUED, False
    for state in wanted:
        if may_follow(now, state):
            now = state
            cloned = cloned or state is SessionState.CLONING
            assert not (cloned and now in (SessionState.QUEUED, SessionState.STARTING))


@given(STATES)
def test_every_session_can_end_and_an_end_is_the_last(state: SessionState) -> None:
    """From each state but the last one may come to the end, and from there nowhere."""
    assert (state is not SessionState.ENDED) == may_follow(state, SessionState.ENDED)
    assert not may_follow(SessionState.ENDED, state)
    assert (state is not SessionState.ENDED) == takes_follow_ups(state)


@pytest.mark.row("C1")
def test_a_restart_knows_from_the_state_what_was_lost() -> None:
    """What waited is taken up; what may have had a machine is not."""
    lost = {SessionState.STARTING, SessionState.CLONING, SessionState.WORKING, SessionState.WAITING}
    assert lost == {state for state in SessionState if had_machine(state)}
