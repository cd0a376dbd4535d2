"""The events of a session: numbered, held for who comes late, kept in batches."""

from __future__ import annotations

import asyncio

from bailee.cloud.sessions.log import Event, EventLog
from bailee.testing.clock import FakeClock


def test_who_comes_late_sees_what_came_before_and_then_what_comes() -> None:
    """Each event once, in order, until there will be no more."""

    async def live() -> tuple[list[int], list[Event]]:
        kept: list[Event] = []
        log = EventLog(FakeClock(), kept.extend)
        log.add("output", text="one")
        seen: list[int] = []

        async def watch() -> None:
            last = 0
            while found := await log.more(last):
                seen.extend(event["n"] for event in found)
                last = seen[-1]

        watching = asyncio.create_task(watch())
        for word in ("two", "three"):
            await asyncio.sleep(0)
            log.add("output", text=word)
        await asyncio.sleep(0)
        log.end()
        await watching
        return seen, kept

    seen, kept = asyncio.run(live())
    assert [1, 2, 3] == seen
    assert ["one", "two", "three"] == [event["text"] for event in kept]


def test_what_is_too_much_is_shown_and_not_kept_and_that_is_said() -> None:
    """Output past the bound is counted; states and git's words are kept whatever comes."""

    async def live() -> list[Event]:
        kept: list[Event] = []
        log = EventLog(FakeClock(), kept.extend)
        for _ in range(20):
            log.add("output", text="x" * (1 << 20))
        log.add("state", state="waiting")
        log.end()
        return kept

    kept = asyncio.run(live())
    assert 15 == len([event for event in kept if event["kind"] == "output"])
    assert ["state", "dropped"] == [event["kind"] for event in kept[-2:]]
    assert 5 == kept[-1]["count"]
