"""What a connection goes into at once while its account's turn is up, and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from bailee.admission import Rounds
from bailee.gateway.reading import ReadInTurns

pytestmark = pytest.mark.row("G1")


class _Transport:
    """Counts how often reading was stopped."""

    def __init__(self) -> None:
        self.pauses = 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        return


class _Connection(ReadInTurns):
    """One of an account, with `left` bytes of a body to come."""

    def __init__(self, rounds: Rounds, left: int) -> None:
        super().__init__(rounds)
        self.transport = cast(asyncio.Transport, _Transport())
        self.left = left
        self.came: list[bytes] = []

    def _received(self, data: bytes) -> None:
        self.came.append(data)
        self.left -= len(data)

    def _whose(self) -> str:
        return "a"

    def _goes_on(self, size: int) -> bool:
        return self.left > size


def _spent() -> tuple[Rounds, list[Callable[[], None]]]:
    """Turns in which the account has had its part, beside another; and what comes with the next."""
    soon: list[Callable[[], None]] = []
    rounds = Rounds(soon.append, lambda _seconds, _go: None, lambda: 0.0)
    rounds.begins("b")
    rounds.begins("a")
    rounds.took("a", 1.0, 0)
    return rounds, soon


def test_a_few_bytes_within_a_body_do_not_wait() -> None:
    """To have them wait costs more than they do. What ends a body waits, however small it is."""
    rounds, soon = _spent()
    connection = _Connection(rounds, 4)
    for _ in range(3):
        connection.data_received(b"x")
    assert ([b"x"] * 3, 0) == (connection.came, cast(_Transport, connection.transport).pauses)
    connection.data_received(b"x")
    assert ([b"x"] * 3, 1) == (connection.came, cast(_Transport, connection.transport).pauses)
    soon.pop()()
    assert [b"x"] * 4 == connection.came


def test_more_than_a_few_bytes_wait() -> None:
    """They may cost as much as they like."""
    rounds, soon = _spent()
    connection = _Connection(rounds, 10_000)
    connection.data_received(b"x" * 100)
    assert [] == connection.came
    soon.pop()()
    assert [b"x" * 100] == connection.came
