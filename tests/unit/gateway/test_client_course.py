"""A client's connection, as a dialogue: what happens, and what then follows. No socket or clock."""

from __future__ import annotations

import pytest

from bailee.gateway.client_course import ClientCourse, ClientState, Late, Then
from bailee.gateway.settings import GatewayLimits

LIMITS = GatewayLimits(
    client_head=30, turn=20, keep_alive=75, linger=5, client_stalled=300,
    client_body_idle=60, body_grace=30, body_total=600, body_rate=1024,
)  # fmt: skip


def course() -> ClientCourse:
    """A connection that was opened at the second 100."""
    return ClientCourse(LIMITS, 100.0)


def test_what_follows_an_answer() -> None:
    """The next request; the end, after the last; and what is left of a request that was answered
    before its end is read over, whatever else was to follow.
    """
    followed = []
    for body, ended, last in [(0, 1, 0), (1, 1, 0), (1, 1, 1), (1, 0, 0), (1, 0, 1)]:
        told = course()
        told.request(body=bool(body))
        if body and ended:
            told.whole()
        followed.append(told.answered(last=bool(last)).name)
    assert ["NEXT", "NEXT", "SEND", "LINGER", "LINGER"] == followed


def test_who_has_not_taken_its_answer_is_not_served_the_next_request() -> None:
    """It is waited for, and then the next is taken; after the last answer it closes."""
    told = course()
    told.request(body=False)
    told.filled()
    assert [Then.WAIT, Then.NEXT] == [told.answered(last=False), told.taken(0)]
    told.request(body=False)
    told.filled()
    said = [told.answered(last=True), told.taken(9), told.taken(0)]
    assert [Then.SEND, Then.NOTHING, Then.CLOSE] == said


@pytest.mark.parametrize("body", [False, True])
def test_who_sends_no_more_while_its_request_is_under_way_has_gone(body: bool) -> None:
    """Its body not there or its answer not complete, also while it waits for its turn; and that is
    said once.
    """
    told = course()
    told.request(body=body)
    told.waits = True
    assert [Then.RESET, False] == [told.ended(), told.waits]
    assert Then.SEND == told.ended()


def test_who_sends_no_more_and_has_its_answers_gets_what_was_written() -> None:
    """Between requests, with half a head, and after a refusal; then the connection closes."""
    idle, refused = course(), course()
    assert Then.LINGER == refused.rejected()
    for told in (idle, refused):
        assert [Then.SEND, Then.NOTHING] == [told.ended(), told.ended()]
        assert Late.CLOSE == told.late(100.0, 0, began=True)


def test_an_answer_that_breaks_off_says_so_or_is_reset() -> None:
    """A close alone could be taken for its end."""
    assert Then.SEND == course().broke_off(said=True)
    assert Then.RESET == course().broke_off(said=False)


def test_who_sends_nothing_is_let_go() -> None:
    """An idle connection closes after its time; one with half a head is told so, and sooner."""
    told = course()
    assert [Late.NOTHING, Late.CLOSE] == [told.late(at, 0, began=False) for at in (175.0, 175.1)]
    told.begins(200.0)
    assert [Late.NOTHING, Late.REJECT] == [told.late(at, 0, began=True) for at in (230.0, 230.1)]


def test_who_waits_for_a_turn_is_turned_away_in_the_end() -> None:
    """After its time, whatever came meanwhile."""
    told = course()
    told.request(body=True)
    told.waits = True
    told.heard = 119.0
    assert [Late.NOTHING, Late.TURN_AWAY] == [told.late(at, 0, began=True) for at in (120.0, 120.1)]


@pytest.mark.parametrize("state", [ClientState.CLOSING, ClientState.LINGER, ClientState.HEAD])
def test_a_slow_client_gets_all_of_its_answer(state: ClientState) -> None:
    """As long as it takes something; one that takes nothing, or too little in all, is given up."""
    told = course()
    told.state, told.full = state, True
    told.sends(100.0, 1_024_000)  # at the least rate a thousand seconds, after the first 300
    assert told.unsent_matters
    taking = [told.late(100.0 + 250 * n, 1_024_000 - n, began=False) for n in range(1, 6)]
    assert [Late.NOTHING] * 5 == taking
    assert Late.ABORT == told.late(1400.1, 9, began=False)
    told.sends(2000.0, 10)
    assert [Late.NOTHING, Late.ABORT] == [told.late(t, 10, began=False) for t in (2300.0, 2300.1)]


def test_what_is_sent_closes_or_lingers() -> None:
    """Once the client has all of it: at once after the last answer; after a refusal it is read
    from for a moment more, counted from then.
    """
    told = course()
    told.state = ClientState.CLOSING
    told.sends(100.0, 10)
    assert [Late.NOTHING, Late.CLOSE] == [told.late(200.0, n, began=False) for n in (5, 0)]
    told = course()
    told.state = ClientState.LINGER
    told.sends(100.0, 10)
    said = [told.late(at, n, began=False) for at, n in ((200.0, 5), (300.0, 0), (305.0, 0))]
    assert [Late.NOTHING] * 3 == said
    assert Late.ABORT == told.late(305.1, 0, began=False)


def test_a_body_comes_at_a_least_rate() -> None:
    """After a grace, and within a time in all; while it is not read, none of it counts."""
    told = course()
    told.request(body=True)
    told.heard = 130.0
    assert not told.body_late(130.0, 30.0, paused=False)
    assert not told.body_late(131.0, 99.0, paused=True)
    assert told.body_late(131.0, 1.0, paused=False)
    told.body_size = 1024
    assert not told.body_late(131.0, 0.0, paused=False)
    assert told.body_late(190.1, 0.0, paused=False)
    told.body_size = 1 << 30
    told.heard = 800.0
    assert told.body_late(800.0, 570.0, paused=False)
