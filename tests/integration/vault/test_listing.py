"""Lists at size: a page costs what is on it, and erasing few transactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bailee.db.pages import Order, place
from bailee.keeping.keeper import Owner
from support.homes import grown

Bench = Any


def grow(bench: Bench, owner: str, count: int) -> list[str]:
    """Sessions of an owner in a bench; their ids, the latest first."""
    return grown.grow(bench.engine, bench.keyring, bench.clock, owner, count)


def pages(
    bench: Bench, owner: str | None = None, order: Order = Order.NEWEST
) -> Iterator[list[Any]]:
    """All sessions, a thousand at a time."""
    after, now = None, bench.clock()
    while page := bench.vault.sessions(now, owner, newest=1000, after=after, order=order):
        yield page
        after = place(page[-1].last_activity, page[-1].id)


@pytest.mark.row("R1")
def test_pages_hold_every_session_once_the_latest_first(bench: Bench) -> None:
    """Also where two have their last activity at the same moment; of one owner or of all."""
    ada, bob = grow(bench, "ada", 2500), grow(bench, "bob", 10)
    found = list(pages(bench, "ada"))
    assert [1000, 1000, 500] == [len(page) for page in found]
    assert ada == [row.id for page in found for row in page]
    everybody = [row.id for page in pages(bench) for row in page]
    assert (2510, {*ada, *bob}) == (len(everybody), set(everybody))
    assert (2510, 10) == (bench.vault.count(bench.clock()), bench.vault.count(bench.clock(), "bob"))
    assert bob[:3] == [row.id for row in bench.vault.sessions(bench.clock(), "bob", newest=3)]


@pytest.mark.row("R1")
def test_the_other_order_is_the_same_list_from_its_end(bench: Bench) -> None:
    """To the last session of the same moment, over all pages, of one owner or of all."""
    ada = grow(bench, "ada", 2500)
    grow(bench, "bob", 10)
    back = [row.id for page in pages(bench, "ada", Order.OLDEST) for row in page]
    assert ada[::-1] == back
    everybody = [row.id for page in pages(bench) for row in page]
    assert everybody[::-1] == [row.id for page in pages(bench, None, Order.OLDEST) for row in page]


@pytest.mark.row("R1")
def test_a_page_costs_what_is_on_it(bench: Bench) -> None:
    """However many sessions there are, wherever in the list it is, and from either end."""
    grow(bench, "ada", 5000)
    grow(bench, "bob", 20)
    rows = bench.vault.sessions(bench.clock(), "ada")
    far = place(rows[4000].last_activity, rows[4000].id)
    with grown.steps(bench.engine) as whole:
        bench.vault.sessions(bench.clock())
    for owner, after in ((None, None), ("ada", None), ("ada", far), ("bob", None)):
        for order in Order:
            with grown.steps(bench.engine) as page:
                found = bench.vault.sessions(
                    bench.clock(), owner, newest=20, after=after, order=order
                )
            assert 20 == len(found)
            assert 20 * page[0] < whole[0]


@pytest.mark.row("R6")
def test_erasing_many_takes_as_many_transactions_as_erasing_few(bench: Bench) -> None:
    """Each step of all of a portion is one; each still has its receipt and its entries."""
    grow(bench, "ada", 300)
    grow(bench, "bob", 3)
    made = []
    for owner in ("bob", "ada"):
        with grown.commits(bench.engine, bench.keys) as counted:
            bench.vault.erase(Owner(owner, None), bench.clock(), f"era_{owner}", "operator")
            parts = bench.vault.receipts.parts(f"era_{owner}")
        made.append(counted[0])
        assert all(part.key_destroyed_at is not None for part in parts)
    assert (300, made[0]) == (len(parts), made[1])
    kinds = [kind for kind, subject, _ in bench.leaves if subject == "ada-000007"]
    assert ["erasure.requested", "erasure.inaccessible", "erasure.key_destroyed"] == kinds
