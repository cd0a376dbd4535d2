"""Sweeps that meet, sweeps that fail in part, and clocks that are set back between them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from bailee.db.keys import deks
from bailee.db.vault import holds
from bailee.errors import InputError, StorageError
from bailee.keeping.holds import PLACING, key_name
from bailee.keeping.receipts import DEFERRED, KEY_DESTROYED
from bailee.keyring import rotation
from bailee.testing import FaultyStore
from bailee.testing.store import Fault
from bailee.vault.record import subject_of
from bailee.vault.steps import Steps

Bench = Any

ONE = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
TWO = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"
PAST = timedelta(days=30, minutes=30)


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def at_once(number: int, work: Callable[[], object]) -> list[BaseException]:
    """Have so many threads do the same at the same time; what they raised."""
    raised: list[BaseException] = []
    together = threading.Barrier(number)

    def run() -> None:
        together.wait(30)
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised


@pytest.mark.row("R5")
def test_sweeps_that_meet_enter_each_destruction_once(bench: Bench) -> None:
    """Sweeps, rotations and what an owner deletes may all come together: none fails, and each step
    of each receipt is in the record once.
    """
    for day in range(4):
        for number in range(3):
            bench.keep(bench.exchange([turn("a")], session=f"{ONE[:-2]}{day}{number}"))
        bench.clock.advance(timedelta(hours=1))
    bench.clock.advance(PAST)

    def work() -> None:
        bench.vault.sweep(bench.clock())
        bench.vault.rotate(bench.clock())
        bench.vault.sweep(bench.clock())

    assert [] == at_once(4, work)
    entered = Counter(
        (kind, body["receipt"]) for kind, _, body in bench.leaves if "receipt" in body
    )
    assert {1} == set(entered.values())
    destroyed = [kind for kind, _ in entered if kind.endswith(".key_destroyed")]
    assert len(bench.vault.receipts.all()) == len(destroyed)


@pytest.mark.row("R5")
def test_a_rotation_bears_that_an_epoch_ends_meanwhile(bench: Bench) -> None:
    """Keys that are destroyed between two of its portions are no error."""
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))
    bench.vault.delete(TWO, bench.clock())
    store = bench.keyring._store
    aside = rotation._Aside(store)
    _, new = rotation._begin(store)
    dirty = rotation._next_dirty(store, new, aside)
    assert dirty is not None
    assert 0 < len(bench.keyring.destroy_due(bench.clock() + PAST))
    assert 0 == rotation._move_portion(store, dirty, aside)
    assert new == bench.vault.rotate(bench.clock()).generation


@pytest.mark.row("R6")
def test_a_clock_set_back_shows_no_held_session_again(bench: Bench) -> None:
    """A held session whose time has passed is not listed, and does not go on, when the clock is
    set back: it would get a second key, and what the hold keeps would open no more.
    """
    bench.keep(bench.exchange([turn("a")], session=ONE))
    key = bench.keyring.get(subject_of(ONE)).key
    hold = bench.vault.place_hold(ONE, "matter 7", bench.clock())
    bench.clock.advance(PAST)
    bench.vault.sweep(bench.clock())
    bench.clock.advance(-timedelta(days=10))

    assert [] == bench.vault.sessions(bench.clock())
    with pytest.raises(InputError):
        bench.vault.show(ONE)
    bench.keep(bench.exchange([turn("a"), turn("b")], session=ONE))
    (later,) = bench.vault.sessions(bench.clock())
    assert ONE != later.id
    assert key == bench.keyring.get(key_name(hold.id)).key
    (receipt,) = bench.vault.receipts.all(ONE)
    assert DEFERRED == receipt.state
    bench.vault.holds.release(hold.id, bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert KEY_DESTROYED == receipt.state
    assert [later.id] == [row.id for row in bench.vault.sessions(bench.clock())]


@pytest.mark.row("R5")
def test_a_clock_that_was_ahead_does_not_put_off_rotation(bench: Bench) -> None:
    """A rotation noted by a clock ahead of time counts for nothing once the clock is right."""
    bench.clock.advance(timedelta(days=20))
    bench.vault.rotate(bench.clock())
    bench.clock.advance(-timedelta(days=20))
    bench.keep(bench.exchange([turn("a")], session=ONE))
    bench.vault.delete(ONE, bench.clock())
    assert bench.vault.sweep(bench.clock()).rotated
    assert not bench.vault.sweep(bench.clock()).rotated


@pytest.mark.row("R5")
def test_a_step_that_fails_stops_no_other(make: Callable[..., Bench]) -> None:
    """When segments can't be reclaimed, keys are destroyed and the root is rotated all the same,
    and the sweep says which step failed, of what.
    """
    store = FaultyStore()
    bench = make(objects=store)
    bench.keep(bench.exchange([turn("a")], session=ONE))
    bench.vault.ship()
    bench.clock.advance(PAST + timedelta(days=1))
    store.fail("delete", Fault.NOT_PERSISTED, Fault.NOT_PERSISTED)
    steps = Steps()
    report = bench.vault.sweep(bench.clock(), steps)
    assert (True, 1, True) == (report.keks > 0, report.sessions, report.rotated)
    assert {"segments": "storage"} == {name: e.code for name, e in steps.failures.items()}
    with pytest.raises(StorageError):
        bench.vault.sweep(bench.clock())
    assert 1 == bench.vault.sweep(bench.clock()).segments


@pytest.mark.row("R5", "R6")
def test_no_key_goes_before_a_hold_has_it(bench: Bench) -> None:
    """A hold that can't be taken now keeps the keys of ended epochs until the next sweep."""
    bench.keep(bench.exchange([turn("a")], session=ONE))
    bench.clock.advance(PAST)

    def fails(_now: object) -> None:
        raise StorageError("the store failed.")

    bench.vault.holds.finish = fails
    steps = Steps()
    assert 0 == bench.vault.sweep(bench.clock(), steps).keks
    assert ["holds"] == list(steps.failures)
    assert "keys" not in steps.done
    del bench.vault.holds.finish
    assert 0 < bench.vault.sweep(bench.clock()).keks


@pytest.mark.row("R5", "R6")
def test_a_hold_on_a_damaged_key_stops_nobodys_forgetting(bench: Bench) -> None:
    """A hold that was begun, and whose session's key does not open, is named by the sweep; what is
    due of others goes on time.
    """
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))
    hold = bench.vault.place_hold(ONE, "matter 7", bench.clock())
    bench.keyring.forget([subject_of(ONE)])
    with bench.engine.begin() as connection:
        connection.execute(update(holds).values(state=PLACING))
    with bench.keys.begin() as connection:
        connection.execute(delete(deks).where(deks.c.subject == key_name(hold.id)))
        rubbish = update(deks).where(deks.c.subject == subject_of(ONE))
        connection.execute(rubbish.values(wrapped=bytes(range(60))))
    bench.keyring.forget([key_name(hold.id)])
    bench.clock.advance(PAST)
    steps = Steps()
    report = bench.vault.sweep(bench.clock(), steps)
    assert ["damaged holds"] == list(steps.failures)
    assert hold.id in steps.failures["damaged holds"].message
    assert report.keks > 0
