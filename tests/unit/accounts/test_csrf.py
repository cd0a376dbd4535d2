"""Form tokens, bound to a cookie."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bailee.accounts import csrf

COOKIES = st.text(min_size=1, max_size=70)
NONCES = st.binary(min_size=csrf.NONCE_BYTES, max_size=csrf.NONCE_BYTES)


@given(COOKIES, NONCES)
def test_a_token_is_good_for_its_cookie(cookie: str, nonce: bytes) -> None:
    """Whatever the cookie and the nonce."""
    assert csrf.is_good(cookie, csrf.token(cookie, nonce))


@given(COOKIES, COOKIES, NONCES)
def test_a_token_is_good_for_no_other_cookie(cookie: str, other: str, nonce: bytes) -> None:
    """Who has another cookie, or none, can't use it."""
    token = csrf.token(cookie, nonce)

    assert (cookie == other) == csrf.is_good(other, token)
    assert not csrf.is_good(None, token)
    assert not csrf.is_good("", token)


@given(COOKIES, NONCES, st.data())
def test_a_token_with_one_character_changed_is_none(
    cookie: str, nonce: bytes, data: st.DataObject
) -> None:
    """In the nonce or in the mark; of another length, too."""
    token = csrf.token(cookie, nonce)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(
        st.sampled_from("0123456789abcdefé\ud800").filter(lambda c: c != token[place])
    )

    assert not csrf.is_good(cookie, token[:place] + other + token[place + 1 :])
    assert not csrf.is_good(cookie, token[:-1])
    assert not csrf.is_good(cookie, token + "0")


@given(st.text(max_size=100))
def test_what_was_typed_is_no_token(typed: str) -> None:
    """Anything at all may come in a form; nothing of it is an error."""
    assert not csrf.is_good("cookie", typed)
