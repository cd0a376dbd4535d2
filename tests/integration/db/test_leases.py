"""Leases of a database on PostgreSQL, with holders that are processes of their own."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import psycopg
import pytest
from sqlalchemy import Engine, text

from bailee.db.engine import reading, storage_errors
from bailee.db.fencing import COMMITS, TABLE, fence_of
from bailee.db.leases import SECONDS, Lease
from bailee.db.postgresql import open_postgresql
from bailee.errors import StorageError
from support.clients import processes
from support.servers import postgres

LONG = 60.0
_PROGRAM = Path(__file__).with_name("lease_process.py")
_LOCK = 0x6261696C6565


class Holder:
    """A process that has the lease of a database, or tries to."""

    def __init__(self, address: str, wrong: float = 0.0) -> None:
        self._process = processes.start(
            address, str(wrong), env=dict(processes.LANGUAGE), program=_PROGRAM, given=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line.strip())

    def says(self) -> str:
        """What it says next."""
        return self._lines.get(timeout=LONG)

    def tell(self, line: str) -> None:
        """Give it something to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        """Stop it, let it go on, or kill it."""
        self._process.send_signal(number)

    def end(self) -> None:
        """The process ends."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()


class Database:
    """One database with a table for notes, and whoever has it."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self.address = postgres.shared().new()
        self.do("CREATE TABLE notes (said text)")

    def do(self, statement: str) -> None:
        """Do something to it, as its administrator."""
        postgres.shared().do(statement, at=self.address.rpartition("/")[2])

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """What it has."""
        with psycopg.connect(self.address) as connection:
            return connection.execute(query).fetchall()

    def notes(self) -> list[object]:
        """What was written and is there."""
        return [said for (said,) in self.ask("SELECT said FROM notes ORDER BY said")]

    def number(self) -> int:
        """The present holder's."""
        ((number,),) = self.ask(f"SELECT number FROM {TABLE}")
        assert isinstance(number, int)
        return number

    def run_out(self) -> None:
        """Have the moment of a holder pass that does not renew it."""
        self.do(f"UPDATE {TABLE} SET until = clock_timestamp() - interval '1 second'")

    def holder(self, wrong: float = 0.0) -> Holder:
        """A process that has taken it."""
        made = Holder(self.address, wrong)
        self._closing.callback(made.end)
        assert made.says() == "has it"
        return made

    def lease(self) -> tuple[Engine, Lease]:
        """Of the test itself, which has not taken it yet."""
        engine = open_postgresql(self.address, "database.url")
        self._closing.callback(engine.dispose)
        lease = Lease(engine, "database.url")
        self._closing.callback(lease.give_back)
        return engine, lease


@pytest.fixture
def database() -> Iterator[Database]:
    """One that nobody has."""
    with ExitStack() as closing:
        yield Database(closing)


def becomes(asked: Callable[[], bool]) -> None:
    """Wait until it is so."""
    until = time.monotonic() + LONG
    while not asked():
        assert time.monotonic() < until, "it never was"
        time.sleep(0.05)


