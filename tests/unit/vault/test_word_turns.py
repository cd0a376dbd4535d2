"""Which session's words are made next."""

from __future__ import annotations

import pytest

from bailee.vault.word_turns import MUCH, QUIET, WordTurns

pytestmark = pytest.mark.row("G1", "O8")


def turn(turns: WordTurns, now: float, seconds: float = 0.01, *, more: bool = False) -> str:
    """Whose turn it is, which takes so long: owner and session. "" when it is nobody's."""
    found = turns.next(now)
    if found is None:
        return ""
    turns.took(found, seconds, more=more)
    return f"{found.owner} {found.session}"


def all_turns(turns: WordTurns, now: float) -> list[str]:
    """Turns until there is none."""
    return list(iter(lambda: turn(turns, now), ""))


def test_a_session_is_ready_when_it_is_quiet_or_much_of_it_is_new() -> None:
    """And not before; who goes on is quiet later."""
    turns = WordTurns()
    turns.note("a", "ada", 1.0)
    turns.note("b", "ada", 2.0)
    turns.note("a", "ada", 3.0)
    assert "" == turn(turns, 1.9 + QUIET)
    assert ["ada b"] == all_turns(turns, 2.0 + QUIET)
    for _ in range(MUCH):
        turns.note("c", "ada", 3.0)
    assert ["ada c"] == all_turns(turns, 3.0)
    assert ["ada a"] == all_turns(turns, 3.0 + QUIET)


def test_owners_have_their_turns() -> None:
    """However many sessions another has, and however long they take."""
    turns = WordTurns()
    for number in range(100):
        turns.note(f"e{number}", "eve", 0.0)
    for number in range(3):
        turns.note(f"a{number}", "ada", 1.0)
    now = 1.0 + QUIET
    assert "eve e0" == turn(turns, now, 5.0)
    assert ["ada a0", "ada a1", "ada a2"] == [turn(turns, now) for _ in range(3)]
    assert "eve e1" == turn(turns, now)
    turns.note("b", "bob", now)
    later = [turn(turns, now + QUIET) for _ in range(3)]
    assert "bob b" in later, "who comes new begins at the present least"


def test_a_long_session_is_made_in_turns_too() -> None:
    """A portion, then others'; then it goes on before what its owner has besides."""
    turns = WordTurns()
    turns.note("long", "eve", 0.0)
    turns.note("next", "eve", 0.0)
    turns.note("a", "ada", 0.0)
    turns.note("b", "ada", 0.0)
    assert "eve long" == turn(turns, QUIET, 0.02, more=True)
    assert ["ada a", "ada b"] == [turn(turns, QUIET) for _ in range(2)]
    assert ["eve long", "eve next"] == all_turns(turns, QUIET)


@pytest.mark.parametrize("more", [True, False])
def test_what_goes_on_while_it_is_taken_up_is_taken_up_again(more: bool) -> None:
    """What is said of a session while its words are made is not forgotten, and counted once."""
    turns = WordTurns()
    turns.note("a", "ada", 0.0)
    found = turns.next(QUIET)
    assert found is not None
    turns.note("a", "ada", QUIET)
    turns.took(found, 0.01, more=more)
    assert ["ada a"] == all_turns(turns, 2 * QUIET)
    assert ({}, 0) == (dict(turns._counts), turns._total)


def test_who_has_much_fills_no_others_room() -> None:
    """Past what is remembered, of whose there is more than an equal part one is known to be missed;
    of others it is remembered.
    """
    turns = WordTurns(most=10)
    for number in range(12):
        turns.found(f"e{number}", "eve")
    assert (True, 10) == (turns.missed, turns._total)
    turns.missed = False
    turns.found("a", "ada")
    turns.note("b", "ada", 0.0)
    turns.found("a", "ada")
    assert (False, 12) == (turns.missed, turns._total)
    turns.note("e20", "eve", 0.0)
    assert turns.missed
    found = all_turns(turns, QUIET)
    assert (12, {"ada a", "ada b"}) == (len(found), {*found[:4]} & {"ada a", "ada b"})
