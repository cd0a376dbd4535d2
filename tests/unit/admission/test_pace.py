"""How many requests a second an account may begin while the loop is late."""

from __future__ import annotations

import pytest

from bailee.admission.pace import TARGET, AccountDemand, Pace

LATE = TARGET * 2
IN_TIME = TARGET / 4


def _begun(pace: Pace, account: str, start: float, seconds: float) -> int:
    """How many of as many as can be asked an account begins from `start` on."""
    now, count = start, 0
    while now < start + seconds:
        wait = pace.wait(account, now)
        count += not wait
        now += max(wait, 1e-6)
        if not wait and pace.rate(account) is None:
            return 1_000_000
    return count


@pytest.mark.row("G1")
def test_who_wants_most_begins_fewer_while_the_loop_is_late() -> None:
    """Half as many as lately, at each adjustment, until they are too few to be the cause; the other
    as many as come.
    """
    pace = Pace()
    for at, expected in ((0.0, 500), (1.0, 250), (2.0, 200), (3.0, 200)):
        begun = _begun(pace, "flood", at, 1.0) if at else 1000
        pace.adjust(
            at,
            1.0,
            LATE,
            {
                "flood": AccountDemand(begun / 1000, begun, 900),
                "quiet": AccountDemand(0.1, 300, 0),
            },
            crowded=True,
        )
        rate = pace.rate("flood")
        assert rate is not None
        assert expected - 5 <= rate <= expected + 5
        assert pace.rate("quiet") is None
    assert 195 <= _begun(pace, "flood", 4.0, 1.0) <= 205


def test_who_is_slowed_by_another_is_not_taken_for_the_cause() -> None:
    """One that begins next to nothing, and has many waiting that cost much, still wants most."""
    pace = Pace()
    pace.adjust(
        0.0,
        1.0,
        LATE,
        {"flood": AccountDemand(0.8, 16, 16), "quiet": AccountDemand(0.1, 100, 0)},
        crowded=True,
    )
    for second in range(1, 9):
        pace.adjust(
            second,
            1.0,
            LATE,
            {"flood": AccountDemand(0.0, 0, 16), "quiet": AccountDemand(0.2, 300, 0)},
            crowded=True,
        )
    assert 1.0 == pace.rate("flood")
    assert pace.rate("quiet") is None


def test_a_pace_grows_again_and_ends() -> None:
    """By a tenth while the loop is in time; with nothing waiting, or nobody else, it is gone."""
    pace = Pace()
    there = {"a": AccountDemand(0.6, 100, 50), "b": AccountDemand(0.1, 10, 0)}
    pace.adjust(0.0, 1.0, LATE, there, crowded=True)
    pace.adjust(1.0, 1.0, IN_TIME, there, crowded=True)
    assert pytest.approx(55.0) == pace.rate("a")
    pace.adjust(2.0, 1.0, (LATE + IN_TIME) / 3, there, crowded=True)
    assert pytest.approx(55.0) == pace.rate("a"), "between the two it stays"
    pace.adjust(
        3.0,
        1.0,
        IN_TIME,
        {"a": AccountDemand(0.1, 70, 0), "b": AccountDemand(0.1, 10, 0)},
        crowded=True,
    )
    assert not pace
    pace.adjust(4.0, 1.0, LATE, there, crowded=True)
    pace.adjust(5.0, 1.0, LATE, {"a": AccountDemand(0.6, 100, 50)}, crowded=False)
    assert not pace


def test_who_uses_next_to_nothing_is_not_slowed() -> None:
    """The loop is late for another reason, such as a processor that others use."""
    pace = Pace()
    pace.adjust(
        0.0,
        1.0,
        LATE,
        {"a": AccountDemand(0.01, 40, 0), "b": AccountDemand(0.002, 8, 0)},
        crowded=True,
    )
    assert not pace


def test_many_that_flood_are_all_slowed() -> None:
    """Nine of ten that want the same as each other are each slowed in the end; the tenth is not."""
    pace = Pace()
    wanted = {f"f{number}": AccountDemand(0.1 + number / 1000, 100, 20) for number in range(9)}
    wanted["quiet"] = AccountDemand(0.02, 20, 0)
    for second in range(5):
        pace.adjust(second, 1.0, LATE, wanted, crowded=True)
    assert all(pace.rate(f"f{number}") is not None for number in range(9))
    assert pace.rate("quiet") is None


def test_of_two_that_want_as_much_nobody_is_slowed() -> None:
    """There is nobody who would have anything of it; a third who wants little is somebody."""
    wanted = {"a": AccountDemand(0.5, 100, 50), "b": AccountDemand(0.4, 100, 50)}
    pace = Pace()
    pace.adjust(0.0, 1.0, LATE, wanted, crowded=True)
    assert not pace
    wanted["quiet"] = AccountDemand(0.05, 10, 0)
    pace.adjust(1.0, 1.0, LATE, wanted, crowded=True)
    assert [True, True, False] == [pace.rate(one) is not None for one in wanted]


def test_who_uses_little_is_not_the_cause() -> None:
    """The loop has time left, and is late for something else: who asks often is not slowed."""
    pace = Pace()
    wanted = {"often": AccountDemand(0.15, 280, 0), "seldom": AccountDemand(0.04, 8, 0)}
    pace.adjust(0.0, 1.0, LATE, wanted, crowded=True)
    assert not pace
    wanted["often"] = AccountDemand(0.3, 280, 0)
    pace.adjust(1.0, 1.0, LATE, wanted, crowded=True)
    assert pace.rate("often") is not None


def test_who_wants_something_while_others_are_silent_is_not_the_cause() -> None:
    """Unless it wants more than the loop has: then it is slowed before the others come again."""
    pace = Pace()
    pace.adjust(0.0, 1.0, LATE, {"a": AccountDemand(0.4, 300, 2)}, crowded=True)
    assert not pace
    pace.adjust(1.0, 1.0, LATE, {"a": AccountDemand(0.4, 300, 500)}, crowded=True)
    assert pace.rate("a") is not None


def test_a_pace_saves_up_little() -> None:
    """After a long silence two begin at once, no more."""
    pace = Pace()
    pace.adjust(
        0.0,
        1.0,
        LATE,
        {"a": AccountDemand(0.6, 10, 50), "b": AccountDemand(0.1, 10, 0)},
        crowded=True,
    )
    assert [True, True, False] == [not pace.wait("a", 1000.0) for _ in range(3)]
