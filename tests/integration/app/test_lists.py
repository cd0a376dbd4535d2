"""Lists in pages, and one session among many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import InputError
from bailee.home import Home
from bailee.node import Node
from support.clients.asking import perform
from support.homes import grown
from support.homes.captured import begun, end

KINDS = ("sessions.list", "retention.receipts", "retention.moves", "receipts.list", "audit.list")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A home in which there are some of each."""
    made = Node.open(Home(tmp_path_factory.mktemp("lists") / "home"))
    for number in range(3):
        person: Any = perform(
            made, "person.create", {"email": f"p{number}@x.example", "plan": "pro"}
        )
        owner = person["account"]
        for turn in range(3):
            end(made, begun(made, owner, f"{number} {turn}", "pears"))
        made.vault.settle()
        made.vault.moving.request(owner, None, made.clock())
        session = perform(made, "sessions.list", {"owner": owner, "limit": 1})
        perform(made, "sessions.delete", {"id": session["items"][0]["id"]})  # type: ignore[index]
        if number:
            perform(made, "person.erase", {"id": person["person"]})
            end(
                made,
                begun(made, made.accounts.create(plan="pro", name="k")[0].account_id, "x", "y"),
            )
    made.vault.settle()
    yield made
    made.close()


@pytest.mark.row("R1", "R5")
@pytest.mark.parametrize("operation", KINDS)
def test_pages_give_each_item_once_in_one_order(node: Node, operation: str) -> None:
    """However many are on a page; each page is asked for by the mark of the one before."""
    whole: Any = perform(node, operation, {})
    assert len(whole) > 1
    for limit in (1, 2, len(whole)):
        found, after, asked = [], None, 0
        while asked == 0 or after is not None:
            page: Any = perform(node, operation, {"limit": limit, "after": after})
            assert len(page["items"]) <= limit
            found, after, asked = found + page["items"], page["next"], asked + 1
        assert (whole, -(-len(whole) // limit)) == (found, asked)


@pytest.mark.parametrize("operation", KINDS)
def test_what_no_page_said_is_next_is_refused(node: Node, operation: str) -> None:
    """It is not taken for the beginning; nor is a page of none, or of all."""
    for wrong in ({"after": "x"}, {"limit": 0}, {"limit": 1001}):
        with pytest.raises(InputError):
            perform(node, operation, {"limit": 1, **wrong})


@pytest.mark.row("R1")
def test_one_session_costs_as_much_among_many(tmp_path: Path) -> None:
    """To find and to show it reads no other; so does a page."""
    made = Node.open(Home(tmp_path / "home"))
    try:
        owner = made.accounts.create(plan="pro", name="ada")[0].account_id
        end(made, begun(made, owner, "one", "pears"))
        made.vault.settle()
        (session,) = made.vault.sessions(made.clock())
        asked = (
            ("sessions.find", {"id": session.id}),
            ("sessions.show", {"id": session.id}),
            ("sessions.list", {"limit": 1}),
        )
        few = [_steps(made, name, values) for name, values in asked]
        grown.grow(made.data, made.keyring, made.clock, owner, 2000)
        many = [_steps(made, name, values) for name, values in asked]
        assert all(now <= before + 5 for before, now in zip(few, many, strict=True)), (few, many)
    finally:
        made.close()


@pytest.mark.row("R1")
def test_what_is_shown_of_a_session_is_read_in_one_transaction(tmp_path: Path) -> None:
    """Its row, its exchanges, its hold and what it is told by; the others are for the record: who
    has a name, whose it is, the entry, and the mark.
    """
    made = Node.open(Home(tmp_path / "home"))
    try:
        owner = made.accounts.create(plan="pro", name="ada")[0].account_id
        end(made, begun(made, owner, "one", "pears"))
        made.vault.settle()
        (session,) = made.vault.sessions(made.clock())
        shown = perform(made, "sessions.show", {"id": session.id})
        with grown.commits(made.data) as found:
            assert shown == perform(made, "sessions.show", {"id": session.id})
        assert [1 + 4] == found
    finally:
        made.close()


def _steps(node: Node, operation: str, values: dict[str, Any]) -> int:
    with grown.steps(node.data) as made:
        perform(node, operation, values)
    return made[0]
