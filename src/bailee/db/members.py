"""Members: processes beside the one that has the lease, which write what is meant for them
(`vault.member_spool`), each by a number of its own.

Theory of operation: a member is a row in each of the two databases, under a number that is drawn
for it. It renews a moment there every second. Each of its transactions asks for its row once it has
the turn to write, and each of its links (`links`) has a lock of its own, by the number. Who has the
lease ends a member whose moment has passed: the rows go first, in the turn; then the links are
ended. So from then on nothing of it is written, however late it wakes, and what it wrote before can
be read.

Rules kept here:

* The moment is told by the database's clock alone.
* A number is had once. Who was ended, and wakes, is a member no more; it joins anew, over engines
  of its own, by another number: so nothing that it had in hand is written under that.
* Members outlive the lease's holder: whoever takes the lease finds them, and what they wrote.
* Who has written something says so by a notice (`tell`). It has nothing in it and goes beside what
  was written: within its transaction, members' commits would wait for each other.
* A member's transaction that stands still is ended by the database within seconds: else it would
  keep the turn from everybody.
* The table is of a database, as the lease is: in no line of migrations, and in no backup. It is
  made by the holder, where members may be.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from sqlalchemy import Connection, Engine, PoolProxiedConnection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from bailee.db.engine import reading, storage_errors
from bailee.db.fencing import WRITE, Fence, fence_of
from bailee.db.leases import driver
from bailee.db.links import Statement, end_links
from bailee.errors import StorageError

if TYPE_CHECKING:
    from psycopg import Connection as Driver

    from bailee.db.engine import DriverRow

TABLE: Final = "bailee_members"
SECONDS: Final = 20
"""For how long a member is one from each time that it says so."""
CHANNEL: Final = TABLE
"""On which members say that there is something new (`db.follower`)."""
STANDING: Final = (("idle_in_transaction_session_timeout", "5s"),)
"""What a member's connections are begun with."""
_MADE: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (number bigint PRIMARY KEY, role text NOT NULL, "
    "since timestamptz NOT NULL, until timestamptz NOT NULL, waiting bigint NOT NULL, "
    "asked bigint NOT NULL)"
)
_THERE: Final = text(f"SELECT to_regclass('{TABLE}') IS NOT NULL")
_UNTIL: Final = f"clock_timestamp() + interval '{SECONDS} seconds'"
_JOINED: Final = f"INSERT INTO {TABLE} VALUES (%s, %s, clock_timestamp(), {_UNTIL}, 0, 0)"  # noqa: S608
_LEFT: Final = f"DELETE FROM {TABLE} WHERE number = %s"  # noqa: S608
_RENEWED: Final = (
    f"UPDATE {TABLE} SET until = {_UNTIL}, waiting = %s WHERE number = %s "  # noqa: S608
    "RETURNING asked, clock_timestamp(), "
    f"(SELECT coalesce(sum(waiting), 0)::bigint FROM {TABLE} o WHERE o.number <> {TABLE}.number)"
)
_TOLD: Final = f"NOTIFY {CHANNEL}"
_ASKED: Final = f"UPDATE {TABLE} SET asked = asked + 1"  # noqa: S608
_ALL: Final = text(f"SELECT number, until < clock_timestamp() AS over FROM {TABLE}")  # noqa: S608
_BY_ROLE: Final = text(
    "SELECT role, count(*) FILTER (WHERE until >= clock_timestamp()) AS present, "  # noqa: S608
    "count(*) FILTER (WHERE until < clock_timestamp()) AS silent, "
    f"sum(waiting)::bigint AS waiting FROM {TABLE} GROUP BY role"
)
_GONE: Final = text(f"DELETE FROM {TABLE} WHERE number = :number")  # noqa: S608
_DROPPED: Final = f"DROP TABLE IF EXISTS {TABLE}"
_WHAT: Final = "the membership"
_CHANGES: Final = re.compile(
    r"\s*(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|ALTER|CREATE|DROP|GRANT|COPY|WITH)\b", re.I
)
_MAY: Final = re.compile(r"INSERT INTO (?:bailee_spool|keks|kek_ends|deks)\b")


