"""What of an exchange is held for its record, and the port it is handed to.

Rules kept here:

* Whether an exchange is kept is a type. `Keeping` takes `Terms` to make, and holds the bytes.
  `NotKept` has no place for bytes and no method that accepts them: code that has one in its hands
  can't record, whatever it does.
* What is held is bounded: `Room` admits an exchange before its request is read, and when there is
  no room the client is not read from. Nothing is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from bailee.errors import PolicyDenied, StorageError
from bailee.gateway.completion import Hold
from bailee.vault.exchange import CapturedExchange, Terms


class Recording(Protocol):
    """Makes exchanges durable."""

    def submit(
        self, exchange: CapturedExchange, done: Callable[[StorageError | None], None]
    ) -> None:
        """Takes an exchange; returns at once. Called on the event loop's thread. `done` is called
        later on that loop: with None once the record is durable, or with why it is not.
        """
        ...

    @property
    def has_room(self) -> bool:
        """False while the bytes waiting are over the limit."""
        ...

    def when_room(self, callback: Callable[[], None]) -> None:
        """Calls `callback` on the loop, once, when there is room again."""
        ...

    @property
    def failure(self) -> StorageError | None:
        """Why writing is known to fail, or None."""
        ...


class Keeping:
    """One exchange that is kept: its bytes until they are submitted, and how far its record is.

    `reserved` is what it holds of the room, in bytes. `hold` holds back the answer's end, from the
    answer's head on. A record is `submitted` once, and `pending` from then on until it is durable
    or known not to be.
    """

    __slots__ = (
        "answer",
        "answer_size",
        "hold",
        "pending",
        "request",
        "reserved",
        "submitted",
        "terms",
    )

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.request: list[bytes] = []
        self.answer: list[bytes] = []
        self.answer_size = 0
        self.reserved = 0
        self.hold: Hold | None = None
        self.submitted = False
        self.pending = False

    def take(self) -> tuple[bytes, bytes]:
        """The bodies of request and answer, which are not held here any more."""
        bodies = b"".join(self.request), b"".join(self.answer)
        self.request, self.answer = [], []
        return bodies

    def leave(self, room: Room) -> None:
        """Holds nothing of the room any more."""
        reserved, self.reserved = self.reserved, 0
        if reserved:
            room.give_back(reserved)


class NotKept:
    """An exchange that is not kept. `why` is one of `zero_retention`, `not_a_conversation`,
    `unrecorded_route`, `recorder_failed`; `clause` is the policy's that lets it pass so, if one
    does.
    """

    __slots__ = ("clause", "why")

    def __init__(self, why: str, clause: str = "") -> None:
        self.why = why
        self.clause = clause


class Room:
    """Admits exchanges to be kept while the bytes held for them stay under `limit`.

    One exchange is always admitted when none is held, so that a request larger than the limit
    does not wait for ever. First come, first admitted.
    """

    def __init__(self, recording: Recording, limit: int) -> None:
        self._recording = recording
        self._limit = limit
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._asked = False
        self.held = 0

    @property
    def waiting(self) -> int:
        """How many exchanges wait to be admitted."""
        return len(self._waiting)

    def admit(self, size: int, proceed: Callable[[], None]) -> bool:
        """Takes `size` bytes and gives True, or keeps `proceed` to call when they are taken."""
        if not self._waiting and self._fits(size):
            self.held += size
            return True
        self._waiting.append((size, proceed))
        self._ask()
        return False

    def withdraw(self, proceed: Callable[[], None]) -> None:
        """Forgets one who waits."""
        self._waiting = deque(entry for entry in self._waiting if entry[1] != proceed)

    def give_back(self, size: int) -> None:
        """Bytes are no longer held here."""
        self.held -= size
        if self._waiting:
            self._admit_waiting()

    def _fits(self, size: int) -> bool:
        if not self._recording.has_room:
            return False
        return self.held == 0 or self.held + size <= self._limit

    def _ask(self) -> None:
        if not self._asked and not self._recording.has_room:
            self._asked = True
            self._recording.when_room(self._told)

    def _told(self) -> None:
        self._asked = False
        self._admit_waiting()

    def _admit_waiting(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, proceed = self._waiting.popleft()
            self.held += size
            proceed()
        if self._waiting:
            self._ask()


def not_recorded() -> PolicyDenied:
    """Why a request is refused while its record can't be written."""
    return PolicyDenied(
        "This exchange can't be recorded.",
        code="not_recorded",
        hint="the operator must make room or mend the disk; the policy serves nothing unrecorded",
    )
