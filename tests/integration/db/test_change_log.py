"""What has changed is noted with the change, by PostgreSQL itself, and read in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, Engine, delete, insert, text, update

from bailee.db import change_log
from bailee.db.accounts import accounts, api_keys
from bailee.db.carrying import carry
from bailee.db.change_log import CHANNEL, KEPT, TABLE
from bailee.db.checks import use_key
from bailee.db.engine import open_sqlite, reading
from bailee.db.migrate import upgrade
from bailee.db.policy import policy_activations
from bailee.db.postgresql import open_postgresql
from bailee.db.versions import NOTHING, ChangedRows, DataVersion
from support.homes.databases import new

pytestmark = pytest.mark.row("O6")

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = bytes(range(32))


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A data database that has no rows."""
    made = open_postgresql(new("data"), "database.url")
    use_key(made, KEY)
    upgrade(made, "data")
    yield made
    made.dispose()


def add(connection: Connection, *names: str) -> None:
    """Make accounts."""
    for name in names:
        connection.execute(
            insert(accounts).values(
                id=name, name="n", plan="pro", training_choice="none", partner_programme=False,
                created_at=AT,
            )
        )  # fmt: skip


def read(engine: Engine, known: DataVersion | None) -> ChangedRows:
    """As who follows it does."""
    with reading(engine) as connection:
        return change_log.read(connection, known)


def test_what_changed_is_told_by_its_row(engine: Engine) -> None:
    """Made, changed, removed; whatever the transaction was for; and nothing else is."""
    start = read(engine, None)
    assert ChangedRows(NOTHING, None) == start
    with engine.begin() as connection:
        add(connection, "ada", "bob")
        connection.execute(
            insert(api_keys).values(
                id="key", account_id="ada", name="k", digest=bytes(32), zero_retention=False,
                created_at=AT, created_by="operator",
            )
        )  # fmt: skip
        connection.execute(
            insert(policy_activations).values(
                number=7, at=AT, document="d", by="operator", since=0, sessions=0, accounts=0,
                told=0,
            )
        )  # fmt: skip
    made = read(engine, None)
    with engine.begin() as connection:
        connection.execute(update(accounts).where(accounts.c.id == "bob").values(plan="max"))
        connection.execute(delete(api_keys))
        connection.execute(text("INSERT INTO organisations VALUES ('o', 'n', now())"))
    later = read(engine, made.version)
    assert (4, 6) == (made.version.number, later.version.number)
    assert {"accounts": frozenset({"bob"}), "api_keys": frozenset({"key"})} == later.rows
    with engine.begin() as connection:
        add(connection, "eve")
    assert {"accounts": frozenset({"eve"})} == read(engine, later.version).rows


def test_what_is_undone_was_no_change(engine: Engine) -> None:
    """It takes no number, and nobody is told."""
    with psycopg.connect(str(engine.url.set(drivername="postgresql")), autocommit=True) as other:
        other.execute(f"LISTEN {CHANNEL}")
        with engine.connect() as connection, connection.begin() as transaction:
            add(connection, "ada")
            transaction.rollback()
        assert ChangedRows(NOTHING, None) == read(engine, None)
        with engine.begin() as connection:
            add(connection, "bob", "eve")
        assert 2 == read(engine, None).version.number
        (told,) = other.notifies(timeout=60, stop_after=1)
        assert (CHANNEL, "") == (told.channel, told.payload)
        assert [] == [*other.notifies(timeout=0.5)], "one notice of a transaction, without content"


def test_none_of_two_at_once_is_lost(engine: Engine) -> None:
    """One waits for the other, and whoever reads in between follows both, in order."""
    known = read(engine, None).version
    seen: set[str] = set()

    def follow() -> None:
        nonlocal known
        changes = read(engine, known)
        seen.update(changes.of("accounts"))
        if changes.rows is None:
            seen.update(ids(engine))
        known = changes.version

    def writes(name: str) -> None:
        for number in range(20):
            with engine.begin() as connection:
                add(connection, f"{name}{number}")

    writers = [threading.Thread(target=writes, args=(name,)) for name in "abc"]
    for one in writers:
        one.start()
    while any(one.is_alive() for one in writers):
        follow()
    for one in writers:
        one.join()
    follow()
    assert {*ids(engine)} == seen
    assert 60 == known.number


