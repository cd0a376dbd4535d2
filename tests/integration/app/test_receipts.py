"""Receipts of what went under one key for several people, and of what is left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import InputError
from support.clients.asking import perform
from support.homes.places import Place

pytestmark = pytest.mark.row("P4", "R5", "R6")


def id_of(name: str) -> str:
    """A session's id."""
    return f"{name.encode().hex():0<8.8}-32a5-4d0c-8f0b-0d7c3d1c1a11"


class Street(Place):
    """Ada and Bob, each with a session that expires in the same half hour; Cy, who has none."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.keys, self.accounts = {}, {}
        for name in ("ada", "bob", "cy"):
            made = self.ask("person.create", email=f"{name}@x.example", plan="pro")
            self.keys[name], self.accounts[name] = made["key"], made["account"]
        for name in ("ada", "bob"):
            self.end(self.begin(id_of(name), account=self.accounts[name], text="pears"))

    def ask(self, operation: str, **values: object) -> Any:
        """Carry out an operation."""
        return perform(self.node, operation, values)

    def expire(self) -> None:
        """Their time comes."""
        self.clock.advance(timedelta(days=31))
        self.node.sweep(self.clock())


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    """See `Street`."""
    made = Street(tmp_path / "home")
    yield made
    made.close()


def test_an_expiry_is_shown_to_whose_it_was(street: Street) -> None:
    """Both see the one receipt of the key, with its steps; who had nothing under it does not, nor
    whoever was erased since, but for its reference.
    """
    street.expire()
    seen = {name: street.ask("retention.receipts", key=key) for name, key in street.keys.items()}
    ((one,), (same,), nothing) = (seen[name] for name in ("ada", "bob", "cy"))
    assert (one, []) == (same, nothing)
    assert ("expiry", None) == (one["kind"], one["by"])
    about = street.ask("retention.receipts", key=street.keys["bob"], subject=one["subject"])
    assert [one] == about
    shown = street.ask("receipts.show", key=street.keys["bob"], id=one["receipt"])
    assert one["state"] == shown["steps"][-1]["state"]
    with pytest.raises(InputError):
        street.ask("receipts.show", key=street.keys["cy"], id=one["receipt"])
    proved = street.ask("receipts.proof", key=street.keys["ada"], id=one["receipt"])
    assert one["subject"] in proved["payload"]
    listed = street.ask("retention.receipts", owner=street.accounts["bob"])
    street.ask("person.erase", id="bob@x.example")
    assert [one["receipt"]] == [found["receipt"] for found in listed]
    assert [] == [
        found
        for found in street.ask("retention.receipts", owner=street.accounts["bob"])
        if found["kind"] == "expiry"
    ]
    assert one["receipt"] in str(street.ask("receipts.show", id=one["reference"]))


def test_pages_of_what_is_ones_own_and_what_was_shared(street: Street) -> None:
    """One after the other, the newest first, each once."""
    street.end(street.begin(id_of("gone"), account=street.accounts["ada"], text="plums"))
    street.expire()
    street.end(street.begin(id_of("later"), account=street.accounts["ada"], text="quinces"))
    street.clock.advance(timedelta(minutes=1))
    street.ask("sessions.delete", id=id_of("later"))
    street.node.sweep(street.clock())
    whole = street.ask("retention.receipts", owner=street.accounts["ada"])
    assert ["erasure", "expiry"] == [one["kind"] for one in whole]
    moments = [one["states"]["requested"] for one in whole]
    assert sorted(moments, reverse=True) == moments


def test_a_receipt_says_what_is_left_now(street: Street) -> None:
    """A file that holds another's record too, and the key in older copies; neither, once that is so
    no more.
    """

    def left() -> dict[str, int]:
        shown = street.ask("receipts.show", id=receipt)
        signed = shown["signed"]["receipt"]["left"]
        assert signed == shown["left"]
        return {one["code"]: one["count"] for one in signed}

    receipt = street.ask("sessions.delete", id=id_of("ada"))["receipt"]
    assert {"older_keys": 1, "segments": 1} == left()
    street.ask("keyring.rotate")
    assert {"segments": 1} == left()
    street.ask("sessions.delete", id=id_of("bob"))
    street.node.sweep(street.clock())
    assert {} == left()
    hold = street.begin(id_of("held"), account=street.accounts["cy"], text="medlars")
    street.end(hold)
    street.ask("hold.place", session=id_of("held"), reason="matter 7")
    receipt = street.ask("sessions.delete", id=id_of("held"))["receipt"]
    assert ["held"] == [*left()][:1]
