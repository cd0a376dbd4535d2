"""Clients that are signed in: their tokens, what renews them, and everything that ends them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from bailee.accounts import OPERATOR, Account, Person
from bailee.accounts.sign_ins import MOST, ClientTokens, ConfirmedSignIn
from bailee.errors import InputError
from support.homes.town import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """People under a clock that stands."""
    return Town(tmp_path)


def ada(town: Town) -> tuple[Person, Account]:
    """Somebody with an account of their own."""
    person, account = town.person("ada@example.org")
    assert account is not None
    return person, account


def sign_in(town: Town, person: Person, account: Account, client: str = "cli") -> ClientTokens:
    """A client of somebody's."""
    confirmed = ConfirmedSignIn(person.person_id, account.account_id)
    return town.registry.sign_ins.begin(confirmed, client=client)


def is_good(town: Town, access: str) -> bool:
    """Whether the gateway takes it."""
    return town.registry.accounts.authenticate(access.encode()) is not None


def over(town: Town, refresh: str | None) -> bool:
    """Whether a refresh token gives nothing."""
    assert refresh is not None
    try:
        town.registry.sign_ins.renew(refresh)
    except InputError as error:
        return error.code == "authentication"
    return False


def test_an_access_token_is_its_accounts_and_lasts_an_hour(town: Town) -> None:
    """It is taken as a key of the account, up to its end, after a restart too."""
    person, account = ada(town)

    given = sign_in(town, person, account)
    found = town.registry.accounts.authenticate(given.access.encode())
    town.registry = town.reopened()
    town.fake.advance(timedelta(minutes=59, seconds=59))
    then = is_good(town, given.access)
    town.fake.advance(timedelta(seconds=1))

    assert found is not None
    assert (account.account_id, person.person_id) == (found[1].account_id, found[0].person_id)
    assert (True, False) == (then, is_good(town, given.access))
    assert 3600 == given.lasts


def test_a_refresh_token_is_good_once_and_again_for_a_lost_answer(town: Town) -> None:
    """Within a minute the last one gives what it gave; after that its use ends the sign-in."""
    first = sign_in(town, *ada(town))
    assert first.refresh is not None

    second = town.registry.sign_ins.renew(first.refresh)
    repeated = town.registry.sign_ins.renew(first.refresh)
    town.fake.advance(timedelta(seconds=61))

    assert second.refresh == repeated.refresh != first.refresh
    assert over(town, first.refresh)
    assert over(town, second.refresh)
    assert not is_good(town, second.access)


def test_a_thief_and_their_victim_are_both_out(town: Town) -> None:
    """One of the two shows a token that the other has used: two have it, and neither goes on."""
    first = sign_in(town, *ada(town))
    assert first.refresh is not None

    stolen = town.registry.sign_ins.renew(first.refresh)
    assert stolen.refresh is not None
    further = town.registry.sign_ins.renew(stolen.refresh)

    assert over(town, first.refresh)
    assert over(town, further.refresh)
    assert not is_good(town, further.access)
    ended = [one for one in town.ledger.entries() if one.kind == "sign_in.client_ended"]
    assert ["reused"] == [one.body["why"] for one in ended]


