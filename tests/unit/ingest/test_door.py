"""Whom the door of the ingest lets in when many are there."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from starlette.requests import Request
from starlette.types import Message

from bailee.ingest.door import Door, DoorLimits, TooMuch

PIECE = 64 << 10


@dataclass(frozen=True)
class Sender:
    """Whose name is their key."""

    account_id: str


def request(*pieces: bytes, ends: bool = True) -> Request:
    """A request whose body comes in pieces, and then ends or never does."""
    left = list(pieces)

    async def receive() -> Message:
        if not left and not ends:
            await asyncio.Event().wait()
        piece = left.pop(0) if left else b""
        return {"type": "http.request", "body": piece, "more_body": bool(left) or not ends}

    return Request({"type": "http", "method": "POST", "headers": [], "client": None}, receive)


async def answered(door: Door[Sender], name: str, asked: Request) -> int:
    """What somebody's request is answered with."""
    try:
        async with door.admitted(asked, name.encode()) as (_, body):
            return 200 if body else 400
    except TooMuch as refused:
        return refused.status


@pytest.mark.row("G1")
@pytest.mark.parametrize("limits", [DoorLimits(), DoorLimits(room=PIECE * 100)])
def test_a_hundred_accounts_leave_room_for_one_more(limits: DoorLimits) -> None:
    """Each has as many bodies under way as it may, none of which ends, and all that is shared is
    taken: they are told to wait, and somebody else is let in. It is all given back.
    """

    async def run() -> tuple[Counter[int], int, int, int]:
        door = Door(lambda key: Sender(key.decode()), limits)
        flood = [
            asyncio.create_task(answered(door, f"a{n % 100}", request(b"x" * PIECE, ends=False)))
            for n in range(100 * limits.waiting)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = Counter(task.result() for task in flood if task.done())
        victim = await answered(door, "victim", request(b"x" * 3000))
        under_way = door.under_way
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        return refused, victim, under_way, door.under_way

    refused, victim, under_way, left = asyncio.run(run())
    assert ({429}, 200, 0) == (set(refused), victim, left)
    assert 100 <= under_way <= 2 * limits.together
