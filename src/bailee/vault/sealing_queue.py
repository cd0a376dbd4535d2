"""What waits to be sealed: where the spool, the sealer and those who ask meet.

In turns (`turns`): what an owner has waits for what they had before, and for about as much of each
other's, whoever floods. Who asks may wait until what was queued when they asked is done, of one
owner or of everybody, and only so long.

Rules kept here:

* What an earlier process left is read before anything is sealed: then it is known whose it is, and
  it has its owner's turns, before what they have said since.
* A file goes when all of it is sealed, so one exchange that waits keeps what others had in the same
  file on the disk. When that is much (`most_spent`), it is the oldest one's turn.
* What was taken is the next batch again until it is done: after a failure it is known what may have
  been committed after all.
* What waits is held in memory up to a limit; beyond, only its place is, and it is read back.
* Nobody who waits is forgotten: a failure, and the end, wake them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from bailee.admission import Unsealed
from bailee.errors import StorageError
from bailee.vault.progress import Progress
from bailee.vault.recovery import Left
from bailee.vault.spool_writing import Kept
from bailee.vault.turns import SECOND, SealingTurns
from bailee.vault.workbench import LONG

BATCH: Final = 64
BATCH_BYTES: Final = 8 << 20
BACKLOG_BATCH: Final = 256
BACKLOG_BATCH_BYTES: Final = 1 << 20
"""While more waits, a batch has more frames, as long as they are small: what a batch costs by
itself is shared by more. All of them together are no more than one frame that can cost much. While
somebody waits for an owner's, batches stay short.
"""
_DEAR: Final = round(LONG * SECOND)
"""What frames that take long for their bytes may take together, so that others wait little longer.
"""
_DELAY: Final = 0.5  # seconds
_LONGEST_PAUSE: Final = 0.5
_LITTLE: Final = 256 << 20  # bytes on disk
_FEW: Final = 512
"""While so many exchanges wait or more, the sealer pauses no longer: what has a bound on how much
of it waits would be refused, on a machine that is idle.
"""
_MOST_SPENT: Final = 1 << 30

Queued: TypeAlias = "Kept | Left | str"
"""A frame, a file of an earlier process, or the name of a file all of which is sealed."""

Mark: TypeAlias = "frozenset[int]"
"""What has to be done before something is gone from the spool."""


@dataclass(frozen=True, slots=True)
class Unfiled:
    """What is durable and not in the index yet: so many exchanges; `earlier`: also what an earlier
    process left, whose number and owners are not known before it is read. Of everybody's, that is
    said until all of it is sealed.
    """

    exchanges: int
    earlier: bool

    def __bool__(self) -> bool:
        return self.exchanges > 0 or self.earlier


@dataclass(slots=True)
class _File:
    """A file. `waiting`: frames; `spent`: bytes of what is sealed, which lie there until it goes;
    `owners`: whose frames it has, or had; `release`: the number of its release, once nothing more
    is written to it; `left`: an earlier process did.
    """

    waiting: int = 0
    spent: int = 0
    owners: set[str] = field(default_factory=set)
    release: int | None = None
    left: bool = False


class SealingQueue:
    """What waits to be sealed, in memory up to a limit and as places on disk beyond.

    The sealer owns it. Its methods may be called from any thread; `batch`, `opened`, `took`,
    `put_back`, `done` and `failed` from the sealer's alone. What is queued has numbers: frames,
    files of an earlier process, which are their releases, and releases. It reads no file and
    commits nothing.
    """

    def __init__(
        self, most_held: int, most_spent: int = _MOST_SPENT, *, delay: float = _DELAY
    ) -> None:
        """`most_held`: bytes of exchanges that are held in memory; `most_spent`: bytes of what is
        sealed that lie in files with others that are not; `delay`: seconds in which more may come,
        before a batch that nobody waits for.
        """
        self._most_held = most_held
        self._most_spent = most_spent
        self._delay = delay
        self._turns = SealingTurns()
        self._left: deque[tuple[int, Left]] = deque()
        self._ready: deque[tuple[int, str]] = deque()  # files that may go
        self._taken: list[tuple[int, Queued]] = []
        self._files: dict[str, _File] = {}
        self._added = 0
        self._progress = Progress()
        self._lefts = 0  # how many files of an earlier process there ever were
        self._lefts_read = 0
        self._lefts_gone = 0
        self._held = 0
        self._spent = 0
        self._bytes = 0  # on disk, that wait
        self._left_bytes = 0  # of these, in files that are not read
        self._frames = 0  # likewise
        self._urgent = False
        self._ending = False
        self._asking = 0  # how many wait
        self._asking_for_one = 0  # of them for an owner's
        self._sealer_waits = False  # for something to do
        self._stop = False
        self._failure: StorageError | None = None
        self._moved = time.monotonic()  # when something was done, or came when nothing waited
        self._change = threading.Condition()  # who changes any of these; a few are read without

    # -- from any thread -------------------------------------------------------------------------

    def put(self, group: Iterable[Kept]) -> None:
        """Queue what became durable."""
        with self._change:
            first = not self._something_to_do()
            for kept in group:
                self._put(kept, self._files.setdefault(kept.file, _File()))
            if self._sealer_waits and (first or self._worth_it()):  # else it would only look
                self._change.notify_all()

    def _put(self, kept: Kept, file: _File) -> None:
        held = self._held + kept.length <= self._most_held
        if held:
            self._held += kept.length
        frame = kept if held else replace(kept, exchange=None)
        self._turns.put(self._number(), frame, left=file.left)
        file.waiting += 1
        file.owners.add(kept.owner)
        self._bytes += kept.length
        self._frames += 1

    def put_left(self, file: Left) -> None:
        """Queue a file of an earlier process."""
        with self._change:
            self._left.append((self._number(), file))
            self._lefts += 1
            self._bytes += file.size
            self._left_bytes += file.size
            self._change.notify_all()

    def release(self, name: str) -> None:
        """Queue the release of a file, which nothing more is written to, behind what it holds."""
        with self._change:
            file = self._files.setdefault(name, _File())
            file.release = self._number()
            self._release_if_sealed(name, file)
            self._change.notify_all()

    def _number(self) -> int:
        if self._nothing_waits():
            self._moved = time.monotonic()
        self._added += 1
        return self._added - 1

    def _nothing_waits(self) -> bool:
        return self._progress.next == self._added

    def _release_if_sealed(self, name: str, file: _File) -> None:
        if file.release is not None and file.waiting == 0:
            self._ready.append((file.release, name))

    @property
    def has_room(self) -> bool:
        """Whether more of what lies elsewhere should be read: less than half of what may be held
        is.
        """
        return self._held < self._most_held // 2

    def waits_in(self, name: str) -> bool:
        """Whether frames of a file wait."""
        with self._change:
            return name in self._files and self._files[name].waiting > 0

    def stalled(self) -> float:
        """Seconds in which nothing of what waits was sealed; 0 when nothing waits."""
        with self._change:
            return 0.0 if self._nothing_waits() else time.monotonic() - self._moved

    def unsealed(self, owner: str) -> Unsealed:
        """What waits on disk. Takes no lock: it is asked for each request."""
        owned = self._turns.owned
        one = owned.get(owner)
        size, count = (0, 0) if one is None else (one.bytes, one.count)
        seconds = 0.0 if one is None else one.ahead / SECOND
        return Unsealed(
            size, self._bytes, count, self._frames, len(owned), self._left_bytes, seconds
        )

    def unfiled(self, owner: str | None = None) -> Unfiled:
        """What waits, of an owner or in all."""
        with self._change:
            if owner is None:
                return Unfiled(self._frames, self._lefts > self._lefts_gone)
            count = self.unsealed(owner).own_exchanges
            return Unfiled(count, self._lefts > self._lefts_read)

    def mark(self, owner: str | None = None) -> Mark:
        """What has to be done before all copies are gone that there are now of an owner, or of
        everybody, in files that nothing more is written to; for `passed`.
        """
        with self._change:
            files = self._files.values()
            going = [file for file in files if owner is None or owner in file.owners]
            lefts = [number for number, item in self._taken if isinstance(item, Left)]
            lefts += [number for number, _ in self._left]
            return frozenset(lefts) | {one.release for one in going if one.release is not None}

    def passed(self, mark: Mark) -> bool:
        """Whether the copies that a `mark` stands for are gone."""
        return all(number in self._progress for number in mark)

    def wait(
        self, seconds: float | None = None, owner: str | None = None, *, most: int | None = None
    ) -> bool:
        """Wait until all that was queued before is in the index, at most `seconds`; whether it is.
        With `owner`, that owner's exchanges alone, once it is known what an earlier process left of
        theirs. Not at all where more than `most` come before that: it would be in vain.

        Raises:
            StorageError: a store fails; what is queued stays queued. Or the vault is being closed;
                without `seconds`, it is about to be (`hurry`).
        """
        with self._change:
            if owner is None:
                end = self._added
                return self._wait(
                    lambda: self._progress.next >= end, self._progress.missing(end), seconds, most
                )
            lefts = self._lefts
            unread = lefts - self._lefts_read
            until = None if seconds is None else time.monotonic() + seconds
            self._asking_for_one += 1
            try:
                if not self._wait(lambda: self._lefts_read >= lefts, unread, seconds, most):
                    return False
                one = self._turns.owned.get(owner)
                wanted = 0 if one is None else one.added
                left = None if until is None else until - time.monotonic()
                return self._wait(
                    lambda: one is None or one.done >= wanted,
                    self._turns.before(owner),
                    left,
                    most,
                )
            finally:
                self._asking_for_one -= 1

    def wait_for(self, mark: Mark, seconds: float, *, most: int | None = None) -> bool:
        """Wait until the copies that a `mark` stands for are gone; otherwise as `wait`."""
        with self._change:
            before = self._progress.missing(max(mark, default=-1) + 1)
            return self._wait(lambda: self.passed(mark), before, seconds, most)

    def _wait(
        self, reached: Callable[[], bool], before: int, seconds: float | None, most: int | None
    ) -> bool:
        if reached():
            return True
        if most is not None and before > most:
            return False
        patient = seconds is None
        deadline = None if seconds is None else time.monotonic() + seconds
        self._urgent = True
        self._failure = None
        self._asking += 1
        self._change.notify_all()
        try:
            while not reached():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                if not self._over(patient):  # else nobody would wake it
                    self._change.wait(left)
                failure = self._failing(patient)
                if failure is not None and not reached():
                    raise failure
            return True
        finally:
            self._asking -= 1

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
        """Wait until there is something worth doing: frames, or one file. It is what the next call
        gives, too, until `done`. Empty when the sealer is to stop.
        """
        with self._change:
            self._urgent = self._urgent and self._asking > 0  # whom it was for has what they wanted
            self._sealer_waits = True
            while not self._something_to_do() and not self._stop:
                self._urgent = False
                self._change.wait()
            if not self._stop:
                self._change.wait_for(self._worth_it, self._delay)
            self._sealer_waits = False
            if self._stop:
                return []
            self._taken = self._taken or self._next()
            return [item for _, item in self._taken]

    def opened(self, left: Left, frames: Iterable[Kept]) -> None:
        """What was taken is a file of an earlier process, and these are the frames of it that are
        not sealed, in their order: they wait for their owners' turns, and it goes after the last.
        """
        with self._change:
            taken, self._taken = self._taken, []
            (release,) = (number for number, item in taken if item is left)
            before = self._files.get(left.file, _File())  # of a member's, of which some is sealed
            file = _File(spent=before.spent, owners=before.owners, release=release, left=True)
            self._files[left.file] = file
            for kept in frames:
                self._put(kept, file)
            self._bytes -= left.size
            self._left_bytes -= left.size
            self._lefts_read += 1
            self._release_if_sealed(left.file, file)
            self._change.notify_all()

    def took(self, frames: Iterable[tuple[Kept, float]]) -> None:
        """Frames of the last batch took so many seconds of a processor. Told once before `done`."""
        with self._change:
            for kept, seconds in frames:
                self._turns.took(kept, seconds)

    def put_back(self, frames: Iterable[Kept]) -> None:
        """Frames of the last batch that were not begun, since it took long enough: they wait for
        their turn again.
        """
        back = {kept.place for kept in frames}
        with self._change:
            taken, self._taken = self._taken, []
            again: list[tuple[int, Kept]] = []
            for number, item in taken:
                if isinstance(item, Kept) and item.place in back:
                    again.append((number, item))
                else:
                    self._taken.append((number, item))
            self._turns.put_back(again)

    def done(self) -> None:
        """The last batch is in the index, or gone."""
        with self._change:
            for _, item in self._taken:
                if isinstance(item, Kept):
                    self._done(item)
                elif isinstance(item, str):
                    gone = self._files.pop(item)
                    self._spent -= gone.spent
                    self._lefts_gone += gone.left
            self._progress = self._progress.plus(number for number, _ in self._taken)
            self._taken = []
            self._moved = time.monotonic()
            self._failure = None
            self._change.notify_all()

    def _done(self, kept: Kept) -> None:
        self._turns.done(kept)
        self._held -= 0 if kept.exchange is None else kept.length
        self._bytes -= kept.length
        self._frames -= 1
        self._spent += kept.length
        file = self._files[kept.file]
        file.spent += kept.length
        file.waiting -= 1
        self._release_if_sealed(kept.file, file)

    def failed(self, failure: StorageError, pause: float) -> None:
        """A store failed: tell those who wait, and pause for so many seconds, or until the end."""
        with self._change:
            self._failure = failure
            self._change.notify_all()
            self._change.wait_for(lambda: self._stop, pause)

    @property
    def is_short(self) -> bool:
        """Whether little waits, so that there is time for a pause."""
        return self._bytes < _LITTLE and self._frames < _FEW

    def give_way(self, seconds: float) -> None:
        """Pause, so that others have the processor; at once back when somebody waits."""
        with self._change:
            self._change.wait_for(
                lambda: self._stop or self._asking > 0, min(seconds, _LONGEST_PAUSE)
            )

    def _something_to_do(self) -> bool:
        return bool(self._frames or self._left or self._ready or self._taken)

    def _worth_it(self) -> bool:
        """Whether to begin now. To wait a little makes fewer, larger commits, whose syncs the
        spool's own have to share the disk with.
        """
        full = self._frames >= BATCH or self._held >= BATCH_BYTES
        return self._stop or self._urgent or bool(self._left) or full

    def _next(self) -> list[tuple[int, Queued]]:
        for files in (self._left, self._ready):
            if files:
                return [files.popleft()]
        take = self._turns.take
        if self._spent > self._most_spent:
            take = self._turns.take_oldest()
        batch: list[tuple[int, Queued]] = []
        size = dear = 0
        most = 0 if self._asking_for_one else min(BACKLOG_BATCH, self._frames // 2)
        while (
            (len(batch) < BATCH and size < BATCH_BYTES)
            or (len(batch) < most and size < BACKLOG_BATCH_BYTES)
        ) and (found := take()) is not None:
            batch.append(found)
            size += found[1].length
            dear += self._turns.beyond(found[1])
            if dear > _DEAR:
                break
        return batch


def _closed() -> StorageError:
    return StorageError(
        "the vault is being closed; what is not sealed yet stays in the spool.",
        hint="start bailee again: it goes on by itself",
    )
