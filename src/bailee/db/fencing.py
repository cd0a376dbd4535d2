"""By which number a process writes to a database on PostgreSQL, and that what it wrote is there.

Rules kept here:

* Each transaction that writes asks for the lease's number (`db.leases`) once it has the lock of who
  writes. Another's, and it is refused.
* In the same trip it counts itself in the database (`COMMITS`), and the process remembers up to
  which count transactions were committed. A database that counts less, or knows an earlier number,
  is an older state of the one that was written to: a standby was promoted that had not got
  everything, or a copy was put back. Nothing is written there, and nothing read either: each new
  connection is asked before it is used. The next process is told by the home (`home.commits`).
* Whether a commit was carried out whose answer did not come is not known, and either is right.

Both tables are of a database, not of what a home keeps there: they are in no line of migrations,
and in no backup.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from bailee.errors import StorageError

if TYPE_CHECKING:
    from psycopg import Connection as Driver

    from bailee.db.engine import DriverRow

TABLE: Final = "bailee_lease"
COMMITS: Final = "bailee_commits"
"""One row: how many transactions were committed."""
TABLES: Final = (TABLE, COMMITS)
HOME: Final = "home"
WRITING: Final = 0x6261696C6565  # the advisory lock of who writes; another's is another database's
WRITE: Final = f"SELECT pg_advisory_xact_lock({WRITING})"
LINKS: Final = 0x6261696C6567  # the advisory lock of the links (`db.links`) of who has the lease
MADE: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (name text PRIMARY KEY, number bigint NOT NULL, "  # noqa: S608
    "session integer NOT NULL, until timestamptz NOT NULL); "
    f"CREATE TABLE IF NOT EXISTS {COMMITS} (number bigint NOT NULL); "
    f"INSERT INTO {COMMITS} SELECT 0 WHERE NOT EXISTS (SELECT FROM {COMMITS})"
)
COUNTED: Final = f"SELECT number FROM {COMMITS}"  # noqa: S608 - constants, here as below
HOLDER: Final = f"(SELECT number FROM {TABLE} WHERE name = '{HOME}')"  # noqa: S608
"""The number of whoever has the home, as a value of a statement."""
_OPTION: Final = "bailee_fence"


class Fence:
    """By which number an engine's transactions write, and how many it knows to be committed. The
    engine owns it, and asks it when a connection is made, when a transaction begins and when it is
    committed, on any thread; the lease sets the number. Without a number, everybody writes.
    """

    def __init__(self, setting: str) -> None:
        """`setting` names the database in errors."""
        self.setting = setting
        self.lease: object | None = None  # a `db.leases.Lease`, which sets it
        self.number: int | None = None
        self.commits = 0
        self.before = 0
        """How many an earlier process knew to be committed."""
        self.note: Callable[[int], None] = _nothing
        """Called with the count of each commit, on any thread: to remember it for the next one."""
        self.lost = threading.Event()
        """Set once it is known that nothing of this process's is to be written any more."""
        self.lacks = False
        """Whether that is for want of what was committed; else another has the lease."""
        self.links = LINKS
        """The advisory lock that links share which write by this number."""
        self._lock = threading.Lock()  # while `commits` grows
        self._go_by(HOLDER)

    def _go_by(self, number: str) -> None:
        """`number`: what asks in SQL for the number that may write."""
        # The second statement sees what was committed before the first one's end.
        self._begin = (
            f"{WRITE}; UPDATE {COMMITS} SET number = number + 1 RETURNING number, {number}"  # noqa: S608
        )
        self._stands = f"SELECT number, {number} FROM {COMMITS}"  # noqa: S608

    def options(self) -> dict[str, Fence]:
        """What an engine is made with, so that `fence_of` finds it."""
        return {_OPTION: self}

    def met(self, raw: Driver[DriverRow]) -> None:
        """A connection was made, to whichever server has the database now.

        Raises:
            psycopg.Error: it can't be asked.
            StorageError: another has taken the lease, or the database lacks what was committed.
        """
        from psycopg.errors import UndefinedTable

        number, commits = self.number, self.commits
        if number is None:
            return
        try:
            found = raw.execute(self._stands).fetchone()
        except UndefinedTable:
            found = (-1, None)
        raw.rollback()
        self._judge(found or (0, None), 0, number, commits)

    def begin(self, raw: Driver[DriverRow]) -> int | None:
        """Have a transaction wait for its turn to write, and count it: one trip. Its count, which
        is to be told when it was committed (`committed`).

        Raises:
            OperationalError: the turn does not come, or the database is away.
            StorageError: another has taken the lease, or the database lacks what was committed.
        """
        from psycopg import Error

        number, commits = self.number, self.commits
        try:
            if number is None:
                raw.execute(WRITE)
                return None
            asked = raw.execute(self._begin, prepare=False)
            asked.nextset()
            found = asked.fetchone()
        except Error as error:
            raise OperationalError("BEGIN", None, error, hide_parameters=True) from error
        return self._judge(found or (0, None), 1, number, commits)

    def committed(self, count: int) -> None:
        """A transaction of this count was committed, and the database has said so."""
        with self._lock:
            if count > self.commits:
                self.commits = count
                self.note(count)

    def why(self) -> StorageError:
        """What is said where nothing is written any more."""
        if not self.lacks:
            return taken_over()
        return StorageError(
            f"the database that {self.setting} names lacks what was committed to it; nothing is "
            "read or written there any more.",
            hint="a standby that had not got everything, or a copy, is in its place: put back the "
            'server that has it, or see the guide, "When the primary is lost"',
        )

    def _judge(self, found: DriverRow, own: int, number: int, commits: int) -> int:
        """The count that was found, of which `own` is the transaction's that asks. `number` and
        `commits` are those of the moment before it was asked for.
        """
        count, holder = found
        assert isinstance(count, int)
        earlier = isinstance(holder, int) and holder < number
        if count - own < commits or earlier:
            self.lacks = True
        elif holder == number and not self.lost.is_set():
            return count
        self.lost.set()
        raise self.why()


def _nothing(_count: int) -> None:
    pass


def fence_of(engine: Engine) -> Fence | None:
    """The fence of an engine; None: it is of a file, which its home's lock is for."""
    found = engine.get_execution_options().get(_OPTION)
    return found if isinstance(found, Fence) else None


def taken_over() -> StorageError:
    """What is said where another process has the lease that this one had."""
    return StorageError(
        "another process has taken this home over; nothing of this one's is written any more.",
        hint="this one was stopped, or cut off from PostgreSQL, for too long; see that one server "
        "is started",
    )
