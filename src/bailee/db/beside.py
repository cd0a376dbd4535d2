"""Writing to a home's data database on PostgreSQL beside the process that has the home.

Rules kept here:

* It writes rows of `TABLES`, and nothing else: any other statement of a transaction that writes is
  refused before it is sent. (A role of PostgreSQL's with the same rights, as the guide has it,
  keeps to this whatever runs there.)
* It takes no lease. It has its turns with everybody who writes, and counts its transactions as they
  do (`fencing`): so what is decided on is what the others have committed.
* Of each connection, and again in each turn, it asks whether this is the primary, the home that was
  opened, the schema that this version knows, and whether all is there that was there before. What
  lacks some of it is an older state, and nothing is written there by this process any more.
* Who takes the lease does not stop it: a later number of the lease is as good.
* Who stands still in its turn loses its connection to the server, and what it was writing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, Select, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.dml import UpdateBase

from bailee.db.engine import is_reading
from bailee.db.fencing import COMMITS, HOLDER, WRITE, Fence
from bailee.db.postgresql import open_postgresql
from bailee.db.usage import (
    usage_batches,
    usage_counts,
    usage_gateways,
    usage_reservations,
    usage_windows,
)
from bailee.errors import IntegrityError, StorageError

if TYPE_CHECKING:
    from psycopg import Connection as Driver

    from bailee.db.engine import DriverRow

TABLES: Final = (
    usage_batches,
    usage_counts,
    usage_gateways,
    usage_reservations,
    usage_windows,
)
"""What is written beside: rows to which several processes add, none of them a person's decision."""

_OPENED: Final = "(SELECT home FROM identity), (SELECT version_num FROM alembic_version)"
_WHICH: Final = f"{HOLDER}, {_OPENED}, pg_is_in_recovery()"
_STANDS: Final = f"SELECT number, {_WHICH} FROM {COMMITS}"  # noqa: S608 - constants
_BEGIN: Final = f"{WRITE}; UPDATE {COMMITS} SET number = number + 1 RETURNING number, {_WHICH}"  # noqa: S608


def open_beside(address: str, setting: str, home: str, schema: str) -> Engine:
    """The engine for the database at `address`, which `setting` names, of the home with this id and
    with this schema. Its owner sets the key of the rows' checks, and disposes of it.

    Raises:
        InputError: code `configuration`: it is no such address.
        StorageError: it can't be reached, is a standby, or lacks what was there.
        IntegrityError: code `home_parts` or `schema`: it is another home's, or another version's.
    """
    engine = open_postgresql(address, setting, beside=FenceBeside(setting, home, schema))

    @event.listens_for(engine, "before_cursor_execute")
    def _asked(
        connection: Connection,
        _cursor: DBAPICursor,
        _statement: str,
        _values: object,
        context: ExecutionContext | None,
        _many: bool,
    ) -> None:
        if not is_reading(connection) and not _is_meant(context):
            raise StorageError("a process beside the one with the home does not write this.")

    return engine


class FenceBeside(Fence):
    """The fence of an engine whose process has no lease. It remembers the highest count and number
    that were seen, on any thread.
    """

    def __init__(self, setting: str, home: str, schema: str) -> None:
        """See `open_beside`."""
        super().__init__(setting)
        self._home = home
        self._schema = schema
        self._seen = threading.Lock()  # of the next
        self._known = (0, 0)  # how many commits, and the lease's number

    def met(self, raw: Driver[DriverRow]) -> None:
        """See `Fence.met`; IntegrityError: it is not the database that was opened."""
        from psycopg.errors import UndefinedTable

        known = self._known
        try:
            found = raw.execute(_STANDS).fetchone()
        except UndefinedTable:
            found = None
        raw.rollback()
        self._check(found, 0, known)

    def begin(self, raw: Driver[DriverRow]) -> int | None:
        """See `Fence.begin`. None: there is nothing to be told of its commit."""
        from psycopg import Error

        known = self._known
        try:
            asked = raw.execute(_BEGIN, prepare=False)
            asked.nextset()
            found = asked.fetchone()
        except Error as error:
            raise OperationalError("BEGIN", None, error, hide_parameters=True) from error
        return self._check(found, 1, known)

    def committed(self, count: int) -> None:
        """See `Fence.committed`."""
        self._remember(count, 0)

    def _check(self, found: DriverRow | None, own: int, known: tuple[int, int]) -> int:
        """The count that was found, `own` of it being the transaction's that asks; `known` is what
        was known before it was asked for.
        """
        count, holder, home, schema, standby = found or (None,) * 5
        if not isinstance(count, int) or home != self._home:
            raise IntegrityError(
                f"the database that {self.setting} names is not that of the home that was opened.",
                code="home_parts",
                hint="start this anew",
            )
        if standby:
            raise StorageError(
                f"the database that {self.setting} names is a standby.", hint="name the primary"
            )
        if schema != self._schema:
            raise IntegrityError(
                f"the database that {self.setting} names is of another version (schema {schema}).",
                code="schema",
                hint="have the server and this of one version; nothing was changed",
            )
        number = holder if isinstance(holder, int) else 0
        if self.lost.is_set() or count - own < known[0] or number < known[1]:
            self.lacks = True
            self.lost.set()
            raise self.why()
        self._remember(count - own, number)
        return count

    def _remember(self, count: int, number: int) -> None:
        with self._seen:
            self._known = max(self._known[0], count), max(self._known[1], number)


def _is_meant(context: ExecutionContext | None) -> bool:
    """Whether a statement reads, or writes rows of `TABLES`."""
    compiled = None if context is None else context.compiled
    said = None if compiled is None else compiled.statement
    return isinstance(said, Select) or (isinstance(said, UpdateBase) and said.table in TABLES)
