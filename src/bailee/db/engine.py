"""Opening a database file, with the guarantees that the rest relies on; and what is asked of an
engine, whichever database is behind it (`postgresql` opens the other one).

* A commit is on disk when it returns (`synchronous=FULL`, write-ahead log).
* A transaction that writes takes the write lock when it begins, so two writers queue instead of
  failing half-way; a transaction opened by `reading` never takes it.
* Rows that decide something are checked where they are read (`checks`).
* Deleted content is overwritten (`secure_delete`), and the file is readable by its owner alone.
* On a full disk who writes has the room that is kept for it (`Room`). The write-ahead log is cut
  back to 4 MiB by the next checkpoint; what SQLite needs in passing it has in memory.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from bailee.db.checks import RowKey, options
from bailee.db.portable import driver_sql, is_sqlite
from bailee.errors import BaileeError, StorageError
from bailee.syncing import sync_file

DbRow: TypeAlias = Row[*tuple[object, ...]]
"""A row; its columns are asked by name."""
Query: TypeAlias = Select[*tuple[object, ...]]
"""A question that gives such rows."""
DriverRow: TypeAlias = tuple[object, ...]
"""A row as the database's driver gives it; its columns are asked by place."""

_Found = TypeVar("_Found")

_READ = "bailee_read"
_BORROWS: Final = "bailee_borrows"
_MALFORMED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DISK_FULL: Final = "53100"
_SIZE: Final = "SELECT pg_database_size(current_database())"
_LONGEST_LOG: Final = 4 << 20
_FOLDED_FROM: Final = 1000  # pages in the log: SQLite's own number
_CACHE: Final = 16 << 20  # of pages, each connection; with SQLite's 2 MiB a large deletion spills


class Room(Protocol):
    """Room on the disk that who writes may have, from the beginning of a transaction until its
    connection is let go. `home.reserve` implements it. Called on the thread whose transaction it
    is, several at once.
    """

    def borrow(self) -> None:
        """A transaction that writes begins.

        Raises:
            StorageError: there is none left for it.
        """

    def give_back(self) -> None:
        """It has ended."""


def open_sqlite(path: Path, room: Room | None = None) -> Engine:
    """The engine for the SQLite file at `path`, made (mode 0600) if it is not there.

    Raises:
        StorageError: the file or its folder can't be made or opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageError(
            f"the database {path.name} can't be opened ({error.strerror}).",
            hint=f"check that {path.parent} is writable and has room",
        ) from error
    key = RowKey()
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": 30, "check_same_thread": False},
        execution_options=options(key),
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        key.register(connection)
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "busy_timeout=30000",
            "temp_store=MEMORY",
            f"cache_size=-{_CACHE >> 10}",
            f"journal_size_limit={_LONGEST_LOG}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read = is_reading(connection)
        if room is not None and not read and _BORROWS not in connection.info:
            room.borrow()
            connection.info[_BORROWS] = True
        # By the driver itself: SQLAlchemy takes ten times as long for it as SQLite.
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("BEGIN" if read else "BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def _let_go(_connection: object, record: ConnectionPoolEntry) -> None:
        if room is not None and record.info.pop(_BORROWS, False):
            room.give_back()

    return engine


def is_reading(connection: Connection) -> bool:
    """Whether a transaction is one that only reads (`reading`)."""
    return bool(connection.get_execution_options().get(_READ, False))


def overwrites(engine: Engine) -> bool:
    """Whether what is overwritten or deleted is gone from the database's own files then. On
    PostgreSQL it is not: it stays in the heap until that is written anew, in the write-ahead log,
    and in every copy of both.
    """
    return is_sqlite(engine)


def size_of(engine: Engine) -> int:
    """How many bytes the database has on its disk.

    Raises:
        StorageError: it can't be asked.
    """
    if overwrites(engine):
        file = Path(str(engine.url.database))
        there = [path for path in (file, file.with_name(f"{file.name}-wal")) if path.exists()]
        return sum(path.stat().st_size for path in there)
    with storage_errors("the database"), reading(engine) as connection:
        return int(connection.execute(text(_SIZE)).scalar_one())


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: one consistent view, and no writer waits for it."""
    with engine.connect().execution_options(**{_READ: True}) as connection, connection.begin():
        yield connection


def fetched(connection: Connection, statement: str, values: Sequence[object]) -> list[DriverRow]:
    """All rows of a statement in SQL, as the driver gives them, where they are many: what is made
    of a row elsewhere costs more than to read it. Bytes that are no text are read as ever, as a
    text with marks in it.
    """
    if not is_sqlite(connection):
        asked = driver_sql(connection, statement)
        return [tuple(row) for row in connection.exec_driver_sql(asked, tuple(values))]
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    given = raw.text_factory
    raw.text_factory = str
    try:
        return raw.execute(statement, values).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    finally:
        raw.text_factory = given
    return raw.execute(statement, values).fetchall()


