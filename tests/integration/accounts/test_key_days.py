"""An organisation that has its keys end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from bailee.accounts import OPERATOR, Account, Actor, ApiKey
from bailee.accounts.key_days import end_keys_by
from bailee.errors import InputError
from support.homes.town import Town

pytestmark = pytest.mark.row("O1")


@dataclass
class Place:
    """An organisation with an owner and a member; the member's key, and the owner's own."""

    town: Town
    organisation: str
    owner: Actor
    member: Actor
    secret: str
    elsewhere: str

    @property
    def account(self) -> Account:
        """The organisation's."""
        return self.town.registry.organisations.account(self.organisation)

    def make(self, days: int | None = None) -> ApiKey:
        """The member makes a key, for so many days."""
        until = None if days is None else self.town.clock() + timedelta(days=days)
        people = self.town.registry.people
        return people.create_key(self.account, "k", by=self.member, expires_at=until)[0]

    def demand(self, days: int | None, by: Actor = OPERATOR) -> list[ApiKey]:
        """What of it ends earlier."""
        return self.town.registry.key_days.demand(self.organisation, days, by=by)

    def good(self, secret: str) -> list[bool]:
        """Whether a key is taken: by this process, and by one that starts now."""
        registries = (self.town.registry, self.town.reopened())
        return [one.accounts.authenticate(secret.encode()) is not None for one in registries]


@pytest.fixture
def place(town: Town) -> Place:
    """See `Place`."""
    owner, own = town.person("owner@x.example")
    member, _ = town.person("mia@x.example")
    assert own is not None
    at = town.organisation(owner=owner, member=member)
    people, account = town.registry.people, town.registry.organisations.account(at)
    _, secret = people.create_key(account, "k", by=town.actor(member))
    _, elsewhere = people.create_key(own, "k", by=town.actor(owner))
    return Place(town, at, town.actor(owner), town.actor(member), secret, elsewhere)


def refused(place: Place, days: int | None = None) -> str:
    """Why no key is made."""
    with pytest.raises(InputError) as error:
        place.make(days)
    assert "forbidden" == error.value.code
    return error.value.message


def test_keys_that_are_there_and_those_that_are_made_end_in_time(place: Place) -> None:
    """Ninety days from the demand, or from when they are made; fewer if asked for, never more. A
    second demand shortens again, and a milder one gives nothing back. It is on record.
    """
    now = place.town.clock()
    shorter = place.demand(90, place.owner)
    made, short = place.make(), place.make(7)
    longest = refused(place, 91)
    again = place.demand(30)
    milder = place.demand(365)

    assert [now + timedelta(days=90)] == [key.expires_at for key in shorter]
    assert (now + timedelta(days=90), now + timedelta(days=7)) == (
        made.expires_at,
        short.expires_at,
    )
    assert "a key of this organisation is good for 90 days at the most." == longest
    assert {shorter[0].key_id, made.key_id} == {key.key_id for key in again}
    assert [] == milder
    assert (365, [True, True]) == (
        place.town.registry.key_days.most(place.organisation),
        place.good(place.secret),
    )
    place.town.fake.advance(timedelta(days=30))
    assert ([False, False], [True, True]) == (place.good(place.secret), place.good(place.elsewhere))
    said = [entry.body for entry in place.town.ledger.entries(kind="organisation.key_days")]
    assert [(90, 1), (30, 2), (365, 0)] == [(one["days"], one["keys"]) for one in said]


def test_an_organisation_may_have_no_keys(place: Place) -> None:
    """They end at once; a client that signs in, and a cloud session, go on. Until it is lifted."""
    accounts = place.town.registry.accounts
    _, cloud = accounts.key_for_cloud_session(
        place.account.account_id, "cs-1", zero_retention=False, by="operator"
    )
    place.demand(0)
    none = refused(place)
    client, _ = place.town.registry.people.create_key(
        place.account, "client", by=place.member, scope="signed_in"
    )

    assert [False, False] == place.good(place.secret)
    assert accounts.authenticate(cloud.encode()) is not None
    assert client.expires_at is None
    assert "this organisation has no keys that are made by hand." == none
    place.demand(None)
    assert (None, [False, False]) == (place.make().expires_at, place.good(place.secret))


def test_who_may_demand_it_and_what_can_be(place: Place) -> None:
    """The operator and an owner; a whole number of days. Who may not changes nothing."""
    for by, days, code in (
        (place.member, 1, "forbidden"),
        (OPERATOR, -1, "invalid_request"),
        (OPERATOR, 3651, "invalid_request"),
    ):
        with pytest.raises(InputError) as error:
            place.demand(days, by)
        assert code == error.value.code
    assert place.make().expires_at is None


def test_what_a_restore_does_again_is_what_was_demanded(place: Place) -> None:
    """Of keys on disk, by the demand's own moment; a key that ends earlier stays as it is."""
    short = place.make(3)
    last = place.town.clock() + timedelta(days=9)
    with place.town.engine.begin() as connection:
        ended = end_keys_by(connection, place.organisation, last)

    found = place.town.reopened().accounts
    ends = {key.key_id: key.expires_at for key, _ in found.api_keys()}
    assert 1 == ended
    assert short.expires_at == ends.pop(short.key_id)
    assert {last, None} == set(ends.values())
