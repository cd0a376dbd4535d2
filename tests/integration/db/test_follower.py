"""Following a database on PostgreSQL: by notices, and without any."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import Connection, text

from bailee.db.change_log import CHANNEL, TABLE
from bailee.db.follower import Follower
from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql
from bailee.db.versions import ChangedRows, Confirmation
from bailee.errors import IntegrityError, StorageError
from bailee.testing.clock import FakeTicks
from support.homes.databases import new
from support.servers import postgres

pytestmark = pytest.mark.row("O6")

LONG = 30.0
NEVER = 3600.0
SOON = 0.05
LISTENS = f"SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN {CHANNEL}'"


class Followed:
    """A database, what a follower of it has in memory, and how often it looked."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self.engine = open_postgresql(new("data"), "database.url")
        closing.callback(self.engine.dispose)
        upgrade(self.engine, "data")
        self.ticks = FakeTicks()
        self.confirmation = Confirmation(self.ticks)
        self.names: set[str] = set()
        self.looks = 0
        self.whole = 0
        self.refuses = False

    def follow(self, every: float) -> Follower:
        """Begin, as whoever has something in memory does."""
        beside = open_postgresql(str(self.engine.url), "database.url", reads_only=True)
        self._closing.callback(beside.dispose)
        made = Follower(beside, self._take, self.confirmation, every=every, ticks=self.ticks)
        self._closing.callback(made.close)
        made.look()
        made.start()
        return made

    def _take(self, connection: Connection, changes: ChangedRows) -> None:
        self.looks += 1
        if self.refuses:
            raise IntegrityError("it can't be read.")
        if changes.rows is None:
            self.names = {*connection.execute(text("SELECT id FROM accounts")).scalars()}
            self.whole += 1
        self.names |= changes.of("accounts")

    def add(self, name: str) -> None:
        """Another process makes an account."""
        with self.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO accounts (id, name, plan, training_choice, partner_programme, "
                     "created_at) VALUES (:name, 'n', 'pro', 'none', false, now())"),
                {"name": name},
            )  # fmt: skip

    def do(self, statement: str) -> None:
        """Do something to the database, as its administrator."""
        postgres.shared().do(statement, at=str(self.engine.url.database))

    def count(self, query: str) -> int:
        """What a query counts."""
        with self.engine.begin() as connection:
            return int(connection.execute(text(query)).scalar_one())


@pytest.fixture
def followed() -> Iterator[Followed]:
    """One that nobody follows yet."""
    with ExitStack() as closing:
        yield Followed(closing)


def becomes(asked: Callable[[], bool]) -> None:
    """Wait until it is so."""
    until = time.monotonic() + LONG
    while not asked():
        assert time.monotonic() < until, "it never was"
        time.sleep(0.01)


def test_a_notice_has_it_looked_for_at_once(followed: Followed) -> None:
    """It would look again in an hour."""
    followed.add("ada")
    followed.follow(NEVER)
    assert {"ada"} == followed.names
    becomes(lambda: followed.looks == 2)
    followed.add("bob")
    becomes(lambda: {"ada", "bob"} == followed.names)
    assert 1 == followed.whole


def test_without_notices_it_is_looked_for(followed: Followed) -> None:
    """None comes: whoever stands before the database passes none on."""
    silent(followed)
    followed.add("eve")
    followed.follow(SOON)
    followed.add("ada")
    becomes(lambda: {"eve", "ada"} == followed.names)
    assert 1 == followed.whole


def silent(followed: Followed) -> None:
    """Let changes be noted, and nobody told."""
    with followed.engine.begin() as connection:
        body = connection.execute(
            text("SELECT prosrc FROM pg_proc WHERE proname = 'bailee_changed'")
        ).scalar_one()
        quiet = body.replace(f"PERFORM pg_notify('{CHANNEL}', ''); ", "")
        assert quiet != body
        connection.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION bailee_changed() RETURNS trigger LANGUAGE plpgsql "
            f"AS $made${quiet}$made$"
        )


def test_notices_of_nothing_are_harmless(followed: Followed) -> None:
    """Doubled, late, or from somebody who has nothing to say: each leads to a look that finds none,
    and however many come together lead to one.
    """
    followed.add("ada")
    followed.follow(NEVER)
    becomes(lambda: followed.looks == 2)
    before = followed.looks
    followed.do(f"SELECT pg_notify('{CHANNEL}', n::text) FROM generate_series(1, 500) n")
    becomes(lambda: followed.looks > before)
    followed.add("bob")
    becomes(lambda: {"ada", "bob"} == followed.names)
    assert followed.looks < before + 500
    assert 1 == followed.whole


def test_it_listens_again(followed: Followed) -> None:
    """The connection that listened is ended: a look, and another listens in its place."""
    followed.follow(NEVER)
    becomes(lambda: followed.looks == 2)
    ended = LISTENS.replace("count(*)", "count(pg_terminate_backend(pid, 10000))")
    assert 1 == followed.count(ended)
    becomes(lambda: followed.count(LISTENS) == 1)
    followed.add("ada")
    becomes(lambda: {"ada"} == followed.names)


def test_it_is_confirmed_by_looks_that_succeed(followed: Followed) -> None:
    """Not where what was found can't be taken up; that is tried again, and told of again."""
    follower = followed.follow(NEVER)
    becomes(lambda: followed.looks == 2)
    followed.refuses = True
    followed.ticks.seconds += 9
    followed.add("ada")
    becomes(lambda: follower.failure is not None)
    assert 9 == followed.confirmation.age
    followed.ticks.seconds += 1
    with pytest.raises(StorageError):
        followed.confirmation.require()
    followed.refuses = False
    followed.do(f"NOTIFY {CHANNEL}")
    becomes(lambda: {"ada"} == followed.names)
    becomes(lambda: follower.failure is None)
    followed.confirmation.require()


def test_another_past_is_read_whole(followed: Followed) -> None:
    """The log lost its last change with a primary, and another took its number."""
    followed.add("ada")
    followed.follow(NEVER)
    becomes(lambda: followed.looks == 2)
    assert {"ada"} == followed.names
    followed.do(
        "SET session_replication_role = replica; "
        f"DELETE FROM accounts; UPDATE {TABLE} SET mark = mark + 1, id = 'bob'"
    )
    followed.do(f"NOTIFY {CHANNEL}")
    becomes(lambda: followed.whole == 2)
    assert set() == followed.names


def test_a_database_that_is_away(followed: Followed) -> None:
    """Looks fail, and go on by themselves when it is back."""
    server = postgres.PostgresServer()
    with ExitStack() as closing:
        closing.callback(server.end)
        engine = open_postgresql(server.new(), "database.url")
        closing.callback(engine.dispose)
        upgrade(engine, "data")
        ticks = FakeTicks()
        confirmation = Confirmation(ticks)
        follower = Follower(engine, lambda *_: None, confirmation, every=SOON, ticks=ticks)
        follower.look()
        follower.start()
        closing.callback(follower.close)
        server.stop("immediate")
        becomes(lambda: isinstance(follower.failure, StorageError))
        ticks.seconds += 60
        assert confirmation.is_stale
        assert follower.thread.is_alive()
        server.start()
        becomes(lambda: not confirmation.is_stale)


def test_nothing_is_written_by_who_only_reads(followed: Followed) -> None:
    """Neither by the program nor by what it is made of."""
    beside = open_postgresql(str(followed.engine.url), "database.url", reads_only=True)
    with pytest.raises(StorageError, match="only reads"), beside.begin():
        pass
    raw = beside.raw_connection()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        raw.cursor().execute("DELETE FROM accounts")
    raw.close()
    beside.dispose()