def write(engine: Engine, said: str) -> None:
    """Write a note."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO notes VALUES (:said)"), {"said": said})


@pytest.mark.row("O6")
def test_one_has_it(database: Database) -> None:
    """Another is refused, and told for how long; given back, it is had at once by the next one,
    with another number.
    """
    holder = database.holder()
    _, lease = database.lease()
    with pytest.raises(StorageError, match="another process has the database") as refused:
        lease.take()
    assert "seconds more" in (refused.value.hint or "")
    before = database.number()
    holder.tell("pear")
    assert holder.says() == "wrote"
    holder.tell("give back")
    assert holder.says() == "gave it back"
    engine, lease = database.lease()
    lease.take()
    write(engine, "quince")
    assert ["pear", "quince"] == database.notes()
    assert before < database.number()


@pytest.mark.row("O6", "R5")
def test_a_killed_holders_is_free_at_once(database: Database) -> None:
    """Its connection has ended, so nobody waits for its moment to pass."""
    holder = database.holder()
    before = database.number()
    holder.send(signal.SIGKILL)

    def taken() -> bool:
        try:
            database.lease()[1].take()
        except StorageError:
            return False
        return True

    becomes(taken)
    ((left,),) = database.ask(f"SELECT until > clock_timestamp() FROM {TABLE}")
    assert left
    assert before < database.number()


@pytest.mark.row("O6", "R5")
def test_a_holder_that_was_stopped_writes_nothing_afterwards(database: Database) -> None:
    """Stopped in the middle of a transaction until its moment has passed, and past it: what it had
    written is undone, what it writes then is refused, and it is told.
    """
    holder = database.holder()
    holder.tell("slowly")
    assert holder.says() == "writes"
    holder.send(signal.SIGSTOP)
    _, early = database.lease()
    with pytest.raises(StorageError, match="another process has"):
        early.take()
    database.run_out()
    engine, lease = database.lease()
    lease.take()
    write(engine, "quince")
    holder.send(signal.SIGCONT)
    holder.tell("")
    holder.tell("pear")
    said = [holder.says() for _ in range(3)]
    assert {"told"} < {*said}
    assert [one for one in said if one != "told"] == [
        "failed: AdminShutdown",
        "refused: another process has taken this home over; nothing of this one's is written any "
        "more.",
    ]
    assert ["quince"] == database.notes()
    assert not lease.lost


@pytest.mark.row("O6")
def test_a_broken_connection_is_made_again(database: Database) -> None:
    """The holder keeps its number where nobody has taken the lease meanwhile, even past its moment,
    and others are refused again.
    """
    holder = database.holder()
    number = database.number()
    ((before,),) = database.ask(f"SELECT session FROM {TABLE}")
    database.run_out()
    database.do(f"SELECT pg_terminate_backend({before}, 10000)")
    held = (
        f"SELECT count(*) FROM {TABLE} JOIN pg_locks ON pid = session AND locktype = 'advisory' "
        f"WHERE session <> {before} AND until > clock_timestamp()"
    )
    becomes(lambda: [(1,)] == database.ask(held))
    _, lease = database.lease()
    with pytest.raises(StorageError, match="another process has"):
        lease.take()
    holder.tell("pear")
    assert holder.says() == "wrote"
    assert (["pear"], number) == (database.notes(), database.number())


@pytest.mark.row("O6")
def test_taken_while_a_connection_is_broken(database: Database) -> None:
    """The lock of a connection that is gone keeps nobody out; its holder is, from then on."""
    holder = database.holder()
    holder.send(signal.SIGSTOP)
    number = database.number()
    ((session,),) = database.ask(f"SELECT session FROM {TABLE}")
    database.do(f"SELECT pg_terminate_backend({session}, 10000)")
    engine, lease = database.lease()
    lease.take()
    holder.send(signal.SIGCONT)
    assert holder.says() == "told"
    holder.tell("pear")
    assert holder.says().startswith("refused")
    write(engine, "quince")
    assert ["quince"] == database.notes()
    assert number < database.number()


@pytest.mark.row("O6")
def test_a_wrong_clock_decides_nothing(database: Database) -> None:
    """A holder whose own clock is a year ahead, or behind, has it for as long as any, renews it,
    and keeps others out.
    """
    year = 366 * 86_400.0
    for wrong in (year, -year):
        holder = database.holder(wrong)
        asked = f"SELECT until, until - clock_timestamp() <= interval '{SECONDS} s' FROM {TABLE}"
        ((first, near),) = database.ask(asked)
        assert near
        becomes(lambda: first < database.ask(asked)[0][0])  # type: ignore[operator] # noqa: B023
        with pytest.raises(StorageError, match="another process has"):
            database.lease()[1].take()
        holder.tell("give back")
        assert holder.says() == "gave it back"


@pytest.mark.row("O6")
def test_who_waits_to_write_is_asked_when_it_is_their_turn(database: Database) -> None:
    """The lease is taken while a writer waits: what counts is who has it when the wait is over."""
    engine, lease = database.lease()
    lease.take()
    lease.number()
    refused: list[StorageError] = []

    def waits() -> None:
        try:
            write(engine, "pear")
        except StorageError as error:
            refused.append(error)

    with psycopg.connect(database.address) as taking:
        taking.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        writer = threading.Thread(target=waits)
        writer.start()
        queued = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        becomes(lambda: [(1,)] == database.ask(queued))
        taking.execute(f"UPDATE {TABLE} SET number = number + 1")
    writer.join()
    assert 1 == len(refused)
    assert [] == database.notes()
    fence = fence_of(engine)
    assert fence is not None
    assert fence.lost.is_set()


@pytest.mark.row("O6")
def test_a_server_that_crashed_knows_who_had_it() -> None:
    """PostgreSQL ends without a word and comes back, and all locks are gone: the holder has its
    number, writes on, and has the lock again, so that others are refused.
    """
    server = postgres.PostgresServer()
    with ExitStack() as closing:
        closing.callback(server.end)
        address = server.new()
        server.do("CREATE TABLE notes (said text)", at=address.rpartition("/")[2])
        engines = [open_postgresql(address, "database.url") for _ in range(2)]
        for engine in engines:
            closing.callback(engine.dispose)
        lease, other = (Lease(engine, "database.url") for engine in engines)
        closing.callback(lease.give_back)
        lease.take()
        lease.number()
        fence = fence_of(engines[0])
        assert fence is not None
        mine = fence.number
        write(engines[0], "pear")
        server.stop("immediate")
        with pytest.raises(StorageError), storage_errors("it"):
            write(engines[0], "never")
        server.start()
        write(engines[0], "quince")
        held = "SELECT count(*) FROM pg_locks JOIN bailee_lease ON session = pid"

        def locked() -> bool:
            with psycopg.connect(address) as connection:
                return connection.execute(held).fetchone() == (1,)

        becomes(locked)
        with pytest.raises(StorageError, match="another process has"):
            other.take()
        with psycopg.connect(address) as connection:
            assert (mine,) == connection.execute("SELECT number FROM bailee_lease").fetchone()
            assert 2 == len(connection.execute("SELECT said FROM notes").fetchall())


# -- an older state in the place of the newest -----------------------------------------------------

_LACKS = "the database that database.url names lacks what was committed to it"


@pytest.mark.row("O6", "R5")
@pytest.mark.parametrize("older", [f"UPDATE {COMMITS}", f"UPDATE {TABLE}"])
def test_nothing_is_written_to_an_older_state(database: Database, older: str) -> None:
    """One that counts fewer transactions than were committed, or knows an earlier holder as the
    last one: the holder is refused, and told.
    """
    holder = database.holder()
    holder.tell("pear")
    assert holder.says() == "wrote"
    database.do(f"{older} SET number = number - 1")
    holder.tell("quince")
    assert {holder.says() for _ in range(2)} == {
        "told",
        f"refused: {_LACKS}; nothing is read or written there any more.",
    }
    assert ["pear"] == database.notes()


@pytest.mark.row("O6", "R5")
def test_nothing_is_read_of_an_older_state(database: Database) -> None:
    """Each connection is asked before it is used, and what was missing once stays so."""
    engine, lease = database.lease()
    lease.take()
    lease.number()
    write(engine, "pear")
    database.do(f"UPDATE {COMMITS} SET number = number - 1")
    engine.dispose()
    with pytest.raises(StorageError, match=_LACKS), reading(engine):
        pass
    database.do(f"UPDATE {COMMITS} SET number = number + 9")  # by whoever writes there now
    with pytest.raises(StorageError, match=_LACKS):
        write(engine, "quince")
    assert ["pear"] == database.notes()


@pytest.mark.row("O6")
def test_what_was_not_committed_is_not_missed(database: Database) -> None:
    """A transaction that was undone counts for nothing, nor does one that only reads."""
    engine, lease = database.lease()
    lease.take()
    lease.number()
    fence = fence_of(engine)
    assert fence is not None
    noted: list[int] = []
    fence.note = noted.append
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), engine.begin() as connection:
            connection.execute(text("INSERT INTO notes VALUES ('never')"))
            _ = 1 // 0
        with reading(engine) as connection:
            assert 0 == connection.execute(text("SELECT count(*) FROM notes")).scalar()
    assert 0 == fence.commits
    write(engine, "pear")
    assert (1, [1], ["pear"]) == (fence.commits, noted, database.notes())
    assert [(1,)] == database.ask(f"SELECT number FROM {COMMITS}")
