"""What groups give, by rules: pure.

Rows: O1.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.accounts.groups import (
    MOST_GROUPS,
    GroupRule,
    GroupRules,
    check_rules,
    decide,
    from_text,
    groups_in,
    to_text,
)
from bailee.errors import InputError

ENG = GroupRule("eng", "org_a", "member", "engineers")
LEADS = GroupRule("leads", "org_a", "admin")
LATER = GroupRule("leads", "org_a", "member", "leads")
AWAY = GroupRule("contractors", "org_b")


@pytest.mark.parametrize(
    ("claims", "claim", "groups"),
    [
        ({"groups": ["eng", "leads"]}, "groups", {"eng", "leads"}),
        ({"groups": "eng"}, "groups", {"eng"}),
        # one text is one group: whoever may name groups makes no other out of a part of it
        ({"groups": "eng,leads"}, "groups", {"eng,leads"}),
        ({"groups": "eng leads"}, "groups", {"eng leads"}),
        ({"groups": ["eng", 7, None, ["leads"], {"a": 1}]}, "groups", {"eng"}),
        ({"groups": {"eng": True}}, "groups", set()),
        ({"groups": ["x" * 257]}, "groups", set()),
        ({}, "groups", set()),
        ({"realm": {"roles": ["eng"]}}, "/realm/roles", {"eng"}),
        ({"a/b": {"~": ["eng"]}}, "/a~1b/~0", {"eng"}),
        ({"https://x.example/groups": ["eng"]}, "https://x.example/groups", {"eng"}),
        ({"realm": "eng"}, "/realm/roles", set()),
    ],
)
def test_groups_are_what_the_claim_names(
    claims: dict[str, object], claim: str, groups: set[str]
) -> None:
    """A list or a text, at a name or a pointer; whatever else stands there is no group."""
    assert groups == groups_in(claims, claim)


@pytest.mark.parametrize(
    "claims",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "x"}}},
        {"hasgroups": True},
        {"groups": [str(one) for one in range(MOST_GROUPS + 1)]},
    ],
)
def test_too_many_groups_are_no_groups_and_that_is_said(claims: dict[str, object]) -> None:
    """Nothing is decided on a part."""
    with pytest.raises(InputError) as refused:
        groups_in(claims, "groups")
    assert "groups_unknown" == refused.value.code


def test_the_highest_role_counts_and_the_first_team() -> None:
    """In whatever order the rules for a role stand; and a group in one place gives nothing in
    another.
    """
    both = frozenset({"eng", "leads"})
    for rules in ([ENG, LEADS, LATER, AWAY], [LEADS, ENG, LATER, AWAY]):
        found = decide(rules, both)
        assert {"org_a"} == {*found}
        assert ("admin", LEADS.rule_id) == (found["org_a"].role, found["org_a"].rule)
        assert ("engineers", ENG.rule_id) == (found["org_a"].team, found["org_a"].team_rule)
    assert {} == decide([ENG, LEADS, AWAY], frozenset({"Eng", "en", "eng ", "leads*", "*"}))
    assert {"org_b"} == {*decide([ENG, AWAY], frozenset({"contractors"}))}
    assert {"org_a"} == {*decide([GroupRule(None, "org_a")], frozenset())}


NAMES = st.sampled_from(["a", "b", "c", "d"])
RULES = st.lists(
    st.builds(
        GroupRule,
        st.none() | NAMES,
        st.sampled_from(["org_a", "org_b"]),
        st.sampled_from(["admin", "member"]),
        st.none() | st.sampled_from(["x", "y"]),
    ),
    max_size=6,
)


@given(RULES, st.frozensets(NAMES))
def test_nothing_is_given_without_a_rule_that_says_so(
    rules: list[GroupRule], groups: frozenset[str]
) -> None:
    """Role and team are each by a rule of theirs, for a group that they are in."""
    by_id = {one.rule_id: one for one in rules}
    for organisation, found in decide(rules, groups).items():
        role = by_id[found.rule]
        assert (organisation, found.role) == (role.organisation_id, role.role)
        assert role.group is None or role.group in groups
        if found.team is not None:
            team = by_id[found.team_rule or ""]
            assert (organisation, found.team) == (team.organisation_id, team.team)
            assert team.group is None or team.group in groups
    assert tuple(rules) == from_text(to_text(rules))


@pytest.mark.parametrize(
    "rules",
    [
        GroupRules(()),
        GroupRules((ENG,) * 2),
        GroupRules((GroupRule("", "org_a"),)),
        GroupRules((GroupRule(" eng", "org_a"),)),
        GroupRules((GroupRule("e\nng", "org_a"),)),
        GroupRules((GroupRule("eng", "org_a", "owner"),)),  # type: ignore[arg-type]
        GroupRules((GroupRule("eng", "org_a", "member", "a/b"),)),
        GroupRules((ENG,), claim=""),
        GroupRules((ENG,), scope='groups"'),
    ],
)
def test_what_is_no_rule_is_refused(rules: GroupRules) -> None:
    """Before anything is changed."""
    with pytest.raises(InputError):
        check_rules(rules)
