"""Opening a database on PostgreSQL, with the guarantees that the rest relies on.

* A commit is on disk when it returns: a server that is told otherwise is refused.
* A transaction that writes takes one lock of the database when it begins, so that two writers queue
  as they do with SQLite; a transaction opened by `reading` takes none and sees one moment.
* Texts are in order by their bytes, and moments are read in UTC, whatever the server's own habits.
* Who has the database is in a lease (`db.leases`), which each transaction that writes asks for. A
  server that lacks what was committed is not taken for the one that has it (`db.fencing`).
* An address may name several servers, of which the one that takes writes is used.
* Beyond this machine's own addresses nothing goes without TLS.
* A text has no NUL there: one that somebody sent is written, and looked for, as U+FFFD. Otherwise
  a client's id with one in it would keep all that waits with it from being sealed.
* What is deleted or overwritten there stays in the heap and in the write-ahead log, and in every
  copy of them (`db.engine.overwrites`): who relies on its being gone relies on keys.

The key of the rows' checks (`checks`) goes to the server with the start of a connection, which it
writes into no log. No error says more of the address than which database is meant.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from bailee.db import members
from bailee.db.checks import RowKey, options
from bailee.db.fencing import Fence
from bailee.errors import InputError, StorageError
from bailee.loopback import is_loopback

if TYPE_CHECKING:
    from psycopg import Connection as Raw
    from psycopg.abc import Buffer, Dumper, Loader
    from sqlalchemy import PoolProxiedConnection

    from bailee.db.engine import DbRow

LEAST: Final = 15
"""The oldest version of PostgreSQL that will do."""
_WAITING: Final = "30s"
_CUT_OFF: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
"""How soon a network that swallows everything is noticed: seconds, and the last in milliseconds."""
_COUNT: Final = "bailee_count"
_UNPROTECTED: Final = ("disable", "allow", "prefer")
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]@/?#,:]+)(?::(\d+))?")
_SERVERS: Final = re.compile(r"([a-z+]+://(?:[^@/?]*@)?)([^@/?]*,[^@/?]*)(/[^?]*)(?:\?(.*))?")
_STARTING: Final = (
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO"),
    ("lock_timeout", _WAITING),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
)
_READ_ONLY: Final = (("default_transaction_read_only", "on"),)
_BESIDE: Final = (("idle_in_transaction_session_timeout", "5s"),)
"""Who stands still in its turn lets go of it: the process that has the home waits for it, too."""
_STANDING: Final = text(
    "SELECT current_setting('server_version_num')::int / 10000 AS version, "
    "current_setting('server_encoding') AS encoding, "
    "(SELECT datcollate FROM pg_database WHERE datname = current_database()) AS collation, "
    "current_setting('fsync') AS fsync, "
    "current_setting('synchronous_commit') AS durable, "
    "current_setting('synchronous_standby_names') AS standbys, "
    "pg_is_in_recovery() AS standby, "
    "current_schema() IS NOT NULL "
    "AND has_schema_privilege(current_schema(), 'CREATE') AS may_make, "
    # Not inet_server_port(), which there is none of through a Unix socket.
    "current_database() || ' ' || pg_postmaster_start_time() || ' ' || current_setting('port') "
    "AS which"
)


def open_postgresql(
    address: str,
    setting: str,
    *,
    reads_only: bool = False,
    member: bool = False,
    beside: Fence | None = None,
) -> Engine:
    """The engine for the database at `address`, a `postgresql://` URL, which `setting` names.
    `reads_only`: another process has it, and nothing is written by this engine. `member`: another
    has it, and what is written is so as a member's (`members`). `beside`: another has it, and this
    engine writes what that fence lets through.

    Raises:
        InputError: code `configuration`: it is no such address, or has a password in it.
        StorageError: it can't be reached, or is not one that will do.
    """
    url = _read(address, setting)
    key = RowKey()
    fence = beside or (members.MemberFence if member else Fence)(setting)
    engine = create_engine(
        url,
        pool_pre_ping=True,
        hide_parameters=True,
        # Who inserts a row that may be there asks how many were, as of a change.
        execution_options={**options(key), **fence.options(), "preserve_rowcount": True},
    )

    @event.listens_for(engine, "do_connect")
    def _starts(_dialect: object, _record: object, _args: object, given: dict[str, object]) -> None:
        inner, outer = key.pads
        pads = ("bailee.row_inner", inner.hex()), ("bailee.row_outer", outer.hex())
        more = _READ_ONLY if reads_only else _BESIDE if beside is not None else ()
        said = (*_STARTING, *more, *(members.STANDING if member else ()), *pads)
        given["options"] = " ".join(f"-c {name}={value}" for name, value in said)
        for name, value in _CUT_OFF.items():
            given.setdefault(name, value)
        given.setdefault("application_name", "bailee")

    @event.listens_for(engine, "connect")
    def _connected(connection: Raw[tuple[object, ...]], _record: object) -> None:
        connection.adapters.register_loader("numeric", _number_loader())
        for dumper in _text_dumpers():
            connection.adapters.register_dumper(str, dumper)
        try:
            fence.met(connection)
        except BaseException:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        from psycopg import Connection as Driver
        from psycopg import IsolationLevel

        from bailee.db.engine import is_reading

        raw = connection.connection.driver_connection
        assert isinstance(raw, Driver)
        read = is_reading(connection)
        if reads_only and not read:
            raise StorageError("this process only reads the home's databases.")
        level = IsolationLevel.REPEATABLE_READ if read else IsolationLevel.READ_COMMITTED
        if (raw.read_only, raw.isolation_level) != (read, level):
            raw.read_only, raw.isolation_level = read, level
        connection.info.pop(_COUNT, None)  # of one that was not committed
        if not read and (count := fence.begin(raw)) is not None:
            connection.info[_COUNT] = count

    if member:

        @event.listens_for(engine, "before_cursor_execute")
        def _executes(
            _connection: object, _cursor: object, statement: str, *_further: object
        ) -> None:
            members.check(statement)

    commit = engine.dialect.do_commit

    def committed(dbapi_connection: PoolProxiedConnection) -> None:
        count = dbapi_connection.info.pop(_COUNT, None)
        commit(dbapi_connection)
        if count is not None:
            fence.committed(count)

    # There is an event before a commit, and none after it.
    engine.dialect.do_commit = committed  # type: ignore[method-assign]
    try:
        _check(engine, setting, makes=not (reads_only or member or beside is not None))
    except BaseException:
        engine.dispose()
        raise
    return engine


def has_second_copy(engine: Engine) -> bool:
    """Whether a commit waits for a synchronous standby.

    Raises:
        StorageError: it can't be reached.
    """
    return bool(_standing(engine, "the database").standbys)


def which(engine: Engine) -> str:
    """Which database this is, among all that could be meant.

    Raises:
        StorageError: it can't be reached.
    """
    return str(_standing(engine, "the database").which)


def _read(address: str, setting: str) -> URL:
    def refused(why: str, hint: str) -> InputError:
        return InputError(f"{setting} {why}.", code="configuration", hint=hint)

    form = "like postgresql://bailee@db.example.com/bailee?sslmode=verify-full"
    try:
        url = make_url(_several(address))
    except (ArgumentError, ValueError):
        raise refused("is no address of a database", form) from None
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise refused("is no address of PostgreSQL", form)
    if url.password is not None or "password" in url.query:
        raise refused(
            "has a password in it, which would be shown with the settings",
            "give it by PGPASSWORD, or by a file that PGPASSFILE names; or use a certificate",
        )
    if not url.database:
        raise refused("names no database", form)
    if "options" in url.query:
        raise refused("has options in it", "bailee sets those that it needs")
    named = _named(url, "host")
    if len(named) > 1 and "target_session_attrs" not in url.query:
        url = url.update_query_dict({"target_session_attrs": "read-write"})
    named += [*_named(url, "hostaddr"), url.host or ""]
    near = all(not host or host.startswith("/") or is_loopback(host) for host in named)
    if not near:
        if url.query.get("sslmode") in _UNPROTECTED:
            raise refused("would go over a network without TLS", "sslmode=verify-full")
        if "sslmode" not in url.query:
            url = url.update_query_dict({"sslmode": "verify-full"})
    url = url.set(drivername="postgresql+psycopg")
    try:
        url.get_dialect()().create_connect_args(url)
    except (ArgumentError, ValueError):
        raise refused("is no address of a database", form) from None
    return url


def _several(address: str) -> str:
    """The address with its servers as SQLAlchemy has several, if libpq's form names several.

    Raises:
        ValueError: one of them is none.
    """
    found = _SERVERS.fullmatch(address)
    if found is None:
        return address
    start, servers, end, asked = found.groups("")
    each = [_SERVER.fullmatch(one) for one in servers.split(",")]
    named = [one.groups("") for one in each if one is not None]
    if len(named) < len(each):
        raise ValueError("a server")
    hosts, ports = (",".join(some) for some in zip(*named, strict=True))
    bare = quote(re.sub(r"[][]", "", hosts), safe=",:")
    return f"{start}{end}?host={bare}&port={ports}&{asked}"


def _named(url: URL, what: str) -> list[str]:
    """The names or addresses of servers that the query of an address has, without ports."""
    given = url.query.get(what, "")
    hosts = given.split(",") if isinstance(given, str) else given
    return [host.rpartition(":")[0] if host.count(":") == 1 else host for host in hosts]


def _standing(engine: Engine, setting: str) -> DbRow:
    from bailee.db.engine import reading

    try:
        with reading(engine) as connection:  # it waits for nobody who writes
            return connection.execute(_STANDING).one()
    except DBAPIError as error:
        raise StorageError(
            f"the database that {setting} names can't be reached ({type(error.orig).__name__}).",
            hint="see that PostgreSQL runs there, and lets this user into this database",
        ) from None


def _check(engine: Engine, setting: str, *, makes: bool) -> None:
    found = _standing(engine, setting)
    refusals = (
        (found.version < LEAST, f"is of PostgreSQL {found.version}", f"use {LEAST} or newer"),
        (
            found.encoding != "UTF8" or found.collation not in ("C", "POSIX", "C.UTF-8", "C.utf8"),
            "does not keep texts in UTF-8 and in the order of their bytes",
            "CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
        ),
        (found.standby, "is a standby, which takes no writes", "name the primary"),
        (
            found.fsync != "on" or found.durable == "off",
            "is told not to make commits durable",
            "set fsync and synchronous_commit to on",
        ),
        (
            makes and not found.may_make,
            "lets this user make no tables",
            "GRANT CREATE, USAGE ON SCHEMA public TO ... ; or make the user the database's owner",
        ),
    )
    for refused, what, hint in refusals:
        if refused:
            raise StorageError(f"the database that {setting} names {what}.", hint=hint)


def _number_loader() -> type[Loader]:
    from psycopg.adapt import Loader as Base

    class Sum(Base):
        """Sums of whole numbers, which PostgreSQL gives as `numeric`, are whole numbers."""

        def load(self, data: Buffer) -> int | float:
            said = bytes(data)
            return float(said) if b"." in said or b"N" in said else int(said)

    return Sum


@cache
def _text_dumpers() -> tuple[type[Dumper], ...]:
    from psycopg.types.string import StrBinaryDumper, StrDumperUnknown

    class Binary(StrBinaryDumper):
        """A text as the database can have it, as bytes."""

        def dump(self, obj: str) -> Buffer | None:
            return super().dump(obj.replace("\0", "\ufffd"))

    class Unknown(StrDumperUnknown):
        """The same, as text of a type that the statement says."""

        def dump(self, obj: str) -> Buffer | None:
            return super().dump(obj.replace("\0", "\ufffd"))

    return Binary, Unknown  # the last is the one for either
