"""An account's own lists of hosts: who may change them, and what a session's rules become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import InputError
from bailee.outbound.hosts import read_host
from support.clients.asking import perform
from support.homes.places import Place

pytestmark = pytest.mark.row("C3")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An open home with an account."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


def ask(home: Place, operation: str, **arguments: Any) -> Any:
    """An operation of the home."""
    theirs = operation.startswith("cloud.") and "id" not in arguments
    whose = {"account": home.account} if theirs else {}
    return perform(home.node, operation, whose | arguments)


def decided(home: Place, host: str, port: int = 443, level: str = "trusted", **lists: Any) -> str:
    """By which rule a session of the account is decided about a host."""
    rules = home.node.network_lists.rules(home.account, level, **lists)
    return rules.decide(read_host(host), port).rule


def test_what_an_account_says_holds_for_its_sessions(place: Place) -> None:
    """Allowed and denied entries decide; the operator's hold beside them; either may deny."""
    ask(place, "cloud.network.allow", entry="*.Example.org")
    ask(place, "cloud.network.allow", entry="registry.example.net:8443")
    ask(place, "cloud.network.deny", entry="github.com")
    assert "allow:*.example.org" == decided(place, "a.example.org")
    assert "allow:registry.example.net:8443" == decided(place, "registry.example.net", 8443)
    assert "deny:github.com" == decided(place, "github.com")
    assert "deny:github.com" == decided(place, "github.com", level="full", allow=["github.com"])
    assert "deny:a.example.org" == decided(place, "a.example.org", deny=["a.example.org"])
    assert "level.none" == decided(place, "a.example.org", level="none")
    other = place.node.network_lists.rules("acc_other", "trusted")
    assert not other.allow + other.deny


def test_an_entry_says_one_thing(place: Place) -> None:
    """Denying what was allowed replaces it; what is removed is gone; each change is on record."""
    ask(place, "cloud.network.allow", entry="a.example")
    denied = ask(place, "cloud.network.deny", entry="A.example.")
    assert [denied] == ask(place, "cloud.network.list")
    assert denied == ask(place, "cloud.network.remove", id=denied["id"])
    assert [] == ask(place, "cloud.network.list")
    with pytest.raises(InputError, match="there is no entry"):
        ask(place, "cloud.network.remove", id=denied["id"])
    entries = place.node.ledger.entries(subject=place.account)
    kinds = [leaf.kind for leaf in entries if leaf.kind.startswith("cloud_network")]
    assert ["cloud_network.added"] * 2 + ["cloud_network.removed"] == kinds


@pytest.mark.parametrize(
    "entry", ["", "*", "a b", "http://a.example", "2130706433", "a.example:25", "a.example:22"]
)
def test_what_is_refused(place: Place, entry: str) -> None:
    """What is no entry, or opens a port of the host's own services, is refused."""
    with pytest.raises(InputError):
        ask(place, "cloud.network.allow", entry=entry)
    assert [] == ask(place, "cloud.network.list")


def test_an_organisations_are_for_its_owners_and_admins(place: Place) -> None:
    """A member reads and changes none; an owner does."""
    people = [
        ask(place, "person.create", email=f"{name}@example.org", plan="pro")
        for name in ("owner", "member")
    ]
    made = ask(place, "organisation.create", name="Acme", plan="team", owner=people[0]["person"])
    ask(
        place,
        "organisation.member",
        organisation=made["organisation"],
        person=people[1]["person"],
        role="member",
    )
    account = made["account"]
    added = ask(
        place, "cloud.network.deny", entry="a.example", account=account, key=people[0]["key"]
    )
    for operation, arguments in (
        ("cloud.network.allow", {"entry": "b.example", "account": account}),
        ("cloud.network.list", {"account": account}),
        ("cloud.network.remove", {"id": added["id"]}),
    ):
        with pytest.raises(InputError) as refused:
            ask(place, operation, key=people[1]["key"], **arguments)
        assert "forbidden" == refused.value.code


def test_erasing_takes_them_along(place: Place) -> None:
    """The lists of who is erased are gone."""
    made = ask(place, "person.create", email="ada@example.org", plan="pro")
    ask(place, "cloud.network.allow", entry="hers.example", account=made["account"])
    ask(place, "person.erase", id=made["person"])
    assert [] == place.node.network_lists.all(made["account"])
