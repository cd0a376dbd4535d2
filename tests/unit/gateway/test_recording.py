"""What is held for records, and that what is not kept has no place to be held."""

from __future__ import annotations

import inspect

import pytest

from bailee.gateway.recording import Keeping, NotKept, Room
from bailee.vault.exchange import Terms


class Full:
    """A recording with room or without."""

    def __init__(self) -> None:
        self.has_room = True
        self.failure = None
        self.callbacks: list[object] = []

    def submit(self, exchange: object, done: object) -> None:
        """Takes nothing."""

    def when_room(self, callback: object) -> None:
        """Remembers."""
        self.callbacks.append(callback)


@pytest.mark.row("R2")
def test_what_is_not_kept_can_not_hold_bytes() -> None:
    """NotKept has two fields, each a word, and no method; Keeping can't be made without terms."""
    assert ("clause", "why") == NotKept.__slots__
    assert not hasattr(NotKept("x"), "__dict__")
    methods = [
        name for name, _ in inspect.getmembers(NotKept, inspect.isfunction) if name != "__init__"
    ]
    assert [] == methods
    with pytest.raises(TypeError):
        Keeping()  # type: ignore[call-arg]
    assert "P30D" == Keeping(Terms("P30D", "c", "d")).terms.period


def test_exchanges_are_admitted_in_order_while_there_is_room() -> None:
    """First come, first admitted: a small one does not overtake a large one."""
    room, order = Room(Full(), 100), []
    assert room.admit(60, lambda: order.append("a"))
    assert not room.admit(60, lambda: order.append("b"))
    assert not room.admit(10, lambda: order.append("c"))
    assert 2 == room.waiting
    room.give_back(60)
    assert ["b", "c"] == order
    assert 70 == room.held


def test_one_larger_than_the_room_is_admitted_alone() -> None:
    """It would wait for ever otherwise."""
    room = Room(Full(), 100)
    assert room.admit(500, lambda: None)
    assert not room.admit(0, lambda: None)
    room.give_back(500)
    assert (0, 0) == (room.held, room.waiting)


def test_a_full_recording_is_asked_once() -> None:
    """Whoever waits is admitted when the recording says that it has room."""
    recording, order = Full(), []
    room = Room(recording, 100)
    recording.has_room = False
    assert not room.admit(1, lambda: order.append(1))
    assert not room.admit(1, lambda: order.append(2))
    assert 1 == len(recording.callbacks)
    recording.has_room = True
    recording.callbacks[0]()  # type: ignore[operator]
    assert [1, 2] == order


def test_one_who_leaves_is_forgotten() -> None:
    """And takes no room."""
    recording = Full()
    room, order = Room(recording, 100), []
    room.admit(100, lambda: None)

    def proceed() -> None:
        order.append(1)

    room.admit(1, proceed)
    room.withdraw(proceed)
    room.give_back(100)
    assert ([], 0) == (order, room.held)
