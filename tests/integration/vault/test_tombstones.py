"""What was deleted stays deleted: for turns under way, for later ones, and through restarts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bailee.db.vault import tombstones
from bailee.keeping.keeper import Owner
from bailee.vault.tombstones import LASTS

Bench = Any

ADA = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
FORK = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"
ONE = {"role": "user", "content": "the deleted words"}
ANSWER = {"role": "assistant", "content": "an answer to them"}
TWO = {"role": "user", "content": "and what came after"}
OTHER = {"role": "user", "content": "something else"}
STEPS = [timedelta(days=-400), timedelta(0), timedelta(days=20)]


def listed(bench: Bench) -> list[str]:
    """Whose sessions are in the index, read or not."""
    return [row.owner for row in bench.vault.owned("ada") + bench.vault.owned("bob")]


@pytest.mark.row("R5")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("session", [ADA, None])
@pytest.mark.parametrize("restart", [False, True])
def test_a_turn_under_way_does_not_bring_it_back(
    bench: Bench, session: str | None, step: timedelta, restart: bool
) -> None:
    """Deleted while a turn of it is under way, with the client's id or without, and whatever the
    clock does: what the turn brings is not kept. Others' is.
    """
    bench.keep(bench.exchange([ONE], ANSWER, session=session))
    under_way = bench.exchange([ONE, ANSWER, TWO], ANSWER, session=session)
    (row,) = bench.vault.owned("ada")
    bench.vault.delete(row.id, bench.clock())
    if restart:
        bench.reopen()
    bench.clock.advance(step)

    bench.keep(under_way._replace(ended_at=bench.clock().timestamp()))
    bench.keep(bench.exchange([ONE, ANSWER, TWO], ANSWER, session=session, owner="bob"))

    assert ["bob"] == listed(bench)
    entered = {"exchanges": 1, "clause": "resume.deleted"}
    assert [("ada", entered)] == [(s, b) for k, s, b in bench.leaves if k == "vault.unkept"]


@pytest.mark.row("R5")
def test_no_later_turn_brings_it_back(bench: Bench) -> None:
    """Not with the same id, whatever it says; not under another id, when it begins with what was
    deleted. What begins otherwise is a session of its own.
    """
    bench.keep(bench.exchange([ONE], ANSWER, session=ADA))
    bench.vault.delete(ADA, bench.clock())
    bench.clock.advance(timedelta(days=1))
    bench.reopen()

    bench.keep(
        bench.exchange([ONE, ANSWER, TWO], session=ADA),
        bench.exchange([OTHER], session=ADA),
        bench.exchange(request=b"not JSON", session=ADA),
        bench.exchange([ONE, ANSWER, TWO], session=FORK),
        bench.exchange([ONE, ANSWER, TWO], session=None),
    )
    assert [] == listed(bench)
    assert [] == bench.holds(b"the deleted words")

    bench.keep(bench.exchange([OTHER, ANSWER, TWO], session=FORK))
    assert ["ada"] == listed(bench)


@pytest.mark.row("R5")
def test_a_tombstone_goes_after_its_time(bench: Bench) -> None:
    """Thirty days later the sweep removes it, and the same words are a new session's."""
    bench.keep(bench.exchange([ONE], ANSWER, session=ADA))
    bench.vault.delete(ADA, bench.clock())
    bench.clock.advance(LASTS)
    bench.vault.sweep(bench.clock())

    bench.keep(bench.exchange([ONE, ANSWER, TWO], session=ADA))

    assert ["ada"] == listed(bench)


@pytest.mark.row("G2", "R5")
def test_what_goes_on_is_counted_and_stays_away(bench: Bench) -> None:
    """Who deletes a session and talks on in it for weeks is told how much is not kept, by which
    clause, and finds none of it later either: thirty days count from the last turn. Then the count
    goes too.
    """
    bench.keep(bench.exchange([ONE], ANSWER, session=ADA))
    bench.vault.delete(ADA, bench.clock())
    began = bench.clock()
    for _ in range(3):
        bench.clock.advance(LASTS - timedelta(days=1))
        bench.vault.sweep(bench.clock())
        bench.keep(bench.exchange([ONE, ANSWER, TWO], session=ADA))
    bench.keep(bench.exchange([OTHER], session=ADA, owner="bob"))

    (one,) = bench.vault.unkept("ada")
    assert ("resume.deleted", 3, bench.clock()) == (one.clause, one.exchanges, one.last)
    assert began < one.since < one.last
    assert [one] == bench.vault.unkept()
    assert ["bob"] == listed(bench)
    assert [] == bench.holds(b"the deleted words")

    bench.clock.advance(LASTS)
    bench.vault.sweep(bench.clock())
    assert [] == bench.vault.unkept()


@pytest.mark.row("R6")
def test_of_who_is_erased_no_tombstone_stays(bench: Bench) -> None:
    """Not even a digest of what they said, nor a count of what they said later."""
    bench.keep(bench.exchange([ONE], ANSWER, session=ADA))
    bench.vault.delete(ADA, bench.clock())
    bench.keep(bench.exchange([ONE, ANSWER, TWO], session=ADA))
    assert 1 == len(bench.vault.unkept("ada"))
    bench.vault.erase(Owner("ada", None), bench.clock(), "era_1", "operator")

    with bench.engine.connect() as connection:
        assert [] == connection.execute(select(tombstones)).all()
    assert [] == bench.vault.unkept()


@pytest.mark.row("R5", "R6")
def test_a_clock_set_back_shows_nothing_that_was_deleted(bench: Bench) -> None:
    """A session that was deleted while held is unreadable by any clock."""
    bench.keep(bench.exchange([ONE], ANSWER, session=ADA))
    bench.vault.place_hold(ADA, "a case", bench.clock())
    assert "deferred" == bench.vault.delete(ADA, bench.clock()).state

    bench.clock.advance(timedelta(days=-400))

    assert [] == bench.vault.sessions(bench.clock())
