"""A link: a connection of its own over which one thread writes to a database on PostgreSQL, beside
those who have their turn to write (`fencing.Fence`).

Who has a turn waits for everybody else's, as long as a batch of the sealer's takes. What somebody
at the other end waits for goes over a link. Rules kept here:

* A link is fenced, too. It has a lock of its own from before it asks whose the lease is until its
  connection ends; who takes the lease ends all links that have it (`end_links`), and only then
  reads. So what an earlier holder's link wrote is read, or was never written.
* What is carried out is durable when `run` returns, on a standby, too, where there is a synchronous
  one.
* Nobody waits for ever. What takes too long has its connection broken, and not its statement
  cancelled: a commit that waits for a standby would call itself done then.
* Where the connection is lost, nobody knows whether it was carried out. The one before is ended,
  and it is asked again: so whoever calls says only what changes nothing the second time.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, OperationalError

from bailee.db.engine import is_away, storage_errors
from bailee.db.fencing import LINKS, fence_of
from bailee.db.leases import END, driver

if TYPE_CHECKING:
    from psycopg import Connection as Driver

    from bailee.db.engine import DriverRow

Statement = tuple[str, tuple[object, ...]]
"""Of PostgreSQL's, with `%s` where its values stand."""

PATIENCE: Final = 5.0
"""Seconds in which a lost connection is made again. After that, who waits is told that it failed.
"""
LONGEST: Final = 30.0
"""Seconds that statements may take, and their commit."""
_PAUSE: Final = 0.1
_LOOK: Final = 1.0
_SHARED: Final = "SELECT pg_advisory_lock_shared(%s)"
_ALONE: Final = "SELECT pg_advisory_lock(%s)"
_LET_GO: Final = "SELECT pg_advisory_unlock(%s)"
_SET: Final = (
    "SELECT set_config('statement_timeout', '30s', false), "
    "set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = "
    "'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)"
)


class Link:
    """One connection, made when it is needed, and again when it was lost. Its owner calls it from
    one thread at a time, never the event loop's. It has a thread of its own, from the first time
    on, that breaks off what takes too long.
    """

    def __init__(self, engine: Engine, what: str) -> None:
        """`what` names in errors what can't be written."""
        self._engine = engine
        self._what = what
        self._connection: PoolProxiedConnection | None = None
        self._session: int | None = None  # of the connection, or of the last that was lost
        self._first: list[Statement] = []
        self._lock = threading.Lock()  # of the next two
        self._socket: socket.socket | None = None  # the connection's, by a number of its own
        self._began: float | None = None
        self._over = threading.Event()
        self._watch: threading.Thread | None = None

    def run(self, statements: Sequence[Statement]) -> None:
        """Carry statements out, all or none of them; they are durable when this returns.

        Raises:
            StorageError: they were not, or it is not known; or another has taken the lease.
        """
        until = time.monotonic() + PATIENCE
        with storage_errors(self._what):
            while True:
                try:
                    self._run(statements)
                    return
                except OperationalError:
                    if self._connection is not None or time.monotonic() >= until:
                        raise
                time.sleep(_PAUSE)

    def first(self, statement: Statement) -> None:
        """Have a statement carried out before all else, as soon as there is a connection. It is
        dropped with the process.
        """
        self._first.append(statement)
        self._drop()

    def close(self) -> None:
        """End the connection."""
        self._over.set()
        if self._watch is not None:
            self._watch.join()
            self._watch = None
        self._drop()

    # -- inside ----------------------------------------------------------------------------------

    def _run(self, statements: Sequence[Statement]) -> None:
        from psycopg import Error

        try:
            raw = self._connected()
            self._began = time.monotonic()
            if len(statements) == 1:  # which is a transaction by itself
                raw.execute(*statements[0])
                return
            with raw.transaction():
                for statement in statements:
                    raw.execute(*statement)
        except (Error, DBAPIError) as error:
            own = error.orig if isinstance(error, DBAPIError) else error
            if is_away(own):
                self._drop()
            if isinstance(error, OperationalError):
                raise
            raise OperationalError(None, None, error, hide_parameters=True) from error
        finally:
            self._began = None

    def _break_off(self) -> None:
        while not self._over.wait(_LOOK):
            with self._lock:
                began = self._began
                if began is not None and time.monotonic() - began > LONGEST and self._socket:
                    with suppress(OSError):  # it is lost already
                        self._socket.shutdown(socket.SHUT_RDWR)

    def _connected(self) -> Driver[DriverRow]:
        from psycopg import IsolationLevel

        if self._connection is not None:
            return driver(self._connection)
        made = self._engine.raw_connection()
        made.detach()
        raw = driver(made)
        fence = fence_of(self._engine)
        lock = LINKS if fence is None else fence.links
        try:
            raw.read_only, raw.autocommit = False, True  # whatever it was used for before
            raw.isolation_level = IsolationLevel.READ_COMMITTED
            if self._session is not None:  # it may be about to commit what is asked again
                raw.execute(END, (lock, self._session, self._session))
            raw.execute(_SHARED, (lock,))
            if fence is not None:
                fence.met(raw)
            raw.execute(_SET)
            while self._first:
                raw.execute(*self._first[0])
                del self._first[0]
        except BaseException:
            raw.close()
            made.invalidate()
            raise
        self._connection, self._session = made, raw.info.backend_pid
        with self._lock:
            self._socket = socket.socket(fileno=os.dup(raw.fileno()))
        if self._watch is None:
            self._over.clear()
            self._watch = threading.Thread(target=self._break_off, name="link", daemon=True)
            self._watch.start()
        return raw

    def _drop(self) -> None:
        made, self._connection = self._connection, None
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
        if made is not None:
            with suppress(Exception):  # it may be lost already
                driver(made).close()
            made.invalidate()


def end_links(engine: Engine, what: str, lock: int = LINKS) -> None:
    """End the links of whoever had the database before this process took its lease, or of a member
    that is none any more (`members`; by its `lock`): what they have written can be read now, and
    they write no more.

    Raises:
        StorageError: one can't be ended, or the database can't be reached.
    """
    from psycopg import Error

    with storage_errors(what):
        made = engine.raw_connection()
        made.detach()
        raw = driver(made)
        try:
            raw.read_only, raw.autocommit = False, True
            raw.execute(END, (lock, None, None))
            raw.execute(_ALONE, (lock,))
            raw.execute(_LET_GO, (lock,))
        except Error as error:
            raise OperationalError(None, None, error, hide_parameters=True) from error
        finally:
            raw.close()
            made.invalidate()