class MemberFence(Fence):
    """The fence of an engine that a member writes by: its number is its row's."""

    def join(self, number: int) -> None:
        """Write by this number from now on."""
        self._go_by(f"(SELECT number FROM {TABLE} WHERE number = {number:d})")  # noqa: S608
        self.links = number
        self.number = number

    def why(self) -> StorageError:
        """What is said where nothing is written any more."""
        return super().why() if self.lacks else no_member()


def check(statement: str) -> None:
    """Whether a member may have this carried out by its engine: a defect of ours ends here.

    Raises:
        StorageError: it would change what is not a member's to change.
    """
    if _CHANGES.match(statement) and not _MAY.match(statement):
        raise StorageError("a process beside the home's writes its spool, and nothing else.")


@dataclass(frozen=True, slots=True)
class Beat:
    """What a member was told as it renewed its moment. `asked`: how often members were asked to
    close their files; `now`: by the database's clock; `waiting`: bytes that the others have.
    """

    asked: int
    now: datetime
    waiting: int


class RoleMembers(NamedTuple):
    """The members of one role: how many have said so in time (`present`) and how many not, which
    nobody has ended yet (`silent`); bytes that they have kept and do not know to be filed.
    """

    present: int
    silent: int
    waiting: int


class HomeMember:
    """One process's, from `join` until `leave`, by engines that are opened for a member and that
    nothing else was written by. It is used by one thread at a time, never the event loop's.
    """

    def __init__(self, data: Engine, keys: Engine, role: str) -> None:
        """`role`: what the process is, for who looks."""
        self.data = data
        self.keys = keys
        self.number = secrets.randbits(61) | 1 << 61  # no other lock has such a number
        self._role = role
        self._connection: PoolProxiedConnection | None = None

    @property
    def name(self) -> str:
        """The number as names have it."""
        return name_of(self.number)

    @property
    def lost(self) -> bool:
        """Whether it is known that it is a member no more."""
        return any(fence.lost.is_set() for fence in self._fences())

    def join(self) -> None:
        """Be a member.

        Raises:
            StorageError: a database can't be reached, or takes no members; it is none then.
        """
        for engine in (self.data, self.keys):
            if not are_let(engine):
                raise StorageError(
                    "the home takes no members.",
                    hint="start its server first, with spool.durability = database",
                )
        try:
            for engine in (self.data, self.keys):  # whoever sees it in the second finds the first
                self._alone(engine, (_JOINED, (self.number, self._role)))
        except StorageError:
            self.leave()
            raise
        for fence in self._fences():
            fence.join(self.number)

    def beat(self, waiting: int, also: Sequence[Statement] = ()) -> Beat:
        """Renew the moment, and carry out statements of the member's own before; `waiting`: bytes
        that it has kept and that are not filed.

        Raises:
            StorageError: it is a member no more (`lost`), or the database can't be reached.
        """
        with storage_errors(_WHAT):
            raw = self._connected()
            try:
                for statement in also:
                    raw.execute(*statement)
                found = raw.execute(_RENEWED, (waiting, self.number)).fetchone()
            except BaseException as error:
                self._drop()
                raise _failed(error) from error
        if found is None:
            self._drop()
            for fence in self._fences():
                fence.lost.set()
            raise no_member()
        return Beat(*cast("tuple[int, datetime, int]", found))

    def tell(self) -> None:
        """Say that something new is there. Nothing depends on it.

        Raises:
            StorageError: the database can't be reached.
        """
        with storage_errors(_WHAT):
            try:
                self._connected().execute(_TOLD)
            except BaseException as error:
                self._drop()
                raise _failed(error) from error

    def leave(self) -> None:
        """Be one no more. Where that can't be said, the moment passes."""
        self._drop()
        for engine in (self.data, self.keys):
            try:
                self._alone(engine, (_LEFT, (self.number,)))
            except StorageError:
                return

    # -- inside ----------------------------------------------------------------------------------

    def _fences(self) -> list[MemberFence]:
        found = [fence_of(engine) for engine in (self.data, self.keys)]
        return [fence for fence in found if isinstance(fence, MemberFence)]

    def _alone(self, engine: Engine, statement: Statement) -> None:
        """In a turn, whatever the fence says."""
        with storage_errors(_WHAT):
            made = engine.raw_connection()
            made.detach()
            raw = driver(made)
            try:
                raw.read_only, raw.autocommit = False, True
                with raw.transaction():
                    raw.execute(WRITE)
                    raw.execute(*statement)
            except BaseException as error:
                raise _failed(error) from error
            finally:
                raw.close()
                made.invalidate()

    def _connected(self) -> Driver[DriverRow]:
        if self._connection is None:
            made = self.data.raw_connection()
            made.detach()
            raw = driver(made)
            raw.read_only, raw.autocommit = False, True
            self._connection = made
        return driver(self._connection)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            driver(connection).close()
            connection.invalidate()