def ids(engine: Engine) -> list[str]:
    """The accounts that there are."""
    with reading(engine) as connection:
        return [str(one) for one in connection.execute(text("SELECT id FROM accounts")).scalars()]


def test_a_number_is_taken_once(engine: Engine) -> None:
    """Somebody beside the program writes without a turn: the second to take a number is refused,
    so that numbers are in the order of their commits whoever writes.
    """
    address = str(engine.url.set(drivername="postgresql"))
    how = f"-c bailee.row_inner={bytes(64).hex()} -c bailee.row_outer={bytes(64).hex()}"
    refused: list[type[BaseException]] = []

    def second(number: int) -> None:
        with psycopg.connect(address, options=how) as beside:
            try:
                beside.execute(f"UPDATE accounts SET name = 'x' WHERE id = '{number}'")
            except psycopg.Error as error:
                refused.append(type(error))

    with engine.begin() as connection:
        add(connection, "1", "2")
    known = read(engine, None).version
    with psycopg.connect(address, options=how) as first:
        first.execute("UPDATE accounts SET name = 'x' WHERE id = '1'")
        waits = threading.Thread(target=second, args=(2,))
        waits.start()
        queued = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
        until = time.monotonic() + 60
        while first.execute(queued).fetchone() != (True,):
            assert time.monotonic() < until
            time.sleep(0.01)
        first.commit()
        waits.join()
    assert [psycopg.errors.UniqueViolation] == refused
    assert {"accounts": frozenset({"1"})} == read(engine, known).rows


def test_the_log_has_a_bound(engine: Engine) -> None:
    """Who has missed more than is kept reads everything; who has missed as many, those."""
    with engine.begin() as connection:
        add(connection, "ada")
        known = change_log.read(connection, None).version
        add(connection, "bob")
        before = change_log.read(connection, None).version
        add(connection, "eve")
        connection.execute(
            text(
                "INSERT INTO accounts "
                "(id, name, plan, training_choice, partner_programme, created_at) "
                "SELECT 'a' || n, 'n', 'pro', 'none', false, now() "
                f"FROM generate_series(1, {KEPT - 2}) n"
            )
        )
    found = read(engine, before)
    assert KEPT - 1 == len(found.of("accounts"))
    assert read(engine, known).rows is None
    with reading(engine) as connection:
        assert KEPT == connection.execute(text(f"SELECT count(*) FROM {TABLE}")).scalar()


def test_a_home_from_before_has_it_once_it_is_opened(engine: Engine) -> None:
    """Its triggers are made anew where they are not what they should be."""
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP FUNCTION bailee_changed() CASCADE")
        connection.exec_driver_sql(f"DROP TABLE {TABLE}")
    upgrade(engine, "data")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER accounts_changed ON accounts")
    upgrade(engine, "data")
    with engine.begin() as connection:
        add(connection, "ada")
    assert 1 == read(engine, None).version.number


def test_what_is_carried_over_begins_another(engine: Engine) -> None:
    """A restore writes rows as anybody does; the log is the database's own, and is not carried."""
    with engine.begin() as connection:
        add(connection, "ada", "bob")
    known = read(engine, None).version
    other = open_postgresql(new("data"), "database.url")
    use_key(other, KEY)
    upgrade(other, "data")
    carry(engine, other, "data")
    assert 2 == read(other, None).version.number
    assert read(other, known).rows is None
    other.dispose()


def test_a_home_of_files_has_none(tmp_path: Path) -> None:
    """One process alone has it, so its writes cost nothing more."""
    engine = open_sqlite(tmp_path / "data.db")
    upgrade(engine, "data")
    with engine.begin() as connection:
        found = connection.execute(text("SELECT name FROM sqlite_master")).scalars()
        assert [] == [one for one in found if "bailee_change" in str(one)]
    engine.dispose()
