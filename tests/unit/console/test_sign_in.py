"""Single-use sign-in links."""

from __future__ import annotations

from datetime import timedelta

from bailee.console.sign_in import LINK_LASTS, SESSION_LASTS, SignIn
from bailee.testing import FakeClock


def test_a_link_signs_in_once() -> None:
    """The second use of a link is refused."""
    sign_in = SignIn(FakeClock())
    token = sign_in.link_token()

    cookie = sign_in.redeem(token)

    assert sign_in.is_signed_in(cookie)
    assert sign_in.redeem(token) is None


def test_a_link_and_a_session_end_with_time() -> None:
    """A link after fifteen minutes, a session after twelve hours."""
    clock = FakeClock()
    sign_in = SignIn(clock)
    late, good = sign_in.link_token(), sign_in.link_token()
    cookie = sign_in.redeem(good)

    clock.advance(LINK_LASTS)
    assert sign_in.redeem(late) is None
    clock.advance(SESSION_LASTS - LINK_LASTS - timedelta(seconds=1))
    assert sign_in.is_signed_in(cookie)
    clock.advance(timedelta(seconds=1))
    assert not sign_in.is_signed_in(cookie)


def test_signing_out_ends_the_session_and_no_other() -> None:
    """Only the session that was signed out ends."""
    sign_in = SignIn(FakeClock())
    mine, other = sign_in.redeem(sign_in.link_token()), sign_in.redeem(sign_in.link_token())

    sign_in.end(mine)

    assert not sign_in.is_signed_in(mine)
    assert sign_in.is_signed_in(other)


def test_nothing_and_nonsense_sign_nobody_in() -> None:
    """No cookie, an empty one, a made-up one."""
    sign_in = SignIn(FakeClock())
    sign_in.redeem(sign_in.link_token())

    assert not any(sign_in.is_signed_in(cookie) for cookie in (None, "", "0" * 64))
