"""Passkeys, against an authenticator in software."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bailee.accounts import OPERATOR, Person, RelyingParty
from bailee.errors import InputError
from support.browsers.authenticator import Authenticator
from support.homes.town import PASSWORD, Town

HERE = RelyingParty("console.example", "https://console.example")
ADDRESS = "192.0.2.1"


def with_passkey(town: Town, email: str = "ada@x.example") -> tuple[Person, Authenticator]:
    """A person who has added a passkey."""
    person, _ = town.person(email)
    authenticator = Authenticator(HERE.origin, HERE.rp_id)
    by = town.actor(person)
    token, options = town.registry.passkeys.begin_adding(person.person_id, place=HERE, by=by)
    town.registry.passkeys.add(
        token, authenticator.create(options), name="phone", place=HERE, by=by
    )
    return person, authenticator


def sign_in(town: Town, authenticator: Authenticator, **changes: Any) -> str:
    """Sign in with it; `changes` are made to its answer."""
    token, options = town.registry.passkeys.begin(place=HERE, address=ADDRESS)
    answer = authenticator.get(options)
    answer["response"] |= changes
    return town.registry.passkeys.sign_in(token, answer, place=HERE, address=ADDRESS)


def test_a_passkey_signs_its_person_in(town: Town) -> None:
    """No name is typed: the passkey says who it is. Its name is the person's own."""
    person, authenticator = with_passkey(town)
    with_passkey(town, "bob@x.example")

    assert person.person_id == sign_in(town, authenticator)
    assert person.person_id == sign_in(town, authenticator)
    (passkey,) = town.registry.passkeys.of_person(person.person_id)
    assert ("phone", town.clock()) == (passkey.name, passkey.last_used_at)


def test_what_is_asked_of_the_browser_names_nobody(town: Town) -> None:
    """The options to sign in are the same whoever there is."""
    with_passkey(town)

    _, options = town.registry.passkeys.begin(place=HERE, address=ADDRESS)

    assert [] == options.get("allowCredentials", [])
    assert "required" == options["userVerification"]


@pytest.mark.parametrize("change", ["origin", "rp_id", "verifies", "credential_id", "user_handle"])
def test_another_site_person_or_key_is_refused(town: Town, change: str) -> None:
    """With one answer for all of it, the same as for a passkey that nobody has."""
    _, authenticator = with_passkey(town)
    other = {
        "origin": "https://console.example.evil.example",
        "rp_id": "evil.example",
        "verifies": False,
        "credential_id": b"another-passkey!",
        "user_handle": b"per_of_someone_else",
    }
    setattr(authenticator, change, other[change])

    with pytest.raises(InputError) as refused:
        sign_in(town, authenticator)

    assert ("authentication", "this passkey does not sign in here.") == (
        refused.value.code,
        refused.value.message,
    )


@pytest.mark.parametrize("part", ["signature", "authenticatorData", "clientDataJSON"])
def test_an_answer_that_was_changed_is_refused(town: Town, part: str) -> None:
    """Each part of it is held by the signature, or is it."""
    _, authenticator = with_passkey(town)

    with pytest.raises(InputError):
        sign_in(town, authenticator, **{part: "AAAA"})


def test_a_counter_that_goes_back_is_refused(town: Town) -> None:
    """A copy of an authenticator shows itself by it."""
    _, authenticator = with_passkey(town)
    authenticator.counter = 10
    sign_in(town, authenticator)
    authenticator.counter = 5

    with pytest.raises(InputError, match="does not sign in"):
        sign_in(town, authenticator)


def test_a_challenge_counts_once_and_for_ten_minutes(town: Town) -> None:
    """An answer can't be sent twice, nor late."""
    _, authenticator = with_passkey(town)
    passkeys = town.registry.passkeys
    token, options = passkeys.begin(place=HERE, address=ADDRESS)
    answer = authenticator.get(options)
    passkeys.sign_in(token, answer, place=HERE, address=ADDRESS)
    with pytest.raises(InputError, match="already been answered"):
        passkeys.sign_in(token, answer, place=HERE, address=ADDRESS)
    late, options = passkeys.begin(place=HERE, address=ADDRESS)
    answer_late = authenticator.get(options)
    town.fake.advance(timedelta(minutes=10))

    for used, given in ((late, answer_late), ("made up", answer)):
        with pytest.raises(InputError, match="too long"):
            passkeys.sign_in(used, given, place=HERE, address=ADDRESS)


def test_nobody_adds_a_passkey_to_someone_else(town: Town) -> None:
    """Not another person, and not the operator."""
    ada, _ = town.person("ada@x.example")
    bob, _ = town.person("bob@x.example")

    for by in (town.actor(bob), OPERATOR):
        with pytest.raises(InputError) as refused:
            town.registry.passkeys.begin_adding(ada.person_id, place=HERE, by=by)
        assert "forbidden" == refused.value.code


def test_a_challenge_to_sign_in_adds_nothing(town: Town) -> None:
    """What was begun as one thing can't be ended as another, nor the other way round."""
    ada, authenticator = with_passkey(town)
    token, options = town.registry.passkeys.begin_adding(
        ada.person_id, place=HERE, by=town.actor(ada)
    )
    with pytest.raises(InputError, match="too long"):
        town.registry.passkeys.sign_in(
            token, authenticator.get(options), place=HERE, address=ADDRESS
        )
    token, options = town.registry.passkeys.begin(place=HERE, address=ADDRESS)
    options["user"] = {"id": "AAAA"}

    with pytest.raises(InputError, match="too long"):
        town.registry.passkeys.add(
            token, authenticator.create(options), name="x", place=HERE, by=town.actor(ada)
        )


def test_the_last_way_in_is_not_removed(town: Town) -> None:
    """A passkey alone stays until there is a password."""
    ada, _ = with_passkey(town)
    by = town.actor(ada)
    (passkey,) = town.registry.passkeys.of_person(ada.person_id)

    with pytest.raises(InputError, match="only way"):
        town.registry.passkeys.remove(ada.person_id, passkey.passkey_id, by=by)
    town.registry.passwords.set_password(ada.person_id, PASSWORD, old=None, by=by, address=ADDRESS)
    town.registry.passkeys.remove(ada.person_id, passkey.passkey_id, by=by)

    assert [] == town.registry.passkeys.of_person(ada.person_id)


def test_attempts_with_passkeys_are_limited_by_address(town: Town) -> None:
    """Wrong answers from one address have to wait, after twenty."""
    _, authenticator = with_passkey(town)

    codes = []
    for _ in range(22):
        with pytest.raises(InputError) as refused:
            sign_in(town, authenticator, signature="AAAA")
        codes.append(refused.value.code)

    assert ["authentication"] * 21 + ["too_many_attempts"] == codes
