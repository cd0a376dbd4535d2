"""The table of who may do what, and what it has to keep whoever edits it."""

from __future__ import annotations

from typing import get_args

import pytest

from bailee.accounts.roles import MAY, OPERATOR, Actor, Permission, Standing, may, require
from bailee.errors import InputError

STANDINGS = get_args(Standing)


def test_every_action_has_a_rule_and_every_rule_an_action() -> None:
    """An permission without a rule would be an error at the moment it is asked for."""
    assert set(Permission) == set(MAY)
    assert all(rule <= set(STANDINGS) for rule in MAY.values())


@pytest.mark.row("T2")
def test_nobody_chooses_for_a_person() -> None:
    """The choice is the person's, or of who holds the key of an account that is nobody's."""
    assert {"self", "holder"} == set(MAY["training.choose"])


@pytest.mark.row("T5", "T6")
def test_only_owners_and_admins_change_what_makes_commercial_data_eligible() -> None:
    """Not members, not keys without a person, not the operator."""
    assert {"owner", "admin"} == set(MAY["partner.change"])


def test_a_member_may_what_an_admin_may_not_do_less() -> None:
    """Roles are in order: what a member may, an admin may; what an admin may, an owner may."""
    for rule in MAY.values():
        assert "member" not in rule or "admin" in rule
        assert "admin" not in rule or "owner" in rule


@pytest.mark.parametrize("permission", MAY)
@pytest.mark.parametrize("standing", STANDINGS)
def test_require_goes_on_exactly_when_one_may(permission: Permission, standing: Standing) -> None:
    """And names who could, when not. Who stands in no way to an account may nothing."""
    if may(permission, {standing}):
        require(permission, {standing})
    else:
        with pytest.raises(InputError) as refused:
            require(permission, {standing})
        assert "forbidden" == refused.value.code
        assert (refused.value.hint or "").startswith("it takes ")
    assert not may(permission, set())


def test_records_name_the_person_before_the_key() -> None:
    """A key that speaks for a person is that person in the record."""
    assert "per_1" == Actor(person_id="per_1", key_id="key_1", operator=True).name
    assert "key_1" == Actor(key_id="key_1", account_id="acc_1").name
    assert "operator" == OPERATOR.name
