"""Whose exchange is sealed next."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.vault.spool_writing import Kept
from bailee.vault.turns import FRAME, SealingTurns, cost

pytestmark = pytest.mark.row("G1")


class Talk:
    """Turns, and what comes and is taken as text: `ada` is a small frame of Ada's."""

    def __init__(self) -> None:
        self.turns = SealingTurns()
        self.put_so_far = 0
        self.taken: list[Kept] = []

    def put(self, owners: str, length: int = 100) -> None:
        """A frame of each."""
        for owner in owners.split():
            kept = Kept("f", self.put_so_far, 0, length, owner, None)
            self.turns.put(self.put_so_far, kept)
            self.put_so_far += 1

    def take(self, count: int = 1) -> str:
        """The owners of the next ones, which are done at once."""
        owners = []
        for _ in range(count):
            found = self.turns.take()
            if found is not None:
                self.taken.append(found[1])
                self.turns.done(found[1])
                owners.append(found[1].owner)
        return " ".join(owners)


@pytest.fixture
def talk() -> Talk:
    """Nothing has come."""
    return Talk()


def test_owners_have_their_turns(talk: Talk) -> None:
    """Whoever came first, and however many of theirs wait."""
    talk.put("ada ada ada ada bob bob cy")
    assert "ada bob cy ada bob ada ada" == talk.take(7)
    assert "" == talk.take()


def test_who_comes_new_does_not_wait_behind_all(talk: Talk) -> None:
    """Nor go before all, for having had nothing until then."""
    talk.put("ada " * 10)
    talk.take(6)
    talk.put("bob " * 6)
    assert "bob ada bob ada bob ada bob ada bob bob" == talk.take(10)


def test_a_turn_is_of_bytes(talk: Talk) -> None:
    """A large frame is paid for with as many small ones of others."""
    talk.put("ada ada", length=9 * FRAME)
    talk.put("bob " * 12, length=0)
    assert "ada " + "bob " * 10 + "ada bob bob" == talk.take(14)


def test_a_turn_is_of_what_a_frame_took(talk: Talk) -> None:
    """Two kilobytes that took a tenth of a second are paid for with as many small frames of others,
    and the next ones of whom they were are expected to be like them.
    """
    talk.put("eve " * 8 + "bob " * 400, length=2000)
    both = {"eve": 0.1, "bob": 0.001}
    owners = []
    for _ in range(200):
        found = talk.turns.take()
        assert found is not None
        talk.turns.took(found[1], both[found[1].owner])
        talk.turns.done(found[1])
        owners.append(found[1].owner)
    assert 2 <= owners.count("eve") <= 4
    assert owners.index("eve") < 2, "whose frames are dear still has a turn"


def test_what_took_less_than_it_has_bytes_costs_them_all_the_same(talk: Talk) -> None:
    """Nobody is paid back, and who has nothing more here is not looked for."""
    talk.put("ada ada bob bob", length=FRAME)
    (_, first), (_, second) = talk.turns.take() or ..., talk.turns.take() or ...  # type: ignore[misc]
    for kept in (first, second):
        talk.turns.took(kept, 0.0)
        talk.turns.done(kept)
    assert "ada bob" == talk.take(2)
    talk.turns.took(first, 1.0)


def test_who_comes_again_has_not_been_forgiven(talk: Talk) -> None:
    """One large frame after the other, each when the one before is done, take no more than a row of
    them that waits.
    """
    talk.put("bob " * 25, length=0)
    talk.put("ada", length=9 * FRAME)
    assert "bob ada" == talk.take(2)
    talk.put("ada", length=9 * FRAME)
    assert "bob " * 9 + "ada" == talk.take(10)
    talk.put("ada", length=9 * FRAME)
    assert "bob " * 10 + "ada" == talk.take(11)


def test_nobody_is_remembered_when_nobody_waits(talk: Talk) -> None:
    """What one had while nobody else did is not held against them, nor kept."""
    talk.put("ada", length=9 * FRAME)
    talk.take()
    talk.put("bob ada")
    assert "bob ada" == talk.take(2)
    assert ({}, {}, []) == (talk.turns.owned, talk.turns._paid, talk.turns._paying)


