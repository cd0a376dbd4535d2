"""Sets of combinations agree with going through them one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.policy import space as spaces
from bailee.policy.space import Combination, Region, Space, TooIntricate, Value

DOMAINS: dict[str, tuple[Value, ...]] = {
    "plan": ("a", "b", "c"),
    "state": ("absent", "empty"),
    "only": ("x",),
    "flag": (True, False),
}
SPACE = Space(DOMAINS, {"segment": ("plan", {"one": ("a", "c"), "two": ("b",), "nobody": ()})})
EVERY = list(SPACE.each(SPACE.everything))


@st.composite
def conditions(draw: st.DrawFn) -> list[tuple[str, tuple[Value, ...]]]:
    """A few conditions, each on some values of a fact."""
    facts = draw(st.lists(st.sampled_from([*DOMAINS, "segment"]), unique=True))
    return [
        (fact, tuple(draw(st.lists(st.sampled_from(list(SPACE.values(fact) or ())), unique=True))))
        for fact in facts
    ]


def test_a_space_has_all_combinations_once() -> None:
    """As many as the product of the domains, all different."""
    found = list(SPACE.each(SPACE.everything))
    assert 12 == SPACE.size == len(found)
    assert 12 == len({tuple(one.items()) for one in found})
    assert {"plan": "a", "state": "absent", "only": "x", "flag": True} == found[0]


@given(conditions())
def test_a_set_holds_exactly_what_meets_the_conditions(
    wanted: list[tuple[str, tuple[Value, ...]]],
) -> None:
    """What the set arithmetic finds is what looking at each combination finds."""
    segment_of = {"a": "one", "b": "two", "c": "one"}
    by_hand = [
        one
        for one in SPACE.each(SPACE.everything)
        if all(
            (segment_of[str(one["plan"])] if fact == "segment" else one[fact]) in values
            for fact, values in wanted
        )
    ]
    assert by_hand == list(SPACE.each(SPACE.matching(wanted)))


@st.composite
def regions(draw: st.DrawFn) -> tuple[Region, list[Combination]]:
    """A set made by joining single combinations and taking others out; and what is in it."""
    inside = [one for one in EVERY if draw(st.booleans())]
    made = SPACE.everything if draw(st.booleans()) else Region(())
    for one in draw(st.permutations(EVERY)):
        alone = SPACE.matching([(fact, (value,)) for fact, value in one.items()])
        made = made | alone if one in inside else made - alone
    return made, inside


def listed(region: Region) -> list[Combination]:
    """What is in a set, in order; nothing stands in it twice."""
    return sorted(SPACE.each(region), key=EVERY.index)


@given(regions(), regions())
def test_sets_are_computed_with_as_lists_are(
    one: tuple[Region, list[Combination]], two: tuple[Region, list[Combination]]
) -> None:
    """Both, either, one without the other, not both: as with lists; and so count and first."""
    (a, in_a), (b, in_b) = one, two
    assert in_a == listed(a)
    assert [c for c in in_a if c in in_b] == listed(a & b)
    assert [c for c in EVERY if c in in_a or c in in_b] == listed(a | b)
    assert [c for c in in_a if c not in in_b] == listed(a - b)
    assert [c for c in EVERY if (c in in_a) != (c in in_b)] == listed(a ^ b)
    assert (in_a == in_b) == (a == b)
    assert (len(in_a), bool(in_a)) == (a.count, bool(a))
    assert not in_a or in_a[0] == SPACE.first(a)


@given(regions())
def test_boxes_cover_a_set_exactly(made: tuple[Region, list[Combination]]) -> None:
    """Boxes hold all of a set and nothing besides."""
    chosen, covered = made[0], Region(())
    for seed, box in SPACE.boxes(chosen):
        inside = SPACE.matching(list(box.items()))
        assert all(value in box[fact] for fact, value in seed.items())
        covered = covered | inside
    assert chosen == covered


def test_a_fact_that_nothing_reads_costs_nothing() -> None:
    """A set over 3^60 combinations takes one box, and they are counted exactly."""
    wide = Space({f"S{n}": ("absent", "empty", "set") for n in range(60)}, {})
    off = wide.where("S7", ("set",))
    assert (1, 3**59) == (len(off.boxes), off.count)
    assert 3**60 == off.count + (wide.everything - off).count == wide.size


def test_a_set_of_too_many_boxes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would grow without bound ends in an error."""
    monkeypatch.setattr(spaces, "MOST_BOXES", 2)
    with pytest.raises(TooIntricate):
        Region(((1, 1), (2, 2))) | Region(((1, 2), (2, 1)))


def test_a_space_without_combinations_has_empty_sets() -> None:
    """A fact without values leaves nothing to match."""
    nothing = Space({"plan": (), "flag": (True, False)}, {})
    assert 0 == nothing.size == nothing.everything.count
    assert not nothing.where("flag", (True,))
