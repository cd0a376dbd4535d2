"""A restore brings back what lives, and nothing that was destroyed or taken back since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from shutil import rmtree

import pytest

from bailee.backup import replaying
from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.home import Home
from bailee.ledger.particulars import KINDS
from bailee.node import Node
from support.homes.backed_up import BackedUp


@pytest.fixture
def place(tmp_path: Path) -> Iterator[BackedUp]:
    """A home of two people, with one thing of each kind for each fate."""
    made = BackedUp(tmp_path)
    yield made
    made.node.close()


def planted(place: BackedUp) -> tuple[str, str]:
    """Words everywhere; the accounts of who stays and who goes."""
    ola, mia = place.person("ola@x.example"), place.person("mia@x.example")
    stays, goes = str(ola["account"]), str(mia["account"])
    for word in ("quince", "damson", "medlar"):
        place.say(stays, word)
    place.say(goes, "bullace")
    for word in ("sloe", "rowan"):
        place.report(stays, word)
    place.report(goes, "service")
    account = place.node.accounts.get(stays)
    for word in ("hazel", "cobnut"):
        place.output(account, word)
    place.output(place.node.accounts.get(goes), "filbert")
    place.measure(1.0, 2.0, 3.0)
    return stays, goes


@pytest.mark.row("R5", "R6")
def test_nothing_that_was_ended_comes_back(place: BackedUp) -> None:
    """Deleted, withdrawn, erased, expired: no word of it is read, and no key of it opens; the rest
    is as it was.
    """
    _, goes = planted(place)
    place.back_up()
    at = place.clock()
    place.node.vault.delete(place.sessions["damson"], at)
    place.node.reports.withdraw(place.node.reports.get(place.reports["rowan"], at), at, by="key_1")
    place.node.cloud.delete(place.cloud["cobnut"], at, by="operator")
    place.ask("person.erase", id="mia@x.example")
    place.take_log()

    done = place.restore()

    with place.restored() as restored:
        assert {"quince", "medlar", "sloe", "hazel"} == restored.words()
        gone = ("damson", "bullace", "rowan", "service", "cobnut", "filbert")
        assert {} == {word: found for word in gone if (found := restored.openable(word))}
        assert 3 == place.measured(restored.node)
        assert restored.node.erasures.rows.is_gone(goes)
        assert restored.node.registry.people.by_email("mia@x.example") is None
        assert restored.node.registry.people.by_email("ola@x.example") is not None
    assert done.undone >= 4
