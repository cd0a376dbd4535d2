"""Persons: their identifiers, and what is forgotten of them; access by staff."""

from __future__ import annotations

import pytest

from bailee.accounts import OPERATOR
from bailee.errors import InputError
from support.homes.town import PASSWORD, Town


def test_an_email_is_one_person_however_it_is_written(town: Town) -> None:
    """And a second can't have it."""
    ada, _ = town.person("Ada@X.example")

    assert ada == town.registry.people.by_email(" ada@x.EXAMPLE")
    assert ada == town.registry.people.find(ada.person_id)
    with pytest.raises(InputError, match="can't be used"):
        town.person("ADA@x.example")
    assert [ada] == town.reopened().people.all()


@pytest.mark.row("T1", "T2")
def test_a_person_made_by_the_operator_has_a_plan_and_no_choice(town: Town) -> None:
    """An account of their own, on which nothing was chosen."""
    person, account = town.person("ada@x.example", "max")

    assert account is not None
    assert (person.person_id, "max", "none", None) == (
        account.person_id,
        account.plan,
        account.training_choice,
        account.chosen_at,
    )
    assert [] == town.registry.accounts.consent_records(account.account_id)


@pytest.mark.row("R6")
def test_who_is_forgotten_leaves_no_name_and_no_way_in(town: Town) -> None:
    """Records stay, under ids that lead to nobody; the email is free again."""
    ada, account = town.person("ada@x.example")
    assert account is not None
    by = town.actor(ada)
    organisation = town.organisation(owner=ada)
    _, secret = town.registry.people.create_key(account, "k", by=by)
    _, shared = town.registry.people.create_key(
        town.registry.organisations.account(organisation), "k", by=by
    )
    town.registry.passwords.set_password(
        ada.person_id, PASSWORD, old=None, by=by, address="192.0.2.1"
    )
    town.registry.choices.choose_training(
        account.account_id, "refused", language="en", source="console", by=by
    )
    cookie = town.registry.web_sessions.begin(ada.person_id, client="Browser of Ada")

    town.registry.people.forget(ada.person_id, by=by)

    for registry in (town.registry, town.reopened()):
        left = registry.people.get(ada.person_id)
        assert (None, False, town.clock()) == (left.email, left.has_password, left.erased_at)
        assert registry.people.by_email("ada@x.example") is None
        assert registry.web_sessions.find(cookie) is None
        assert [] == registry.organisations.members(organisation)
        assert registry.accounts.authenticate(secret.encode()) is None
        assert registry.accounts.authenticate(shared.encode()) is None
        (record,) = registry.accounts.consent_records(account.account_id)
        assert ada.person_id == record.actor
    again, _ = town.person("ada@x.example")
    assert again.person_id != ada.person_id


def test_nobody_is_forgotten_by_someone_else(town: Town) -> None:
    """Only by themselves, and by the operator."""
    ada, _ = town.person("ada@x.example")
    bob, _ = town.person("bob@x.example")

    with pytest.raises(InputError) as refused:
        town.registry.people.forget(ada.person_id, by=town.actor(bob))

    assert "forbidden" == refused.value.code
    town.registry.people.forget(ada.person_id, by=OPERATOR)


@pytest.mark.row("P4")
def test_staff_read_with_a_reason_that_is_on_record(town: Town) -> None:
    """Who, what, why; written before anything is read."""
    eva, _ = town.registry.people.create("eva@x.example", plan=None, by=OPERATOR, operator=True)

    town.registry.staff.read(OPERATOR, "ses_1", " abuse report\n of 3 May ", whose="acc_1")
    town.registry.staff.read(town.actor(eva), "ses_2", "asked for by its owner", whose="acc_1")

    assert [
        ("ses_1", {"by": "operator", "reason": "abuse report of 3 May"}),
        ("ses_2", {"by": eva.person_id, "reason": "asked for by its owner"}),
    ] == [(leaf.subject, leaf.body) for leaf in town.ledger.entries(kind="access.read")]


@pytest.mark.row("P4")
@pytest.mark.parametrize("reason", ["", "   ", "because", "x" * 301, "a reason \x00 of sorts"])
def test_no_reason_no_reading(town: Town, reason: str) -> None:
    """And nothing on record."""
    with pytest.raises(InputError, match="reason"):
        town.registry.staff.read(OPERATOR, "ses_1", reason, whose="acc_1")

    assert [] == list(town.ledger.entries(kind="access.read"))


def test_who_is_not_staff_does_not_read_as_staff(town: Town) -> None:
    """A person, an owner of an organisation, and one who was an operator once."""
    eva, _ = town.registry.people.create("eva@x.example", plan=None, by=OPERATOR, operator=True)
    town.organisation(owner=eva)
    town.registry.people.set_operator(eva.person_id, False, by=OPERATOR)

    with pytest.raises(InputError) as refused:
        town.registry.staff.read(town.actor(eva), "ses_1", "a reason of sorts", whose="acc_1")

    assert "forbidden" == refused.value.code


def test_only_operators_make_operators(town: Town) -> None:
    """Nobody raises themselves."""
    ada, _ = town.person("ada@x.example")

    with pytest.raises(InputError) as refused:
        town.registry.people.set_operator(ada.person_id, True, by=town.actor(ada))

    assert "forbidden" == refused.value.code
    assert not town.actor(ada).operator
