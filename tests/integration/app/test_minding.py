"""A home whose machine's clock steps: nothing is destroyed by it, prolonged, or shown again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.errors import InputError, IntegrityError
from bailee.feedback.reports import Origin
from bailee.home import Home
from bailee.node.node import Node
from bailee.steady import LASTS
from bailee.telemetry.records import figure
from bailee.telemetry.telemetry import Taken
from bailee.testing import FakeMachine
from bailee.vault.exchange import Terms
from bailee.vault.record import subject_of
from support.clients.asking import perform
from support.homes.places import Place

ONE = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
TWO = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"
HELD = "33333333-32a5-4d0c-8f0b-0d7c3d1c1a11"
YEAR = timedelta(days=365)


class Minded(Place):
    """A place with the machine's clocks, whose steps are minded."""

    def __init__(self, folder: Path) -> None:
        self.fake = FakeMachine()
        super().__init__(folder)

    def open(self) -> None:
        """Start."""
        Home(self.folder).make()
        self._lock.acquire()
        self.node = Node.open(Home(self.folder), clock=self.fake.machine, environment={})
        self.clock = self.node.clock  # type: ignore[assignment]

    def sweep(self) -> None:
        """What the schedule does."""
        self.node.sweep(self.node.clock())

    def listed(self) -> set[str]:
        """What a person is shown."""
        rows = perform(self.node, "sessions.list", {})
        assert isinstance(rows, list)
        return {row["id"] for row in rows}

    def kept(self) -> set[str]:
        """What there is, read or not."""
        return {row.id for row in self.node.vault.owned(self.account)}

    def entered(self) -> list[tuple[str, object]]:
        """What the audit record says of the clock."""
        return [
            (leaf.kind, leaf.body["seconds"])
            for leaf in self.node.ledger.entries(subject="wall clock")
        ]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Minded]:
    """A home of its own."""
    made = Minded(tmp_path / "home")
    yield made
    made.close()


@pytest.mark.row("R1", "R5")
@pytest.mark.parametrize("restart", [False, True])
def test_a_step_ahead_destroys_nothing_and_shows_nothing(place: Minded, restart: bool) -> None:
    """A year ahead: what would be past its time is not shown and not destroyed; what is said
    meanwhile is kept no longer for it; set right, all is as it was. Both are on record, once.
    """
    place.end(place.begin(ONE))
    place.fake.step(YEAR)
    if restart:
        place.close()
        place.open()
    place.sweep()
    assert set() == place.listed()
    place.end(place.begin(TWO))
    assert {ONE, TWO} == place.kept()

    place.fake.step(-YEAR)
    place.sweep()
    place.sweep()

    assert {ONE, TWO} == place.listed()
    assert 1 == len({row.expires_at for row in place.node.vault.owned(place.account)})
    year = int(YEAR.total_seconds())
    assert [("clock.stepped", year), ("clock.set_right", year)] == place.entered()


@pytest.mark.row("R5")
@pytest.mark.parametrize("confirmed", [True, False])
def test_a_step_that_is_confirmed_or_lasts_is_followed(place: Minded, confirmed: bool) -> None:
    """The sweep after it destroys what is due by the new time. One of a year is not followed by
    lasting.
    """
    place.end(place.begin(ONE))
    place.fake.step(YEAR if confirmed else timedelta(hours=20))
    place.sweep()
    place.fake.passes(LASTS)
    place.sweep()
    if confirmed:
        assert {ONE} == place.kept()
        perform(place.node, "clock.confirm", {})
    else:
        place.fake.passes(timedelta(days=29))
    place.sweep()

    assert set() == place.kept()
    assert place.fake.wall() == place.node.clock()
    assert ["clock.stepped", "clock.followed"] == [kind for kind, _ in place.entered()]


