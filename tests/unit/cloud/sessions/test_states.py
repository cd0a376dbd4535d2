"""How far a session may come from where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.sessions.states import State, had_machine, may_follow, takes_follow_ups

STATES = st.sampled_from(State)


@pytest.mark.row("C1")
@given(st.lists(STATES, max_size=12))
def test_what_had_a_machine_is_never_begun_again(wanted: list[State]) -> None:
    """Whatever is asked for, in any order: after `cloning` there is no way back to `queued`."""
    now, cloned = State.QUEUED, False
    for state in wanted:
        if may_follow(now, state):
            now = state
            cloned = cloned or state is State.CLONING
            assert not (cloned and now in (State.QUEUED, State.STARTING))


@given(STATES)
def test_every_session_can_end_and_an_end_is_the_last(state: State) -> None:
    """From each state but the last one may come to the end, and from there nowhere."""
    assert (state is not State.ENDED) == may_follow(state, State.ENDED)
    assert not may_follow(State.ENDED, state)
    assert (state is not State.ENDED) == takes_follow_ups(state)


@pytest.mark.row("C1")
def test_a_restart_knows_from_the_state_what_was_lost() -> None:
    """What waited is taken up; what may have had a machine is not."""
    lost = {State.STARTING, State.CLONING, State.WORKING, State.WAITING}
    assert lost == {state for state in State if had_machine(state)}
