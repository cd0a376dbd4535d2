"""What waits to be sealed: where the spool, the sealer and those who ask meet.

First in, first out: a spool file's position in the index says how many of its frames are sealed, so
they are sealed in order. Who asks may wait until what was queued when they asked is done, of one
owner or of everybody, and only so long.

Rules kept here:

* What waits is held in memory up to a limit; beyond, only its place is, and it is read back.
* Nobody who waits is forgotten: a failure, and the end, wake them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from bailee.errors import StorageError
from bailee.vault.recovery import Left
from bailee.vault.spool_writing import Kept

BATCH: Final = 64
BATCH_BYTES: Final = 8 << 20
_DELAY_SECONDS: Final = 0.5
_LONGEST_PAUSE: Final = 0.5
_LITTLE: Final = 256 << 20  # bytes on disk

Queued: TypeAlias = "Kept | Left | str"
"""A frame, a file of an earlier process, or the name of a file that is written to no more."""


@dataclass(frozen=True, slots=True)
class Unfiled:
    """What is durable and not in the index yet: so many exchanges; `earlier`: also what an earlier
    process left, whose number and owners are not known before it is read.
    """

    exchanges: int
    earlier: bool

    def __bool__(self) -> bool:
        return self.exchanges > 0 or self.earlier


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What is on disk and not sealed yet, in bytes and in exchanges: an owner's, and everybody's.
    What an earlier process left is among everybody's bytes.
    """

    own: int
    all: int
    own_exchanges: int = 0
    all_exchanges: int = 0


