"""Who has a database on PostgreSQL, until when, and that nobody writes there who had it before.

A lease is a row with a holder's number and a moment. Rules kept here:

* The moment is told by the database's clock alone. No clock of a holder's machine decides anything,
  so none that is wrong does harm.
* Who takes a lease takes the next number. Each transaction that writes asks for the number once it
  has the lock of who writes (`Fence.begin`), and is refused where the number is another's: so from
  the taking on nothing of an earlier holder's is written, however late it wakes. Who takes the
  lease waits for that lock too, and ends whoever had it.
* A lease is free when it was given back, when its holder's connection has ended, or when its moment
  has passed. A holder that renews it after a silence, and finds its number, has it still.
* It is of a database, not of what a home keeps there: the table is in no line of migrations, and in
  no backup.

A holder that can't reach the database does not know whether it holds: it writes nothing, and what
else it may do is not decided here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, OperationalError

from bailee.errors import StorageError

if TYPE_CHECKING:
    from psycopg import Connection as Driver

    from bailee.db.engine import DriverRow

TABLE: Final = "bailee_lease"
SECONDS: Final = 30
"""For how long a lease is good from each time that it is taken or renewed."""
_EVERY: Final = 5.0  # seconds between renewals
_ENDING: Final = 40.0  # for a renewal that waits for a network; see `db.postgresql`
_HOME: Final = "home"

_WRITING: Final = 0x6261696C6565  # the advisory lock of who writes; another's is another database's
_OURS: Final = 0x6261696C6566  # the advisory lock of the holder's connection
_OPTION: Final = "bailee_fence"

_WRITE: Final = f"SELECT pg_advisory_xact_lock({_WRITING})"
HELD: Final = f"SELECT number FROM {TABLE} WHERE name = '{_HOME}'"  # noqa: S608 - constants
_MADE: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (name text PRIMARY KEY, number bigint NOT NULL, "
    "session integer NOT NULL, until timestamptz NOT NULL)"
)
_OWN: Final = f"SELECT pg_try_advisory_lock({_OURS})"
_FREE: Final = f"SELECT pg_advisory_unlock({_OURS})"
_STANDS: Final = (
    "SELECT session, ceil(extract(epoch FROM until - clock_timestamp()))::int "  # noqa: S608
    f"FROM {TABLE} WHERE name = '{_HOME}'"
)
END: Final = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32) | objid::bigint = %s AND objsubid = 1 AND granted "
    "AND pid <> pg_backend_pid() AND (%s::int IS NULL OR pid = %s)"
)
_UNTIL: Final = f"clock_timestamp() + interval '{SECONDS} seconds'"
_TAKEN: Final = (
    f"INSERT INTO {TABLE} AS l VALUES ('{_HOME}', 1, pg_backend_pid(), {_UNTIL}) "  # noqa: S608
    "ON CONFLICT (name) DO UPDATE SET number = l.number + 1, session = excluded.session, "
    "until = excluded.until RETURNING number"
)
_RENEWED: Final = (
    f"UPDATE {TABLE} SET until = {_UNTIL}, session = pg_backend_pid() "  # noqa: S608
    f"WHERE name = '{_HOME}' AND number = %s"
)
_BACK: Final = (
    f"UPDATE {TABLE} SET until = clock_timestamp() "  # noqa: S608
    f"WHERE name = '{_HOME}' AND number = %s"
)


class Fence:
    """By which number an engine's transactions write. The engine owns it, and asks it when one
    begins, on any thread; the lease sets the number. Without a number, everybody writes.
    """

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.number: int | None = None
        self.lost = threading.Event()
        """Set once it is known that the number is another's."""

    def options(self) -> dict[str, Fence]:
        """What an engine is made with, so that `Lease` finds its fence."""
        return {_OPTION: self}

    def begin(self, raw: Driver[DriverRow]) -> None:
        """Have a transaction wait for its turn to write: one trip.

        Raises:
            OperationalError: the turn does not come, or the database is away.
            StorageError: another has taken the lease.
        """
        from psycopg import Error

        number = self.number
        try:
            if number is None:
                raw.execute(_WRITE)
                return
            # The second statement sees what was committed before the first one's end.
            asked = raw.execute(f"{_WRITE}; {HELD}", prepare=False)
            asked.nextset()
            found = asked.fetchone()
        except Error as error:
            raise OperationalError("BEGIN", None, error, hide_parameters=True) from error
        if found is None or found[0] != number:
            self.lost.set()
            raise taken_over()


def fence_of(engine: Engine) -> Fence | None:
    """The fence of an engine; None: it is of a file, which its home's lock is for."""
    found = engine.get_execution_options().get(_OPTION)
    return found if isinstance(found, Fence) else None


def number(engine: Engine) -> None:
    """Have whoever took the database take its next number, now that it is their home's.

    Raises:
        StorageError: it can't be written.
    """
    fence = fence_of(engine)
    if fence is not None and fence.lease is not None:
        fence.lease.number()


def taken_over() -> StorageError:
    """What is said where another process has the lease that this one had."""
    return StorageError(
        "another process has taken this home over; nothing of this one's is written any more.",
        hint="this one was stopped, or cut off from PostgreSQL, for too long; see that one server "
        "is started",
    )


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
        with self._failures():
            raw = driver(self._connected())
            raw.execute(END, (_WRITING, None, None))  # what an earlier holder has not ended
            with raw.transaction():
                raw.execute(_WRITE)
                raw.execute(_MADE)
                (number,) = raw.execute(_TAKEN).fetchone() or (0,)
        assert isinstance(number, int)
        self._fence.number = number
        self._thread.start()

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell`, on the lease's thread, once another has it."""
        self._tell = tell

    @property
    def lost(self) -> bool:
        """Whether another has it."""
        return self._fence.lost.is_set()

    def give_back(self) -> None:
        """Let another take it at once. Who had it writes nothing afterwards."""
        from psycopg import Error

        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(_ENDING)
            if self._thread.is_alive():
                return  # the connection is the thread's; the lease runs out
        if not self.lost:
            with suppress(DBAPIError, Error):  # else it runs out
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
                held = self._renew()
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
        raw = driver(self._connected())
        if not self._owns:
            self._own(raw)
        return raw.execute(_RENEWED, (self._fence.number,)).rowcount == 1

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
