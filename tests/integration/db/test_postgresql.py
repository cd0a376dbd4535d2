"""What is asked of a database on PostgreSQL before anything is kept there, and what it keeps to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from bailee.db import change_log, checks, metadata, migrate
from bailee.db.audit import audit
from bailee.db.checks import accept, sound, unsound, use_key
from bailee.db.engine import reading, storage_errors
from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql, which
from bailee.db.vault import retention_moves as moves
from bailee.errors import InputError, IntegrityError, StorageError
from support.homes.databases import new
from support.servers import postgres
from support.servers.postgres import PostgresServer

KEY = bytes(range(32))
WRITING = 0x6261696C6565
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
LINES: tuple[Literal["data", "keys"], ...] = ("data", "keys")


@pytest.fixture
def server() -> PostgresServer:
    """A server that runs."""
    return postgres.shared()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A data database with a key of its own and two rows, Ada's and Bob's."""
    made = open_postgresql(new("data"), "database.url")
    use_key(made, KEY)
    upgrade(made, "data")
    with made.begin() as connection:
        for owner in ("ada", "bob"):
            connection.execute(
                insert(moves).values(owner=owner, requested_at=MOMENT, total=1, seen=0, moved=0,
                                     seen_to="")
            )  # fmt: skip
    yield made
    made.dispose()


def tamper(server: PostgresServer, engine: Engine, statement: str) -> None:
    """Change rows as a page does that is not what was written: past every trigger."""
    server.do("SET session_replication_role = replica; " + statement, at=str(engine.url.database))


def owners(engine: Engine) -> list[str]:
    """Whose rows are what was written."""
    with reading(engine) as connection:
        return sorted(connection.execute(select(moves.c.owner).where(sound(moves))).scalars())


def test_a_database_is_told_from_another_whichever_way_it_is_reached(
    server: PostgresServer,
) -> None:
    """Through a Unix socket there is no port of the connection to tell servers by: two databases of
    one server are two there, too, and one is the same as through its port.
    """
    one, other = server.new(), server.new()
    socket = [
        f"postgresql://bailee@/{address.rsplit('/', 1)[1]}?host={server.folder}&port={server.port}"
        for address in (one, other)
    ]
    made = [open_postgresql(address, "database.url") for address in (one, *socket)]
    try:
        first, same, another = map(which, made)
        assert first == same != another
    finally:
        for engine in made:
            engine.dispose()


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("sqlite:///somewhere", "no address of PostgreSQL"),
        ("://", "no address of a database"),
        ("postgresql://bailee@127.0.0.1", "names no database"),
        ("postgresql://bailee:medlar@127.0.0.1/d", "has a password in it"),
        ("postgresql://bailee@127.0.0.1/d?password=medlar", "has a password in it"),
        ("postgresql://bailee@127.0.0.1/d?options=-cfsync%3Doff", "has options in it"),
        ("postgresql://bailee@db.example.com/d?sslmode=prefer", "without TLS"),
    ],
)
def test_an_address_that_will_not_do(address: str, why: str) -> None:
    """It is refused before anybody is asked, and nothing of it is in the error."""
    with pytest.raises(InputError, match=why) as refused:
        open_postgresql(address, "database.url")
    assert "configuration" == refused.value.code
    assert "medlar" not in f"{refused.value} {refused.value.hint}"


def test_beyond_this_machine_a_certificate_is_asked_for() -> None:
    """Where nothing else is said of TLS, the server has to prove who it is."""
    from bailee.db.postgresql import _read

    assert "verify-full" == _read("postgresql://b@db.example.com/d", "x").query["sslmode"]
    assert (
        "require" == _read("postgresql://b@db.example.com/d?sslmode=require", "x").query["sslmode"]
    )
    for near in ("127.0.0.1", "localhost", "[::1]"):
        assert "sslmode" not in _read(f"postgresql://b@{near}/d", "x").query
    assert "sslmode" not in _read("postgresql:///d?host=/run/postgresql", "x").query


