"""Single-use links for the operator."""

from __future__ import annotations

import threading

import pytest

from bailee.accounts.operator_links import LINK_LASTS
from support.homes.town import Town

pytestmark = pytest.mark.both_databases


def test_a_link_signs_in_once(town: Town) -> None:
    """The second use of a link is refused, by the next process too."""
    links, later = town.registry.links, town.reopened().links
    token = links.give()

    assert [True, False, False] == [later.redeem(token), later.redeem(token), links.redeem(token)]


def test_a_link_ends_with_time(town: Town) -> None:
    """After fifteen minutes, to the moment; another one is none the worse for it."""
    links = town.registry.links
    late = links.give()

    town.fake.advance(LINK_LASTS)
    fresh = links.give()

    assert [False, True] == [links.redeem(late), links.redeem(fresh)]


def test_nothing_and_nonsense_sign_nobody_in(town: Town) -> None:
    """No token, a made-up one, one that is no text."""
    links = town.registry.links
    links.give()

    assert not any(links.redeem(token) for token in ("", "0" * 64, "\ud800", "é", "0" * 5000))


def test_a_link_that_is_used_while_another_is_made_is_good_once(town: Town) -> None:
    """What one thread takes is not brought back by another's."""
    links = town.registry.links
    ended = threading.Event()

    def make() -> None:
        for _ in range(500):
            if ended.is_set():
                break
            links.give()

    maker = threading.Thread(target=make)
    maker.start()
    try:
        used = [links.give() for _ in range(30)]
        good = [links.redeem(token) for token in used]
    finally:
        ended.set()
        maker.join()
    assert all(good)
    assert not any(map(links.redeem, used))
