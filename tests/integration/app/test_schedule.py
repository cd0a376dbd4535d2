"""The sweep on a schedule, and its end: what breaks off, or fails, is no news for a terminal."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.app import schedule
from bailee.app.schedule import Schedule
from bailee.errors import StorageError
from bailee.vault.exchange import CapturedExchange
from bailee.vault.interpreted import Interpreted
from places import Place

pytestmark = pytest.mark.row("R5")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home of its own."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


class _Said(logging.Handler):
    """Keeps what DBOS would have written on stderr."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What DBOS said."""
    handler = _Said()
    logger = logging.getLogger("dbos")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


def failures(place: Place) -> list[Any]:
    """What the record says of sweeps that failed."""
    return [e.body for e in place.node.ledger.entries() if e.kind == "retention.sweep_failed"]


def sweeping(place: Place, inner: Callable[[], object]) -> threading.Event:
    """Has the node's sweep do `inner`; set once it has begun."""
    begun = threading.Event()

    def sweep(_now: object) -> Any:
        begun.set()
        inner()
        raise StorageError("the store failed", hint="mend it")

    place.node.sweep = sweep  # type: ignore[method-assign]
    return begun


def test_the_end_does_not_wait_for_the_sealer(place: Place, said: list[str]) -> None:
    """A sweep that waits for what is being sealed ends, on record as done, when the node does."""
    gate = threading.Event()
    sealer = place.node.vault._sealer
    inner = sealer._bench._interpret

    def interpret(exchange: CapturedExchange) -> Interpreted:
        gate.wait(60)
        return inner(exchange)

    sealer._bench._interpret = interpret
    place.keep(place.begin("11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"))
    running = Schedule(place.node, 60)
    running.start()
    deadline = time.monotonic() + 30
    while not sealer.queue._urgent and time.monotonic() < deadline:
        time.sleep(0.02)  # until it waits
    running.stop()
    assert logging.getLogger("dbos").level < logging.CRITICAL  # nothing was broken off
    gate.set()
    assert sealer.queue.wait(30)
    assert ([], []) == (said, failures(place))


def test_a_sweep_that_fails_is_on_record(place: Place, said: list[str]) -> None:
    """By its code, and the next one goes on."""
    sweeping(place, lambda: None)
    running = Schedule(place.node, 60)
    running.start()
    deadline = time.monotonic() + 30
    while not failures(place) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.stop()
    assert ([], [{"error": "storage"}]) == (said, failures(place))


def test_what_does_not_end_in_time_breaks_off(
    place: Place, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a word: the next start takes it up."""
    monkeypatch.setattr(schedule, "_PATIENCE", 0.2)
    gate, over = threading.Event(), threading.Event()
    begun = sweeping(place, lambda: (gate.wait(60), over.set()))
    running = Schedule(place.node, 60)
    running.start()
    assert begun.wait(30)
    running.stop()
    gate.set()
    assert over.wait(30)
    time.sleep(0.5)  # what it then does, it does at once
    assert ([], []) == (said, failures(place))
