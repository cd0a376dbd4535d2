"""The spool: where an exchange is durable before its client sees the end of it.

Where that is, is its store: a folder of this machine, or the database (`spool_store`). Theory of
operation: the event loop hands exchanges over with `submit`, which only queues; all that
one turn of the loop submitted is one group, written with one write and one sync, or one statement.
A small group is written by the loop's own thread at the end of the turn, while a disk is quick:
handing it to another thread and being woken by it costs a lone exchange 0.05 ms more. A large
group, or one that needs a new file, or any while the disk is slow or the store is not one, is
written by the spool's thread, and the loop goes on meanwhile; what comes in until it is done is the
next group. Files are made ahead.
Large exchanges have a lane of their own: a second spool, with its thread and its file.

Rules kept here:

* `done(None)` is called only after the record is durable.
* Nobody's small record stands behind anybody's large one: what has more than `LARGE` bytes goes to
  the lane for large ones.
* Of each lane one thread writes at a time: who holds `_turn`. The loop never waits for it.
* What waits is counted in bytes (`has_room`); the gateway lets nothing new in meanwhile.
* While writing fails, `failure` says so, every exchange is refused at once, and writing is tried
  again by making a new file, which takes the same disk and the same keyring.
* A lane's thread that ends by a defect refuses what it had in hand, and all that comes, until it is
  begun anew (`threads`).
* What a lane wrote is handed on in order: `kept` for each group, before its `done`s or behind an
  order that waits for it; `closed` after a file's last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Protocol

from bailee.admission import Unsealed
from bailee.clock import Clock
from bailee.errors import StorageError
from bailee.lasting import Lasting
from bailee.vault.exchange import CapturedExchange
from bailee.vault.spool_store import SpoolStore
from bailee.vault.spool_writing import FileKeys, Kept, SpoolWriter

LARGE = 1 << 20
_FILE_BYTES = 16 << 20
_GROUP_BYTES = 8 << 20
_PROBE_SECONDS = 1.0
# What the loop may write by itself.
_QUICK_SECONDS = 0.0005
_QUICK_BYTES = 256 << 10
_QUICK_GROUP = 16

Done = Callable[[StorageError | None], None]
Submitted = tuple[CapturedExchange, Done]


class Receiver(Protocol):
    """What becomes of what was written. `kept` and `closed` are called by whoever writes, in order;
    `unsealed` on the event loop's thread.
    """

    def kept(self, group: Sequence[Kept]) -> None:
        """A group is durable."""

    def closed(self, file: str) -> None:
        """Nothing more will be written to `file`."""

    def unsealed(self, owner: str) -> Unsealed:
        """What was kept and has not left the spool."""
        ...


class _Order:
    """Something asked of the spool's thread: to have a file to write to, to close the present one,
    or to stop, or nothing.
    """

    def __init__(
        self,
        *,
        prepare: bool = False,
        roll: bool = False,
        older_than: timedelta | None = None,
        stop: bool = False,
    ) -> None:
        self.prepare = prepare
        self.roll = roll
        self.older_than = older_than
        self.stop = stop
        self.obeyed = threading.Event()


class Spool:
    """Writes exchanges to files of a `store`. Implements the gateway's port `Recording`.

    The vault makes it and closes it. `submit` and what the port asks are for the event loop's
    thread; `flush`, `roll` and `close` for any other, since they wait. It owns a thread for each
    lane. It never reads back what it wrote, and takes nothing of an exchange apart.
    """

    def __init__(
        self,
        store: SpoolStore,
        keyring: FileKeys,
        clock: Clock,
        receiver: Receiver,
        *,
        file_bytes: int = _FILE_BYTES,
        most_waiting: int = 64 << 20,
        probe_seconds: float = _PROBE_SECONDS,
        quick_seconds: float = _QUICK_SECONDS,
        large: bool = False,
    ) -> None:
        """Start writing. `file_bytes`: a file's size; `most_waiting`: bytes for `has_room`;
        `quick_seconds`: a disk that syncs in less is written to by the loop itself (0: never).
        `large`: this is the lane for large ones.
        """
        self._large: Spool | None = None
        if not large:
            self._large = Spool(
                store,
                keyring,
                clock,
                receiver,
                file_bytes=file_bytes,
                probe_seconds=probe_seconds,
                quick_seconds=0,
                large=True,
            )
        self._writer = SpoolWriter(
            store,
            keyring,
            clock,
            closed=receiver.closed,
            file_bytes=file_bytes,
            large=large,
        )
        self._receiver = receiver
        self._most_waiting = most_waiting
        self._probe_seconds = probe_seconds
        self._quick_seconds = quick_seconds if store.quick else 0.0
        # Held by whoever writes: `_writer`, `_failure` and `_probed` are theirs to change.
        self._turn = threading.Lock()
        self._waiting: deque[Submitted] = deque()  # for the end of the loop's turn
        self._queue: SimpleQueue[Submitted | _Order] = SimpleQueue()  # for the spool's thread
        self._submitted = 0  # bytes; written by the loop's thread alone
        self._settled = 0  # bytes; written by whoever holds the turn
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: StorageError | None = None
        self._probed = 0.0
        self._stopped = False
        self._prepared = False  # the spool's thread's
        self._worker = Lasting("spool of large exchanges" if large else "spool", self._run)
        self._worker.start()

    # -- the port, on the event loop's thread ----------------------------------------------------

    def submit(self, exchange: CapturedExchange, done: Done) -> None:
        """Queue `exchange`; `done` is called on this loop once it is durable, or with the error."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        weight = _weight(exchange)
        large = self._large
        if large is not None and weight > LARGE:
            large._loop = loop
            large.submit(exchange, done)
            return
        self._submitted += weight
        if not self._waiting:
            loop.call_soon(self._end_of_turn)
        self._waiting.append((exchange, done))

    @property
    def has_room(self) -> bool:
        """Whether fewer bytes wait than may."""
        return self._unsettled < self._most_waiting

    @property
    def failure(self) -> StorageError | None:
        """Not None while writing is known to fail."""
        if self._failure is None and self._large is not None:
            return self._large.failure
        return self._failure

    def unsealed(self, owner: str) -> Unsealed:
        """What is on disk and has not left the spool."""
        return self._receiver.unsealed(owner)

    @property
    def _unsettled(self) -> int:
        waiting = self._submitted - self._settled
        return waiting if self._large is None else waiting + self._large._unsettled

    def _end_of_turn(self) -> None:
        """Write what this turn of the loop submitted, or hand it over."""
        if not self._waiting:
            return
        if not self._is_quick() or not self._turn.acquire(blocking=False):
            self._hand_over()
            return
        batch: list[Submitted] = []
        try:
            with contextlib.suppress(IndexError):  # `flush` may take from the other end
                while True:
                    batch.append(self._waiting.popleft())
            failure = self._keep(batch)
        finally:
            self._turn.release()
        if failure is not None:
            self._queue.put(_Order())  # wakes the thread, which tries again from now on
        for _, done in batch:
            done(failure)

    def _is_quick(self) -> bool:
        """Whether writing what waits would keep the loop for a moment only."""
        count = len(self._waiting)
        if (
            count > _QUICK_GROUP
            or self._failure is not None
            or self._writer.sync_seconds > self._quick_seconds
        ):
            return False
        size = sum(_weight(exchange) for exchange, _ in tuple(self._waiting))
        return size <= _QUICK_BYTES and self._writer.fits(size, count)

    def _hand_over(self) -> None:
        """Leave what waits to the spool's thread. May be called from any thread."""
        with contextlib.suppress(IndexError):
            while True:
                self._queue.put(self._waiting.popleft())

    @property
    def write_seconds(self) -> float | None:
        """What it took lately to make a group of small ones durable; None: none was yet."""
        took = self._writer.sync_seconds
        return None if took == float("inf") else took

    # -- from any thread -------------------------------------------------------------------------

    def prepare(self) -> None:
        """Have a file to write to from now on, before anything comes: who serves calls it. It waits
        for nothing. Without it the first exchange waits for its file to be made, and who records
        nothing makes none.
        """
        self._queue.put(_Order(prepare=True))

    def flush(self) -> None:
        """Return when all that was submitted before is durable or was refused."""
        if self._submitted != self._settled:
            self._ask(_Order())
        if self._large is not None:
            self._large.flush()

    def roll(self, *, older_than: timedelta | None = None, waits: bool = True) -> None:
        """Close the present file, so that it can be sealed away and its key destroyed, and go on
        with one that is made afterwards; with `older_than`, only if it holds something and was
        begun that long ago. Without `waits`, that is only asked for.
        """
        order = _Order(roll=True, older_than=older_than)
        if waits:
            self._ask(order)
        else:
            self._hand_over()
            self._queue.put(order)
        if self._large is not None:
            self._large.roll(older_than=older_than, waits=waits)

    def threads(self) -> list[Lasting]:
        """Its threads, one for each lane, for whoever watches."""
        return [self._worker] if self._large is None else [self._worker, *self._large.threads()]

    def close(self) -> None:
        """Write what waits, close the file, stop."""
        if not self._stopped:
            self._worker.revive()
            self._ask(_Order(roll=True, stop=True))
            self._worker.join()
            self._stopped = True
        if self._large is not None:
            self._large.close()

    def _ask(self, order: _Order) -> None:
        if not self._worker.is_alive():
            return
        self._hand_over()
        self._queue.put(order)
        while not order.obeyed.wait(0.5):
            if not self._worker.is_alive():
                return

    # -- the spool's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        stop = False
        while not stop:
            batch, order = self._take()
            try:
                with self._turn:
                    self._work(batch, order)
            finally:
                if order is not None:
                    stop = order.stop
                    order.obeyed.set()
        self._writer.close()

    def _work(self, batch: list[Submitted], order: _Order | None) -> None:
        try:
            if batch:
                failure = self._keep(batch)
                self._wake([done for _, done in batch], failure)
                batch = []
            elif self._failure is not None and order is None:
                self._probe()
            if order is not None and order.prepare:
                self._prepared = True
                with contextlib.suppress(Exception):  # the first write says what fails
                    self._writer.prepare()
            if order is not None and order.roll:
                self._writer.roll(order.older_than)
                if not order.stop and self._prepared:
                    self._writer.make_ahead()
        except BaseException as error:  # a defect: nothing is accepted until the thread is anew
            self._wake([done for _, done in batch], self._failed(error))
            raise

    def _take(self) -> tuple[list[Submitted], _Order | None]:
        """All that was handed over, up to a group's size, or up to an order."""
        batch: list[Submitted] = []
        size = 0
        try:
            timeout = None if self._failure is None else self._probe_seconds
            item = self._queue.get(timeout=timeout)
            while True:
                if isinstance(item, _Order):
                    return batch, item
                batch.append(item)
                size += _weight(item[0])
                if size >= _GROUP_BYTES:
                    return batch, None
                item = self._queue.get_nowait()
        except Empty:
            return batch, None

    def _probe(self) -> None:
        self._probed = time.monotonic()
        try:
            self._writer.prepare()
            self._failure = None
        except StorageError as error:
            self._failure = error

    def _wake(self, dones: list[Done], failure: StorageError | None) -> None:
        loop = self._loop
        if loop is None:
            return

        def settle() -> None:
            for done in dones:
                done(failure)

        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle)

    # -- whoever holds the turn ------------------------------------------------------------------

    def _keep(self, batch: list[Submitted]) -> StorageError | None:
        """Write a group and hand it on; why not, if it could not be written."""
        if not batch:
            return None
        failure: StorageError | None = None
        if self._failure is not None and time.monotonic() - self._probed < self._probe_seconds:
            failure = self._failure
        else:
            try:
                self._receiver.kept(self._writer.write([exchange for exchange, _ in batch]))
                self._writer.make_ahead()
                self._failure = None
            except Exception as error:  # a defect here must not leave clients waiting
                failure = self._failed(error)
        self._settled += sum(_weight(exchange) for exchange, _ in batch)
        return failure

    def _failed(self, error: BaseException) -> StorageError:
        failure = self._failure = _failure(error)
        self._probed = time.monotonic()
        with contextlib.suppress(Exception):  # who waits is told, whatever else fails
            self._writer.give_up()
        return failure


def _failure(error: BaseException) -> StorageError:
    if isinstance(error, StorageError):
        return error
    return StorageError(f"the spool failed ({type(error).__name__}).")


def _weight(exchange: CapturedExchange) -> int:
    return len(exchange.request) + len(exchange.answer) + 1000
