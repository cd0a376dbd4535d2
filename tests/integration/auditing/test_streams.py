"""The audit record's streams: at least once, in order, whatever the other side does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from bailee.app.promise import STREAMS
from bailee.auditing.entries import Entries
from bailee.auditing.entry import UNREADABLE, StreamedEntry
from bailee.auditing.ocsf import event
from bailee.auditing.sinks import NotTaken
from bailee.auditing.streams import AT_ONCE, AuditStreams, Positions, Stream, left
from bailee.errors import StorageError
from bailee.testing import FakeTicks
from support.homes.places import Place

pytestmark = pytest.mark.row("O5")


class Notes:
    """A sink that does as it is told: takes (True), refuses (False), or takes and fails (None)."""

    shown = "notes"

    def __init__(self, *does: bool | None) -> None:
        self.does = list(does)
        self.got: list[StreamedEntry] = []

    def deliver(self, entries: Sequence[StreamedEntry]) -> None:
        """See `Sink`."""
        does = self.does.pop(0) if self.does else True
        if does is not False:
            self.got += entries
        if does is not True:
            raise NotTaken("it answered 500")

    def close(self) -> None:
        """See `Sink`."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An open home."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


def appended(place: Place, count: int) -> int:
    """So many more entries; how many leaves there are then."""
    entries = ((f"acc_{number}", {"plan": "pro"}) for number in range(count))
    place.node.ledger.append_all("account.created", entries)
    return place.node.sequencer.run()


def stream(place: Place, sink: Notes, ticks: FakeTicks | None = None) -> tuple[Stream, list[str]]:
    """A stream of a home, and what it says."""
    said: list[str] = []
    entries, positions = Entries(place.node.data), Positions(place.node.data, place.clock)
    made = Stream(
        "http", sink, entries, positions, said.append, pause=0, ticking=ticks or FakeTicks()
    )
    return made, said


def drained(made: Stream) -> None:
    """Let it go on until nothing waits."""
    while True:
        try:
            if not made.step():
                return
        except NotTaken:
            continue


def test_all_arrive_in_order_whatever_the_sink_does(place: Place) -> None:
    """Refusing, and failing after having taken: nothing is left out, and what comes twice is a
    whole portion with the same ids.
    """
    size = appended(place, 2 * AT_ONCE)
    sink = Notes(False, None, True, False, None)
    made, _ = stream(place, sink)
    drained(made)
    leaves = [entry.leaf for entry in sink.got]
    assert [*range(size)] == sorted({*leaves})
    assert [*dict.fromkeys(leaves)] == [*range(size)]
    assert size + 2 * AT_ONCE >= len(leaves) > size
    uids = {event(entry, "log")["metadata"]["uid"] for entry in sink.got}  # type: ignore[call-overload,index]
    assert size == len(uids)


def test_who_was_killed_repeats_one_portion(place: Place) -> None:
    """Between the sending and the note of it; and goes on from there, never further back."""
    size = appended(place, AT_ONCE + 10)
    first = Notes()
    made, _ = stream(place, first)
    assert made.step()
    made._positions.note = lambda _sink, _following: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        made.step()
    assert size == len(first.got)
    again = Notes()
    drained(stream(place, again)[0])
    assert [*range(AT_ONCE, size)] == [entry.leaf for entry in again.got]
    place.close()
    place.open()  # the position is in the database
    entries, positions = Entries(place.node.data), Positions(place.node.data, place.clock)
    assert [("http", size)] == [(one.sink, one.next) for one in left(entries, positions)]


def test_a_disk_that_is_full_stops_no_stream(place: Place) -> None:
    """The position is kept in memory, which is said once, and noted when it can be."""
    appended(place, 3)
    sink = Notes()
    made, said = stream(place, sink)
    note = made._positions.note

    def full(_sink: str, _following: int) -> None:
        raise StorageError("there is no room.")

    made._positions.note = full  # type: ignore[method-assign]
    assert made.step()
    size = appended(place, 1)
    assert made.step()
    assert 1 == len(said)
    assert [*range(size)] == [entry.leaf for entry in sink.got]
    made._positions.note = note  # type: ignore[method-assign]
    size = appended(place, 1)
    assert made.step()
    assert size == made._positions.all()["http"][0]


def test_what_is_somebodys_stays(place: Place) -> None:
    """A reason that a person wrote is under their key: its name is told, and nothing of it."""
    place.node.ledger.append(
        "access.read", "s_1", {"by": "operator", "reason": "a zebra"}, whose=place.account
    )
    place.node.ledger.append("clock.stepped", "clock", {"seconds": 5})
    place.node.sequencer.run()
    entries = Entries(place.node.data).after(0, 1000)
    (read,) = [entry for entry in entries if entry.kind == "access.read"]
    assert ({"by": "operator"}, ("reason",)) == (read.body, read.sealed)
    assert "zebra" not in json.dumps([event(entry, "log") for entry in entries])


def test_an_entry_that_can_not_be_read_stops_nothing(place: Place) -> None:
    """It is told as such, in its place."""
    appended(place, 2)
    with place.node.data.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("UPDATE audit SET body = '{', at = 'x' WHERE number = 2"))
    sink = Notes()
    drained(stream(place, sink)[0])
    assert UNREADABLE == sink.got[1].kind
    assert [0, 1, 2] == [entry.leaf for entry in sink.got][:3]


def test_a_sink_that_is_away_is_tried_ever_more_seldom_and_told_once(place: Place) -> None:
    """Up to five minutes apart; its lag is by a clock that only grows, and a word of health."""
    size = appended(place, 3)
    ticks = FakeTicks()
    sink = Notes(*[False] * 12)
    made, said = stream(place, sink, ticks)
    made._pause = 1.0
    pauses = []
    for _ in range(12):
        with pytest.raises(NotTaken) as refused:
            made.step()
        pauses.append(made._failed(str(refused.value)))
    assert ([1, 2, 4, 8], [300, 300]) == (pauses[:4], pauses[-2:])
    assert ["bailee: the audit record is not delivered to http: it answered 500"] == said
    ticks.seconds += STREAMS + 1
    streams = AuditStreams([made], Entries(place.node.data))
    (standing,) = streams.standing()
    assert STREAMS < streams.late() == standing.seconds
    assert (size, "it answered 500", 12) == (standing.waiting, standing.problem, standing.failures)
    assert made.step()
    made._succeeded()
    assert (0.0, 0) == (streams.late(), streams.standing()[0].waiting)
    assert "bailee: the audit record is delivered to http again" == said[-1]


def test_its_thread_takes_up_what_comes(place: Place) -> None:
    """From start to stop."""
    sink = Notes()
    made, _ = stream(place, sink)
    streams = AuditStreams([made], Entries(place.node.data))
    streams.start()
    size = appended(place, 5)
    deadline = time.monotonic() + 30
    while len(sink.got) < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    streams.stop()
    assert not made.thread.is_alive()
