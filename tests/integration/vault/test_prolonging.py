"""A session that its person keeps stays until their day, goes on as any other, and goes then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.vault.exchange import Terms
from bailee.vault.prolonging import KEPT, NOTICE, RELEASED, KeepingAct
from bailee.vault.record import subject_of
from bailee.vault.terms import Present

Bench = Any
pytestmark = pytest.mark.row("O7", "R1", "R5")

ONE = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
TWO = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"
OWN, LONGER = timedelta(days=30), timedelta(days=90)
PAST = timedelta(minutes=31)
BY = Terms("P1Y", "retain.transcript-kept", "d" * 64)


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def keep(bench: Bench, session: str = ONE, for_: timedelta = LONGER) -> None:
    """Its person keeps it."""
    now = bench.clock()
    bench.vault.prolonging.keep(session, KeepingAct("per_ada", now, now + for_, BY), now)


def release(bench: Bench, session: str = ONE) -> None:
    """They take it back."""
    bench.vault.prolonging.release(session, "per_ada", bench.clock(), bench.clock())


def is_there(bench: Bench, session: str) -> bool:
    """Whether it is shown, and its key is there; both or neither."""
    try:
        bench.vault.show(session)
        shown = True
    except InputError:
        shown = False
    try:
        bench.keyring.get(subject_of(session))
    except IntegrityError as error:
        assert "key_destroyed" == error.code
        assert not shown
        return False
    return shown


@pytest.fixture
def both(bench: Bench) -> Bench:
    """Two sessions that end together, of which the first is kept."""
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))
    keep(bench)
    return bench


def test_it_stays_for_its_person_alone_and_goes_then(both: Bench) -> None:
    """The other one goes on time, also after a restart and a rotation; the kept one on the day."""
    began = both.clock()
    assert ("session.kept", ONE) in [(kind, subject) for kind, subject, _ in both.leaves]
    both.clock.advance(OWN + PAST)
    report = both.vault.sweep(both.clock())
    assert (1, 1) == (report.sessions, report.kept)
    both.vault.rotate(both.clock())
    both.reopen()
    assert (True, False) == (is_there(both, ONE), is_there(both, TWO))
    assert began + LONGER == both.vault.row(ONE, both.clock()).expires_at
    both.clock.advance(LONGER - OWN)
    report = both.vault.sweep(both.clock())
    assert (1, 0) == (report.sessions, report.kept)
    assert not is_there(both, ONE)
    assert [] == both.vault.prolonging.owned("ada")


def test_what_goes_on_is_kept_with_it_and_by_its_own_time_after(both: Bench) -> None:
    """To keep is no activity; what is said later counts as ever, and never shortens the act."""
    last = both.vault.row(ONE, both.clock()).last_activity
    both.clock.advance(timedelta(days=50))
    assert last == both.vault.row(ONE, both.clock()).last_activity
    both.keep(both.exchange([turn("a"), turn("c")], session=ONE))
    row = both.vault.row(ONE, both.clock())
    assert (2, row.kept_until) == (row.exchanges, row.expires_at)
    both.clock.advance(timedelta(days=35))
    both.keep(both.exchange([turn("a"), turn("c"), turn("d")], session=ONE))
    release(both)
    row = both.vault.row(ONE, both.clock())
    assert (None, row.last_activity + OWN) == (row.kept_until, row.expires_at)


def test_it_is_taken_back_and_goes_by_its_own_time(both: Bench) -> None:
    """Before its own time that holds again; after it the next sweep destroys it."""
    release(both)
    assert (
        both.vault.row(TWO, both.clock()).expires_at == both.vault.row(ONE, both.clock()).expires_at
    )
    (act,) = both.vault.prolonging.owned("ada")
    assert (RELEASED, both.clock()) == (act.state, act.released_at)
    keep(both)
    both.clock.advance(OWN + PAST)
    release(both)
    with pytest.raises(InputError):
        both.vault.show(ONE)
    both.vault.sweep(both.clock())
    assert not is_there(both, ONE)
    with pytest.raises(InputError):
        release(both)


def test_a_deletion_and_an_erasure_are_stronger(both: Bench) -> None:
    """What is kept can be deleted; nothing brings back what is gone."""
    keep(both, TWO)
    both.vault.delete(ONE, both.clock())
    both.vault.sweep(both.clock())
    assert not is_there(both, ONE)
    with pytest.raises(InputError):
        keep(both)
    both.vault._erasing.erase_owned("ada", both.clock(), "era_1", "per_ada")
    assert not is_there(both, TWO)
    assert [] == both.vault.prolonging.owned("ada")


def test_a_hold_keeps_it_further_and_shows_nothing(both: Bench) -> None:
    """On the day it is denied to everybody; the hold's own key is there until the release."""
    hold = both.vault.place_hold(ONE, "matter 7", both.clock())
    both.clock.advance(LONGER + PAST)
    both.vault.sweep(both.clock())
    assert not is_there(both, ONE)
    with pytest.raises(InputError):
        keep(both)
    both.vault.holds.release(hold.id, both.clock())
    both.vault.sweep(both.clock())
    assert [] == both.vault.prolonging.owned("ada")


