"""Emails in their normal form."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.accounts.emails import domain_of, normal
from bailee.errors import InputError


@given(st.emails())
def test_an_address_has_one_form(email: str) -> None:
    """Case and space around it make no difference, and the form is its own form."""
    assert normal(email) == normal(f" {email.upper().lower()} ") == normal(normal(email))
    assert normal(email).endswith("@" + domain_of(normal(email)))


@pytest.mark.parametrize(
    "text", ["", "ada", "@x.org", "ada@", "a@b@c.org", "a b@x.org", "a\n@x.org", "a@.org", "a@x."]
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    """The error has no room for what was typed: it may be a password."""
    with pytest.raises(InputError) as refused:
        normal(text)

    assert "that is not an email address." == refused.value.message


@given(st.text(max_size=300))
def test_anything_typed_is_an_address_or_refused(text: str) -> None:
    """Nothing else comes of it."""
    with contextlib.suppress(InputError):
        assert "@" in normal(text)
