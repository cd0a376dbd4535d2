"""Sets of combinations agree with going through them one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bailee.policy.space import Space, Value

DOMAINS: dict[str, tuple[Value, ...]] = {
    "plan": ("a", "b", "c"),
    "state": ("absent", "empty"),
    "only": ("x",),
    "flag": (True, False),
}
SPACE = Space(DOMAINS, {"segment": ("plan", {"one": ("a", "c"), "two": ("b",), "nobody": ()})})
SETS = st.integers(0, SPACE.everything)


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


@given(SETS)
def test_boxes_cover_a_set_exactly(chosen: int) -> None:
    """Boxes hold all of a set and nothing besides."""
    covered = 0
    for seed, box in SPACE.boxes(chosen):
        inside = SPACE.matching(list(box.items()))
        assert all(value in box[fact] for fact, value in seed.items())
        covered |= inside
    assert chosen == covered


def test_a_space_without_combinations_has_empty_sets() -> None:
    """A fact without values leaves nothing to match."""
    nothing = Space({"plan": (), "flag": (True, False)}, {})
    assert 0 == nothing.size == nothing.everything == nothing.where("flag", (True,))
