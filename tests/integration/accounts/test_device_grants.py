"""Sign-ins that wait to be confirmed: what a client and a person are told, and when."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import event

from bailee.accounts import OPERATOR, Account
from bailee.accounts.device_grants import (
    BEGUN_BY_ADDRESS,
    INTERVAL,
    LOOKED_BY_ADDRESS,
    DeviceGrants,
    Poll,
)
from bailee.accounts.pending import LASTS
from bailee.accounts.sign_ins import ConfirmedSignIn
from bailee.accounts.ways_in import OpenIdProvider
from bailee.errors import InputError
from support.homes.town import Town

pytestmark = pytest.mark.both_databases

HERE = "192.0.2.7"
PROVIDER = OpenIdProvider("org_1", "x.example", "https://id.example", "bailee", "SECRET")


@pytest.fixture
def grants(town: Town) -> DeviceGrants:
    """Those of a town."""
    return town.registry.device_grants


@pytest.fixture
def ada(town: Town) -> ConfirmedSignIn:
    """What Ada confirms, who came by a provider."""
    person, account = town.person("ada@x.example")
    assert isinstance(account, Account)
    return ConfirmedSignIn(person.person_id, account.account_id, PROVIDER, "provider's token")


def test_a_grant_is_confirmed_and_handed_over_once(
    grants: DeviceGrants, ada: ConfirmedSignIn
) -> None:
    """What was confirmed comes with the next poll, and never again."""
    begun = grants.begin(client="cli", address=HERE)
    before = grants.poll(begun.device_code)
    grants.approve(begun.user_code, ada)

    assert Poll.PENDING is before
    assert ada == grants.poll(begun.device_code)
    assert Poll.EXPIRED is grants.poll(begun.device_code)


@pytest.mark.row("O1", "O6")
def test_every_process_knows_a_grant(town: Town, ada: ConfirmedSignIn) -> None:
    """One begins it, another shows and confirms it, and whichever is polled hands it over, once."""
    first, second, third = (town.reopened().device_grants for _ in range(3))
    begun = first.begin(client="cli/1", address=HERE)
    assert "cli/1" == second.look(begun.user_code, address=HERE).client
    second.approve(begun.user_code, ada)
    assert [ada, Poll.EXPIRED] == [one.poll(begun.device_code) for one in (third, first)]


def test_without_a_provider_nothing_of_one_is_handed_over(
    grants: DeviceGrants, ada: ConfirmedSignIn
) -> None:
    """It is what was confirmed, whatever it lacks."""
    own = ConfirmedSignIn(ada.person_id, ada.account_id)
    begun = grants.begin(client="cli", address=HERE)
    grants.approve(begun.user_code, own)
    assert own == grants.poll(begun.device_code)


def test_a_code_is_typed_as_people_type(grants: DeviceGrants) -> None:
    """In small letters, with blanks or without the hyphen; what is shown says who asks."""
    begun = grants.begin(client="cli/1", address=HERE)
    waiting = grants.look(" " + begun.user_code.lower().replace("-", " "), address=HERE)
    assert ("cli/1", HERE, begun.user_code) == (waiting.client, waiting.address, waiting.user_code)


def test_what_was_denied_is_over(grants: DeviceGrants, ada: ConfirmedSignIn) -> None:
    """It can't be confirmed any more, and the client is told so."""
    begun = grants.begin(client="cli", address=HERE)
    grants.deny(begun.user_code)
    with pytest.raises(InputError, match="no sign-in waits"):
        grants.approve(begun.user_code, ada)
    assert [Poll.DENIED, Poll.EXPIRED] == [grants.poll(begun.device_code) for _ in range(2)]


def test_what_is_too_old_is_over(grants: DeviceGrants, ada: ConfirmedSignIn, town: Town) -> None:
    """After ten minutes nobody confirms it, and a confirmation before is worth nothing."""
    begun, other = (grants.begin(client="cli", address=HERE) for _ in range(2))
    grants.approve(other.user_code, ada)
    town.fake.advance(LASTS)
    with pytest.raises(InputError):
        grants.approve(begun.user_code, ada)
    assert [Poll.EXPIRED] * 2 == [grants.poll(one.device_code) for one in (begun, other)]


def test_a_clock_that_is_set_back_lets_nobody_in_for_longer(
    grants: DeviceGrants, town: Town
) -> None:
    """A little makes no poll an impatient one, and a grant's end stays where it is; by more than
    clocks differ, what was begun is over.
    """
    begun = grants.begin(client="cli", address=HERE)
    grants.poll(begun.device_code)
    town.fake.advance(-timedelta(minutes=4))
    assert Poll.PENDING is grants.poll(begun.device_code)
    town.fake.advance(-timedelta(hours=1))
    assert Poll.EXPIRED is grants.poll(begun.device_code)
    town.fake.advance(timedelta(hours=1, minutes=4) + LASTS)
    assert Poll.EXPIRED is grants.poll(begun.device_code)


