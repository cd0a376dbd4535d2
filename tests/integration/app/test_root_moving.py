"""A home moves from one root key driver to another, whole, whatever breaks it off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.app.root_moving import move_root
from bailee.config import load
from bailee.errors import BaileeError, InputError, StorageError
from bailee.home import Home
from bailee.keyring import Want
from bailee.node.node import Node
from bailee.testing import FakeClock
from bailee.testing.store import Fault
from support.roots.places import RootPlace, RootPlaces


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootPlaces]:
    """Where roots may be."""
    before = dict(os.environ)
    made = RootPlaces(tmp_path_factory.mktemp("roots"))
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(before)


class Mover:
    """A home whose root is in one place, and then in another."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.clock = FakeClock()
        self.keys: dict[str, bytes] = {}

    def at(self, place: RootPlace) -> dict[str, object]:
        """What the home is opened with."""
        return {
            "settings": place.settings,
            "environment": place.environment,
            "clock": self.clock,
        }

    def fill(self, place: RootPlace) -> None:
        """Keys under the root that is there."""
        with Node.open(self.home, **self.at(place)) as node:
            until = self.clock() + timedelta(days=30)
            wants = [Want(f"s{n}", "transcript", until + timedelta(hours=n)) for n in range(3)]
            self.keys = {name: dek.key for name, dek in node.keyring.many(wants).items()}

    def opens(self, place: RootPlace) -> bool:
        """Whether every key opens, and none is damaged, with the root there."""
        with Node.open(self.home, **self.at(place)) as node:
            whole = [] == node.keyring.damaged()
            return whole and self.keys == {n: node.keyring.get(n).key for n in self.keys}

    def move(self, old: RootPlace, new: RootPlace) -> None:
        """Move, with the settings of both."""
        environment = {**new.environment, **old.environment}
        said = {**environment, "BAILEE_KEYRING_ROOT": new.where}
        settings = load(self.home.settings_file, said, {})
        move_root(
            self.home,
            old.where,
            "a test",
            settings=settings,
            environment=environment,
            clock=self.clock,
        )


@pytest.mark.row("R5")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("file", "transit"),
        ("transit", "pkcs11"),
        ("pkcs11", "file"),
        ("environment", "file"),
        ("file", "environment"),
        ("google-kms", "transit"),
    ],
)
def test_a_home_moves(places: RootPlaces, tmp_path: Path, old: str, new: str) -> None:
    """Every key opens with the new root, and with the old one nothing; to and fro. The wrong
    setting is refused before and after, and says what to do.
    """
    mover = Mover(tmp_path)
    first, second = places.make(old), places.make(new)
    mover.fill(first)
    with pytest.raises(InputError) as caught:
        mover.opens(second)
    assert "keyring move" in (caught.value.hint or "")
    mover.move(first, second)
    assert mover.opens(second)
    with pytest.raises(InputError):
        mover.opens(first)
    with Node.open(mover.home, **mover.at(second)) as node:
        node.vault.rotate(mover.clock())
        assert "keyring.moved" in [entry.kind for entry in node.ledger.entries()]
    assert mover.opens(second)


@pytest.mark.row("R5")
@pytest.mark.parametrize("fault", Fault)
def test_broken_off_it_goes_on(places: RootPlaces, tmp_path: Path, fault: Fault) -> None:
    """Whichever request of the new root's service fails, before or after it was done: the same
    command goes on, and nothing is lost. Until it is over, neither root alone opens the home.
    """
    after = broken = 0
    for number in range(100):
        mover = Mover(tmp_path / str(number))
        first, second = places.make("file"), places.make("transit")
        assert second.relay is not None
        mover.fill(first)
        while True:
            second.relay.fail(fault, after=after, times=1)
            after += 1
            try:
                mover.move(first, second)
            except StorageError as error:
                second.relay.heal()
                broken += 1
                assert "root_unreachable" == error.code
                with pytest.raises(BaileeError):
                    mover.opens(second)
            else:
                break
        failed = second.relay.failed
        second.relay.heal()
        assert mover.opens(second)
        if broken > 2 or not failed:
            break  # else the spool's own thread met it, and asked again: the next home
    assert broken > 2


def test_what_does_not_fit_is_refused(places: RootPlaces, tmp_path: Path) -> None:
    """A move from where the root never was, or to where it is: refused, and nothing changes."""
    mover = Mover(tmp_path)
    first, second = places.make("file"), places.make("environment")
    mover.fill(first)
    for old, new in ((second, first), (first, first)):
        with pytest.raises(InputError):
            mover.move(old, new)
    assert mover.opens(first)
