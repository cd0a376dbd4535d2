"""Whether the promises of a home are kept, asked of homes in which they are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import StorageError
from bailee.testing.tampering import tamper
from support.clients.asking import perform
from support.homes.places import Place

SESSION = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"

pytestmark = pytest.mark.row("P3", "R5", "R6")


class Homely(Place):
    """A home with one session of Ada's, swept once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        made = self.ask("person.create", email="ada@x.example", plan="pro")
        self.key = made["key"]
        self.end(self.begin(SESSION, account=made["account"], text="pears"))
        self.sweep()

    def ask(self, operation: str, **values: object) -> Any:
        """Carry out an operation."""
        return perform(self.node, operation, values)

    def sweep(self) -> None:
        """Once."""
        self.node.sweep(self.clock())

    def later(self, **by: float) -> None:
        """Time passes, in which nothing sweeps."""
        self.clock.advance(timedelta(**by))

    def broken(self) -> set[str]:
        """The promises that are not kept now."""
        found = self.ask("promises")["promises"]
        return {one["promise"] for one in found if one["standing"] == "broken"}


@pytest.fixture
def homely(tmp_path: Path) -> Iterator[Homely]:
    """See `Homely`."""
    made = Homely(tmp_path / "home")
    yield made
    made.close()


def fails(*_: object, **__: object) -> None:
    """A store that can't be written."""
    raise StorageError("the keyring can't be written.", hint="a test")


def test_what_is_not_swept_is_not_kept(homely: Homely) -> None:
    """An hour after its half hour; the next sweep makes it good."""
    homely.later(days=30, minutes=45)
    assert set() == homely.broken()
    homely.later(hours=1)
    assert {"destroyed"} == homely.broken()
    assert "wrong" == homely.ask("status")["standing"]
    homely.sweep()
    assert set() == homely.broken()


def test_a_deletion_that_did_not_come_to_its_end(
    homely: Homely, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not kept once it is an hour old, and neither is the erasure of its person."""
    with monkeypatch.context() as patch:
        patch.setattr(homely.node.keyring, "destroy", fails)
        with suppress(StorageError):
            homely.ask("sessions.delete", id=SESSION)
        assert set() == homely.broken()
        homely.later(hours=1, minutes=1)
        assert {"deleted"} == homely.broken()
        with suppress(StorageError):
            homely.ask("person.erase", id="ada@x.example")
        homely.later(hours=1, minutes=1)
        assert {"deleted", "erased"} == homely.broken()
    homely.sweep()
    assert set() == homely.broken()


def test_older_copies_that_open_what_was_destroyed(
    homely: Homely, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the stated lag that is said to be so; after it, it is a promise that is not kept."""
    homely.ask("sessions.delete", id=SESSION)
    with monkeypatch.context() as patch:
        patch.setattr(homely.node.keyring, "rotate_root", fails)
        homely.later(hours=24)
        homely.sweep()
        assert "unrecoverable" not in homely.broken()
        homely.later(hours=2)
        homely.sweep()
        assert {"unrecoverable", "destroyed"} == homely.broken()  # the step's failing is said too
    homely.sweep()
    assert set() == homely.broken()


def test_a_move_that_stands_still(homely: Homely, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that don't follow their person's choice."""
    monkeypatch.setattr(type(homely.node.vault.moving), "run", lambda *_: 0)
    homely.ask("privacy.choose", key=homely.key, choice="allowed")
    assert set() == homely.broken()
    homely.later(hours=1, minutes=1)
    assert {"followed"} == homely.broken()


def test_what_was_written_by_another_hand(homely: Homely) -> None:
    """A row that decides is changed: it is not sound, and a check that finds it is on record."""
    standing = {one["promise"]: one["standing"] for one in homely.ask("promises")["promises"]}
    assert "unknown" == standing["sound"]
    assert [] == homely.ask("verify")["damaged"]
    checked = {one["promise"]: one for one in homely.ask("promises")["promises"]}["sound"]
    assert ("kept", "verified") == (checked["standing"], checked["why"])
    tamper(homely.node.home.data_database, "UPDATE sessions SET period = 'P9Y'")
    assert {"sound"} == homely.broken()
    assert homely.ask("verify")["damaged"]
    (entry, *_) = homely.node.ledger.latest(1, kind="home.verified")
    assert {"damaged": 1} == dict(entry.body)


def test_who_was_never_asked_is_counted_and_breaks_nothing(homely: Homely) -> None:
    """The question stays open, and nothing is allowed meanwhile."""
    found = {one["promise"]: one for one in homely.ask("promises")["promises"]}["asked"]
    assert ("kept", "open", 1) == (found["standing"], found["why"], found["count"])
    homely.ask("privacy.choose", key=homely.key, choice="refused")
    found = {one["promise"]: one for one in homely.ask("promises")["promises"]}["asked"]
    assert 0 == found["count"]