def test_a_choice_moves_what_is_kept_no_earlier(make: Callable[..., Bench]) -> None:
    """Who refuses later has their long-kept sessions moved to 30 days, but for what they keep. Of
    what is to be kept for no time at all, nothing stays.
    """
    present = {"ada": Present(Terms("P5Y", "allowed", "d" * 64), 1, 1)}
    bench = make(present=lambda owner, _plan, _channel: present.get(owner))
    bench.consents["ada"] = 1
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))
    keep(bench)
    far = bench.vault.row(ONE, bench.clock())
    assert far.expires_at > bench.clock() + timedelta(days=1800)
    for number, terms, there in (
        (2, Terms("P30D", "refused", "d" * 64), True),
        (3, Terms("P0D", "none", "d" * 64), False),
    ):
        present["ada"] = Present(terms, number, number)
        bench.clock.advance(timedelta(seconds=1))
        bench.vault.moving.request("ada", bench.clock(), bench.clock())
        bench.vault.moving.run(bench.clock())
        found = [one.id for one in bench.vault.sessions(bench.clock() + OWN)]
        assert ([ONE] if there else []) == found


@pytest.mark.parametrize("act", [keep, release])
@pytest.mark.parametrize("before", ["keys", "rows"])
def test_what_a_failing_store_broke_off_the_next_sweep_finishes(
    both: Bench, monkeypatch: pytest.MonkeyPatch, act: Callable[[Bench], None], before: str
) -> None:
    """It is on record and not taken, or half: key and index agree after the sweep, on the day that
    the act says; and nothing was destroyed that is kept.
    """
    if act is keep:
        release(both)
    keeps = both.vault.prolonging

    def fail(*_: object) -> None:
        raise StorageError("the disk is full.")

    with monkeypatch.context() as patched:
        if before == "keys":
            patched.setattr(both.keyring, "move", fail)
        else:
            move = both.keyring.move
            patched.setattr(both.keyring, "move", lambda wants: (move(wants), fail())[0])
        with pytest.raises(BaileeError):
            act(both)
    both.reopen()
    keeps = both.vault.prolonging
    both.vault.sweep(both.clock())
    (one,) = keeps.owned("ada")
    assert (KEPT if act is keep else RELEASED) == one.state
    both.clock.advance(OWN + PAST)
    both.vault.sweep(both.clock())
    assert (act is keep) == is_there(both, ONE)


def test_where_it_is_forbidden_people_have_a_week(both: Bench) -> None:
    """What is kept stays a week more at most, and what goes sooner is as it was."""
    keep(both, TWO, timedelta(days=3))
    both.clock.advance(OWN - timedelta(days=1))
    now = both.clock()
    assert 1 == both.vault.prolonging.shorten("ada", "per_admin", now, now)
    going, total = both.vault.going(now, now + NOTICE, "ada", most=10)
    assert ([TWO, ONE], 2) == ([one.id for one in going], total)
    assert now + NOTICE == both.vault.row(ONE, now).expires_at


def test_an_act_that_is_not_what_was_written_is_not_believed(both: Bench) -> None:
    """It says nothing, not even who it was; a new act takes its place."""
    with both.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE kept_sessions SET mac = x'00'")
    assert [] == both.vault.prolonging.owned("ada")
    keep(both)
    assert [ONE] == [one.session_id for one in both.vault.prolonging.owned("ada")]
