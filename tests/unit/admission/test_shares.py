"""Who is over a share, and who has to make room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.admission import Held, Over, ShareLimits, Shares, Unsealed
from bailee.admission.shares import PIECE


def shares(requests: int = 8, memory: int = 10_000, total: int = 100_000) -> Shares:
    """Shares with small limits."""
    return Shares(ShareLimits(requests, memory, total))


def entered(of: Shares, account: str, key: str = "", length: int = 0, full: bool = False) -> Held:
    """A request that was let in."""
    held = of.enter(account, key or account, length, full=full)
    assert isinstance(held, Held)
    return held


@pytest.mark.row("G1")
def test_an_announced_length_takes_nothing() -> None:
    """What others may hold is as before."""
    of = shares()
    for number in range(4):
        entered(of, "a", f"k{number}", length=9_000)
    assert 0 == of.held


@pytest.mark.row("G1")
def test_a_key_has_half_of_its_accounts_requests() -> None:
    """Another key of the account goes on, until the account has all of its own; others always."""
    of = shares(requests=4)
    for _ in range(2):
        entered(of, "a", "k1")
    assert Over("key", "requests", 2) == of.enter("a", "k1", 0, full=False)
    entered(of, "a", "k2")
    entered(of, "a", "k3")
    assert Over("account", "requests", 4) == of.enter("a", "k4", 0, full=False)
    entered(of, "b")


def test_a_request_that_ends_makes_room_for_the_next() -> None:
    """And an account without one is forgotten."""
    of = shares(requests=2)
    held = entered(of, "a")
    assert isinstance(of.enter("a", "a", 0, full=False), Over)
    of.take(held, 500)
    of.leave(held)
    assert (0, 0) == (of.held, of.accounts)
    entered(of, "a")


def test_a_single_request_may_be_larger_than_the_share() -> None:
    """It would never get in otherwise; what comes beside it is refused."""
    of = shares(memory=1_000)
    held = entered(of, "a", length=50_000)
    assert of.take(held, 50_000) is None
    assert Over("account", "memory", 1_000) == of.enter("a", "k2", 1, full=False)


def test_a_piece_over_the_share_ends_its_own_request() -> None:
    """The request whose piece it is, and no other's."""
    of = shares()
    first, second = entered(of, "a", "k1"), entered(of, "a", "k2")
    assert of.take(first, 4_000) is None
    assert Over("key", "memory", 5_000) == of.enter("a", "k1", 2_000, full=False)
    assert Over("account", "memory", 10_000) == of.take(second, 7_000)


def test_an_answer_may_take_twice_the_share() -> None:
    """Its request is complete and paid for."""
    of = shares()
    first, second = entered(of, "a", "k1"), entered(of, "a", "k2")
    for held in (first, second):
        of.arrived(held)
    assert of.take(first, 9_000) is None
    assert of.take(second, 9_000) is None
    assert Over("account", "memory", 10_000) == of.take(second, 2_500)


@pytest.mark.row("G1")
def test_when_all_is_full_the_greediest_ends_its_newest() -> None:
    """Not who holds less than an equal part, and none whose request is complete."""
    of, ended = shares(memory=90_000, total=100_000), list[str]()
    held = {}
    for name, account in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
        held[name] = entered(of, account, name)
        held[name].give_up = lambda name=name: ended.append(name)  # type: ignore[misc]
    of.take(held["b1"], 30_000)
    for name in ("a1", "a2", "a3"):
        of.take(held[name], 20_000)
    of.arrived(held["a3"])
    assert of.take(held["b1"], 15_000) is None
    assert ["a2"] == ended
    assert of.held < 100_000
    # Now it is b that holds most, and more than an equal part.
    assert Over("account", "memory", 0) == of.take(held["b1"], 20_000)
    assert ["a2"] == ended


def test_what_is_written_is_given_back_before_the_end() -> None:
    """And is not given back twice."""
    of = shares()
    held = entered(of, "a")
    of.take(held, 1_000)
    of.writes(held)
    assert 1_000 + PIECE == of.held
    of.written(held)
    assert 0 == of.held
    of.leave(held)
    assert 0 == of.held


@pytest.mark.row("G1")
def test_while_the_writer_is_behind_who_has_much_waiting_is_refused() -> None:
    """Others are let in."""
    of = shares(memory=10 << 20, total=100 << 20)
    held = entered(of, "a")
    of.take(held, 2 << 20)
    of.writes(held)
    assert Over("account", "writing", 0) == of.enter("a", "a", 0, full=True)
    entered(of, "b", full=True)
    of.written(held)
    entered(of, "a", full=True)


