"""API keys: their form, and what is stored of them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.accounts import keys


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