@contextmanager
def writing_much(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes many pages. They stay in the write-ahead log, so that nobody who
    holds a lock around it waits for the file to be written too: who has let go of it calls `fold`.
    """
    if not overwrites(engine):
        with engine.begin() as connection:
            yield connection
        return
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA wal_autocheckpoint=0").fetchall()
        try:
            with connection.begin():
                yield connection
        finally:
            raw.execute(f"PRAGMA wal_autocheckpoint={_FOLDED_FROM}").fetchall()


def fold(engine: Engine) -> None:
    """Write what is in the write-ahead log to the file, as far as nobody reads what was there
    before. It makes nobody wait; what is left goes with a later commit.
    """
    if not overwrites(engine):
        return
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.close()


def rewrite(engine: Engine) -> None:
    """Write the whole file anew (`VACUUM`), so that no page of it has what was deleted. Writers
    wait. The write-ahead log is the caller's to cut; PostgreSQL's keeps what was deleted all the
    same.

    Raises:
        StorageError: there is no room, or somebody reads all the while.
    """
    if not overwrites(engine):
        with storage_errors("the database"), engine.connect() as outside:
            outside.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM FULL"))
        return
    connection = engine.raw_connection()  # a transaction of the engine's would be one too many
    try:
        connection.cursor().execute("VACUUM")
    except sqlite3.Error as error:
        raise StorageError(
            f"the database can't be rewritten ({type(error).__name__}).",
            hint="it needs as much free space as it is large",
        ) from error
    finally:
        connection.close()


def remove_file(path: Path) -> None:
    """Remove a file of SQLite's, if it is there, with what lies beside it.

    Raises:
        OSError: it can't be removed.
    """
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def as_one_file(path: Path) -> None:
    """Make of a file of SQLite's that nobody has open one without a write-ahead log, durable.

    Raises:
        StorageError: it can't be written.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        sync_file(path)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path} can't be written ({type(error).__name__}).") from error


def past_indexes(engine: Engine, act: Callable[[], _Found]) -> _Found:
    """What `act` gives. A bit that is flipped in a row is not in the indexes of its table, and then
    SQLite neither changes nor removes that row, nor any that is to go with it. So where pages do
    not fit one another, every index is made anew, a table at a time, and `act` is done again. It
    must be one that can be repeated.

    Raises:
        StorageError: as `act` does; what is damaged is no index.
    """
    try:
        return act()
    except StorageError as error:
        if not _is_malformed(error.__cause__):
            raise
        _index_anew(engine)
        return act()


def _index_anew(engine: Engine) -> None:
    with storage_errors("an index"), reading(engine) as connection:
        query = "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'index' ORDER BY tbl_name"
        tables = connection.exec_driver_sql(query).scalars().all()
    for table in tables:
        with suppress(DBAPIError), engine.begin() as connection:  # what can't be stays as it is
            connection.exec_driver_sql(f'REINDEX "{table}"')


def _is_malformed(error: BaseException | None) -> bool:
    own = error.orig if isinstance(error, DBAPIError) else error
    return getattr(own, "sqlite_errorcode", 0) & 0xFF in _MALFORMED


def _is_full(error: BaseException | None) -> bool:
    return (
        getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(error, "sqlstate", None) == _DISK_FULL
    )


def is_away(error: BaseException | None) -> bool:
    """Whether a server is not there: psycopg's errors of connections have no state, or one of
    PostgreSQL's classes 08 (connection exceptions) and 57P (its shutdown).
    """
    state = getattr(error, "sqlstate", "")
    return state is None or state.startswith(("08", "57P"))


def is_unreached(error: BaileeError) -> bool:
    """Whether one of `storage_errors` was raised since a server is not there."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and is_away(cause.orig)


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn a database failure into a `StorageError` that names `what`, without its SQL."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        own = error.orig if isinstance(error, DBAPIError) else error
        if _is_full(own):
            raise StorageError(
                f"{what} can't be written: the disk is full.",
                hint="delete sessions, or make room on the disk",
            ) from error
        if _is_malformed(own):
            raise StorageError(
                f"{what} can't be read or written: pages of the database are damaged.",
                hint="put back what was there last; which rows that concerns says `bailee verify` "
                "or, where nothing starts, `bailee home salvage`",
            ) from error
        if is_away(own):
            raise StorageError(
                f"{what} can't be read or written: PostgreSQL can't be reached.",
                hint="see that it runs; what was begun goes on when it is back",
            ) from error
        raise StorageError(
            f"{what} can't be read or written ({type(error).__name__}).",
            hint="check the disk's free space and the file's permissions",
        ) from error
