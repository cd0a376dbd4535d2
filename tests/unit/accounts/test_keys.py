"""API keys: their form, and what is stored of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.accounts import keys
from bailee.accounts.account import Account, ApiKey
from bailee.accounts.keys import KeyLimits, check_number
from bailee.errors import InputError

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.binary(min_size=keys.RANDOM_BYTES, max_size=keys.RANDOM_BYTES))
def test_a_key_names_itself(random: bytes) -> None:
    """Whatever the random bytes, the id that a key names is the one it was made with."""
    made = keys.mint(random)

    assert made.key_id == keys.key_id(made.key.encode())
    assert hashlib.sha256(made.key.encode()).digest() == made.digest


@given(st.binary(max_size=80))
def test_what_is_not_a_key_names_nothing_or_has_the_form(presented: bytes) -> None:
    """Arbitrary bytes name a key only when they have a key's form; nothing raises."""
    named = keys.key_id(presented)

    has_form = len(presented) == 62 and presented[:3] == b"bl_" and presented[13:14] == b"_"
    assert has_form == (named is not None)


def test_a_key_is_not_made_from_too_little_chance() -> None:
    """Fewer random bytes than a key needs are refused."""
    with pytest.raises(ValueError, match="29 random bytes"):
        keys.mint(b"short")


def living(number: int, account: str = "org", person: str | None = None) -> list[ApiKey]:
    """So many keys that are good."""
    return [
        ApiKey(f"k{n}", account, "n", False, DAY, None, person_id=person) for n in range(number)
    ]


@pytest.mark.row("G1")
def test_so_many_keys_may_be_good_at_once() -> None:
    """Of a person, of an account, and in all; each is refused with who must act, and what was
    revoked, or is a cloud session's, is not counted.
    """
    limits = KeyLimits(of_person=2, of_account=4, in_all=6)
    org = Account("org", "n", "team", "none", None, False, DAY, organisation_id="o")
    own = Account("own", "n", "pro", "none", None, False, DAY, person_id="ada")

    def refused(account: Account, person: str | None, held: list[ApiKey]) -> str:
        try:
            check_number(limits, held, account, person, DAY)
        except InputError as error:
            assert "over_quota" == error.code
            return str(error.hint).rpartition(" ")[2]
        return ""

    adas = living(2, person="ada")
    assert ["keys.per_person", "", ""] == [refused(org, p, adas) for p in ("ada", "bob", None)]
    assert ["keys.per_account"] * 2 == [refused(org, p, living(4)) for p in ("ada", None)]
    assert "keys.per_person" == refused(own, None, living(2, "own"))
    assert "keys.in_all" == refused(org, None, living(6, "other"))
    ended = [replace(key, revoked_at=DAY) for key in living(6)]
    of_cloud = [replace(key, scope="cloud") for key in living(6)]
    assert "" == refused(org, "ada", [*ended, *of_cloud, *living(3)])
