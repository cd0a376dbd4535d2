"""Whose request begins next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bailee.admission import Rounds


class Loop:
    """Calls back when told to, as a loop at its next turn."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.rounds = Rounds(self.soon.append, most=2)
        self.begun: list[str] = []

    def ask(self, account: str, key: str, name: str) -> None:
        """A request that begins now or later."""
        if self.rounds.begins(account):
            self.begun.append(name)
        else:
            self.rounds.wait(account, key, lambda: self.begun.append(name))

    def turn(self) -> list[str]:
        """One turn; what began since the last."""
        due, self.soon[:] = self.soon[:], []
        for call in due:
            call()
        begun, self.begun = self.begun, []
        return begun


def test_who_is_alone_does_not_wait() -> None:
    """However much it sends."""
    loop = Loop()
    for number in range(50):
        loop.ask("a", "k", str(number))
    assert 50 == len(loop.begun)
    assert [] == loop.soon


@pytest.mark.row("G1")
def test_another_accounts_request_stands_behind_a_few() -> None:
    """Each account begins two in a turn; none is left out, and then it is quiet."""
    loop = Loop()
    loop.ask("b", "k", "b0")
    for number in range(5):
        loop.ask("a", "k", f"a{number}")
    loop.ask("b", "k", "b1")
    assert ["b0", "a0", "a1", "a2", "b1"] == loop.begun
    assert 2 == loop.rounds.waiting
    loop.begun.clear()
    assert ["a3", "a4"] == loop.turn()
    loop.turn()
    assert ([], 0) == (loop.turn(), loop.rounds.waiting)
    assert [] == loop.soon


def test_the_keys_of_an_account_take_turns() -> None:
    """One key's hundred requests are not all before another's one."""
    loop = Loop()
    loop.ask("b", "k", "b")
    for number in range(6):
        loop.ask("a", "k1", f"first {number}")
    loop.ask("a", "k2", "second")
    loop.begun.clear()
    assert ["first 3", "second"] == loop.turn()
    assert ["first 4", "first 5"] == loop.turn()


def test_what_comes_later_does_not_overtake() -> None:
    """While an account's requests wait, its next one waits too."""
    loop = Loop()
    loop.ask("b", "k", "b")
    for number in range(6):
        loop.ask("a", "k", f"a{number}")
    loop.turn()
    loop.ask("a", "k", "late")
    assert ["a5"] == loop.turn()[:1]
    loop.turn()
    assert 0 == loop.rounds.waiting


def test_who_was_there_long_ago_counts_no_more() -> None:
    """After two looks without another's request nobody waits again."""
    loop = Loop()
    loop.ask("b", "k", "b")
    loop.ask("a", "k", "a")
    loop.rounds.look()
    loop.ask("a", "k", "a")
    loop.rounds.look()
    loop.turn()
    loop.begun.clear()
    for number in range(9):
        loop.ask("a", "k", str(number))
    assert 9 == len(loop.begun)