class SealingQueue:
    """Its methods may be called from any thread; `batch` and `done` from the sealer's alone."""

    def __init__(self, most_held: int) -> None:
        """`most_held`: bytes of exchanges that are held in memory."""
        self._most_held = most_held
        self._queue: deque[Queued] = deque()
        self._held = 0
        self._added = 0
        self._done = 0
        self._owned: dict[str, tuple[int, int]] = {}  # how many wait, and the last one's number
        self._left = 0  # files of an earlier process, which come first
        self._urgent = False
        self._ending = False
        self._bytes: dict[str, int] = {}  # on disk, by owner
        self._all_bytes = 0
        self._frames = 0  # that wait, of everybody
        self._asking = 0  # how many wait
        self._stop = False
        self._failure: StorageError | None = None
        self._moved = time.monotonic()  # when the head of the queue came to be its head
        self._change = threading.Condition()

    # -- from any thread -------------------------------------------------------------------------

    def put(self, group: Iterable[Kept]) -> None:
        """Queue what became durable."""
        with self._change:
            self._begin_waiting()
            for kept in group:
                if self._held + kept.length > self._most_held:
                    self._queue.append(replace(kept, exchange=None))
                else:
                    self._held += kept.length
                    self._queue.append(kept)
                self._added += 1
                count, _ = self._owned.get(kept.owner, (0, 0))
                self._owned[kept.owner] = (count + 1, self._added)
                self._bytes[kept.owner] = self._bytes.get(kept.owner, 0) + kept.length
                self._all_bytes += kept.length
                self._frames += 1
            self._change.notify_all()

    def put_file(self, file: Left | str) -> None:
        """Queue a file of an earlier process, or the release of one behind what it holds."""
        with self._change:
            self._begin_waiting()
            self._queue.append(file)
            self._added += 1
            if isinstance(file, Left):
                self._left += 1
                self._all_bytes += file.size
            self._change.notify_all()

    def _begin_waiting(self) -> None:
        if not self._queue:
            self._moved = time.monotonic()

    def stalled(self) -> float:
        """Seconds in which nothing of what waits was sealed; 0 when nothing waits."""
        with self._change:
            return time.monotonic() - self._moved if self._queue else 0.0

    def unsealed(self, owner: str) -> Unsealed:
        """What waits on disk. Takes no lock: it is asked for each request."""
        count, _ = self._owned.get(owner, (0, 0))
        return Unsealed(self._bytes.get(owner, 0), self._all_bytes, count, self._frames)

    def unfiled(self, owner: str | None = None) -> Unfiled:
        """What waits, of an owner or in all."""
        with self._change:
            count = self._frames if owner is None else self._owned.get(owner, (0, 0))[0]
            return Unfiled(count, self._left > 0)

    def mark(self) -> int:
        """Up to where the queue reaches now, for `passed`."""
        return self._added

    def passed(self, mark: int) -> bool:
        """Whether all that was queued at a `mark` is in the index."""
        return self._done >= mark

    def wait(
        self, seconds: float | None = None, owner: str | None = None, *, most: int | None = None
    ) -> bool:
        """Wait until all that was queued before is in the index, at most `seconds`; whether it is.
        With `owner`, that owner's exchanges alone, and what an earlier process left. Not at all
        where more than `most` come before that: it would be in vain.

        Raises:
            StorageError: a store fails; what is queued stays queued. Or the vault is being closed;
                without `seconds`, it is about to be (`hurry`).
        """
        patient = seconds is None
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._change:
            wanted = self._added
            if owner is not None:
                # Files of an earlier process come first.
                wanted = max(
                    self._owned.get(owner, (0, 0))[1], self._done + self._left if self._left else 0
                )
            if self._done >= wanted:
                return True
            if most is not None and wanted - self._done > most:
                return False
            self._urgent = True
            self._failure = None
            self._asking += 1
            self._change.notify_all()
            try:
                return self._wait_for(wanted, deadline, patient)
            finally:
                self._asking -= 1

    def _wait_for(self, wanted: int, deadline: float | None, patient: bool) -> bool:
        while self._done < wanted:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            if not self._over(patient):  # else nobody would wake it
                self._change.wait(left)
            failure = self._failing(patient)
            if failure is not None and self._done < wanted:
                raise failure
        return True

    def _failing(self, patient: bool) -> StorageError | None:
        return _closed() if self._failure is None and self._over(patient) else self._failure

    def _over(self, patient: bool) -> bool:
        return self._stop or (patient and self._ending)

    def check_going(self) -> None:
        """Who takes long asks whether the end is near.

        Raises:
            StorageError: it is.
        """
        if self._over(patient=True):
            raise _closed()

    def hurry(self) -> None:
        """The end is near: nobody waits without a limit any more. The sealer goes on."""
        with self._change:
            self._ending = True
            self._change.notify_all()

    def stop(self) -> None:
        """Let the sealer stop after what it does now."""
        with self._change:
            self._stop = True
            self._change.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether the sealer is to stop."""
        return self._stop

    # -- the sealer's thread ---------------------------------------------------------------------

    def batch(self) -> list[Queued]:
        """Wait until there is something worth doing: frames, or one file. It stays in the queue
        until `done`. Empty when the sealer is to stop.
        """
        with self._change:
            while not self._queue and not self._stop:
                self._urgent = False
                self._change.wait()
            if not self._stop:
                self._change.wait_for(self._worth_it, _DELAY_SECONDS)
            return [] if self._stop else self._next()

    def done(self, batch: Sequence[Queued]) -> None:
        """The head of the queue is in the index."""
        with self._change:
            for item in batch:
                self._queue.popleft()
                if isinstance(item, Left):
                    self._left -= 1
                    self._all_bytes -= item.size
                elif isinstance(item, Kept):
                    self._held -= 0 if item.exchange is None else item.length
                    self._all_bytes -= item.length
                    self._frames -= 1
                    count, last = self._owned[item.owner]
                    if count == 1:
                        del self._owned[item.owner], self._bytes[item.owner]
                    else:
                        self._owned[item.owner] = (count - 1, last)
                        self._bytes[item.owner] -= item.length
            self._done += len(batch)
            self._moved = time.monotonic()
            self._failure = None
            self._change.notify_all()

    def failed(self, failure: StorageError, pause: float) -> None:
        """A store failed: tell those who wait, and pause for so many seconds, or until the end."""
        with self._change:
            self._failure = failure
            self._change.notify_all()
            self._change.wait_for(lambda: self._stop, pause)

    @property
    def is_short(self) -> bool:
        """Whether little waits, so that there is time for a pause."""
        return self._all_bytes < _LITTLE

    def give_way(self, seconds: float) -> None:
        """Pause, so that others have the processor; at once back when somebody waits."""
        with self._change:
            self._change.wait_for(
                lambda: self._stop or self._asking > 0, min(seconds, _LONGEST_PAUSE)
            )

    def _worth_it(self) -> bool:
        """Whether to begin now. To wait a little makes fewer, larger commits, whose syncs the
        spool's own have to share the disk with.
        """
        full = len(self._queue) >= BATCH or self._held >= BATCH_BYTES
        return self._stop or self._urgent or self._left > 0 or full

    def _next(self) -> list[Queued]:
        batch: list[Queued] = []
        size = 0
        for item in self._queue:
            if not isinstance(item, Kept):
                return batch or [item]
            batch.append(item)
            size += item.length
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                break
        return batch


def _closed() -> StorageError:
    return StorageError(
        "the vault is being closed; what is not sealed yet stays in the spool.",
        hint="start bailee again: it goes on by itself",
    )