def test_an_address_may_name_several_servers() -> None:
    """As libpq has it; the one that takes writes is used. One of them that is elsewhere is enough
    for TLS, however it is named.
    """
    from bailee.db.postgresql import _read

    url = _read("postgresql://b@one.example:5433,two.example/d?sslmode=require", "x")
    assert ("one.example,two.example", "5433,") == (url.query["host"], url.query["port"])
    assert "read-write" == url.query["target_session_attrs"]
    any_of = "postgresql://b@one,two/d?target_session_attrs=any&sslmode=require"
    assert "any" == _read(any_of, "x").query["target_session_attrs"]
    assert "target_session_attrs" not in _read("postgresql://b@127.0.0.1/d", "x").query
    for near in ("@127.0.0.1:1,localhost/d", "@[::1]:5,127.0.0.1/d", "/d?host=/run,127.0.0.1"):
        assert "sslmode" not in _read(f"postgresql://{near}", "x").query
    for far in (
        "b@127.0.0.1,db.example.com/d",
        "b@/d?host=127.0.0.1:1&host=db.example.com:2",
        "b@127.0.0.1/d?host=db.example.com",
        "b@127.0.0.1/d?hostaddr=192.0.2.1",
    ):
        assert "verify-full" == _read(f"postgresql://{far}", "x").query["sslmode"]
    for wrong in ("b@one:x,two/d", "b@one,/d", "b@one:1:2,two/d"):
        with pytest.raises(InputError, match="no address of a database"):
            _read(f"postgresql://{wrong}", "x")


def test_nobody_is_there(server: PostgresServer) -> None:
    """A server, a database or a user that is not there: which setting names it, and no more."""
    for address in (
        "postgresql://bailee@127.0.0.1:9/orchard",
        server.address("orchard"),
        server.address("postgres", "quince"),
    ):
        with pytest.raises(StorageError) as refused:
            open_postgresql(address, "keyring.database_url")
        said = f"{refused.value} {refused.value.hint}"
        assert "keyring.database_url names can't be reached" in said
        assert not [word for word in ("orchard", "quince", "127.0.0.1") if word in said]


@pytest.mark.parametrize(
    ("how", "then", "why"),
    [
        ("TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", (), "UTF-8"),
        (postgres._NEW, ("ALTER DATABASE {} SET synchronous_commit = off",), "commits durable"),
        (postgres._NEW, ("CREATE ROLE medlar LOGIN", "GRANT CONNECT ON DATABASE {} TO medlar"),
         "make no tables"),
    ],
)  # fmt: skip
def test_a_database_that_will_not_do(
    server: PostgresServer, how: str, then: tuple[str, ...], why: str
) -> None:
    """Its texts, its word that a commit is on the disk, and what this user may do there."""
    address = server.new(how)
    name = address.rpartition("/")[2]
    server.do(*(one.format(name) for one in then))
    if "medlar" in "".join(then):
        address = server.address(name, "medlar")
    with pytest.raises(StorageError, match=why):
        open_postgresql(address, "database.url")
    server.do(*(("DROP DATABASE " + name, "DROP ROLE medlar") if "medlar" in address else ()))


def test_tables_of_something_else_are_left_alone(server: PostgresServer) -> None:
    """Nothing is made among them."""
    address = server.new()
    server.do("CREATE TABLE orchard (tree text)", at=address.rpartition("/")[2])
    engine = open_postgresql(address, "database.url")
    with pytest.raises(IntegrityError, match="tables of something else"):
        upgrade(engine, "data")
    with reading(engine) as connection:
        found = connection.execute(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        )
        assert 1 == found.scalar()
    engine.dispose()


# -- the schema -----------------------------------------------------------------------------------


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_what_is_declared(line: Literal["data", "keys"], server: PostgresServer) -> None:
    """Every table, column, key and index, and no step is left to take."""
    engine = open_postgresql(server.new(), "database.url")
    upgrade(engine, line)
    upgrade(engine, line)
    with engine.begin() as connection:
        opts = {"compare_type": True, "include_name": lambda name, *_: name != change_log.TABLE}
        context = MigrationContext.configure(connection, opts=opts)
        assert [] == compare_metadata(context, getattr(metadata, line))
        (revision,) = connection.execute(text("SELECT version_num FROM alembic_version")).one()
        assert migrate.newest(line) == revision
        narrow = text(
            "SELECT table_name || '.' || column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type IN ('integer', 'smallint')"
        )
        assert [] == connection.execute(narrow).scalars().all()
    engine.dispose()


