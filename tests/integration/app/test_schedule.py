"""The sweep's schedule, and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.app.schedule import Schedule
from bailee.errors import BaileeError, StorageError
from bailee.node.sweeping import NodeSweep
from bailee.testing import FakeTicks
from bailee.vault.exchange import CapturedExchange
from bailee.vault.interpreted import Interpreted
from support.homes.places import Place

pytestmark = pytest.mark.row("R5")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home of its own."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


def until(there: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 30
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def failures(place: Place) -> list[tuple[str, object]]:
    """What the record says of steps that failed."""
    entries = place.node.ledger.entries()
    return [(e.subject, e.body["error"]) for e in entries if e.kind == "retention.sweep_failed"]


def failing(_now: object) -> int:
    """A step that fails."""
    raise StorageError("the store failed", hint="mend it")


@pytest.mark.parametrize("step", [timedelta(hours=-2), timedelta(days=1), timedelta(days=-400)])
def test_a_clock_that_is_set_puts_no_sweep_off_and_makes_none_up(
    place: Place, step: timedelta
) -> None:
    """After each interval of real time there is one sweep, however the clock was set, and however
    many intervals have passed unnoticed.
    """
    ticking, done = FakeTicks(), list[NodeSweep]()
    running = Schedule(place.node.sweeping, place.clock, 300.0, done.append, ticking=ticking)
    running.start()
    until(lambda: len(done) == 1)
    place.clock.advance(step)
    for seconds in (300.0, 20 * 300.0):
        before = len(done)
        ticking.seconds += seconds
        running._wake.set()  # instead of ten seconds in which it would look by itself
        until(lambda: len(done) == before + 1)  # noqa: B023
        running._wake.set()
        time.sleep(0.05)
        assert before + 1 == len(done)
    running.stop()
    assert all(one.kept for one in done)


def test_the_end_does_not_wait_for_the_sealer(place: Place) -> None:
    """A sweep that waits for what is being sealed ends when the node does, and is not on record."""
    gate = threading.Event()
    sealer = place.node.vault._sealer
    inner = sealer._bench._interpret

    def interpret(exchange: CapturedExchange) -> Interpreted:
        gate.wait(60)
        return inner(exchange)

    sealer._bench._interpret = interpret
    place.keep(place.begin("11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"))
    running = Schedule(place.node.sweeping, place.clock, 300.0, lambda _: None)
    running.start()
    until(lambda: sealer.queue._urgent)
    place.node.vault.hurry()
    running.stop()
    assert not running.thread.is_alive()
    gate.set()
    assert sealer.queue.wait(30)
    assert [] == failures(place)


def test_what_fails_is_on_record_once_and_stops_no_other_step(place: Place) -> None:
    """A step that fails is entered by name and code when that begins and when it ends; between,
    it is counted. The other steps are done each time.
    """
    inner, place.node.reports.sweep = place.node.reports.sweep, failing  # type: ignore[method-assign]
    for _ in range(3):
        done = place.node.sweep(place.clock())
        assert (True, {"reports"}) == (done.kept, set(done.failures))
    assert [("reports", "storage")] == failures(place)
    notes = {note.name: note for note in place.node.sweeping.notes()}
    assert ("storage", 3) == (notes["reports"].error, notes["reports"].failures)
    assert (None, 0) == (notes["keys"].error, notes["keys"].failures)
    place.node.reports.sweep = inner  # type: ignore[method-assign]
    place.node.sweep(place.clock())
    (over,) = place.node.ledger.entries(kind="retention.sweep_recovered")
    assert ("reports", 3) == (over.subject, over.body["failures"])


@pytest.mark.parametrize("name", ["telemetry", "reports", "survey", "cloud"])
def test_a_defect_in_a_step_is_a_failure_of_that_step(place: Place, name: str) -> None:
    """It is named by its kind and place, never by what it says, and forgetting goes on."""

    def defect(_now: object) -> int:
        raise ValueError("what somebody said")

    getattr(place.node, name).sweep = defect
    done = place.node.sweep(place.clock())
    assert (True, [name]) == (done.kept, list(done.failures))
    error = done.failures[name]
    assert isinstance(error, BaileeError)
    assert ("internal", True) == (error.code, error.message.startswith("ValueError at "))
    assert "somebody" not in error.message
    assert [(name, "internal")] == failures(place)


def test_sweeps_that_meet_come_one_after_the_other(place: Place) -> None:
    """Who comes while one runs waits, and sweeps then."""
    gate, began = threading.Event(), list[int]()

    def slow(_now: object) -> int:
        began.append(1)
        gate.wait(30)
        return 0

    place.node.reports.sweep = slow  # type: ignore[method-assign]
    both = [threading.Thread(target=place.node.sweep, args=(place.clock(),)) for _ in range(2)]
    for thread in both:
        thread.start()
    until(lambda: began)
    time.sleep(0.1)
    assert [1] == began
    gate.set()
    for thread in both:
        thread.join(30)
    assert [1, 1] == began


def test_a_sweep_that_failed_is_tried_again_soon(place: Place) -> None:
    """Not after the interval: after half a minute, then twice that, up to the interval."""
    ticking, done = FakeTicks(), list[NodeSweep]()
    place.node.reports.sweep = failing  # type: ignore[method-assign]
    running = Schedule(place.node.sweeping, place.clock, 300.0, done.append, ticking=ticking)
    running.start()
    until(lambda: len(done) == 1)
    ticking.seconds += 30.0
    running._wake.set()
    until(lambda: len(done) == 2)
    running.stop()
    assert 60.0 == running._next - ticking.seconds
