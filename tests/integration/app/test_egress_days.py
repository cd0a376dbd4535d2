"""What left on a day is one entry of the audit record, and a leaf of its log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import StorageError
from bailee.ledger import Ledger
from bailee.node.egress import KIND, EgressDays
from bailee.testing.upstream import ScriptedUpstream
from support.clients.asking import perform
from support.clients.programs import Bailee, message
from support.homes.places import Place

pytestmark = pytest.mark.row("P4")
DAY = timedelta(days=1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An open home, at noon of the first of January."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


def entered(place: Place) -> list[tuple[str, dict[str, Any]]]:
    """The entries: day and numbers."""
    return [(one.subject, dict(one.body)) for one in place.node.ledger.entries(kind=KIND)]


def sweep(place: Place) -> None:
    """Sweep now."""
    assert [] == perform(place.node, "retention.run", {})["failed"]


def cloud_session_ended(place: Place, sent: int) -> None:
    """A cloud session ends now."""
    body = {"reason": "done", "egress_connections": 3, "egress_sent": sent, "git_operations": 2}
    place.node.ledger.append("cloud.session_ended", "cs-1", body)


def test_a_day_is_one_entry_however_often_the_home_is_opened_and_swept(place: Place) -> None:
    """Counts outlast a restart, and the day's sum is entered by the first sweep after it, once; it
    is a leaf, and says sizes alone.
    """
    for sent in (10, 20):
        place.node.egress.add("api", sent, 100)
        place.close()
        place.open()
        sweep(place)
    place.node.egress.add("bedrock", 5, 6)
    place.node.egress.add("telemetry", 7, 0)
    cloud_session_ended(place, 1000)
    cloud_session_ended(place, 1)
    sweep(place)
    assert [] == entered(place)

    place.clock.advance(DAY)
    for _ in range(2):
        sweep(place)
        place.close()
        place.open()
    expected = {
        "api_exchanges": 2, "api_sent": 30, "api_received": 200,
        "bedrock_exchanges": 1, "bedrock_sent": 5, "bedrock_received": 6,
        "telemetry_exchanges": 1, "telemetry_sent": 7,
        "cloud_sessions": 2, "egress_connections": 6, "egress_sent": 1001, "git_operations": 4,
    }  # fmt: skip
    ((day, numbers),) = entered(place)
    assert "2026-01-01" == day
    assert expected == {name: value for name, value in numbers.items() if value}
    assert all(isinstance(value, int) for value in numbers.values())
    perform(place.node, "audit.checkpoint", {})
    (entry,) = place.node.ledger.entries(kind=KIND)
    assert entry.leaf is not None


def test_each_day_has_its_own_and_an_empty_one_has_none(place: Place) -> None:
    """Days that were swept late are entered in order; where nothing left, nothing is entered."""
    for channel in ("api", "vertex"):
        place.node.egress.add(channel, 1, 1)
        place.node.egress.write()
        place.clock.advance(2 * DAY)
    cloud_session_ended(place, 7)
    place.clock.advance(DAY)
    sweep(place)
    assert ["2026-01-01", "2026-01-03", "2026-01-05"] == [day for day, _ in entered(place)]
    place.clock.advance(DAY)
    sweep(place)
    assert 3 == len(entered(place))


def test_what_comes_after_the_clock_went_back_is_the_next_day_s(place: Place) -> None:
    """A day that was entered is not entered again."""
    place.node.egress.add("api", 1, 1)
    sweep(place)
    place.clock.advance(DAY)
    sweep(place)
    place.clock.advance(-DAY)
    place.node.egress.add("api", 8, 8)
    sweep(place)
    place.clock.advance(3 * DAY)
    sweep(place)
    assert [("2026-01-01", 1), ("2026-01-02", 8)] == [
        (day, numbers["api_sent"]) for day, numbers in entered(place)
    ]


class FailingLedger(Ledger):
    """An audit record whose disk fails once, before it has written or after."""

    def __init__(self, place: Place, *, after: bool) -> None:
        super().__init__(place.node.data, place.clock, place.node.ledger.sealing)
        self._after = after
        self.fails = True

    def append(self, *arguments: Any, **options: Any) -> int:
        """See `Ledger`."""
        if self._after or not self.fails:
            number = super().append(*arguments, **options)
        if self.fails:
            self.fails = False
            raise StorageError("the disk fails.")
        return number


@pytest.mark.parametrize("after", [False, True])
def test_an_entry_that_fails_is_made_by_the_next_sweep(place: Place, after: bool) -> None:
    """Failed and not written, failed but written: the day is entered once, with all that left."""
    made = EgressDays(place.node.data, FailingLedger(place, after=after), place.clock)
    made.add("api", 4, 5)
    made.write()
    place.clock.advance(DAY)
    with pytest.raises(StorageError):
        made.sweep(place.clock())
    assert [] == entered(place)
    assert {"days": 1} == made.sweep(place.clock())
    assert {"days": 0} == made.sweep(place.clock())
    assert [4] == [numbers["api_sent"] for _, numbers in entered(place)]


def test_a_server_counts_what_goes_to_the_model(tmp_path: Path) -> None:
    """Exchanges upstream, and no request that is refused; the embedded model is nobody else's."""
    bailee = Bailee(tmp_path)
    try:
        with ScriptedUpstream(tools_only=False) as upstream:
            for number, where in enumerate((("--upstream", upstream.url), ())):
                noon = f"2026-01-0{number + 1}T12:00:00+00:00"
                ready = bailee.up("--test-clock", *where, now=noon)
                message(ready, "pears")
                with pytest.raises(OSError, match="401"):
                    message(ready, "plums", "bl_nobody")
                bailee.stop()
        bailee.json("retention", "run", now="2026-01-03T12:00:00+00:00")
        (entry,) = bailee.json("audit", "list", "--kind", KIND, now="2026-01-03T12:01:00+00:00")
    finally:
        bailee.close()
    assert ("2026-01-01", 1) == (entry["subject"], entry["body"]["api_exchanges"])
    assert entry["body"]["api_sent"] > len("pears")
    assert entry["body"]["api_received"] > 0
