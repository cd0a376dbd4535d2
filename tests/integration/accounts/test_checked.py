"""Rows that say who somebody is, and let them in, count for nothing once they were changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from bailee.accounts import OPERATOR
from bailee.db.people import passkeys
from bailee.errors import InputError, IntegrityError
from bailee.home import Home
from bailee.node.verifying import verify
from bailee.testing.tampering import tamper
from support.homes.places import Place

PASSWORD = "heliotrope and medlar"
HERE = "127.0.0.1"


class Town(Place):
    """A home with an operator, and with a person who is in an organisation and signed in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        registry = self.node.registry
        self.data = Home(folder).data_database
        made, _ = registry.people.create("ada@x.example", plan=None, by=OPERATOR)
        self.ada = made.person_id
        mayor, _ = registry.people.create("eve@x.example", plan=None, by=OPERATOR, operator=True)
        self.eve = mayor.person_id
        firm, _ = registry.organisations.create("Orchard", plan="team", by=OPERATOR)
        self.firm = firm.organisation_id
        registry.organisations.add(self.firm, self.ada, "member", by=OPERATOR)
        by = registry.authority.by_person(self.ada)
        registry.passwords.set_password(self.ada, PASSWORD, old=None, by=by, address=HERE)
        self.cookie = registry.web_sessions.begin(self.ada, client="a browser")

    def signs_in(self) -> bool:
        """Whether Ada's password opens the console."""
        try:
            return self.ada == self.node.registry.passwords.sign_in(
                "ada@x.example", PASSWORD, address=HERE
            )
        except InputError:
            return False

    def damaged(self) -> set[str]:
        """What `bailee verify` names."""
        return {one.where for one in verify(self.node, self.clock()).damaged}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A home of its own."""
    made = Town(tmp_path / "home")
    yield made
    made.close()


@pytest.mark.row("R5", "G2")
def test_a_changed_person_signs_in_nowhere(town: Town) -> None:
    """Made an operator, or given another's password, behind the program's back: they are named and
    in no list, no way in opens, their cookie is good for nothing, and nobody else is concerned.
    """
    assert town.signs_in()
    assert set() == town.damaged()
    registry = town.node.registry

    tamper(town.data, "UPDATE persons SET operator = 1 WHERE id = ?", [town.ada])

    assert not town.signs_in()
    assert registry.web_sessions.find(town.cookie) is None
    assert not registry.authority.has_place(town.ada)
    with pytest.raises(InputError, match="no such person"):
        registry.authority.by_person(town.ada)
    with pytest.raises(IntegrityError, match="not what was written"):
        registry.people.get(town.ada)
    assert [town.eve] == [one.person_id for one in registry.people.all()]
    assert registry.authority.by_person(town.eve).operator
    assert f"persons {town.ada}" in town.damaged()
    with pytest.raises(InputError, match="can't be used"):
        registry.people.create("ada@x.example", plan=None, by=OPERATOR)


@pytest.mark.row("O1")
def test_a_changed_demand_gives_nobody_a_key(town: Town) -> None:
    """An organisation's row of for how long keys are good counts as none at all."""
    registry = town.node.registry
    registry.key_days.demand(town.firm, 90, by=OPERATOR)
    tamper(town.data, "UPDATE organisation_keys SET most_days = 3000")

    account = registry.organisations.account(town.firm)
    with pytest.raises(InputError, match="has no keys"):
        registry.people.create_key(account, "k", by=registry.authority.by_person(town.ada))
    assert f"organisation_keys {town.firm}" in town.damaged()


@pytest.mark.row("R5", "G2")
def test_a_changed_membership_gives_no_role(town: Town) -> None:
    """A member who became an owner on the disk is none, until somebody takes them in anew."""
    registry = town.node.registry
    tamper(town.data, "UPDATE memberships SET role = 'owner'")

    assert registry.authority.role(town.ada, town.firm) is None
    assert [] == registry.organisations.members(town.firm)
    assert not town.signs_in()
    assert {f"memberships {town.firm}/{town.ada}"} == town.damaged()

    registry.organisations.add(town.firm, town.ada, "member", by=OPERATOR)
    assert "member" == registry.authority.role(town.ada, town.firm)
    assert set() == town.damaged()


@pytest.mark.row("R5", "G2")
def test_a_changed_cookie_or_passkey_opens_nothing(town: Town) -> None:
    """Turned to another person: neither is good any more, and both are named."""
    registry = town.node.registry
    with town.node.data.begin() as connection:
        values = {"public_key": b"k", "sign_count": 0, "name": b"n", "created_at": town.clock()}
        connection.execute(insert(passkeys).values(id=b"\xff\x00", person_id=town.ada, **values))
    assert registry.web_sessions.find(town.cookie) is not None

    tamper(town.data, "UPDATE web_sessions SET person_id = ?", [town.eve])
    tamper(town.data, "UPDATE passkeys SET person_id = ?", [town.eve])

    assert registry.web_sessions.find(town.cookie) is None
    assert [] == registry.passkeys.of_person(town.eve)
    assert {"passkeys FF00"} == {one for one in town.damaged() if one[:4] == "pass"}
    assert 2 == len(town.damaged())


def test_an_ephemeral_key_that_was_made_to_last_is_none(town: Town) -> None:
    """A cloud session's, to the next process; and `verify` names its row."""
    accounts = town.node.accounts
    of = town.node.registry.organisations.account(town.firm).account_id
    key_id, secret = accounts.key_for_cloud_session(of, "cs-1", zero_retention=False, by=town.ada)
    tamper(town.data, "UPDATE ephemeral_keys SET expires_at = '2999-01-01 00:00:00.000000'")

    town.close()
    town.open()

    assert town.node.accounts.authenticate(secret.encode()) is None
    assert f"ephemeral_keys {key_id}" in town.damaged()
