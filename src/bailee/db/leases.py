"""Who has a database on PostgreSQL, until when, and that nobody writes there who had it before.

A lease is a row with a holder's number and a moment. Rules kept here:

* The moment is told by the database's clock alone. No clock of a holder's machine decides anything,
  so none that is wrong does harm.
* Who takes a lease takes the next number. Each transaction that writes asks for the number once it
  has the lock of who writes (`db.fencing`), and is refused where the number is another's: so from
  the taking on nothing of an earlier holder's is written, however late it wakes. Who takes the
  lease waits for that lock too, and ends whoever had it.
* A lease is free when it was given back, when its holder's connection has ended, or when its moment
  has passed. A holder that renews it after a silence, and finds its number, has it still.
* A holder that finds less in the database than was committed writes nothing more either.

A holder that can't reach the database does not know whether it holds: it writes nothing. For how
long it has been so, `Lease.unsure` says; for how long requests go on then, the policy document.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError

from bailee.db.fencing import COUNTED, HOME, MADE, TABLE, WRITE, WRITING, fence_of
from bailee.errors import StorageError
from bailee.steady import this_machine

if TYPE_CHECKING:
    from psycopg import Connection as Driver

    from bailee.db.engine import DriverRow

SECONDS: Final = 30
"""For how long a lease is good from each time that it is taken or renewed."""
_EVERY: Final = 5.0  # seconds between renewals
_ENDING: Final = 40.0  # for a renewal that waits for a network; see `db.postgresql`

_OURS: Final = 0x6261696C6566  # the advisory lock of the holder's connection

_OWN: Final = f"SELECT pg_try_advisory_lock({_OURS})"
_FREE: Final = f"SELECT pg_advisory_unlock({_OURS})"
_STANDS: Final = (
    "SELECT session, ceil(extract(epoch FROM until - clock_timestamp()))::int "  # noqa: S608
    f"FROM {TABLE} WHERE name = '{HOME}'"
)
END: Final = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32) | objid::bigint = %s AND objsubid = 1 AND granted "
    "AND pid <> pg_backend_pid() AND (%s::int IS NULL OR pid = %s)"
)
_UNTIL: Final = f"clock_timestamp() + interval '{SECONDS} seconds'"
# By how much a number grows is not known beforehand: one that a standby which was promoted has not
# got is not given a second time.
_MORE: Final = "1 + floor(random() * 1000000000)::bigint"
_TAKEN: Final = (
    f"INSERT INTO {TABLE} AS l VALUES ('{HOME}', {_MORE}, pg_backend_pid(), {_UNTIL}) "  # noqa: S608
    f"ON CONFLICT (name) DO UPDATE SET number = l.number + {_MORE}, session = excluded.session, "
    "until = excluded.until RETURNING number"
)
_RENEWED: Final = (
    f"UPDATE {TABLE} SET until = {_UNTIL}, session = pg_backend_pid() "  # noqa: S608
    f"WHERE name = '{HOME}' AND number = %s"
)
_BACK: Final = (
    f"UPDATE {TABLE} SET until = clock_timestamp() "  # noqa: S608
    f"WHERE name = '{HOME}' AND number = %s"
)


def number(engine: Engine) -> None:
    """Have whoever took the database take its next number, now that it is their home's.

    Raises:
        StorageError: it can't be written.
    """
    if (lease := lease_of(engine)) is not None:
        lease.number()


def lease_of(engine: Engine) -> Lease | None:
    """The lease of an engine; None: it is of a file, or nobody takes one."""
    fence = fence_of(engine)
    return fence.lease if fence is not None and isinstance(fence.lease, Lease) else None


class Lease:
    """One database, held from `take` until `give_back`. Whoever opens a home has one for each of
    its databases; its thread `lease` renews it every five seconds, over a connection of its own.
    It ends no other holder whose moment has not passed.
    """

    def __init__(self, engine: Engine, setting: str) -> None:
        """`setting` names the database in errors."""
        fence = fence_of(engine)
        assert fence is not None
        self._engine = engine
        self._setting = setting
        self._fence = fence
        self._fence.lease = self
        self._connection: PoolProxiedConnection | None = None
        self._owns = False  # the lock of the connection
        self._tell: Callable[[], None] = _nothing
        self._seconds = this_machine().unset
        self._sure = self._seconds()  # when it was known for the last time to be held
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def take(self) -> None:
        """Be the one who has the database. In one that leases were written in before, nobody else
        writes from now on; in another, `number` has to follow. Nothing is made.

        Raises:
            StorageError: another process has it, or the database can't be reached.
        """
        with self._failures():
            raw = driver(self._connected())
            there = _is_there(raw)
            if not self._own(raw):
                if not there:
                    raise self._refused(None)
                self._end_outdated(raw)
        if there:
            self.number()

    def number(self) -> None:
        """Take the next number, and keep the lease: once the database is this home's.

        Raises:
            StorageError: as `take` does.
        """
        if self._fence.number is not None:
            return
        asked = self._seconds()
        with self._failures():
            raw = driver(self._connected())
            raw.execute(END, (WRITING, None, None))  # what an earlier holder has not ended
            with raw.transaction():
                raw.execute(WRITE)
                raw.execute(MADE)
                (number,) = raw.execute(_TAKEN).fetchone() or (0,)
                (commits,) = raw.execute(COUNTED).fetchone() or (0,)
        assert isinstance(number, int)
        assert isinstance(commits, int)
        self._fence.commits, self._fence.number = commits, number
        self._sure = asked
        self._thread.start()

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell`, on the lease's thread, once nothing is to be written any more (`why`)."""
        self._tell = tell

    @property
    def lost(self) -> bool:
        """Whether nothing of this process's is written any more."""
        return self._fence.lost.is_set()

    def unsure(self) -> float:
        """For how many seconds it has not been known to be held, a sleep of the machine among them.
        A look into memory.
        """
        return self._seconds() - self._sure

    def why(self) -> StorageError:
        """What is to be said where it is lost."""
        return self._fence.why()

    def give_back(self) -> None:
        """Let another take it at once. Who had it writes nothing afterwards."""
        from psycopg import Error

        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(_ENDING)
            if self._thread.is_alive():
                return  # the connection is the thread's; the lease runs out
        if not self.lost:
            with suppress(DBAPIError, Error, StorageError):  # else it runs out
                raw = driver(self._connected())
                if self._fence.number is not None:
                    raw.execute(_BACK, (self._fence.number,))
                raw.execute(_FREE)
        self._close()

    # -- inside ----------------------------------------------------------------------------------

    @contextmanager
    def _failures(self) -> Iterator[None]:
        from psycopg import Error

        try:
            yield
        except (DBAPIError, Error) as error:
            self._close()
            raise StorageError(
                f"the database that {self._setting} names can't be taken ({type(error).__name__})."
            ) from None
        except StorageError:
            self._close()
            raise

    def _own(self, raw: Driver[DriverRow]) -> bool:
        (owns,) = raw.execute(_OWN).fetchone() or (False,)
        self._owns = bool(owns)
        return self._owns

    def _end_outdated(self, raw: Driver[DriverRow]) -> None:
        """End the connection of a holder whose moment has passed, and be the holder."""
        session, left = raw.execute(_STANDS).fetchone() or (None, None)
        if session is None or (isinstance(left, int) and left > 0):
            raise self._refused(left)
        raw.execute(END, (_OURS, session, session))
        if not self._own(raw):  # somebody else was quicker
            raise self._refused(SECONDS)

    def _refused(self, left: object) -> StorageError:
        more = "" if left is None else f"; one that was cut off has it for {left} seconds more"
        return StorageError(
            f"another process has the database that {self._setting} names.",
            hint=f"one server at a time: stop the other, or name another database{more}",
        )

    def _run(self) -> None:
        from psycopg import Error

        while not self._ending.wait(_EVERY):
            try:
                held = not self.lost and self._renew()
            except StorageError:
                held = False  # a new connection has said so
            except (DBAPIError, Error):
                self._close()  # which database that is away; asked again in a moment
                continue
            if not held:
                self._fence.lost.set()
                self._close()
                self._tell()
                return

    def _renew(self) -> bool:
        """Whether the lease is still held; it is good for as long again then."""
        asked = self._seconds()
        raw = driver(self._connected())
        if not self._owns:
            self._own(raw)
        if raw.execute(_RENEWED, (self._fence.number,)).rowcount == 1:
            self._sure = asked
            return True
        self._fence.met(raw)  # which says why
        return False

    def _connected(self) -> PoolProxiedConnection:
        if self._connection is None:
            made = self._engine.raw_connection()
            made.detach()
            raw = driver(made)
            raw.read_only, raw.autocommit = False, True  # whatever it was used for before
            self._connection, self._owns = made, False
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            driver(connection).close()
            connection.invalidate()  # nothing is to be rolled back, over a network that is away


def _is_there(raw: Driver[DriverRow]) -> bool:
    (found,) = raw.execute("SELECT to_regclass(%s) IS NOT NULL", (TABLE,)).fetchone() or (False,)
    return bool(found)


def driver(connection: PoolProxiedConnection) -> Driver[DriverRow]:
    """The driver's own connection, behind one of the pool's."""
    return cast("Driver[DriverRow]", connection.dbapi_connection)


def _nothing() -> None:
    pass
