"""Lists of people, organisations, accounts and keys, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bailee.accounts import OPERATOR
from bailee.db.pages import Order
from bailee.errors import InputError
from bailee.home import Home
from bailee.node import Node
from bailee.operations import accounts, keys, organisations, people
from bailee.operations.asks import Via, asked_by
from bailee.operations.codec import Page, every, plain
from bailee.testing import FakeClock

NAMES = ("ada", "bob", "cid", "dee", "eve")
LISTS: dict[str, Callable[..., Page[Any]]] = {
    "person": people.list_,
    "organisation": organisations.list_,
    "account": accounts.list_,
    "key_id": keys.list_,
}
"""By the field that says which one an item is."""

AFTER = (
    "", "1", "2026-01-01T00:00:00~x", "\ud800~x", "2026-01-01T00:00:00Z~\ud800",
    "0001-01-01T00:00:00+23:59~x", "9" * 10_000,
)  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A home with people and organisations, some made at the same moment."""
    clock = FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
    made = Node.open(Home(tmp_path_factory.mktemp("pages") / "home"), clock=clock)
    asks = asked_by(made, OPERATOR, Via.TERMINAL)
    for number, name in enumerate(NAMES):
        clock.now += timedelta(seconds=number % 2)
        people.create(asks, made, f"{name}@x.example", plan="pro")
        organisations.create(asks, made, f"{name} & Co", "team")
    made.accounts.key_for_this_run(made.accounts.page(None, 1)[0][0].account_id)
    yield made
    made.close()


@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
def test_people_come_newest_first_if_asked(node: Node, limit: int) -> None:
    """The same list from its end, whom a moment made together too, a page after the other."""
    asks = asked_by(node, OPERATOR, Via.TERMINAL)
    oldest = people.list_(asks, node, limit=1000).items

    newest = every(
        lambda after: people.list_(asks, node, after=after, limit=limit, order=Order.NEWEST)
    )

    assert oldest[::-1] == newest
    assert 1 < len(oldest)


@pytest.mark.parametrize("of", LISTS)
@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
def test_pages_give_everything_once_and_in_order(node: Node, of: str, limit: int) -> None:
    """Oldest first, however many there are on a page; the last one says that it is."""
    asks, list_ = asked_by(node, OPERATOR, Via.TERMINAL), LISTS[of]
    at_once = list_(asks, node, limit=1000)
    assert at_once.next is None
    assert len(at_once.items) >= len(NAMES)
    assert sorted(at_once.items, key=lambda one: (one.created, getattr(one, of))) == at_once.items

    assert at_once.items == every(lambda after: list_(asks, node, after=after, limit=limit))


@pytest.mark.parametrize("of", LISTS)
@pytest.mark.parametrize("after", AFTER)
def test_a_place_that_no_page_gave_is_refused(node: Node, of: str, after: str) -> None:
    """As wrong, before anything is read."""
    with pytest.raises(InputError):
        LISTS[of](asked_by(node, OPERATOR, Via.TERMINAL), node, after=after)


@pytest.mark.parametrize(
    ("named", "found"), [("E@x", ["dee", "eve"]), ("ADA@", ["ada"]), ("q", [])]
)
def test_people_are_found_by_a_part_of_their_email(
    node: Node, named: str, found: list[str]
) -> None:
    """In upper case or lower, and over pages too."""
    asks = asked_by(node, OPERATOR, Via.TERMINAL)
    one_by_one = every(lambda after: people.list_(asks, node, named, after, 1))
    assert {f"{name}@x.example" for name in found} == {one.email for one in one_by_one}
    assert len(found) == len(one_by_one)


def test_a_key_that_was_made_shows_its_secret_first(node: Node) -> None:
    """Where a reader of the JSON looks for it; then all that a list says of it."""
    asks = asked_by(node, OPERATOR, Via.TERMINAL)
    made = plain(keys.create(asks, node, "k", plan="pro"))
    assert "key" == next(iter(made))
    (listed,) = [one for one in keys.list_(asks, node).items if one.key_id == made["key_id"]]
    assert {"key": made["key"], **plain(listed)} == made