def are_let(engine: Engine) -> bool:
    """Whether a server has let there be members in a database.

    Raises:
        StorageError: it can't be read.
    """
    with storage_errors(_WHAT), reading(engine) as connection:
        return bool(connection.execute(_THERE).scalar())


# -- the holder's ----------------------------------------------------------------------------------


def allow(data: Engine, keys: Engine) -> None:
    """Let there be members.

    Raises:
        StorageError: a database can't be written.
    """
    for engine in (data, keys):
        if not are_let(engine):
            with storage_errors(_WHAT), engine.begin() as connection:
                connection.exec_driver_sql(_MADE)


def refuse(data: Engine, keys: Engine) -> None:
    """Let there be none any more: all are ended.

    Raises:
        StorageError: a database can't be written, or a link can't be ended.
    """
    there = numbers(data)
    for engine in (keys, data):
        with storage_errors(_WHAT), engine.begin() as connection:
            connection.exec_driver_sql(_DROPPED)
    for number in there:
        end_links(data, _WHAT, number)


def numbers(engine: Engine) -> dict[int, bool]:
    """The members by their numbers, and whether the moment of each has passed.

    Raises:
        StorageError: the database can't be read.
    """
    with storage_errors(_WHAT), reading(engine) as connection:
        return _numbers(connection)


def by_role(engine: Engine) -> dict[str, RoleMembers]:
    """The members by what they are.

    Raises:
        StorageError: the database can't be read.
    """
    if not are_let(engine):
        return {}
    with storage_errors(_WHAT), reading(engine) as connection:
        rows = connection.execute(_BY_ROLE)
        return {row.role: RoleMembers(row.present, row.silent, row.waiting) for row in rows}


def _numbers(connection: Connection) -> dict[int, bool]:
    if not connection.execute(_THERE).scalar():
        return {}
    return {row.number: row.over for row in connection.execute(_ALL)}


def end(data: Engine, keys: Engine, number: int) -> None:
    """Have a member be none any more: nothing of it is written from now on.

    Raises:
        StorageError: a database can't be written, or a link can't be ended; call again.
    """
    for engine in (keys, data):
        with storage_errors(_WHAT), engine.begin() as connection:
            if connection.execute(_THERE).scalar():
                connection.execute(_GONE, {"number": number})
    end_links(data, _WHAT, number)


def ask_to_close(engine: Engine) -> None:
    """Ask all members to close the files that they write to.

    Raises:
        StorageError: the database can't be written.
    """
    with storage_errors(_WHAT), engine.begin() as connection:
        connection.exec_driver_sql(_ASKED)


def name_of(number: int) -> str:
    """A member's number as names have it: sixteen digits."""
    return f"{number:016x}"


def no_member() -> StorageError:
    """What is said where a process is a member no more."""
    return StorageError(
        "this process was silent for too long and is taken for gone; it joins anew.",
        hint="ask again: nothing that was acknowledged is lost",
    )


def _failed(error: BaseException) -> BaseException:
    """An error of the driver as SQLAlchemy's; others as they are."""
    from psycopg import Error

    if isinstance(error, Error) and not isinstance(error, DBAPIError):
        return OperationalError(None, None, error, hide_parameters=True)
    return error
