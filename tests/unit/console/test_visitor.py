"""Rules about who may use a route."""

from __future__ import annotations

import pytest

from bailee.console.visitor import (
    Admission,
    RouteRule,
    SignedIn,
    Visitor,
    VisitorMembership,
    admits,
)

HERE = {"organisation": "org_a"}


def person(role: str | None = None, organisation: str = "org_a") -> Visitor:
    """Someone signed in, perhaps with a role in an organisation."""
    places = () if role is None else (VisitorMembership(organisation, "A", role),)
    return Visitor(SignedIn("per_1", "a@example.org", None, places))


VISITORS = {
    "nobody": Visitor(),
    "person": person(),
    "member": person("member"),
    "admin": person("admin"),
    "owner": person("owner"),
    "owner elsewhere": person("owner", "org_b"),
    "operator": Visitor(operator=True),
    "auditor": Visitor(SignedIn("per_2", "b@example.org", None), auditor=True),
}
ADMITTED = {
    RouteRule.PUBLIC: set(VISITORS),
    RouteRule.PERSON: {"person", "member", "admin", "owner", "owner elsewhere", "auditor"},
    RouteRule.SOMEONE: set(VISITORS) - {"nobody"},
    RouteRule.MEMBER: {"member", "admin", "owner", "operator"},
    RouteRule.KEEPER: {"admin", "owner", "operator"},
    RouteRule.ADMIN: {"admin", "owner"},
    RouteRule.OPERATOR: {"operator"},
    RouteRule.EVIDENCE: {"operator", "auditor"},
    RouteRule.API: set(VISITORS),
}


@pytest.mark.parametrize("rule", RouteRule)
def test_a_rule_admits_whom_it_names(rule: RouteRule) -> None:
    """And nobody else; who is not signed in is asked to, who is signed in is refused."""
    found = {name: admits(rule, visitor, HERE) for name, visitor in VISITORS.items()}

    assert ADMITTED[rule] == {n for n, said in found.items() if said is Admission.ADMITTED}
    assert {"nobody"} >= {n for n, said in found.items() if said is Admission.UNKNOWN}


def test_a_person_who_was_made_an_operator_is_both() -> None:
    """Their own pages and the operator's."""
    both = Visitor(SignedIn("per_1", "a@example.org", None), operator=True)

    assert {Admission.ADMITTED} == {
        admits(r, both, {}) for r in (RouteRule.PERSON, RouteRule.OPERATOR)
    }


def test_what_forms_are_bound_to_is_never_printed() -> None:
    """A cookie does not reach a log by way of a visitor."""
    assert "secret" not in repr(Visitor(cookie="secret"))