def test_who_is_impatient_waits_longer(grants: DeviceGrants, town: Town) -> None:
    """RFC 8628, 3.5: five seconds more each time."""
    begun = grants.begin(client="cli", address=HERE)
    said = [grants.poll(begun.device_code)]
    for seconds in (1, INTERVAL, 3 * INTERVAL):
        town.fake.advance(timedelta(seconds=seconds))
        said.append(grants.poll(begun.device_code))
    assert [Poll.PENDING, Poll.SLOW_DOWN, Poll.SLOW_DOWN, Poll.PENDING] == said


def test_a_poll_writes_nothing_and_one_too_many_looks_nothing_up(
    town: Town, grants: DeviceGrants
) -> None:
    """Each poll of a grant that waits is one question; who polls on without waiting, and who
    guesses, is answered without any. It stays good all the same.
    """
    begun = grants.begin(client="cli", address=HERE)
    asked: list[str] = []

    @event.listens_for(town.engine, "before_cursor_execute")
    def _asked(*said: object) -> None:
        asked.append(str(said[2]))

    patient = []
    for _ in range(3):
        patient.append(grants.poll(begun.device_code))
        town.fake.advance(timedelta(seconds=INTERVAL))
    looks = [*asked]
    hasty = [grants.poll(begun.device_code) for _ in range(20)]
    after = len(asked)
    guessed = [grants.poll(one) for one in ("", "0" * 96, "\ud800" * 96, begun.device_code[:-1])]

    assert [Poll.PENDING] * 3 == patient
    assert [Poll.PENDING, *[Poll.SLOW_DOWN] * 19] == hasty
    assert (3, 6) == (len(looks), after)
    assert {"SELECT"} == {one.split()[0] for one in asked}
    assert (after, [Poll.EXPIRED] * 4) == (len(asked), guessed)
    town.fake.advance(timedelta(seconds=3 * INTERVAL))
    assert Poll.PENDING is grants.poll(begun.device_code)


def test_one_address_begins_a_bounded_number(grants: DeviceGrants, town: Town) -> None:
    """And is let in again ten minutes later; another one is not slowed."""
    for _ in range(BEGUN_BY_ADDRESS):
        grants.begin(client="cli", address=HERE)
    with pytest.raises(InputError, match="too many"):
        grants.begin(client="cli", address=HERE)
    grants.begin(client="cli", address="192.0.2.8")
    town.fake.advance(LASTS)
    grants.begin(client="cli", address=HERE)


def test_who_tries_codes_is_stopped(grants: DeviceGrants, town: Town) -> None:
    """Ten wrong ones, at whichever process, and the right one does not open either."""
    begun = grants.begin(client="cli", address=HERE)
    for number in range(LOOKED_BY_ADDRESS):
        at = (grants, town.reopened().device_grants)[number % 2]
        with pytest.raises(InputError, match="no sign-in waits"):
            at.look("BBBB-BBBB", address=HERE)
    with pytest.raises(InputError, match="too many"):
        grants.look(begun.user_code, address=HERE)
    assert grants.look(begun.user_code, address="192.0.2.8")


@pytest.mark.row("O6")
def test_a_race_gives_one_client_its_tokens(town: Town, ada: ConfirmedSignIn) -> None:
    """Many that poll with one code at once, each at a process of its own with connections of its
    own: one gets what was confirmed.
    """
    towns = [Town(town.folder) for _ in range(8)]
    begun = town.registry.device_grants.begin(client="cli", address=HERE)
    town.registry.device_grants.approve(begun.user_code, ada)
    for one in towns:
        one.keys.make(ada.person_id)
    barrier, given = Barrier(8), []

    def poll(at: Town) -> None:
        barrier.wait()
        given.append(at.registry.device_grants.poll(begun.device_code))

    threads = [Thread(target=poll, args=(one,)) for one in towns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in towns:
        one.engine.dispose()
    assert 1 == given.count(ada)
    assert 7 == given.count(Poll.EXPIRED)


@pytest.mark.row("O1", "R6")
def test_what_was_confirmed_goes_with_who_confirmed_it(
    town: Town, grants: DeviceGrants, ada: ConfirmedSignIn
) -> None:
    """By an erasure, or signed out everywhere, or where their key alone is gone, in a copy: no
    client is handed anything. Who was erased confirms nothing, and has no key again by trying.
    """
    begun = [grants.begin(client="cli", address=HERE) for _ in range(4)]
    grants.approve(begun[0].user_code, ada)
    town.registry.sign_ins.end(ada.person_id, None, by=OPERATOR)
    grants.approve(begun[1].user_code, ada)
    town.keys.destroy(ada.person_id)
    denied = grants.poll(begun[1].device_code)
    grants.approve(begun[2].user_code, ada)
    town.registry.people.forget(ada.person_id, by=OPERATOR)
    town.keys.destroy(ada.person_id)
    with pytest.raises(InputError, match="erased"):
        grants.approve(begun[3].user_code, ada)

    assert Poll.DENIED is denied
    assert [Poll.EXPIRED] * 2 == [grants.poll(begun[n].device_code) for n in (0, 2)]
    assert Poll.PENDING is grants.poll(begun[3].device_code)
    assert ada.person_id not in town.keys._made
