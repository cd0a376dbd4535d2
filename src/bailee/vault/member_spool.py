"""The spool of a process beside the one that has the home: a member (`db.members`). What it answers
is durable in the database, and whoever has the home takes it up from there (`member_files`).

Theory of operation: it is a `Spool` over rows of its own (`spool_rows.MemberRows`), whose files'
names say whose they are. Its thread `membership` renews the membership each second; in the same
trip it says which files nothing more is written to, and how much of what it kept waits. What of
that is filed, it reads. That something new is there it says when it is, ten times a second at the
most. A file is closed when it is a minute old, and when it is asked for.

Rules kept here:

* Who was taken for gone writes nothing more under that name. It refuses what comes, and what it had
  in hand, and joins anew, by engines of its own and under another name. What it had acknowledged
  lies there, and is filed.
* Who is let in by nobody yet, or finds a database away, refuses what comes and tries again: so a
  process may be started before the server is.
* Nobody who submits waits for ever: whatever ends a membership, each `done` is called.
* Names of files and the lives of their keys go by the database's clock, and by no other.
* What it kept and is not filed is known by owner (`unsealed`): so what waits is bounded as it is in
  the process with the home, by the same shares.

Rows: O6, R5.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from sqlalchemy import Engine, text

from bailee.admission import Unsealed
from bailee.clock import Ticks, ticks
from bailee.db.engine import reading, storage_errors
from bailee.db.members import HomeMember, no_member
from bailee.errors import BaileeError, StorageError
from bailee.keyring import Root
from bailee.keyring.beside import SpoolFileKeys
from bailee.lasting import Lasting
from bailee.vault.exchange import CapturedExchange
from bailee.vault.objects import Objects
from bailee.vault.progress import Progress
from bailee.vault.spool import Done, Spool
from bailee.vault.spool_rows import CLOSED, MemberRows
from bailee.vault.spool_writing import Kept

_EVERY: Final = 1.0
_PACE: Final = 0.1
"""Seconds between two times that it says that something new is there."""
_AGE: Final = timedelta(minutes=1)
_FILED: Final = text(
    "SELECT file, next, ahead FROM bailee_spool LEFT JOIN spool_positions USING (file) "
    "WHERE file = ANY(:files)"
)
_WHAT: Final = "the spool"


class _DatabaseClock:
    """The database's time, as it was told last, and what has passed since."""

    def __init__(self, ticking: Ticks) -> None:
        self._ticks = ticking
        self._told = (datetime.fromtimestamp(0, UTC), 0.0)

    def tell(self, now: datetime) -> None:
        self._told = (now, self._ticks())

    def __call__(self) -> datetime:
        now, at = self._told
        return now + timedelta(seconds=self._ticks() - at)


