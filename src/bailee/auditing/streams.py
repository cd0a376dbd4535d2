"""The audit record's streams: a thread for each sink, its position, and how it goes.

Theory of operation: a stream reads a portion of entries from its position on, hands it to its
sink, and notes the new position in the database once the sink has taken it all. A crash between
the two delivers that portion again, with the same ids. So each entry arrives at least once, and in
the order of the log; what waits is the audit record itself, so it takes no room of its own, however
long a sink is away.

Rules kept here:

* What is not taken is tried again after 1 second, 2, 4 ... up to 5 minutes, by a clock that only
  grows. Nothing is given up.
* No stream waits for another, and nothing else of the server waits for one.
* A position that can't be noted, on a full disk, is kept in memory: the stream goes on, and after
  a crash repeats itself from the last one that was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, select

from bailee.auditing.entries import Entries
from bailee.auditing.sinks import NotTaken, Sink
from bailee.clock import Clock, Ticks, ticks
from bailee.db.audit import audit_positions
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import insert
from bailee.errors import BaileeError, StorageError
from bailee.lasting import Lasting

AT_ONCE: Final = 200
"""So many entries are handed over at once, at most."""
_LOOK: Final = 1.0
_LONGEST: Final = 300.0
_END: Final = 15.0
_WHAT: Final = "the positions of the audit record's streams"


class Positions:
    """Where each stream goes on. Each stream's thread reads and notes its own."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def all(self) -> Mapping[str, tuple[int, datetime]]:
        """By sink: the first leaf that is not known to be delivered, and since when.

        Raises:
            StorageError: they can't be read.
        """
        query = select(audit_positions)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return {row.sink: (row.next, row.at) for row in connection.execute(query)}

    def note(self, sink: str, following: int) -> None:
        """All before the leaf `following` is delivered.

        Raises:
            StorageError: it can't be written.
        """
        row = {"next": following, "at": self._clock()}
        made = insert(audit_positions).values(sink=sink, **row)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(made.on_conflict_do_update(index_elements=["sink"], set_=row))


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """How a stream goes. `sink`: which kind; `where`: its address; `next`: the first leaf that was
    not delivered; `waiting`: how many there are; `seconds`: since when something waits and nothing
    is taken; `delivered`, `failures`: since the start; `problem`: why the last attempt failed.
    """

    sink: str
    where: str
    next: int
    waiting: int
    seconds: float
    delivered: int = 0
    failures: int = 0
    problem: str | None = None


class Stream:
    """Delivers to one sink, from `start` to `stop`. The server owns it; its thread alone calls the
    sink; `standing` and `late` are for any thread.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        entries: Entries,
        positions: Positions,
        say: Callable[[str], None],
        *,
        ticking: Ticks = ticks,
        pause: float = 1.0,
    ) -> None:
        """`name`: the sink's kind; `pause`: seconds before the second try."""
        self.name = name
        self._sink = sink
        self._entries = entries
        self._positions = positions
        self._say = say
        self._ticks = ticking
        self._pause = pause
        self._ending = threading.Event()
        # These are its thread's to change.
        self._next: int | None = None
        self._waits_since: float | None = None
        self._delivered = 0
        self._failures = 0
        self._in_a_row = 0
        self._problem: str | None = None
        self.thread = Lasting(f"audit to {name}", self._run)

    def start(self) -> None:
        """Go on where it was."""
        self.thread.start()

    def stop(self) -> None:
        """Stop after what is being handed over, whose time is bounded."""
        self._ending.set()
        self.thread.join(_END)
        self._sink.close()

    def late(self) -> float:
        """Seconds since when something waits and nothing is taken."""
        since = self._waits_since
        return 0.0 if since is None else self._ticks() - since

    def standing(self, size: int) -> StreamStanding:
        """How it goes, with so many leaves in the log."""
        following = self._next or 0
        return StreamStanding(
            self.name,
            self._sink.shown,
            following,
            max(0, size - following),
            self.late(),
            self._delivered,
            self._failures,
            self._problem,
        )

    # -- its thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                pause = 0.0 if self.step() else _LOOK
                self._succeeded()
            except (NotTaken, BaileeError) as error:
                pause = self._failed(str(error))
            if pause:
                self._ending.wait(pause)

    def step(self) -> bool:
        """Deliver one portion; whether there was one.

        Raises:
            NotTaken: the sink did not take it.
            StorageError: the record can't be read.
        """
        if self._next is None:
            self._next = self._positions.all().get(self.name, (0, None))[0]
        portion = self._entries.after(self._next, AT_ONCE)
        if not portion:
            self._waits_since = None
            return False
        if self._waits_since is None:
            self._waits_since = self._ticks()
        self._sink.deliver(portion)
        self._next = portion[-1].leaf + 1
        self._delivered += len(portion)
        self._waits_since = None
        try:
            self._positions.note(self.name, self._next)
        except StorageError as error:
            self._failures += 1
            self._told(f"the position of {self.name} can't be noted: {error.message}")
        return True

    def _succeeded(self) -> None:
        if self._in_a_row:
            self._say(f"bailee: the audit record is delivered to {self.name} again")
        self._in_a_row, self._problem = 0, None

    def _failed(self, why: str) -> float:
        self._failures += 1
        self._told(why)
        pause = min(_LONGEST, self._pause * 2.0 ** min(self._in_a_row, 20))
        self._in_a_row += 1
        return pause

    def _told(self, why: str) -> None:
        if self._problem != why:
            self._say(f"bailee: the audit record is not delivered to {self.name}: {why}")
        self._problem = why


class AuditStreams:
    """All streams of a server. It owns them; the server starts and stops it."""

    def __init__(self, streams: Iterable[Stream], entries: Entries) -> None:
        self.streams = tuple(streams)
        self._entries = entries

    def start(self) -> None:
        """Let each go on where it was."""
        for stream in self.streams:
            stream.start()

    def stop(self) -> None:
        """Stop each; together they take as long as the slowest."""
        for stream in self.streams:
            stream._ending.set()
        for stream in self.streams:
            stream.stop()

    def threads(self) -> list[Lasting]:
        """For whoever watches."""
        return [stream.thread for stream in self.streams]

    def late(self) -> float:
        """Of the latest, in seconds."""
        return max((stream.late() for stream in self.streams), default=0.0)

    def standing(self) -> list[StreamStanding]:
        """How each goes.

        Raises:
            StorageError: the record can't be read.
        """
        size = self._entries.size() if self.streams else 0
        return [stream.standing(size) for stream in self.streams]


def left(entries: Entries, positions: Positions) -> list[StreamStanding]:
    """How far each stream has come, where no server runs.

    Raises:
        StorageError: the database can't be read.
    """
    size = entries.size()
    return [
        StreamStanding(sink, "", following, max(0, size - following), 0.0)
        for sink, (following, _) in sorted(positions.all().items())
    ]
