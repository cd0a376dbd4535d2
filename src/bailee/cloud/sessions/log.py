"""What happens in a session, event by event, for who watches it and for what is kept of it.

An event is a flat object with a number `n`, a moment `at` and a `kind`:

    state    state, and at the end: end, problem
    prompt   text: what the agent is asked now
    agent    event: a line of the agent's stream, as it printed it
    output   stream, text: a line that is none of those
    git      step, ok, text: what clone, commit and push said
    dropped  count: events that were too much to be kept

In memory are the last few megabytes, for who comes late; what is kept is for `keep` to say.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import orjson

from bailee.clock import Clock
from bailee.json_values import Json, JsonObject, whole

Event = JsonObject
_HELD_BYTES: Final = 8 << 20
_KEPT_BYTES: Final = 16 << 20
_FLUSH_BYTES: Final = 64 << 10


class EventLog:
    """The events of one session. All of it belongs to one event loop."""

    def __init__(self, clock: Clock, keep: Callable[[list[Event]], object]) -> None:
        self._clock = clock
        self._keep = keep
        self._events: deque[tuple[Event, int]] = deque()
        self._held = 0
        self._kept = 0
        self._count = 0
        self._waiting: list[Event] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._more = asyncio.Event()
        self.ended = False

    def add(self, kind: str, **values: Json) -> None:
        """One more event. What is waiting is kept now if it is much."""
        self._count += 1
        at: datetime = self._clock()
        event: Event = {"n": self._count, "at": at.isoformat(), "kind": kind, **values}
        size = len(orjson.dumps(event))
        self._events.append((event, size))
        self._held += size
        while self._held > _HELD_BYTES and len(self._events) > 1:
            self._held -= self._events.popleft()[1]
        if kind in ("agent", "output") and self._kept + size > _KEPT_BYTES:
            self._dropped += 1
        else:
            self._kept += size
            self._waiting_bytes += size
            self._waiting.append(event)
        if self._waiting_bytes > _FLUSH_BYTES:
            self.flush()
        self._more.set()
        self._more = asyncio.Event()

    def flush(self) -> None:
        """Keep what is waiting."""
        if self._waiting:
            waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
            self._keep(waiting)

    def end(self) -> None:
        """Nothing more will come."""
        if self._dropped:
            self.add("dropped", count=self._dropped)
        self.flush()
        self.ended = True
        self._more.set()

    def after(self, number: int) -> list[Event]:
        """The events after the one with this number, of those that are held."""
        return [event for event, _ in self._events if whole(event["n"]) > number]

    async def more(self, number: int) -> list[Event]:
        """Like `after`, once there is one; nothing when there will be none."""
        while not (found := self.after(number)) and not self.ended:
            await self._more.wait()
        return found


def flat(batches: Iterable[list[Event]]) -> list[Event]:
    """The events of what was kept in batches."""
    return [event for batch in batches for event in batch]
