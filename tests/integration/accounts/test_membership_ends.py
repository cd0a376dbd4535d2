"""What goes with a membership: keys, sign-ins; and what stays with the person."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from bailee.accounts import OPERATOR, Accounts, Person
from bailee.errors import InputError, StorageError
from support.homes.town import PASSWORD, Town


def organisation_of(town: Town, person: Person) -> str:
    """Acme, with somebody else as its owner and the person as a member."""
    owner, _ = town.person("owner@x.example")
    return town.organisation(owner=owner, member=person)


def key_in(town: Town, organisation: str, person: Person, name: str = "k") -> tuple[str, str]:
    """A key that the person made for themselves in an organisation: its id and itself."""
    account = town.registry.organisations.account(organisation)
    by = town.actor(person)
    key, secret = town.registry.people.create_key(account, name, by=by)
    return key.key_id, secret


def is_good(accounts: Accounts, secret: str) -> bool:
    """Whether the gateway takes a key."""
    return accounts.authenticate(secret.encode()) is not None


@pytest.mark.row("T5")
def test_keys_end_with_the_membership_on_record(town: Town) -> None:
    """Those that speak for the person, whoever made them, and their cloud sessions'; at once, and
    after a restart; the organisation's own keys and the person's own account's stay.
    """
    mia, own = town.person("mia@x.example")
    assert own is not None
    at, registry = organisation_of(town, mia), town.registry
    account = registry.organisations.account(at)
    mine, secret = key_in(town, at, mia)
    given, given_secret = registry.people.create_key(
        account, "given", by=OPERATOR, person_id=mia.person_id, scope="full"
    )
    cloud, cloud_secret = registry.accounts.key_for_cloud_session(
        account.account_id, "cs-1", zero_retention=False, by=mia.person_id
    )
    _, ci = registry.people.create_key(account, "ci", by=OPERATOR)
    _, personal = registry.people.create_key(own, "own", by=town.actor(mia))

    ended = registry.organisations.remove(at, mia.person_id, by=OPERATOR)

    assert {mine, given.key_id, cloud} == set(ended)
    good = [is_good(registry.accounts, one) for one in (secret, given_secret, cloud_secret)]
    assert [False, False, False] == good
    assert [True, True] == [is_good(registry.accounts, one) for one in (ci, personal)]
    assert not is_good(town.reopened().accounts, secret)
    revoked = {leaf.subject for leaf in town.ledger.entries(kind="key.revoked")}
    assert set(ended) == revoked
    (removed,) = town.ledger.entries(kind="member.removed")
    assert 3 == removed.body["keys"]


def test_keys_and_membership_end_together_or_not_at_all(town: Town) -> None:
    """Where the store fails half-way, the person is still a member and the keys are still good."""
    mia, _ = town.person("mia@x.example")
    at = organisation_of(town, mia)
    _, secret = key_in(town, at, mia)
    with town.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER full BEFORE UPDATE ON api_keys "
                "BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
        )

    with pytest.raises(StorageError):
        town.registry.organisations.remove(at, mia.person_id, by=OPERATOR)

    assert "member" == town.registry.authority.role(mia.person_id, at)
    assert is_good(town.registry.accounts, secret)
    assert is_good(town.reopened().accounts, secret)


def test_no_key_is_made_for_who_was_let_go(town: Town) -> None:
    """By themselves or by the operator."""
    mia, _ = town.person("mia@x.example")
    at = organisation_of(town, mia)
    account = town.registry.organisations.account(at)
    town.registry.organisations.remove(at, mia.person_id, by=OPERATOR)

    for by in (town.actor(mia), OPERATOR):
        with pytest.raises(InputError) as refused:
            town.registry.people.create_key(account, "k", by=by, person_id=mia.person_id)
        assert "forbidden" == refused.value.code


def test_a_password_opens_nothing_once_the_last_membership_has_ended(town: Town) -> None:
    """Sessions end at once, and the right password is refused with the reason, a wrong one as
    ever; who is taken in again is let in again.
    """
    mia, _ = town.person("mia@x.example", plan=None)
    at, registry = organisation_of(town, mia), town.registry
    registry.passwords.set_password(
        mia.person_id, PASSWORD, old=None, by=town.actor(mia), address="a"
    )
    cookie = registry.web_sessions.begin(mia.person_id)

    registry.organisations.remove(at, mia.person_id, by=OPERATOR)

    assert registry.web_sessions.find(cookie) is None
    with pytest.raises(InputError) as refused:
        registry.passwords.sign_in("mia@x.example", PASSWORD, address="a")
    with pytest.raises(InputError) as wrong:
        registry.passwords.sign_in("mia@x.example", PASSWORD + "!", address="a")
    assert ("forbidden", "authentication") == (refused.value.code, wrong.value.code)
    registry.organisations.add(at, mia.person_id, "member", by=OPERATOR)
    assert mia.person_id == registry.passwords.sign_in("mia@x.example", PASSWORD, address="a")


def test_who_is_in_another_organisation_or_has_an_own_account_stays(town: Town) -> None:
    """And reaches that alone: the organisation that let them go is closed to them."""
    mia, own = town.person("mia@x.example")
    bea, _ = town.person("bea@x.example", plan=None)
    assert own is not None
    at, registry = organisation_of(town, mia), town.registry
    other = town.organisation("Other", owner=bea)
    registry.organisations.add(at, bea.person_id, "member", by=OPERATOR)
    cookies = [registry.web_sessions.begin(one.person_id) for one in (mia, bea)]

    for one in (mia, bea):
        registry.organisations.remove(at, one.person_id, by=OPERATOR)

    first, second = (registry.web_sessions.actor(cookie) for cookie in cookies)
    acme = registry.organisations.account(at)
    standings = [registry.authority.standings(one, acme) for one in (first, second)]
    assert [frozenset(), frozenset()] == standings
    assert frozenset({"self"}) == registry.authority.standings(first, own)
    assert frozenset({"owner"}) == registry.authority.standings(
        second, registry.organisations.account(other)
    )


def test_the_operator_among_people_stays(tmp_path: Path) -> None:
    """Who runs the service has a place by that."""
    town = Town(tmp_path)
    olga, _ = town.registry.people.create("o@x.example", plan=None, by=OPERATOR, operator=True)

    assert town.registry.web_sessions.find(town.registry.web_sessions.begin(olga.person_id))