@pytest.mark.row("G1")
def test_an_account_hands_over_a_little_at_a_time() -> None:
    """A large record alone; another account's goes at once."""
    of = shares(memory=100 << 20, total=200 << 20)
    large, small, other = entered(of, "a", "k1"), entered(of, "a", "k2"), entered(of, "b")
    for held, size in ((large, 30 << 20), (small, 1_000), (other, 1_000)):
        of.take(held, size)
        of.arrived(held)
        of.writes(held)
    assert [True, False, True] == [of.hands_over(held) for held in (large, small, other)]
    of.written(large)
    assert of.hands_over(small)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enter", "take", "arrived", "writes", "leave"]),
            st.integers(0, 5),
            st.integers(0, 3_000),
        ),
        max_size=80,
    )
)
def test_nothing_is_lost_count_of(steps: list[tuple[str, int, int]]) -> None:
    """Whatever happens in whatever order: when all have left, nothing is held; and an account that
    is not alone in a request never goes past twice its share.
    """
    of = shares(requests=4, memory=4_000, total=9_000)
    there: dict[int, Held] = {}

    def end(number: int) -> None:
        of.leave(there.pop(number))

    for what, number, size in steps:
        if what == "enter" and number not in there:
            held = of.enter(str(number % 2), str(number % 3), size, full=size % 2 == 0)
            if isinstance(held, Held):
                there[number] = held
                held.give_up = lambda number=number: end(number)  # type: ignore[misc]
        elif number in there:
            held = there[number]
            if what == "take" and of.take(held, size) is not None:
                end(number)
            elif what == "arrived":
                of.arrived(held)
            elif what == "writes" and not held.written:
                of.writes(held)
            elif what == "leave":
                end(number)
        assert of.held == sum(held.bytes for held in there.values())
    for number in tuple(there):
        end(number)
    assert (0, 0) == (of.held, of.accounts)


def test_what_is_not_sealed_yet_has_a_share() -> None:
    """Who has more of it on disk than their share gets nothing recorded; others do."""
    of = Shares(ShareLimits(8, 10_000, 100_000, spool=4 << 20, spool_total=8 << 20))
    assert of.spools(Unsealed(4 << 20, 8 << 20)) is None
    over = of.spools(Unsealed((4 << 20) + 1, 5 << 20))
    assert Over("account", "spool", 4 << 20) == over


def test_when_the_disks_share_is_full_who_has_little_of_it_goes_on() -> None:
    """Whoever else filled it, an earlier process included."""
    of = Shares(ShareLimits(8, 10_000, 100_000, spool=4 << 20, spool_total=8 << 20))
    assert of.spools(Unsealed(1 << 20, 9 << 20, left=9 << 20)) is None
    assert Over("account", "spool", 0) == of.spools(Unsealed((1 << 20) + 1, 9 << 20, left=9 << 20))


@pytest.mark.row("G1")
def test_what_comes_in_is_bounded_by_what_is_sealed() -> None:
    """However small exchanges are: who has too many that wait is refused; while all together have,
    who has a few goes on.
    """
    of = Shares(ShareLimits(8, 10_000, 100_000, unsealed=500, unsealed_total=800))
    assert of.spools(Unsealed(0, 0, 499, 799)) is None
    assert Over("account", "unsealed", 500) == of.spools(Unsealed(0, 0, 500, 600))
    assert Over("account", "unsealed", 0) == of.spools(Unsealed(0, 0, 65, 800, 400))
    assert of.spools(Unsealed(0, 0, 64, 800, 400)) is None


@pytest.mark.row("G1")
def test_what_comes_in_is_bounded_by_the_time_that_it_takes_to_seal() -> None:
    """However few and small they are: who has some that take long gets nothing new in."""
    of = Shares(ShareLimits(8, 10_000, 100_000, sealing=60))
    assert of.spools(Unsealed(0, 0, 9, 9, own_seconds=60.0)) is None
    assert Over("account", "sealing", 60) == of.spools(Unsealed(0, 0, 9, 9, own_seconds=60.1))


@pytest.mark.row("G1")
def test_who_has_no_more_than_an_equal_part_is_never_refused() -> None:
    """However much all together have waiting: of what may wait, divided by those who wait."""
    of = Shares(
        ShareLimits(8, 1, 1, spool=40 << 20, spool_total=60 << 20, unsealed=500, unsealed_total=800)
    )
    assert of.spools(Unsealed(0, 0, 200, 900, 4)) is None
    assert Over("account", "unsealed", 0) == of.spools(Unsealed(0, 0, 201, 900, 4))
    assert of.spools(Unsealed(20 << 20, 61 << 20, 0, 3, 3)) is None
    over = of.spools(Unsealed((20 << 20) + 1, 61 << 20, 0, 3, 3))
    assert Over("account", "spool", 0) == over