def test_the_record_is_append_only(engine: Engine) -> None:
    """An entry is neither changed nor removed; what is sealed of it may go."""
    row = {"at": MOMENT, "kind": "a.b", "subject": "s", "body": "{}", "sealed": b"x", "whose": "w"}
    with engine.begin() as connection:
        connection.execute(insert(audit).values(row))
    for statement in ("UPDATE audit SET body = '1'", "DELETE FROM audit"):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    with engine.begin() as connection:
        connection.execute(update(audit).values(sealed=None))
        assert ("{}", None) == connection.execute(select(audit.c.body, audit.c.sealed)).one()


# -- rows that decide -----------------------------------------------------------------------------


def test_a_changed_row_stays_unsound(engine: Engine, server: PostgresServer) -> None:
    """The program's own change of it does not make it good; to take it as it is does."""
    assert ["ada", "bob"] == owners(engine)
    tamper(server, engine, "UPDATE retention_moves SET seen_to = 'x' WHERE owner = 'ada'")
    with engine.begin() as connection:
        connection.execute(update(moves).values(seen=1))
    assert ["bob"] == owners(engine)
    with engine.begin() as connection:
        (bad,) = unsound(connection, moves)
        connection.execute(text("SELECT 1"))
        checks_of = text("UPDATE retention_moves SET moved = 2 WHERE owner = 'bob'")
        connection.execute(checks_of)
        assert [bad] == unsound(connection, moves)
    assert ["bob"] == owners(engine)


def test_a_row_is_taken_as_it_is_at_somebodys_word(server: PostgresServer) -> None:
    """And then it is what was written."""
    from bailee.db.vault import holds

    engine = open_postgresql(new("data"), "database.url")
    use_key(engine, KEY)
    upgrade(engine, "data")
    row = {"id": "h", "subject": "s", "reason": "r", "state": "placed", "requested_at": MOMENT}
    with engine.begin() as connection:
        connection.execute(insert(holds).values(row))
    tamper(server, engine, "UPDATE holds SET state = 'released'")
    with engine.begin() as connection:
        assert ["h"] == unsound(connection, holds)
        accept(connection, holds, "h")
        assert [] == unsound(connection, holds)
    engine.dispose()


def test_under_another_key_nothing_is_sound(engine: Engine) -> None:
    """The check can't be made without the key, which the server is told and writes nowhere."""
    other = open_postgresql(engine.url.render_as_string().replace("+psycopg", ""), "database.url")
    assert [] == owners(other)
    other.dispose()
    assert ["ada", "bob"] == owners(engine)
    key = checks.RowKey()
    key.use(KEY)
    said = postgres.shared().said()
    assert "retention_moves" in said
    assert not [pad for pad in key.pads if pad.hex() in said]


def test_a_server_that_comes_back_is_found_again() -> None:
    """Meanwhile it is said that it can't be reached; afterwards nothing has to be done."""
    server = PostgresServer()
    try:
        engine = open_postgresql(server.new(), "database.url")
        use_key(engine, KEY)
        upgrade(engine, "data")
        with engine.connect() as open_already:
            open_already.execute(text("SELECT 1"))
            server.stop("immediate")
            with pytest.raises(StorageError, match="can't be reached"), storage_errors("it"):
                open_already.execute(text("SELECT 1"))
        with pytest.raises(StorageError), storage_errors("it"), reading(engine):
            pass
        server.start()
        assert [] == owners(engine)
        engine.dispose()
    finally:
        server.end()


def test_who_waits_to_write_and_loses_the_server(engine: Engine, server: PostgresServer) -> None:
    """It is said as any failure of the database is; to look how the database stands waits for
    nobody.
    """
    address = server.address(str(engine.url.database))
    came: list[str] = []

    def waits() -> None:
        try:
            with storage_errors("it"), engine.begin():
                pass
        except StorageError as error:
            came.append(error.message)

    waiting = "FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with psycopg.connect(address) as writing, psycopg.connect(address, autocommit=True) as asking:
        writing.execute(f"SELECT pg_advisory_xact_lock({WRITING})")
        open_postgresql(address, "database.url").dispose()
        writer = threading.Thread(target=waits)
        writer.start()
        ended = f"SELECT count(pg_terminate_backend(pid)) {waiting}"
        while asking.execute(ended).fetchone() != (1,):
            assert writer.is_alive()
        writer.join()
    assert ["it can't be read or written: PostgreSQL can't be reached."] == came
