"""The watchdog on the promise: what it notices, does and says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.app import promise
from bailee.app.watch import Watch
from bailee.errors import StorageError
from bailee.lasting import Lasting
from bailee.monitoring.catalogue import STEPS
from bailee.telemetry.journal import Batch
from bailee.testing import FakeTicks
from bailee.vault.exchange import CapturedExchange
from bailee.vault.interpreted import Interpreted
from support.homes.places import Place

ONE, TWO, THREE = (f"{n * 8}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in "123")

pytestmark = pytest.mark.row("R5")


class Watched:
    """A home, its watch, and what that has said."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder)
        self.ticks = FakeTicks()
        self.place.node.sweeping._ticks = self.ticks
        self.place.node.sweeping._since = self.ticks()
        self.said: list[str] = []
        self.ready = threading.Event()
        self.watch = Watch(
            self.place.node,
            300.0,
            say=self.said.append,
            ready=self.ready.set,
            ticking=self.ticks,
        )

    def entered(self, kind: str) -> list[str]:
        """What the audit record has of a kind: the subjects."""
        return [entry.subject for entry in self.place.node.ledger.entries(kind=kind)]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A home with a watch that has not begun."""
    made = Watched(tmp_path / "home")
    yield made
    made.watch.stop()
    made.place.close()


def until(there: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 30
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def failing(*_arguments: object) -> int:
    """A step that fails."""
    raise StorageError("the store failed.", hint="mend it")


def test_ready_is_who_has_swept(watched: Watched) -> None:
    """Not ready before the first sweep has succeeded; then with nothing to say."""
    assert ("starting",) == watched.watch.health().reasons
    watched.watch.start()
    assert watched.ready.wait(30)
    assert (200, b'{"ready":true,"reasons":[],"failing":[],"alerts":[]}') == (
        watched.watch.health().status,
        watched.watch.health().body(),
    )
    watched.watch.look()
    assert [] == watched.said


def test_each_step_of_a_sweep_has_its_figure(watched: Watched) -> None:
    """A step that the figures do not know would not be seen to fail before it has failed."""
    watched.place.node.sweep(watched.place.clock())
    assert {note.name for note in watched.place.node.sweeping.notes()} == set(STEPS)


def test_who_can_not_sweep_is_not_ready_and_says_why(watched: Watched) -> None:
    """The step that fails is named, once, and the start goes on when it succeeds."""
    forgetting = watched.place.node.vault._forgetting
    inner, forgetting._destroy_due = forgetting._destroy_due, failing  # type: ignore[method-assign]
    watched.watch.start()
    until(lambda: watched.said)
    watched.ticks.seconds += 11
    watched.watch.look()
    health = watched.watch.health()
    assert (503, ("starting",), ("keys",)) == (health.status, health.reasons, health.failing)
    assert not watched.ready.is_set()
    assert [
        "bailee: the sweep's step 'keys' fails: the store failed. hint: mend it",
        "bailee: not ready (starting): the first sweep has not succeeded yet",
    ] == watched.said
    forgetting._destroy_due = inner  # type: ignore[method-assign]
    watched.ticks.seconds += 60
    watched.watch.schedule._wake.set()
    assert watched.ready.wait(30)
    until(lambda: len(watched.said) == 3)
    assert "bailee: the sweep's step 'keys' succeeds again" == watched.said[2]


def test_one_step_that_fails_leaves_the_server_ready(watched: Watched) -> None:
    """Keys go on time all the same; the step is named, and counted."""
    watched.place.node.reports.sweep = failing  # type: ignore[method-assign]
    watched.watch.start()
    assert watched.ready.wait(30)
    until(lambda: watched.said)
    assert ((), ("reports",)) == (
        watched.watch.health().reasons,
        watched.watch.health().failing,
    )


def test_a_sweep_that_is_late_is_run_said_and_entered(watched: Watched) -> None:
    """Past the bound the watch has it run by itself; what it says, it also takes back."""
    watched.watch.start()
    assert watched.ready.wait(30)
    until(lambda: watched.watch.schedule._next > watched.ticks.seconds)
    gate = threading.Event()

    def held(_now: object) -> int:
        gate.wait(30)
        return 0

    watched.place.node.reports.sweep = held  # type: ignore[method-assign]
    watched.ticks.seconds += promise.SWEEP + 1
    watched.watch.look()
    assert ("sweep_late",) == watched.watch.health().reasons
    assert ["sweep_late"] == watched.entered("watch.late")
    gate.set()
    until(lambda: watched.watch.health().ready)
    watched.watch.look()
    assert ["sweep_late"] == watched.entered("watch.restored")
    assert [
        "bailee: not ready (sweep_late): no sweep has destroyed what was due for over 30 minutes",
        "bailee: no longer sweep_late",
    ] == watched.said


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_a_defect_has_ended_begins_anew(watched: Watched) -> None:
    """The sweep's and the sealer's: what waited is sealed, what is due destroyed."""
    place = watched.place
    sealer = place.node.vault._sealer
    inner, sealer._work = sealer._work, failing_otherwise  # type: ignore[method-assign]
    place.keep(place.begin("11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"))
    until(lambda: sealer.thread.ended)
    sealer._work = inner  # type: ignore[method-assign]
    watched.ticks.seconds += 1
    watched.watch.look()
    place.node.vault.flush()
    assert 1 == len(place.sessions())

    told = watched.watch.schedule._told
    watched.watch.schedule._told = failing_otherwise
    watched.watch.start()
    watched.watch.schedule.thread.join(30)
    watched.watch.schedule._told = told
    watched.watch.look()
    watched.ticks.seconds += 300
    watched.watch.schedule._wake.set()
    assert watched.ready.wait(30)
    assert ["sealer", "sweep"] == watched.entered("watch.revived")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", ["spool", "spool of large exchanges"])
def test_a_lane_of_the_spool_that_a_defect_has_ended_begins_anew(
    watched: Watched, name: str
) -> None:
    """Meanwhile the server is not ready, and nothing is accepted; afterwards all is, and what was
    kept before is there.
    """
    place, spool = watched.place, watched.place.node.vault.spool
    watched.watch.start()
    assert watched.ready.wait(30)
    place.keep(place.begin(ONE))
    large = "x" * (2 << 20)
    place.keep(place.begin(TWO, text=large))
    lane = spool if name == "spool" else spool._large
    assert lane is not None
    inner, lane._writer.roll = lane._writer.roll, failing_otherwise  # type: ignore[method-assign]
    spool.roll()
    until(lambda: lane._worker.ended)
    assert ("not_recording",) == watched.watch.health().reasons
    lane._writer.roll = inner  # type: ignore[method-assign]
    watched.watch.look()
    until(lambda: watched.watch.health().ready)
    place.keep(place.begin(THREE, text="hello" if name == "spool" else large))
    spool.roll()
    place.node.vault.flush()
    assert {ONE, TWO, THREE} == set(place.sessions())
    assert [name] == watched.entered("watch.revived")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_journals_thread_begins_anew(watched: Watched) -> None:
    """What was to be written meanwhile is; what it had in hand was refused, not left waiting."""
    rows: list[Batch] = [("metric", "P30D", b"[]")]
    journal = watched.place.node.telemetry._journal
    inner, journal._keep = journal._keep, failing_otherwise  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        journal.append_now(rows)
    until(lambda: journal.thread.ended)
    waiting = threading.Thread(target=journal.append_now, args=(rows,), daemon=True)
    waiting.start()
    journal._keep = inner  # type: ignore[method-assign]
    watched.watch.look()
    waiting.join(30)
    assert not waiting.is_alive()
    assert ["telemetry"] == watched.entered("watch.revived")
    journal.roll()
    assert 0 == journal._waiting.all


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_again_and_again_is_a_reason(watched: Watched) -> None:
    """Found ended twice in a row: the server is not ready; taken back when it lasts, or is over."""
    mended = threading.Event()

    def run() -> None:
        if not mended.is_set():
            raise RuntimeError

    one = Lasting("errands", run)
    watched.watch.mind([one])
    watched.watch.start()
    assert watched.ready.wait(30)
    one.start()
    for _ in range(2):
        until(lambda: one.ended)
        watched.watch.look()
    assert ("thread_ended",) == watched.watch.health().reasons
    until(lambda: one.ended)
    mended.set()
    watched.watch.look()
    one.join(30)
    watched.watch.look()
    assert watched.watch.health().ready
    assert "bailee: no longer thread_ended" == watched.said[-1]
    assert not one.revive()


def failing_otherwise(*_arguments: object) -> None:
    """A defect."""
    raise RuntimeError


def test_a_rotation_that_is_late_is_a_reason(watched: Watched) -> None:
    """When the root can't be rotated for over an hour after that was due."""
    place = watched.place
    watched.watch.start()
    assert watched.ready.wait(30)
    place.keep(place.begin("11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"))
    place.node.vault.flush()
    place.node.vault.delete("11111111-32a5-4d0c-8f0b-0d7c3d1c1a11", place.clock())
    place.node.vault._forgetting.rotate = failing  # type: ignore[assignment,method-assign]
    place.clock.advance(timedelta(days=1))
    watched.watch.look()
    assert watched.watch.health().ready
    watched.ticks.seconds += promise.ROTATION + 1
    place.node.sweep(place.clock())
    watched.watch.look()
    health = watched.watch.health()
    assert (("rotation_late",), ("rotation",)) == (health.reasons, health.failing)
    assert ["rotation_late"] == watched.entered("watch.late")


