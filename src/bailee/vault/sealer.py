"""The sealer: takes exchanges from the spool into records, segments and the index.

A thread of its own, off the critical path: it works in batches after a short delay. One database
transaction holds a batch's rows and the spool position, so that an exchange is in the index exactly
once, wherever a crash falls. A spool file goes, with its key, when all of it has been sealed.

Rules kept here:

* The queue goes on. A store that fails is tried again; an exchange that fails by itself is kept
  raw, and if even that fails, its frame is put aside and reported.
* What waits is held in memory up to a limit; beyond, only its place is, and it is read back.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from bailee.clock import Clock
from bailee.db.engine import reading, storage_errors
from bailee.db.vault import spool_positions
from bailee.errors import StorageError
from bailee.keyring import Keyring
from bailee.vault.batch import Batch, Interpret, Item, interpreted
from bailee.vault.conversations import Conversations
from bailee.vault.delta import Known
from bailee.vault.exchange import CapturedExchange
from bailee.vault.interpreted import Interpreted
from bailee.vault.segments import Segments
from bailee.vault.spool_reading import SpoolReader
from bailee.vault.spool_writing import Kept
from bailee.vault.terms import PresentTerms

Record = Callable[[str, str, Mapping[str, str | int | float | bool | None]], None]
"""Appends to the audit record: kind, subject, particulars."""

_BATCH: Final = 64
_BATCH_BYTES: Final = 8 << 20
_DELAY_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0
_KNOWN_PLACES: Final = 200_000


class Sealer:
    """Implements the spool's `Receiver`."""

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        segments: Segments,
        reader: SpoolReader,
        conversations: Conversations,
        interpret: Interpret,
        clock: Clock,
        record: Record,
        lock: AbstractContextManager[object],
        present: PresentTerms,
        most_held: int = 64 << 20,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._segments = segments
        self._reader = reader
        self._conversations = conversations
        self._interpret = interpret
        self._clock = clock
        self._record = record
        self._lock = lock
        self._present = present
        self._most_held = most_held
        self._retry_seconds = retry_seconds
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._queue: deque[Kept | str] = deque()
        self._held = 0
        self._added = 0
        self._done = 0
        self._urgent = False
        self._stop = False
        self._in_doubt = False  # whether the last batch may have been committed after all
        self._failure: StorageError | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._thread.start()

    # -- from the spool's thread -----------------------------------------------------------------

    def kept(self, group: Sequence[Kept]) -> None:
        """Queue what became durable."""
        with self._change:
            for kept in group:
                if self._held + kept.length > self._most_held:
                    self._queue.append(replace(kept, exchange=None))
                else:
                    self._held += kept.length
                    self._queue.append(kept)
            self._added += len(group)
            self._change.notify_all()

    def closed(self, file: str) -> None:
        """Queue the release of a file, behind what it holds."""
        with self._change:
            self._queue.append(file)
            self._added += 1
            self._change.notify_all()

    # -- from any thread -------------------------------------------------------------------------

    def flush(self) -> None:
        """Return when all that was queued before is in the index.

        Raises:
            StorageError: a store fails; what is queued stays queued.
        """
        with self._change:
            wanted = self._added
            self._urgent = True
            self._failure = None
            self._change.notify_all()
            while self._done < wanted:
                self._change.wait()
                failure = self._failing()
                if failure is not None and self._done < wanted:
                    raise failure

    def _failing(self) -> StorageError | None:
        return self._failure

    def forget(self, session_id: str) -> None:
        """Drop what is held in memory of a session. The caller holds the vault's lock."""
        self._known.pop(session_id, None)
        self._conversations.forget(session_id)

    def close(self) -> None:
        """Stop after the present batch. What is queued is in the spool."""
        with self._change:
            self._stop = True
            self._change.notify_all()
        self._thread.join()

    # -- the sealer's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._queue and not self._stop:
                    self._urgent = False
                    self._change.wait()
                if self._stop:
                    return
                self._change.wait_for(self._worth_it, _DELAY_SECONDS)
                batch = self._next()
            try:
                self._work(batch)
            except StorageError as error:
                self._in_doubt = True
                with self._change:
                    self._failure = error
                    self._change.notify_all()
                    self._change.wait_for(lambda: self._stop, self._retry_seconds)
                continue
            self._in_doubt = False
            with self._change:
                for item in batch:
                    self._queue.popleft()
                    if isinstance(item, Kept) and item.exchange is not None:
                        self._held -= item.length
                self._done += len(batch)
                self._failure = None
                self._change.notify_all()

    def _worth_it(self) -> bool:
        """Whether to begin now. To wait a little makes fewer, larger commits, whose syncs the
        spool's own have to share the disk with.
        """
        full = len(self._queue) >= _BATCH or self._held >= _BATCH_BYTES
        return self._stop or self._urgent or full

    def _next(self) -> list[Kept | str]:
        """The head of the queue, which stays there until it is done: frames, or one file's end."""
        batch: list[Kept | str] = []
        size = 0
        for item in self._queue:
            if isinstance(item, str):
                return batch or [item]
            batch.append(item)
            size += item.length
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                break
        return batch

    def _work(self, batch: list[Kept | str]) -> None:
        frames = [item for item in batch if isinstance(item, Kept)]
        if self._in_doubt:
            frames = self._unsealed(frames)
        try:
            if frames:
                self._seal(frames, self._interpret)
            for item in batch:
                if isinstance(item, str):
                    self._release(item)
        except StorageError:
            raise
        except Exception:  # one of them is at fault; the others must not suffer for it
            for kept in self._unsealed(frames):
                self._seal_alone(kept)

    def _seal_alone(self, kept: Kept) -> None:
        for interpret in (self._interpret, _raw):
            try:
                self._seal([kept], interpret)
                return
            except StorageError:
                raise
            except Exception as error:
                kind = type(error).__name__
        self._reader.quarantine(kept.file, kept.offset, self._reader.bytes_of(kept))
        self._record(
            "vault.quarantined",
            kept.file,
            {"offset": kept.offset, "length": kept.length, "error": kind},
        )
        with self._lock:
            self._commit(None, [kept])

    def _seal(self, frames: Sequence[Kept], interpret: Interpret) -> None:
        items = []
        for kept in frames:
            exchange = kept.exchange or self._reader.one(kept)
            items.append(Item(exchange, interpreted(interpret, exchange)))
            time.sleep(0)  # let the event loop have its turn between two large bodies
        with self._lock:
            self._segments.settle()
            batch = Batch(
                self._keyring,
                self._segments,
                self._conversations,
                self._known,
                now=self._clock(),
                present=self._present,
            )
            try:
                with storage_errors("the vault's index"), reading(self._engine) as connection:
                    batch.place(connection, items)
                    batch.encode(connection)
                self._segments.write()
                if batch.expired:
                    body = {"exchanges": batch.expired}
                    self._record("vault.expired_unsealed", frames[0].file, body)
                self._commit(batch, frames)
            except BaseException:
                self._segments.doubt()
                for session_id in batch.session_ids:
                    self._known.pop(session_id, None)
                raise
            batch.committed()
            self._limit_known(batch)

    def _commit(self, batch: Batch | None, frames: Sequence[Kept]) -> None:
        positions = {kept.file: kept.sequence + 1 for kept in frames}
        with storage_errors("the vault's index"), self._engine.begin() as connection:
            if batch is not None:
                batch.put_rows(connection)
            for file, position in positions.items():
                connection.execute(
                    upsert(spool_positions)
                    .values(file=file, next=position)
                    .on_conflict_do_update(index_elements=["file"], set_={"next": position})
                )

    def _release(self, file: str) -> None:
        self._reader.release(file)
        with storage_errors("the vault's index"), self._engine.begin() as connection:
            connection.execute(delete(spool_positions).where(spool_positions.c.file == file))

    def _unsealed(self, frames: Sequence[Kept]) -> list[Kept]:
        start = {file: self.position(file) for file in {kept.file for kept in frames}}
        return [kept for kept in frames if kept.sequence >= start[kept.file]]

    def position(self, file: str) -> int:
        """How many of a file's frames are in the index."""
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            found: int | None = connection.execute(
                select(spool_positions.c.next).where(spool_positions.c.file == file)
            ).scalar()
        return found or 0

    def _limit_known(self, batch: Batch) -> None:
        for session_id in batch.session_ids:
            if session_id in self._known:
                self._known.move_to_end(session_id)
        places = sum(len(known.places) for known in self._known.values())
        while places > _KNOWN_PLACES and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            places -= len(dropped.places)


def _raw(exchange: CapturedExchange) -> Interpreted:
    return Interpreted(raw_request=exchange.request, raw_answer=exchange.answer)
