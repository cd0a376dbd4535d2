"""The sealer: takes exchanges from the spool into records, segments and the index.

A thread of its own, off the critical path: it works in batches after a short delay, in which
owners have their turns. One database transaction holds a batch's rows and what of its spool files
is sealed, so that an exchange is in the index exactly once, wherever a crash falls. A spool file
goes, with its key, when all of it has been sealed.

Rules kept here:

* The queue goes on. A store that fails is tried again; an exchange that fails by itself is kept
  raw, and if even that fails, its frame is put aside and reported.
* The vault's lock is held, and a transaction is open, for one batch at a time: of what a workbench
  holds at once.
* After a batch it pauses for as long as its own thread worked, so that it takes half of a processor
  and leaves the rest to the event loop. It does not pause while somebody waits for it; and, but for
  large exchanges, while much is queued.
* What an earlier process left is read first, and has its owners' turns like all else; it is gone at
  more warily (`recovery`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import takewhile
from typing import Final

from sqlalchemy import Engine

from bailee.admission import Unsealed
from bailee.clock import Clock
from bailee.damage import Damages
from bailee.db.engine import reading, storage_errors
from bailee.errors import StorageError
from bailee.keeping.receipts import Record
from bailee.keyring import Keyring
from bailee.lasting import Lasting
from bailee.vault import positions
from bailee.vault.batch import Batch, BatchItem, OvertakenError
from bailee.vault.conversations import Conversations
from bailee.vault.progress import Progress
from bailee.vault.recovery import Left, Recovery, RecoveryStep
from bailee.vault.sealing_queue import Queued, SealingQueue
from bailee.vault.segments import Segments
from bailee.vault.spool_reading import SpoolReader
from bailee.vault.spool_writing import Kept, is_large
from bailee.vault.stored import Stored
from bailee.vault.terms import PresentTerms
from bailee.vault.tombstones import Tombstones
from bailee.vault.workbench import LONG, Bench, How
from bailee.vault.workbench_process import WorkerEnded

_RETRY_SECONDS: Final = 1.0
_TRIES: Final = 100  # to seal a batch that another process overtakes: as long as it is the quicker


class Sealer:
    """Implements the spool's `Receiver`.

    The vault makes it and closes it. It owns the thread `sealer`, on which all sealing is done, and
    the queue. The spool calls `kept` and `closed` as it writes, the gateway's loop `unsealed`. It
    loses no exchange for want of understanding it, and never writes to a spool file.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        segments: Segments,
        reader: SpoolReader,
        recovery: Recovery,
        conversations: Conversations,
        bench: Bench,
        clock: Clock,
        record: Record,
        lock: AbstractContextManager[object],
        present: PresentTerms,
        tombstones: Tombstones,
        deleted_by: Callable[[], str],
        stored: Stored,
        damages: Damages,
        filed: Callable[[Mapping[str, str]], None] = lambda _: None,
        room: Callable[[], AbstractContextManager[None]] = nullcontext,
        most_held: int = 64 << 20,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        """`filed` is told which sessions went on, and whose each is, once that is committed."""
        self._engine = engine
        self._keyring = keyring
        self._segments = segments
        self._reader = reader
        self._recovery = recovery
        self._conversations = conversations
        self._bench = bench
        self._clock = clock
        self._record = record
        self._lock = lock
        self._present = present
        self._tombstones = tombstones
        self._deleted_by = deleted_by
        self._stored = stored
        self._damages = damages
        self._filed = filed
        self._room = room
        self._retry_seconds = retry_seconds
        # The sealer's thread's alone, but that anybody may add to `_wary`.
        self._in_doubt = False  # whether the last batch may have been committed after all
        self._wary: set[tuple[str, int]] = set()  # what was left and is to be tried alone
        self.queue = SealingQueue(most_held)
        self.thread = Lasting("sealer", self._run)
        self.thread.start()

    # -- from the spool's thread -----------------------------------------------------------------

    def kept(self, group: Sequence[Kept]) -> None:
        """Queue what became durable."""
        self.queue.put(group)

    def closed(self, file: str) -> None:
        """Queue the release of a file, behind what it holds."""
        self.queue.release(file)

    # -- from any thread -------------------------------------------------------------------------

    def unsealed(self, owner: str) -> Unsealed:
        """What is on disk and not sealed yet."""
        return self.queue.unsealed(owner)

    def beware(self, frames: Sequence[Kept]) -> None:
        """An earlier process may have ended at one of these, which are to be queued: the first few
        of each owner are tried alone.
        """
        self._wary.update(kept.place for kept in frames if self._recovery.wary(kept))

    def forget(self, session_ids: Sequence[str]) -> None:
        """Drop what is held in memory of sessions. The caller holds the vault's lock."""
        self._bench.forget(session_ids)
        self._conversations.forget(session_ids)

    def close(self) -> None:
        """Stop after the present batch. What is queued is in the spool."""
        self.queue.stop()
        self.thread.join()
        self._bench.close()

    # -- the sealer's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self.queue.batch():
            began = time.thread_time()
            try:
                with self._room():
                    self._work(batch)
            except BaseException as error:
                self._in_doubt = True
                if not isinstance(error, StorageError):  # a defect: the thread begins anew
                    raise
                self.queue.failed(error, self._retry_seconds)
                continue
            if self.queue.stopping:
                return
            self._in_doubt = False
            self.queue.done()
            if self.queue.is_short or any(
                isinstance(item, Kept) and is_large(item.file) for item in batch
            ):
                self.queue.give_way(time.thread_time() - began)

    def _work(self, batch: list[Queued]) -> None:
        frames = [item for item in batch if isinstance(item, Kept)]
        if self._in_doubt:
            frames = self._unsealed(frames)
        if frames and (rest := self._seal_in_order(frames)):
            self.queue.put_back(rest)
        for item in batch:
            if isinstance(item, Left):
                self._open(item)
            elif isinstance(item, str):
                self._release(item)

    def _open(self, left: Left) -> None:
        """Queue what an earlier process left in a file, of each owner and lane the first few to be
        tried alone.
        """
        self._mend_positions()
        frames = list(self._recovery.frames(left.file, self.sealed(left.file)))
        self.beware(frames)
        self.queue.opened(left, frames)

    def _seal_in_order(self, frames: list[Kept]) -> list[Kept]:
        """Seal frames, those that are to be tried alone by themselves; gives the rest when that
        takes long.
        """
        began = time.monotonic()
        at = 0
        while at < len(frames) and not (self._wary and time.monotonic() - began > LONG):
            if frames[at].place in self._wary:
                self._seal_warily(frames[at])
                at += 1
                continue
            group = list(takewhile(lambda kept: kept.place not in self._wary, frames[at:]))
            rest = self._seal_group(group)
            at += len(group) - len(rest)
            if rest:
                break
        return frames[at:]

    def _seal_warily(self, kept: Kept) -> None:
        attempts = self._recovery.attempts
        step = attempts.step(kept)
        if step is RecoveryStep.ASIDE:
            self._put_aside(kept, "ended_the_process")
            attempts.end()
            self._wary.discard(kept.place)
            return
        if step is RecoveryStep.RAW:
            self._recovery.kept_as_bytes(kept)
        attempts.begin(kept, step)
        try:
            self._seal_group([kept], How.WHOLE if step is RecoveryStep.WHOLE else How.ENDED)
        finally:
            attempts.end()
        self._wary.discard(kept.place)

    def _seal_group(self, frames: list[Kept], how: How = How.WHOLE) -> list[Kept]:
        """Seal frames, as many of them as do not take long together; gives the rest."""
        try:
            return self._seal(frames, how)
        except StorageError:
            raise
        except Exception:  # one of them is at fault; the others must not suffer for it
            for kept in self._unsealed(frames):
                self._seal_alone(kept, how)
            return []

    def _seal_alone(self, kept: Kept, how: How) -> None:
        ways = [how, How.RAW]
        for way in ways:
            try:
                self._seal([kept], way)
                return
            except StorageError:
                raise
            except Exception as error:
                kind = type(error).__name__
                if isinstance(error, WorkerEnded) and way is How.WHOLE:
                    self._recovery.kept_as_bytes(kept)
                    ways[1] = How.ENDED
        self._put_aside(kept, kind)

    def _put_aside(self, kept: Kept, error: str) -> None:
        self._recovery.put_aside(kept, error)
        with self._lock:
            self._commit(None, [kept])

    def _seal(self, frames: Sequence[Kept], how: How) -> list[Kept]:
        """Seal frames, in as many batches as the workbench asks for, until they took long; gives
        the rest.
        """
        rest = [(kept, kept.exchange or self._reader.one(kept)) for kept in frames]
        tries = 0
        spent = 0.0
        while rest and spent <= LONG:
            apart = self._bench.take_apart([exchange for _, exchange in rest], how)
            some = rest[: len(apart)]
            try:
                self._seal_batch(
                    [kept for kept, _ in some],
                    [BatchItem(at, some[at][1], found) for at, found in enumerate(apart)],
                )
            except OvertakenError as error:
                tries += 1
                if tries == _TRIES:
                    raise StorageError(
                        "the vault's index is changed by another process again and again.",
                        hint="nothing is lost; it is tried again",
                    ) from error
                continue
            spent += sum(one.seconds for one in apart)
            rest, tries = rest[len(apart) :], 0
        return [kept for kept, _ in rest]

    def _seal_batch(self, frames: Sequence[Kept], items: Sequence[BatchItem]) -> None:
        with self._lock:
            self._segments.settle()
            batch = Batch(
                self._keyring,
                self._segments,
                self._conversations,
                self._bench,
                now=self._clock(),
                present=self._present,
                tombstones=self._tombstones,
                deleted_by=self._deleted_by(),
                stored=self._stored,
                wary=len(items) == 1,  # one that is at fault is sealed alone
            )
            try:
                with storage_errors("the vault's index"), reading(self._engine) as connection:
                    batch.place(connection, items)
                    batch.encode(connection)
                self._segments.write()
                if batch.expired:
                    body = {"exchanges": batch.expired}
                    self._record("vault.expired_unsealed", frames[0].file, body)
                for (owner, clause), count in batch.dropped.items():
                    self._record("vault.unkept", owner, {"exchanges": count, "clause": clause})
                self._commit(batch, frames)
            except BaseException:
                self._segments.doubt()
                self._bench.forget(batch.owners)
                raise
            batch.committed()
        self.queue.took(zip(frames, batch.seconds, strict=True))
        self._filed(batch.owners)

    def _commit(self, batch: Batch | None, frames: Sequence[Kept]) -> None:
        sequences: dict[str, list[int]] = {}
        for kept in frames:
            sequences.setdefault(kept.file, []).append(kept.sequence)
        with storage_errors("the vault's index"), self._engine.begin() as connection:
            if batch is not None:
                batch.put_rows(connection)
            sealed = {
                file: positions.position(connection, file).plus(some)
                for file, some in sequences.items()
            }
            positions.move_on(connection, sealed)

    def _release(self, file: str) -> None:
        self._reader.release(file)
        with storage_errors("the vault's index"), self._engine.begin() as connection:
            positions.forget(connection, file)

    def _unsealed(self, frames: Sequence[Kept]) -> list[Kept]:
        sealed = {file: self.sealed(file) for file in {kept.file for kept in frames}}
        return [kept for kept in frames if kept.sequence not in sealed[kept.file]]

    def sealed(self, file: str) -> Progress:
        """Which of a file's frames are in the index."""
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            return positions.position(connection, file)

    def mended(self, file: str) -> Progress:
        """The same, where a row that says so may be damaged: of a file that is taken up."""
        self._mend_positions()
        return self.sealed(file)

    def _mend_positions(self) -> None:
        """Where a row that says how far a file is sealed is damaged, ask the index itself, for all
        files that were left: of which the row is may be what was changed.
        """
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            damaged = positions.damaged(connection)
        if not damaged:
            return
        self._damages.note_all("spool_positions", damaged)
        frames = {file: self._recovery.named(file) for file in self._reader.names()}
        with storage_errors("the vault's index"), self._lock, self._engine.begin() as connection:
            found = {file: positions.found(connection, some) for file, some in frames.items()}
            positions.replace(connection, found)