def test_what_is_not_sealed_is_a_reason(watched: Watched) -> None:
    """When something waits, and nothing of what waits was sealed within the bound."""
    watched.watch.start()
    assert watched.ready.wait(30)
    place, gate = watched.place, threading.Event()
    sealer = place.node.vault._sealer
    inner = sealer._bench._interpret

    def interpret(exchange: CapturedExchange) -> Interpreted:
        gate.wait(30)
        return inner(exchange)

    sealer._bench._interpret = interpret
    place.keep(place.begin("11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"))
    sealer.queue._moved -= promise.SEALING + 1
    assert ("sealing_late",) == watched.watch.health().reasons
    gate.set()
    place.node.vault.flush()
    assert watched.watch.health().ready


@pytest.mark.row("P4")
def test_a_log_that_nobody_cosigns_is_an_alert(watched: Watched) -> None:
    """An hour without a quorum of its witnesses: said, entered, and in its health, which is ready
    all the same; and over once they have cosigned.
    """
    lacking = [0.0]
    watched.place.node.cosigning.unwitnessed = lambda: lacking[0]  # type: ignore[method-assign]
    watched.watch.start()
    assert watched.ready.wait(30)
    lacking[0] = promise.WITNESSES + 1
    watched.watch.look()
    health = watched.watch.health()
    assert (True, ("unwitnessed",)) == (health.ready, health.alerts)
    assert "bailee: alert (unwitnessed): no quorum" in watched.said[-1]
    lacking[0] = 0.0
    watched.watch.look()
    assert "bailee: no longer unwitnessed" == watched.said[-1]
    assert () == watched.watch.health().alerts
    assert (["unwitnessed"],) * 2 == (
        watched.entered("watch.late"),
        watched.entered("watch.restored"),
    )
