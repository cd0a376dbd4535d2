"""Single-use sign-in links."""

from __future__ import annotations

import threading

from bailee.console.sign_in import LINK_LASTS, SignIn
from bailee.testing import FakeClock


def test_a_link_signs_in_once() -> None:
    """The second use of a link is refused."""
    sign_in = SignIn(FakeClock())
    token = sign_in.link_token()

    assert [True, False] == [sign_in.redeem(token), sign_in.redeem(token)]


def test_a_link_ends_with_time() -> None:
    """After fifteen minutes, to the moment; another one is none the worse for it."""
    clock = FakeClock()
    sign_in = SignIn(clock)
    late = sign_in.link_token()

    clock.advance(LINK_LASTS)
    fresh = sign_in.link_token()

    assert [False, True] == [sign_in.redeem(late), sign_in.redeem(fresh)]


def test_nothing_and_nonsense_sign_nobody_in() -> None:
    """No token, a made-up one, one that is no text."""
    sign_in = SignIn(FakeClock())
    sign_in.link_token()

    assert not any(sign_in.redeem(token) for token in ("", "0" * 64, "\ud800"))


def test_a_link_that_is_used_while_another_is_made_is_good_once() -> None:
    """What one thread takes is not brought back by another's copy."""
    sign_in = SignIn(FakeClock())
    ended = threading.Event()

    def make() -> None:
        for _ in range(1000):
            if ended.is_set():
                break
            sign_in.link_token()

    maker = threading.Thread(target=make)
    maker.start()
    try:
        used = [sign_in.link_token() for _ in range(300)]
        good = [sign_in.redeem(token) for token in used]
    finally:
        ended.set()
        maker.join()
    assert all(good)
    assert not any(map(sign_in.redeem, used))
