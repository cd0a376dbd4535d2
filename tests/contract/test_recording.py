"""The port `Recording`: one suite against every implementation.

An implementation is added to `MAKERS`; it is given a folder and gives back the recording and a
function that says which exchanges it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bailee.errors import StorageError
from bailee.gateway.recording import Recording
from bailee.testing.recording import FaultyRecording, MemoryRecording
from bailee.vault.exchange import CapturedExchange, Outcome, Terms

Made = tuple[Recording, Callable[[], list[str]]]


def _memory(folder: Path) -> Made:
    recording = MemoryRecording(limit=1_000_000)
    return recording, lambda: [exchange.exchange_id for exchange in recording.exchanges]


MAKERS = {"memory": _memory}


@pytest.fixture(params=MAKERS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """Each implementation in turn."""
    return MAKERS[request.param](tmp_path)


def exchange(name: str, answer: bytes = b"answer") -> CapturedExchange:
    """An exchange with this id."""
    return CapturedExchange(
        exchange_id=name,
        owner="acc",
        key_id="key",
        plan="pro",
        channel="api",
        terms=Terms("P30D", "clause", "0" * 64),
        started_at=1.0,
        ended_at=2.0,
        outcome=Outcome.COMPLETE,
        method="POST",
        target="/v1/messages",
        status=200,
        request_headers=(),
        answer_headers=(),
        request=b"{}",
        answer=answer,
    )


def test_done_comes_later_and_once_for_each(made: Made) -> None:
    """Never within `submit`, always on the loop, without an error, in order, and then it holds."""
    recording, held = made
    told: list[tuple[str, StorageError | None]] = []

    async def submit() -> None:
        everything = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in range(20):
            name = f"x{number}"

            def done(error: StorageError | None, name: str = name) -> None:
                assert loop is asyncio.get_running_loop()
                assert name in held()
                told.append((name, error))
                if len(told) == 20:
                    everything.set()

            recording.submit(exchange(name), done)
            assert [] == told
        await asyncio.wait_for(everything.wait(), 10)

    asyncio.run(submit())
    assert [(f"x{number}", None) for number in range(20)] == told
    assert recording.failure is None


def test_room_is_bounded_in_bytes_and_comes_back(made: Made) -> None:
    """Over the limit there is no room; once written, there is."""
    recording, _ = made

    async def fill() -> None:
        assert recording.has_room
        submitted = 0
        while recording.has_room and submitted < 1000:
            recording.submit(exchange(f"x{submitted}", b"x" * 100_000), lambda error: None)
            submitted += 1
        assert submitted < 1000
        async with asyncio.timeout(10):
            while not recording.has_room:
                await asyncio.sleep(0.01)

    asyncio.run(fill())


def test_the_faulty_recording_fails_as_it_is_told() -> None:
    """It gives the error to `done`, holds nothing, and recovers."""
    recording = FaultyRecording()
    told: list[StorageError | None] = []

    async def submit() -> None:
        recording.submit(exchange("a"), told.append)
        await asyncio.sleep(0.01)
        recording.broken = False
        recording.submit(exchange("b"), told.append)
        await asyncio.sleep(0.01)

    asyncio.run(submit())
    assert [StorageError, type(None)] == [type(error) for error in told]
    assert ["b"] == [kept.exchange_id for kept in recording.exchanges]
    assert isinstance(FaultyRecording(known=True).failure, StorageError)