def test_how_many_come_before(talk: Talk) -> None:
    """Until all of an owner's is taken: theirs, and about as much of each other's."""
    talk.put("ada " * 500 + "bob " * 3 + "cy")
    assert (504, 7, 3) == tuple(talk.turns.before(owner) for owner in ("ada", "bob", "cy"))
    assert "ada bob cy ada bob ada bob" == talk.take(7)
    assert 0 == talk.turns.before("bob")


def test_the_oldest_may_be_taken_first(talk: Talk) -> None:
    """Those of the owner whose first one came first, in order; the others' turns stay theirs."""
    talk.put("bob ada ada ada")
    talk.take(2)
    talk.put("bob bob")
    take = talk.turns.take_oldest()
    assert [2, 3, None] == [found and found[0] for found in (take(), take(), take())]
    assert "bob bob" == talk.take(2)


LENGTHS = st.lists(st.integers(0, 1 << 20), min_size=1, max_size=12)


@given(st.lists(LENGTHS, min_size=1, max_size=5), LENGTHS, st.integers(0, 30))
def test_nobody_waits_behind_more_than_their_own_of_each(
    floods: list[list[int]], mine: list[int], taken: int
) -> None:
    """Who comes with some frames waits until they are taken behind as much of each other's, in what
    it costs, and one frame of theirs.
    """
    talk = Talk()
    for number, lengths in enumerate(floods):
        for length in lengths:
            talk.put(f"o{number}", length)
    talk.take(taken)
    for length in mine:
        talk.put("me", length)
    before: dict[str, int] = defaultdict(int)
    left = len(mine)
    while left:
        assert talk.take()
        kept = talk.taken[-1]
        before[kept.owner] += cost(kept)
        left -= kept.owner == "me"
    own = before.pop("me")
    for number, lengths in enumerate(floods):
        assert before[f"o{number}"] <= own + max(lengths) + FRAME


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("put", "put", "take", "done", "oldest")),
            st.sampled_from("abc"),
            st.integers(0, 1 << 17),
        ),
        max_size=120,
    )
)
def test_each_owners_order_holds(steps: list[tuple[str, str, int]]) -> None:
    """Whatever happens, in whatever order; each is taken once, and what waits is counted."""
    turns, taken = SealingTurns(), list[Kept]()
    came, went = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for number, (what, owner, length) in enumerate(steps):
        if what == "put":
            turns.put(number, Kept("f", number, 0, length, owner, None))
            came[owner].append(number)
        elif what == "done":
            while taken:
                turns.done(taken.pop(0))
        elif (found := (turns.take if what == "take" else turns.take_oldest())()) is not None:
            taken.append(found[1])
            went[found[1].owner].append(found[0])
    wait = {owner: len(came[owner]) - len(went[owner]) for owner in came}
    assert wait == {
        owner: len(turns.owned[owner].waiting) if owner in turns.owned else 0 for owner in came
    }
    while (found := turns.take()) is not None:
        went[found[1].owner].append(found[0])
    assert came == {owner: went[owner] for owner in came}


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 9)), max_size=60),
    st.integers(0, 20),
)
def test_what_was_left_is_merged_lane_by_lane(left: list[tuple[str, bool, int]], back: int) -> None:
    """Of an owner: each lane in its order, and where both grow, all by when each ended; nothing is
    lost, what came since is last, and what is put back first.
    """
    turns = SealingTurns()
    put: dict[tuple[str, bool], list[int]] = {}
    at = {False: 0.0, True: 0.0}
    # As a start reads them: a file of one lane, then one of the other.
    for number, (owner, large, later) in enumerate(sorted(left, key=lambda one: one[1])):
        at[large] += later
        name = "2-large" if large else "1"
        turns.put(number, Kept(name, number, 0, 1, owner, None, at[large]), left=True)
        put.setdefault((owner, large), []).append(number)
    for owner in "ab":
        turns.put(1000 + ord(owner), Kept("3", ord(owner), 0, 1, owner, None))
    taken = [one for one in (turns.take() for _ in range(back)) if one is not None]
    turns.put_back(taken)
    found: dict[str, list[tuple[int, Kept]]] = {"a": [], "b": []}
    while (one := turns.take()) is not None:
        found[one[1].owner].append(one)
    for owner, all_of in found.items():
        *before, last = all_of
        assert 1000 + ord(owner) == last[0]
        ended = [kept.ended for _, kept in before]
        assert sorted(ended) == ended
        for large in (False, True):
            mine = [number for number, kept in before if (kept.file == "2-large") == large]
            assert put.get((owner, large), []) == mine
