"""Who is signed in to the console."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bailee.accounts import OPERATOR, PeopleRegistry
from bailee.accounts.web_sessions import OF_OPERATORS, OF_PERSONS, SessionLifetime
from bailee.errors import InputError
from support.homes.town import Town


def test_a_cookie_is_who_it_was_given_to(town: Town) -> None:
    """After a restart too; only its digest is stored."""
    person, _ = town.person("ada@x.example")

    cookie = town.registry.web_sessions.begin(person.person_id, client="Browser of Ada")

    for registry in (town.registry, town.reopened()):
        assert person.person_id == registry.web_sessions.actor(cookie).person_id
    assert len(bytes.fromhex(cookie)) == 32
    assert cookie.encode() not in town.stored()
    assert b"Browser of Ada" not in town.stored()


def test_the_link_signs_in_as_the_operator(town: Town) -> None:
    """A session of nobody in person."""
    cookie = town.registry.web_sessions.begin(None)

    assert OPERATOR == town.registry.web_sessions.actor(cookie)


@pytest.mark.parametrize("cookie", [None, "", "0" * 64, "é\ud800"])
def test_nothing_and_nonsense_are_nobody(town: Town, cookie: str | None) -> None:
    """And never the operator."""
    town.registry.web_sessions.begin(None)

    assert town.registry.web_sessions.find(cookie) is None
    with pytest.raises(InputError) as refused:
        town.registry.web_sessions.actor(cookie)
    assert "authentication" == refused.value.code


def test_signing_in_ends_the_session_before(town: Town) -> None:
    """A cookie that someone planted before is worth nothing afterwards."""
    person, _ = town.person("ada@x.example")
    sessions = town.registry.web_sessions
    planted = sessions.begin(person.person_id)

    cookie = sessions.begin(person.person_id, instead_of=planted)

    assert sessions.find(planted) is None
    assert sessions.find(cookie) is not None


def kinds(town: Town) -> list[tuple[str | None, SessionLifetime]]:
    """Who has which limits: a person, the operator, a person who is one."""
    ada, _ = town.person("ada@x.example")
    eva, _ = town.registry.people.create("eva@x.example", plan=None, by=OPERATOR, operator=True)
    return [(ada.person_id, OF_PERSONS), (None, OF_OPERATORS), (eva.person_id, OF_OPERATORS)]


def lasts(registry: PeopleRegistry, cookie: str) -> bool:
    """Whether the session is good (which uses it)."""
    return registry.web_sessions.find(cookie) is not None


def test_a_session_that_is_not_used_ends(town: Town) -> None:
    """At the idle limit, to the second; use moves it."""
    for person_id, limits in kinds(town):
        cookie = town.registry.web_sessions.begin(person_id)
        town.fake.advance(limits.idle - timedelta(seconds=1))
        assert lasts(town.registry, cookie)
        town.fake.advance(limits.idle - timedelta(seconds=1))
        assert lasts(town.reopened(), cookie)
        town.fake.advance(limits.idle)
        assert not lasts(town.registry, cookie)


def test_a_session_ends_however_much_it_is_used(town: Town) -> None:
    """At the absolute limit."""
    for person_id, limits in kinds(town):
        cookie = town.registry.web_sessions.begin(person_id)
        step = limits.idle / 2
        for _ in range(int(limits.absolute / step) - 1):
            town.fake.advance(step)
            assert lasts(town.registry, cookie)
        town.fake.advance(step)
        assert not lasts(town.registry, cookie)


def test_a_person_sees_and_ends_their_sessions_and_no_one_elses(town: Town) -> None:
    """Each with what the browser said of itself."""
    ada, _ = town.person("ada@x.example")
    bob, _ = town.person("bob@x.example")
    sessions = town.registry.web_sessions
    phone = sessions.begin(ada.person_id, client="phone")
    town.fake.advance(timedelta(seconds=1))
    laptop = sessions.begin(ada.person_id, client="laptop" * 100)
    bobs = sessions.begin(bob.person_id)

    listed = sessions.of_person(ada.person_id)

    assert ["lapt", "phon"] == [(session.client or "")[:4] for session in listed]
    with pytest.raises(InputError):
        sessions.end_one(bob.person_id, listed[0].session_id)
    sessions.end_one(ada.person_id, listed[0].session_id)
    assert (False, True) == (lasts(town.registry, laptop), lasts(town.registry, phone))
    assert 1 == sessions.end_all(ada.person_id)
    assert (False, True) == (lasts(town.registry, phone), lasts(town.registry, bobs))


def test_signing_in_and_out_is_on_record(town: Town) -> None:
    """By session id, never by cookie."""
    ada, _ = town.person("ada@x.example")
    sessions = town.registry.web_sessions
    cookie = sessions.begin(ada.person_id)
    sessions.end(cookie)

    kept = [leaf.kind for leaf in town.ledger.entries(subject=ada.person_id)]

    assert ["person.created", "sign_in.begun", "sign_in.ended"] == kept


def test_who_was_erased_is_signed_in_nowhere(town: Town) -> None:
    """Their sessions are gone with them, also where a cookie is still there."""
    ada, _ = town.person("ada@x.example")
    cookie = town.registry.web_sessions.begin(ada.person_id)

    town.registry.people.forget(ada.person_id, by=OPERATOR)

    assert town.registry.web_sessions.find(cookie) is None
    with pytest.raises(InputError):
        town.registry.authority.by_person(ada.person_id)


def test_an_identifier_opens_only_with_its_persons_key(town: Town) -> None:
    """Once the key is destroyed, what a copy of the database holds is of no use."""
    ada, _ = town.person("ada@x.example")
    town.keys.destroy(ada.person_id)

    assert town.registry.people.get(ada.person_id).email is None