@pytest.mark.row("R5", "R6")
def test_a_step_back_shows_nothing_again(place: Minded) -> None:
    """Past its time and not swept yet, or held: after the clock was set back and that confirmed,
    it is not shown, and its key is gone where no hold keeps it. What had time left has it still.
    """
    place.fake.passes(timedelta(minutes=5))  # so that it goes in the middle of an epoch
    for session in (ONE, HELD):
        place.end(place.begin(session))
    place.node.vault.place_hold(HELD, "a case", place.clock())
    place.fake.passes(timedelta(days=30) - timedelta(minutes=10))
    place.end(place.begin(TWO))
    place.fake.passes(timedelta(minutes=11))
    assert {TWO} == place.listed()

    place.fake.step(-timedelta(days=10))
    place.sweep()
    assert {TWO} == place.listed()
    perform(place.node, "clock.confirm", {})

    assert place.fake.wall() == place.node.clock()
    assert {TWO} == place.listed()
    assert {TWO, HELD} == place.kept()
    with pytest.raises(IntegrityError):
        place.node.keyring.get(subject_of(ONE))


@pytest.mark.row("R5", "F1", "S1")
def test_reports_and_figures_follow_the_same_rule(place: Minded) -> None:
    """A step ahead hides them and destroys nothing; past their time and not swept yet, a step back
    that is followed shows neither again, and their keys are gone.
    """
    node = place.node
    origin = Origin(place.account, None, "k")
    report = node.reports.keep(
        origin, {"description": "words"}, Terms("P30D", "retain.test", "d"), None
    )
    at = int(node.clock().timestamp() * 1000)
    command = {"command": "up", "duration_ms": 3.0}
    taken = Taken(figures=[figure(at, "bailee.command", "event", 3.0, command)])
    node.telemetry.prepare(taken, {"metric": "P30D"})
    node.telemetry.keep_now(taken)

    def shown() -> tuple[list[str], bool]:
        now = node.latest()
        return [one.id for one in node.reports.all(now)], bool(node.telemetry.metrics.names(now))

    assert ([report.id], True) == shown()
    place.fake.step(YEAR)
    place.sweep()
    assert ([], False) == shown()
    place.fake.step(-YEAR)
    place.sweep()
    assert ([report.id], True) == shown()

    place.fake.passes(timedelta(days=31))
    place.fake.step(-timedelta(days=10))
    perform(node, "clock.confirm", {})

    assert ([], False) == shown()
    assert [] == [*node.keyring.subjects("metric"), *node.keyring.subjects("report")]


@pytest.mark.row("R5")
@pytest.mark.parametrize("act", ["sessions.delete", "person.erase", "hold.release"])
def test_what_is_destroyed_during_a_step_goes_from_backups_with_the_next_rotation(
    place: Minded, act: str
) -> None:
    """Destroyed while the clock was ahead, it is noted by the home's time: once the clock is set
    right, the next rotation moves its receipt.
    """
    place.choose("allowed")
    place.end(place.begin(ONE))
    arguments = {"id": place.account if act == "person.erase" else ONE}
    if act == "hold.release":
        hold = place.node.vault.place_hold(ONE, "a case", place.clock())
        perform(place.node, "sessions.delete", {"id": ONE})
        arguments = {"id": hold.id}
    place.fake.step(YEAR)
    perform(place.node, act, arguments)
    place.fake.step(-YEAR)
    place.node.vault.rotate(place.clock())

    (receipt,) = place.node.receipts.all(ONE)
    assert "backups_unrecoverable" == receipt.state


@pytest.mark.row("R5")
def test_what_was_destroyed_before_a_step_back_is_gone_from_backups_with_it(place: Minded) -> None:
    """Deleted, the clock set back by days, and that confirmed: the receipt does not wait for the
    day of the deletion to come again.
    """
    place.end(place.begin(ONE))
    place.node.vault.delete(ONE, place.clock())
    place.fake.step(-timedelta(days=40))
    perform(place.node, "clock.confirm", {})

    (receipt,) = place.node.receipts.all(ONE)
    assert "backups_unrecoverable" == receipt.state


def test_nothing_is_confirmed_that_did_not_happen(place: Minded) -> None:
    """Without a step there is nothing to follow."""
    with pytest.raises(InputError, match="has not stepped"):
        perform(place.node, "clock.confirm", {})


def test_a_time_that_a_test_sets_is_taken(tmp_path: Path) -> None:
    """A home with a test clock goes where it is set to, by years."""
    home = Home(tmp_path / "home")
    home.make(test_clock=True)
    fake = FakeMachine()
    with Node.open(home, clock=fake.machine, environment={}) as node:
        fake.step(YEAR)
        assert (fake.wall(), None) == (node.clock(), node.minding)
