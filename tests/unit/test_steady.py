"""The home's time beside a wall clock that somebody sets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.steady import ASKED, BOUND, LASTS, OFF, SteadyClock
from bailee.testing import FakeMachine

SECOND = timedelta(seconds=1)
STEPS = st.integers(-3 * 365 * 24 * 60, 3 * 365 * 24 * 60).map(lambda n: timedelta(minutes=n))
PASSES = st.integers(0, 10**6).map(lambda n: timedelta(seconds=n))


@given(st.lists(st.tuples(STEPS, PASSES), max_size=20))
def test_no_step_moves_the_homes_time_beyond_the_bound(
    life: list[tuple[timedelta, timedelta]],
) -> None:
    """Whatever is set, the home's time goes on with what has passed, by the bound at most beside
    it for each step; it never goes back, and who reads never goes by an earlier one than the wall.
    """
    fake = FakeMachine()
    clock = SteadyClock(fake.machine)
    for step, passes in life:
        before = clock()
        fake.step(step)
        fake.passes(passes)
        assert timedelta(0) <= clock() - before <= passes + BOUND
        assert passes - BOUND <= clock() - before
        assert max(clock(), fake.wall()) == clock.latest()


@pytest.mark.parametrize("step", [BOUND, -BOUND, SECOND, -SECOND])
def test_a_small_step_is_followed(step: timedelta) -> None:
    """Within the bound the wall is right; back, the home's time stands still until then."""
    fake = FakeMachine()
    clock = SteadyClock(fake.machine)
    start = clock()
    fake.step(step)
    assert (None, max(start, start + step)) == (clock.step(), clock())
    fake.passes(BOUND)
    assert fake.wall() == clock()


@pytest.mark.parametrize("step", [BOUND + SECOND, -BOUND - SECOND])
def test_a_step_is_held_until_the_wall_is_set_right_or_followed(step: timedelta) -> None:
    """It says by how much and how long, and when it has lasted; set right, it is over."""
    fake = FakeMachine()
    clock = SteadyClock(fake.machine)
    start = clock()
    fake.step(step)
    assert clock.step() is not None
    fake.step(-step)
    assert (None, start) == (clock.step(), clock())

    fake.step(step)
    clock()
    fake.passes(LASTS - SECOND)
    held = clock.step()
    assert held is not None
    assert (step, LASTS - SECOND, False) == (held.by, held.lasted, held.has_lasted)
    fake.passes(SECOND)
    held = clock.step()
    assert held is not None
    assert held.has_lasted
    clock.follow()
    assert (None, fake.wall()) == (clock.step(), clock())


def test_another_step_begins_to_last_anew() -> None:
    """A clock that is set again and again has not lasted."""
    fake = FakeMachine()
    clock = SteadyClock(fake.machine)
    for _ in range(3):
        fake.step(timedelta(hours=1))
        clock()
        fake.passes(LASTS / 2)
    held = clock.step()
    assert held is not None
    assert LASTS / 2 == held.lasted


@pytest.mark.parametrize("step", [ASKED, ASKED + SECOND, -ASKED - SECOND, timedelta(days=3650)])
def test_a_step_of_more_than_a_day_waits_for_a_word(step: timedelta) -> None:
    """However long it lasts, and through restarts of the process."""
    fake = FakeMachine()
    clock = SteadyClock(fake.machine)
    start = clock()
    fake.step(step)
    clock()
    fake.passes(100 * LASTS)
    held = SteadyClock(fake.machine, clock.seen()).step()
    assert held is not None
    assert (abs(step) <= ASKED) == held.has_lasted
    assert start + 100 * LASTS == clock()
    clock.follow()
    assert fake.wall() == clock()


@pytest.mark.parametrize("step", [timedelta(0), timedelta(hours=2), -timedelta(hours=2)])
def test_a_new_process_knows_what_has_passed(step: timedelta) -> None:
    """While the machine goes on, a restart is no gap: a step meanwhile is held, and one that was
    held goes on to last.
    """
    fake = FakeMachine()
    before = SteadyClock(fake.machine)
    start = before()
    seen = before.seen()
    fake.passes(timedelta(days=40))
    fake.step(step)
    after = SteadyClock(fake.machine, seen)
    assert start + timedelta(days=40) == after()
    assert bool(step) == (after.step() is not None)
    fake.passes(LASTS)
    held = SteadyClock(fake.machine, after.seen()).step()
    assert bool(step) == (held is not None and held.has_lasted)


@pytest.mark.parametrize(
    ("off", "held"),
    [
        (OFF, False),
        (OFF + SECOND, True),
        (timedelta(0), False),
        (-BOUND, False),
        (-BOUND - SECOND, True),
    ],
)
def test_a_machine_may_have_been_off(off: timedelta, held: bool) -> None:
    """After a start of the machine a day is believed. More, or a time before the last, is held."""
    fake = FakeMachine()
    before = SteadyClock(fake.machine)
    start, seen = before(), before.seen()
    fake.boots(off)
    after = SteadyClock(fake.machine, seen)
    assert held == (after.step() is not None)
    assert (start if held else max(start, fake.wall())) == after()


def test_a_step_that_is_held_is_not_believed_for_a_start() -> None:
    """Two hours ahead are held, and still so after the machine has started again."""
    fake = FakeMachine()
    before = SteadyClock(fake.machine)
    fake.step(timedelta(hours=2))
    seen = before.seen()
    fake.boots(timedelta(minutes=1))
    assert SteadyClock(fake.machine, seen).step() is not None


def test_another_step_while_nothing_was_noted_has_not_lasted() -> None:
    """A step was noted, ten days went by, and the clock stepped again: after a restart the second
    one is held from then on, however long the first had been.
    """
    fake = FakeMachine()
    clock = SteadyClock(fake.machine)
    start = fake.wall()
    fake.step(timedelta(hours=3))
    clock()
    noted = clock.seen()
    fake.passes(timedelta(days=10))
    fake.step(timedelta(days=400))
    again = SteadyClock(fake.machine, noted)
    step = again.step()
    assert step is not None
    assert not step.has_lasted
    assert start + timedelta(days=10) == again()