class _Waiting:
    """What was kept and is not known to be filed, by file and by owner. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, list[tuple[int, str, int]]] = {}
        self._owners: dict[str, tuple[int, int]] = {}
        self.bytes = 0
        self.exchanges = 0

    def add(self, group: Sequence[Kept]) -> None:
        with self._lock:
            for kept in group:
                frame = (kept.sequence, kept.owner, kept.length)
                self._files.setdefault(kept.file, []).append(frame)
                self._change(kept.owner, kept.length, 1)

    def files(self) -> list[str]:
        with self._lock:
            return list(self._files)

    def filed(self, file: str, progress: Progress | None) -> None:
        """So much of a file is filed; None: all of it."""
        with self._lock:
            left = []
            for sequence, owner, length in self._files.pop(file, ()):
                if progress is None or sequence in progress:
                    self._change(owner, -length, -1)
                else:
                    left.append((sequence, owner, length))
            if left:
                self._files[file] = left

    def of(self, owner: str) -> tuple[int, int]:
        return self._owners.get(owner, (0, 0))

    @property
    def owners(self) -> int:
        return len(self._owners)

    def _change(self, owner: str, size: int, number: int) -> None:
        own, exchanges = self._owners.get(owner, (0, 0))
        if exchanges + number:
            self._owners[owner] = own + size, exchanges + number
        else:
            self._owners.pop(owner, None)
        self.bytes += size
        self.exchanges += number


class _Life:
    """One membership, from its joining to its end. `pending`: the loop's thread's."""

    def __init__(self, member: HomeMember, rows: MemberRows, spool: Spool) -> None:
        self.member = member
        self.rows = rows
        self.spool = spool
        self.asked = 0
        self.pending: dict[int, Done] = {}

    def settle(self, number: int, error: StorageError | None) -> None:
        done = self.pending.pop(number, None)
        if done is not None:
            done(error)

    def refuse_rest(self) -> None:
        for number in list(self.pending):
            self.settle(number, no_member())


class MemberSpool:
    """Records what a process beside the home's answers. Implements the gateway's port `Recording`.

    The process makes it and closes it. `submit` and what the port asks are for the event loop's
    thread; `flush`, `roll` and `close` for any other, since they wait.
    """

    def __init__(
        self,
        connect: Callable[[ExitStack], tuple[Engine, Engine]],
        root: Callable[[], Root],
        objects: Objects | None,
        role: str,
        *,
        every: float = _EVERY,
        most_waiting: int = 64 << 20,
        file_bytes: int = 16 << 20,
        ticking: Ticks = ticks,
    ) -> None:
        """Join, and begin to write; where that can't be yet, as soon as it can. `connect` opens the
        two databases as a member's, which the stack closes; `root` opens the root key; `objects`:
        where in the bucket what is large goes; `role`: what the process is. `every`: seconds
        between two renewals; the others as `Spool`.

        Raises:
            IntegrityError: the root is not the home's.
        """
        self._connect = connect
        self._root = root
        self._objects = objects
        self._role = role
        self._every = every
        self._most_waiting = most_waiting
        self._file_bytes = file_bytes
        self._clock = _DatabaseClock(ticking)
        self._waiting = _Waiting()
        self._others = 0  # bytes that other members have
        self._numbers = count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed: list[str] = []  # files, of which that is to be told
        self._untold = False  # whether something is new that was not told
        self._wake = threading.Event()  # the thread, for that
        self._prepared = False
        self._failure: StorageError | None = None
        self._closing = ExitStack()  # of the present life
        self._ending = threading.Event()
        self._life: _Life | None = None
        try:
            self._life = self._begin()
        except StorageError as error:  # the thread tries again
            self._failure = error
        self._thread = Lasting("membership", self._run)
        self._thread.start()

    # -- the port, on the event loop's thread ----------------------------------------------------

    def submit(self, exchange: CapturedExchange, done: Done) -> None:
        """As `Spool.submit`."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        life = self._life
        if life is None:
            loop.call_soon(done, self._failure or no_member())
            return
        number = next(self._numbers)
        life.pending[number] = done
        life.spool.submit(exchange, lambda error: life.settle(number, error))

    @property
    def has_room(self) -> bool:
        """Whether fewer bytes wait to be written than may."""
        life = self._life
        return life is None or life.spool.has_room

    @property
    def failure(self) -> StorageError | None:
        """Not None while writing is known to fail, or this is no member."""
        life = self._life
        return (self._failure or no_member()) if life is None else life.spool.failure

    def unsealed(self, owner: str) -> Unsealed:
        """What was kept here and is not known to be filed; in all, with what other members have."""
        waiting = self._waiting
        own, exchanges = waiting.of(owner)
        everything = waiting.bytes + self._others
        return Unsealed(own, everything, exchanges, waiting.exchanges, waiting.owners)

    # -- from any thread -------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """Under which it writes; None while it is no member."""
        life = self._life
        return None if life is None else life.member.name

    @property
    def write_seconds(self) -> float | None:
        """As `Spool.write_seconds`."""
        life = self._life
        return None if life is None else life.spool.write_seconds

    def prepare(self) -> None:
        """Have a file to write to from now on, before anything comes."""
        self._prepared = True
        life = self._life
        if life is not None:
            life.spool.prepare()

    def flush(self) -> None:
        """Return when all that was submitted before is durable or was refused."""
        life = self._life
        if life is not None:
            life.spool.flush()

    def roll(self) -> None:
        """Close the present files, and go on with others."""
        life = self._life
        if life is not None:
            life.spool.roll()

    def threads(self) -> list[Lasting]:
        """Its threads as they are now, for whoever watches."""
        life = self._life
        return [self._thread, *([] if life is None else life.spool.threads())]

    def close(self) -> None:
        """Write what waits, close the files, be a member no more."""
        self._ending.set()
        self._wake.set()
        self._thread.join()
        life, self._life = self._life, None
        if life is not None:
            life.spool.close()
            with suppress(StorageError):  # then it is taken for gone, and they are closed
                self._beat(life)
                life.member.tell()
            self._end(life)

    # -- the spool's receiver --------------------------------------------------------------------

    def kept(self, group: Sequence[Kept]) -> None:
        """A group is durable."""
        self._waiting.add(group)
        self._untold = True
        self._wake.set()

    def closed(self, file: str) -> None:
        """It is told with the rows (`MemberRows`), also of a file that nothing was kept in."""

    def _ended(self, file: str) -> None:
        self._closed.append(file)
        self._wake.set()

    # -- the thread `membership` -----------------------------------------------------------------

    def _run(self) -> None:
        due = time.monotonic() + self._every
        while not self._ending.is_set():
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            life = self._life
            if life is not None and self._untold:
                self._tell(life)
            if time.monotonic() < due and not (life is not None and self._closed):
                continue
            due = time.monotonic() + self._every
            try:
                if life is None:
                    self._life = self._begin()
                    self._failure = None
                    continue
                self._beat(life)
                self._see_what_is_filed(life)
            except BaileeError as error:
                if life is None:
                    self._failure = _storage(error)
                elif life.member.lost:
                    self._life = None
                    life.spool.close()
                    self._end(life)

    def _tell(self, life: _Life) -> None:
        self._untold = False
        with suppress(StorageError):  # who has the home looks anyway
            life.member.tell()
        self._ending.wait(_PACE)

    def _begin(self) -> _Life:
        with ExitStack() as undo:
            data, keys = self._connect(undo)
            member = HomeMember(data, keys, self._role)
            member.join()
            undo.callback(member.leave)
            self._clock.tell(member.beat(self._waiting.bytes).now)
            rows = MemberRows(data, self._objects, member.name, self._ended)
            undo.callback(rows.close)
            spool = Spool(
                rows,
                SpoolFileKeys(keys, self._root, self._clock),
                self._clock,
                self,
                file_bytes=self._file_bytes,
                most_waiting=self._most_waiting,
            )
            if self._prepared:
                spool.prepare()
            self._closing = undo.pop_all()
        return _Life(member, rows, spool)

    def _beat(self, life: _Life) -> None:
        closed = list(self._closed)
        also = [(CLOSED, (closed,))] if closed else []
        beat = life.member.beat(self._waiting.bytes, also)
        del self._closed[: len(closed)]
        self._clock.tell(beat.now)
        self._others = beat.waiting
        if beat.asked != life.asked:
            life.asked = beat.asked
            life.spool.roll(waits=False)
        else:
            life.spool.roll(older_than=_AGE, waits=False)

    def _see_what_is_filed(self, life: _Life) -> None:
        files = self._waiting.files()
        if not files:
            return
        with storage_errors(_WHAT), reading(life.member.data) as connection:
            rows = connection.execute(_FILED, {"files": files}).all()
        there = {str(row.file): row for row in rows}
        for file in files:
            row = there.get(file)
            self._waiting.filed(
                file, None if row is None else Progress.stored(row.next or 0, row.ahead)
            )

    def _end(self, life: _Life) -> None:
        self._closing.close()
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(life.refuse_rest)


def _storage(error: BaileeError) -> StorageError:
    """What those who record are told: that it can't be kept."""
    return (
        error if isinstance(error, StorageError) else StorageError(error.message, hint=error.hint)
    )
