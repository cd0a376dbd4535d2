"""Pages of members, as the vendor's admin API has them: pure.

Rows: O2.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.json_values import JsonObject
from bailee.usage.limits import LimitMeasure, LimitSpan, LimitStanding, Scope, Subject, UsageLimit
from bailee.usage.spend_shapes import SpendMember, SpendPool, by_member, most_spent, wanted

SPENT = st.dictionaries(
    st.integers(0, 50).map(lambda number: f"per_{number:x}"),
    st.lists(st.integers(0, 9_000_000), max_size=3),
    max_size=12,
)
"""By member, what they have spent in each of their periods, in micro-USD."""


def standing(person: str, spent: int) -> LimitStanding:
    """How a member stands with a limit on a month's money."""
    on = Subject(Scope.MEMBER, f"org_1/{person}")
    limit = UsageLimit("limit", on, LimitMeasure.MONEY, LimitSpan.MONTH, 10_000_000)
    return LimitStanding(limit, spent, None)


@pytest.mark.parametrize("sorts", [False, True])
@given(spent=SPENT, limit=st.integers(1, 5))
def test_pages_have_every_member_once(sorts: bool, spent: dict[str, list[int]], limit: int) -> None:
    """However long they are; who spent most is first where that is asked for, and only the members
    of a page are looked up where it is not.
    """
    asked: list[str] = []

    def standings(member: SpendMember) -> list[LimitStanding]:
        asked.append(member.person)
        return [standing(member.person, one) for one in spent[member.person]]

    members = [SpendMember(one, None, None) for one in spent]
    after, seen = None, list[str]()
    while True:
        some, after = (most_spent if sorts else by_member)(members, standings, limit, after)
        seen += [member.person for member, _ in some]
        if after is None:
            break
        assert limit == len(some)
    most = {one: max(spent[one], default=0) for one in spent}
    if sorts:
        assert sorted(spent, key=lambda one: (-most[one], one)) == seen
    else:
        assert sorted(spent) == seen == asked


@pytest.mark.parametrize(
    ("before", "said", "made"),
    [
        (None, {}, None),
        (None, {"amount": "5"}, SpendPool(50_000, False)),
        (None, {"amount": "5", "paused": True}, SpendPool(50_000, True)),
        (None, {"paused": True}, None),
        (SpendPool(70_000, False), {}, SpendPool(70_000, False)),
        (SpendPool(70_000, True), {"amount": "5"}, SpendPool(50_000, True)),
        (SpendPool(70_000, True), {"paused": False}, SpendPool(70_000, False)),
        (SpendPool(70_000, True), {"amount": None}, None),
        (SpendPool(70_000, False), {"amount": None, "paused": True}, None),
    ],
)  # fmt: skip
def test_a_pool_is_what_was_said_last(
    before: SpendPool | None, said: JsonObject, made: SpendPool | None
) -> None:
    """What is not said stays as it was; a first one is not paused."""
    group: JsonObject = {"type": "rbac_group", "rbac_group_id": "apps"}
    asked = wanted({"scope": group, "amount": "9", "pooled_budget": said})
    assert asked.pool is not None
    assert made == asked.pool.made_of(before)


@pytest.mark.parametrize(
    ("before", "said"),
    [(None, {"paused": False}), (SpendPool(70_000, False), {"amount": None})],
)
def test_a_pool_without_an_amount_is_paused(before: SpendPool | None, said: JsonObject) -> None:
    """Nobody takes a pool for set that is none."""
    group: JsonObject = {"type": "rbac_group", "rbac_group_id": "apps"}
    asked = wanted({"scope": group, "pooled_budget": said})
    assert asked.pool is not None
    with pytest.raises(InputError):
        asked.pool.made_of(before)


@pytest.mark.parametrize("place", ["", "x", "1", "1:", ":per_1", "-1:per_1", "1:per_1:", "٣:per_1"])
def test_a_place_that_no_page_named_is_refused(place: str) -> None:
    """Nobody takes another page for the one they asked for."""
    with pytest.raises(InputError):
        most_spent([], lambda _: [], 1, place)


@pytest.mark.parametrize(
    ("part", "found"), [("MIA@", True), ("per_7", True), ("pp", True), ("x.org", False), ("", True)]
)
def test_a_member_is_found_by_a_part_of_what_they_are_called(part: str, found: bool) -> None:
    """In whatever case: their email, their id or their team."""
    assert found is SpendMember("per_7", "Mia@x.example", "apps").has(part.casefold())