def test_many_at_once_get_the_same_token(town: Town) -> None:
    """A race of one client's processes ends nothing: all get what the first one got."""
    first = sign_in(town, *ada(town))
    assert first.refresh is not None
    refresh, barrier, given = first.refresh, Barrier(6), []

    def renew() -> None:
        barrier.wait()
        given.append(town.registry.sign_ins.renew(refresh).refresh)

    threads = [Thread(target=renew) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 6 == len(given)
    assert 1 == len(set(given))


def test_of_two_servers_the_second_gives_what_the_first_gave(town: Town) -> None:
    """Both have read that the token is good before either has noted that it is used. What an older
    token leads to is the same in that moment as in any: two have it, and both are out.
    """
    first = sign_in(town, *ada(town))
    assert first.refresh is not None
    one, given = town.registry.sign_ins, [first.refresh]
    meanwhile: list[int] = []

    def after_reading() -> datetime:
        for _ in range(meanwhile.pop() if meanwhile else 0):
            given.append(one.renew(given[-1]).refresh or "")
        return town.fake()

    town.clock = after_reading
    another = town.reopened().sign_ins
    meanwhile.append(1)
    assert another.renew(given[0]).refresh == given[1]
    assert 2 == len(given)
    meanwhile.append(2)
    with pytest.raises(InputError) as error:
        another.renew(given[1])
    assert "authentication" == error.value.code
    assert 4 == len(given)
    assert over(town, given[-1])


@pytest.mark.parametrize("forged", ["", "blr_", "blr_0000000000_" + "0" * 48, "bl_x", "é" * 63])
def test_a_forged_token_ends_nobodys_sign_in(town: Town, forged: str) -> None:
    """Whoever knows the id of a key can't end it by making a token up."""
    given = sign_in(town, *ada(town))
    assert given.refresh is not None
    changed = given.refresh[:-1] + ("0" if given.refresh[-1] != "0" else "1")

    assert over(town, forged)
    assert over(town, changed)
    town.registry.sign_ins.end_by_token(changed)
    assert not over(town, given.refresh)


def test_what_is_not_renewed_lapses(town: Town) -> None:
    """After a month without a renewal, and after three with as many as one likes."""
    person, account = ada(town)
    idle, used = sign_in(town, person, account), sign_in(town, person, account)
    assert used.refresh is not None

    for _ in range(9):
        town.fake.advance(timedelta(days=9, hours=23))
        used = town.registry.sign_ins.renew(used.refresh or "")
    idle_is_over = over(town, idle.refresh)
    town.fake.advance(timedelta(days=1))

    assert idle_is_over
    assert over(town, used.refresh)


def test_everything_that_ends_a_membership_ends_its_clients(town: Town) -> None:
    """At once, not within the hour: the key is revoked with it."""
    olga, _ = town.person("olga@example.org")
    max_, _ = town.person("max@example.org")
    organisation = town.organisation(owner=olga, member=max_)
    account = town.registry.accounts.of_organisation(organisation)
    given = sign_in(town, max_, account)

    town.registry.organisations.remove(organisation, max_.person_id, by=OPERATOR)

    assert not is_good(town, given.access)
    assert over(town, given.refresh)
    assert [] == town.registry.sign_ins.of_person(max_.person_id)


def test_sign_me_out_everywhere(town: Town) -> None:
    """All of a person's, at once; nobody else's, and by nobody else."""
    person, account = ada(town)
    other, others = town.person("eve@example.org")
    assert others is not None
    mine = [sign_in(town, person, account) for _ in range(3)]
    theirs = sign_in(town, other, others)

    with pytest.raises(InputError, match="may not"):
        town.registry.sign_ins.end(person.person_id, None, by=town.actor(other))
    ended = town.registry.sign_ins.end(person.person_id, None, by=town.actor(person))

    assert 3 == len(ended)
    assert [False] * 3 == [is_good(town, one.access) for one in mine]
    assert is_good(town, theirs.access)


def test_a_token_signs_its_own_client_out(town: Town) -> None:
    """Either of the two does."""
    person, account = ada(town)
    one, two = sign_in(town, person, account), sign_in(town, person, account)
    assert one.refresh is not None

    town.registry.sign_ins.end_by_token(one.refresh)
    town.registry.sign_ins.end_by_token(two.access)

    assert [False, False] == [is_good(town, one.access), is_good(town, two.access)]


def test_a_person_has_a_bounded_number(town: Town) -> None:
    """One more ends the one that was renewed longest ago, and no keys are taken by them."""
    person, account = ada(town)
    given = []
    for _ in range(MOST + 1):
        given.append(sign_in(town, person, account))
        town.fake.advance(timedelta(seconds=1))

    good = [is_good(town, one.access) for one in given]

    assert [False, *[True] * MOST] == good


def test_a_client_sets_no_password(town: Town) -> None:
    """Not even a first one: who took its token would come back by that."""
    person, account = ada(town)
    given = sign_in(town, person, account)
    by = town.registry.authority.by_key(given.access)

    with pytest.raises(InputError) as error:
        town.registry.passwords.set_password(
            person.person_id, "seven pear trees in a row", old=None, by=by, address="a"
        )

    assert "forbidden" == error.value.code
    assert not town.registry.people.get(person.person_id).has_password


def test_a_client_makes_no_key(town: Town) -> None:
    """A key would be there when the client has to be out."""
    person, account = ada(town)
    given = sign_in(town, person, account)
    actor = town.registry.authority.by_key(given.access)

    with pytest.raises(InputError, match="can't make a key"):
        town.registry.people.create_key(account, "for ever", by=actor)


def test_nothing_of_a_token_is_in_the_database(town: Town) -> None:
    """Neither of the two, nor what would let one make them."""
    given = sign_in(town, *ada(town))
    assert given.refresh is not None

    stored = town.stored()

    assert given.access[14:].encode() not in stored
    assert given.refresh[15:].encode() not in stored
    assert bytes.fromhex(given.refresh[15:]) not in stored


def test_an_operators_client_speaks_for_the_person_and_not_for_the_operator(town: Town) -> None:
    """It is of their own account, and may what they may; whatever their client calls itself."""
    person, account = ada(town)
    town.registry.people.set_operator(person.person_id, True, by=OPERATOR)

    given = sign_in(town, person, account, "cli\x1b[2K\u202e\x00")
    found = town.registry.accounts.authenticate(given.access.encode())
    actor = town.registry.authority.by_key(given.access)

    assert found is not None
    assert person.person_id == found[0].person_id == actor.person_id
    assert not actor.operator
    assert found[0].name.isprintable()
