"""Whose request begins next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bailee.admission import Rounds


def _at(timer: tuple[float, Callable[[], None]]) -> float:
    return timer[0]


class Loop:
    """Calls back when told to, as a loop at its next turn, and when its clock is moved on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[Callable[[], None]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.rounds = Rounds(self.soon.append, self.later, lambda: self.now, most=2, bytes_most=100)
        self.begun: list[str] = []

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """A timer."""
        self.timers.append((self.now + seconds, call))

    def ask(self, account: str, key: str, name: str) -> None:
        """A request that begins now or later."""
        if self.rounds.begins(account):
            self.begun.append(name)
        else:
            self.rounds.wait(account, key, lambda: self.begun.append(name))

    def reads(self, account: str, size: int, name: str, seconds: float = 0.0) -> bool:
        """So much comes over a connection: whether more is read from it; if not, its name is noted
        when its turn comes.
        """
        if self.rounds.crowded:
            self.rounds.took(account, seconds, size)
        if self.rounds.has_turn(account):
            return True

        def go_on() -> None:
            self.begun.append(name)
            self.rounds.took(account, seconds, 0)

        self.rounds.rest(account, go_on)
        return False

    def turn(self) -> list[str]:
        """One turn; what began since the last."""
        due, self.soon[:] = self.soon[:], []
        for call in due:
            call()
        begun, self.begun = self.begun, []
        return begun

    def passes(self, seconds: float, late: float = 0.0) -> list[str]:
        """So much time passes, and each timer comes `late`; what began meanwhile."""
        end = self.now + seconds
        while due := min((one for one in self.timers if one[0] <= end), key=_at, default=None):
            self.timers.remove(due)
            self.now = max(self.now, due[0] + late)
            due[1]()
            while self.soon:
                call = self.soon.pop(0)
                call()
        self.now = max(self.now, end)
        begun, self.begun = self.begun, []
        return begun


@pytest.mark.row("G1")
def test_who_comes_to_one_alone_stands_behind_a_few() -> None:
    """Sixteen of an account's fifty began when another comes; it begins in the same turn, and from
    then on two of the first's begin in each.
    """
    loop = Loop()
    for number in range(50):
        loop.ask("a", "k", f"a{number}")
    loop.ask("b", "k", "b0")
    assert [*(f"a{number}" for number in range(16)), "b0"] == loop.begun
    loop.begun.clear()
    assert ["a16", "a17"] == loop.turn()


def test_who_is_alone_waits_for_no_more_than_turns() -> None:
    """Sixteen begin in each, for as long as there are more, and then it is quiet."""
    loop = Loop()
    for number in range(50):
        loop.ask("a", "k", str(number))
    assert [32, 16, 2] == [len(loop.turn()) for _ in range(3)]
    assert ([], [], []) == (loop.turn(), loop.soon, loop.timers)


@pytest.mark.row("G1")
def test_another_accounts_request_stands_behind_a_few() -> None:
    """Each account begins two in a turn; none is left out, and then it is quiet."""
    loop = Loop()
    loop.ask("b", "k", "b0")
    for number in range(5):
        loop.ask("a", "k", f"a{number}")
    loop.ask("b", "k", "b1")
    assert ["b0", "a0", "a1", "b1"] == loop.begun
    assert 3 == loop.rounds.waiting
    loop.begun.clear()
    assert ["a2", "a3"] == loop.turn()
    assert ["a4"] == loop.turn()
    assert ([], 0) == (loop.turn(), loop.rounds.waiting)
    assert [] == loop.soon


def test_who_is_alone_is_read_from_without_rest() -> None:
    """However many small things it sends."""
    loop = Loop()
    loop.ask("a", "k", "")
    assert all(loop.reads("a", 1000, "a0") for _ in range(9))


@pytest.mark.row("G1")
def test_so_many_bytes_of_an_account_are_read_in_a_turn() -> None:
    """What is more rests, and its connections then take turns; another account's is read."""
    loop = Loop()
    loop.ask("a", "k", "")
    loop.ask("b", "k", "")
    loop.turn()
    assert [True, False, False, True] == [
        loop.reads("a", 60, "a0"),
        loop.reads("a", 60, "a1"),
        loop.reads("a", 1, "a2"),
        loop.reads("b", 60, "b0"),
    ]
    assert ["a1", "a2"] == loop.turn()
    assert not loop.reads("a", 100, "a1")
    assert not loop.reads("b", 100, "b0")
    assert [["a1", "b0"], [], []] == [loop.turn() for _ in range(3)]
    assert [] == loop.soon


@pytest.mark.row("G1")
def test_an_account_has_so_much_of_a_turn() -> None:
    """What takes longer rests, in the order in which it came, and as much of it goes on in a turn
    as there is time for, one at the least.
    """
    loop = Loop()
    loop.ask("a", "k", "")
    loop.ask("b", "k", "")
    loop.turn()
    assert loop.reads("a", 1, "", 0.0003)
    assert not any(loop.reads("a", 1, f"a{n}", 0.0003) for n in range(5))
    assert loop.reads("b", 1, "", 0.0003)
    assert [["a0", "a1"], ["a2", "a3"], ["a4"], []] == [loop.turn() for _ in range(4)]
    assert not loop.reads("a", 1, "long", 1.0)
    assert not loop.reads("a", 1, "after", 0.0)
    assert [["long"], ["after"]] == [loop.turn() for _ in range(2)]


@pytest.mark.row("G1")
def test_what_comes_together_of_who_seldom_asks_begins_together() -> None:
    """Beside one that wants more than its part in each turn, another's eight begin in the turn in
    which they come, and are read from in it; so it is whenever it has been quiet for a while, and
    never for the first, of which two begin in each turn and no more.
    """
    loop = Loop()
    for number in range(400):
        loop.ask("flood", "k", f"f{number}")
    loop.ask("quiet", "k", "first")
    loop.turn()
    for burst in range(9):
        for _ in range(5):
            loop.now += 0.004
            loop.rounds.took("flood", 0.002, 0)
            assert [name[0] for name in loop.turn()] in (["f"] * 2, ["f"] * 3)
        for number in range(8):
            loop.ask("quiet", "k", f"{burst}.{number}")
            assert loop.reads("quiet", 1, "later", 0.0003)
        assert [f"{burst}.{number}" for number in range(8)] == loop.begun
        loop.begun.clear()


@pytest.mark.row("G1")
def test_all_together_go_beyond_their_parts_by_no_more_than_one_may() -> None:
    """However many accounts were quiet, a turn ends."""
    loop = Loop()
    accounts = [f"a{number}" for number in range(40)]
    for account in accounts:
        loop.ask(account, "k", account)
        loop.reads(account, 1, account)
    loop.passes(1.0)
    loop.turn()
    for account in accounts:
        for _ in range(20):
            loop.reads(account, 1, account, 0.0005)
    beyond = [account for account in accounts if loop.rounds.has_turn(account)]
    assert [] == beyond
    assert 40 + 8 >= sum(name in accounts for name in loop.turn())


def test_who_is_only_read_from_again_is_so_alone() -> None:
    """What then comes may be large: of an account's connections one goes on in a turn."""
    loop = Loop()
    loop.ask("a", "k", "")
    loop.ask("b", "k", "")
    for name in ("a0", "a1"):
        loop.rounds.rest("a", lambda name=name: loop.begun.append(name))  # type: ignore[misc]
    assert ["a0"] == loop.turn()[2:] and ["a1"] == loop.turn()


def test_the_keys_of_an_account_take_turns() -> None:
    """One key's hundred requests are not all before another's one."""
    loop = Loop()
    loop.ask("b", "k", "b")
    for number in range(6):
        loop.ask("a", "k1", f"first {number}")
    loop.ask("a", "k2", "second")
    loop.begun.clear()
    assert ["first 2", "second"] == loop.turn()
    assert ["first 3", "first 4"] == loop.turn()


def test_what_comes_later_does_not_overtake() -> None:
    """While an account's requests wait, its next one waits too."""
    loop = Loop()
    loop.ask("b", "k", "b")
    for number in range(6):
        loop.ask("a", "k", f"a{number}")
    loop.turn()
    loop.ask("a", "k", "late")
    assert [["a4", "a5"], ["late"]] == [loop.turn(), loop.turn()]
    assert 0 == loop.rounds.waiting


def test_who_was_there_long_ago_counts_no_more() -> None:
    """After ten seconds without another's request nothing is counted for what it costs."""
    loop = Loop()
    loop.ask("b", "k", "b")
    for _ in range(6):
        loop.ask("a", "k", "a")
        assert loop.rounds.crowded
        loop.passes(2.0)
        loop.rounds.look()
    assert not loop.rounds.crowded


def test_who_is_alone_has_a_larger_part_of_a_turn() -> None:
    """And still no more than that, so that who comes does not stand behind all of it."""
    loop = Loop()
    loop.ask("a", "k", "a")
    assert loop.rounds.has_turn("a")
    loop.rounds.took("a", 0.0015, 0)
    assert loop.rounds.has_turn("a")
    loop.rounds.took("a", 0.001, 0)
    assert not loop.rounds.has_turn("a")


def _flood(loop: Loop, late: float) -> tuple[int, int]:
    """Ten seconds of an account that wants 500 requests of 2 ms at once, and of one that wants one
    of 2 ms each 20 ms, at a loop that is `late`; how many each began in the last second.
    """
    loop.ask("quiet", "k", "quiet")
    waiting = 0
    counted = {"flood": 0, "quiet": 0}
    for step in range(500):
        while waiting < 500:
            loop.ask("flood", "k", "flood")
            waiting += 1
        loop.ask("quiet", "k", "quiet")
        begun = loop.passes(0.02, late)
        for name in begun:
            loop.rounds.spent(name, 0.002)
            counted[name] += step >= 450
        waiting -= begun.count("flood")
    return counted["flood"], counted["quiet"]


@pytest.mark.row("G1")
def test_who_makes_the_loop_late_waits_for_that() -> None:
    """A flood is slowed while the loop is late for others, whose requests all begin: to about a
    fifth of the loop's time, since that can't be the cause.
    """
    flood, quiet = _flood(Loop(), late=0.01)
    assert 50 == quiet
    assert flood <= 160


def test_a_loop_in_time_slows_nobody() -> None:
    """However much one of two wants: it begins as many in each turn as ever."""
    flood, quiet = _flood(Loop(), late=0.0)
    assert 50 == quiet
    assert flood > 200


def test_what_waits_keeps_one_timer() -> None:
    """However many come while an account is paced."""
    loop = Loop()
    _flood(loop, late=0.01)
    for _ in range(500):
        loop.ask("flood", "k", "flood")
        loop.turn()
    assert len(loop.timers) <= 4
