"""The port `Recording`: what the gateway may rely on.

The first tests hold for every implementation, the fake that tests use included; of the others some
for the spool wherever its files lie, and the rest show it on a disk that fails.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from bailee.admission import Unsealed
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql
from bailee.errors import StorageError
from bailee.gateway.recording import Recording
from bailee.keyring import FileRoot, Keyring
from bailee.keyring.wrapping import STEP
from bailee.testing import FakeClock
from bailee.testing.recording import FaultyRecording
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from bailee.vault.files import Files
from bailee.vault.spool import LARGE, Spool
from bailee.vault.spool_reading import DamagedFrame, SpoolReader
from bailee.vault.spool_rows import SLOTS, SpoolRows
from bailee.vault.spool_store import FolderSpool, SpoolStore, SpoolStores
from bailee.vault.spool_writing import Kept
from support.servers import postgres


class FaultyFiles(Files):
    """A disk that fails when told to, before or after the bytes have arrived, or that waits."""

    def __init__(self) -> None:
        self.fail_make: OSError | None = None
        self.fail_write: OSError | None = None
        self.fail_sync: OSError | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.large_gate = threading.Event()  # for the steps of what is large
        self.large_gate.set()
        self.longest = 0  # of what was written at once into a file that was there

    def make(self, path: Path, size: int) -> int:
        """Make a file, or fail."""
        if self.fail_make:
            raise self.fail_make
        return super().make(path, size)

    def write(self, descriptor: int, content: bytes, offset: int) -> None:
        """Write a part and fail, or write."""
        if len(content) >= STEP:
            self.large_gate.wait(20)
        self.longest = max(self.longest, len(content) if any(content[:99]) else 0)
        self.gate.wait(20)
        if self.fail_write:
            super().write(descriptor, content[: len(content) // 2], offset)
            raise self.fail_write
        super().write(descriptor, content, offset)

    def put(self, descriptor: int, content: bytes, offset: int) -> None:
        """As the two after each other."""
        self.write(descriptor, content, offset)
        self.sync(descriptor)

    def sync(self, descriptor: int) -> None:
        """Fail with the bytes written, or sync."""
        if self.fail_sync:
            raise self.fail_sync
        super().sync(descriptor)


class Receiver:
    """Notes what the spool hands on."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.files: list[str] = []
        self.defect = False

    def kept(self, group: Sequence[Kept]) -> None:
        """Note a group, or fail by a defect."""
        if self.defect:
            raise RuntimeError
        self.ids += [kept.exchange.exchange_id for kept in group if kept.exchange]

    def closed(self, file: str) -> None:
        """Note a closed file."""
        self.files.append(file)

    def unsealed(self, owner: str) -> Unsealed:
        """Nothing: nothing is sealed here."""
        raise AssertionError(owner)


class Port:
    """A spool, its disk, and what a process that starts later finds of it."""

    def __init__(self, folder: Path, store: Callable[[Files], SpoolStore] | None = None) -> None:
        engine = open_sqlite(folder / "keyring.db")
        upgrade(engine, "keys")
        self.keyring = Keyring.open(engine, FileRoot(folder / "root.json"), FakeClock())
        self.files = FaultyFiles()
        self.receiver = Receiver()
        self.store: SpoolStore = (
            FolderSpool(folder / "spool", folder / "quarantine", self.files)
            if store is None
            else store(self.files)
        )
        self.spool = Spool(
            self.store,
            self.keyring,
            FakeClock(),
            self.receiver,
            file_bytes=1 << 16,
            most_waiting=100_000,
            probe_seconds=0.02,
        )
        self.recording: Recording = self.spool

    def found(self) -> tuple[list[str], int]:
        """The exchanges that are durable, in order, and how much damage there is."""
        reader = SpoolReader(SpoolStores(self.store), self.keyring)
        ids, damage = [], 0
        for name in reader.names():
            if reader.is_blank(name):
                continue  # just made, perhaps without its key yet
            for item in reader.read(name):
                if isinstance(item, DamagedFrame):
                    damage += 1
                elif item.exchange:
                    ids.append(item.exchange.exchange_id)
        return ids, damage


class Rows:
    """A database of PostgreSQL's with the tables of a spool, and somebody else who is in it."""

    def __init__(self) -> None:
        self.address = postgres.shared().new()
        self.engine = open_postgresql(self.address, "database.url")
        self.store = SpoolRows(self.engine)
        with self.engine.begin() as connection:
            self.store.prepare(connection)
        self.store.take()
        self._other = psycopg.connect(self.address)

    def hold(self) -> None:
        """Have whoever writes there wait."""
        for slot in range(SLOTS):
            self._other.execute(f"LOCK TABLE bailee_spool_{slot}")  # type: ignore[call-overload]

    def release(self) -> None:
        """Let them go on."""
        self._other.rollback()

    def fail(self) -> None:
        """Have PostgreSQL say that its disk is full, whatever is written."""
        self._do(
            "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END$$",
            *(f"CREATE TRIGGER full_disk BEFORE INSERT ON {name} EXECUTE FUNCTION full_disk()"
              for name in self._names()),
        )  # fmt: skip

    def mend(self) -> None:
        """Have it take what is written again."""
        self._do(*(f"DROP TRIGGER full_disk ON {name}" for name in self._names()))

    def _do(self, *statements: str) -> None:
        for statement in statements:
            self._other.execute(statement)  # type: ignore[call-overload]
        self._other.commit()

    def _names(self) -> list[str]:
        return ["bailee_spool", *(f"bailee_spool_{slot}" for slot in range(SLOTS))]

    def close(self) -> None:
        """End all connections."""
        self._other.close()
        self.store.close()
        self.engine.dispose()


@pytest.fixture
def rows() -> Iterator[Rows]:
    """Such a database."""
    made = Rows()
    yield made
    made.close()


everywhere = pytest.mark.parametrize("port", ["folder", "rows"], indirect=True)
"""The spool's files lie in a folder, and in a database."""


@pytest.fixture
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Port]:
    """A port over a new spool."""
    if getattr(request, "param", "folder") == "rows":
        database: Rows = request.getfixturevalue("rows")
        made = Port(tmp_path, lambda _files: database.store)
    else:
        made = Port(tmp_path)
    yield made
    made.files.gate.set()
    made.files.large_gate.set()
    made.spool.close()


def exchange(name: str, size: int = 10) -> CapturedExchange:
    """An exchange of about `size` bytes."""
    return CapturedExchange(
        exchange_id=name,
        owner="o",
        key_id="k",
        plan="pro",
        channel="api",
        terms=Terms("P30D", "c", "d"),
        started_at=1.0,
        ended_at=2.0,
        outcome=Outcome.COMPLETE,
        method="POST",
        target="/",
        status=200,
        request_headers=(),
        answer_headers=(),
        request=b"r" * size,
        answer=b"a",
    )


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run on a loop, for at most half a minute."""
    asyncio.run(asyncio.wait_for(work, 30))


async def kept(
    port: Port | SimpleNamespace, *exchanges: CapturedExchange
) -> list[StorageError | None]:
    """Submit and wait for all."""
    waits: list[asyncio.Future[StorageError | None]] = []
    for one in exchanges:
        future: asyncio.Future[StorageError | None] = asyncio.get_running_loop().create_future()
        port.recording.submit(one, future.set_result)
        waits.append(future)
    return list(await asyncio.gather(*waits))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    while not condition():
        await asyncio.sleep(0.005)


class SpoolStage:
    """The spool, with its disk in the test's hands."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self.recording: Recording = port.recording

    def hold(self) -> None:
        """Let nothing become durable."""
        self._port.files.gate.clear()

    def release(self) -> None:
        """Let everything become durable."""
        self._port.files.gate.set()

    def fail(self) -> None:
        """Let the disk fail."""
        self._port.files.fail_make = self._port.files.fail_write = OSError(errno.ENOSPC, "no")

    def mend(self) -> None:
        """Let the disk work again."""
        self._port.files.fail_make = self._port.files.fail_write = None


class RowsStage:
    """The spool in a database, with PostgreSQL in the test's hands."""

    def __init__(self, port: Port, rows: Rows) -> None:
        self.recording: Recording = port.recording
        self.hold, self.release = rows.hold, rows.release
        self.fail, self.mend = rows.fail, rows.mend


class MemoryStage:
    """The fake, likewise."""

    def __init__(self) -> None:
        self._fake = FaultyRecording(known=True, broken=False)
        self._fake._limit = 100_000
        self.recording: Recording = self._fake

    def hold(self) -> None:
        """Let nothing become durable."""
        self._fake._manual = True

    def release(self) -> None:
        """Let everything become durable."""
        self._fake._manual = False
        self._fake.settle()

    def fail(self) -> None:
        """Let writing fail."""
        self._fake.broken = True

    def mend(self) -> None:
        """Let writing work again."""
        self._fake.broken = False


Stage = SpoolStage | RowsStage | MemoryStage


@pytest.fixture(params=["spool", "rows", "memory"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Each implementation."""
    if request.param == "memory":
        yield MemoryStage()
    elif request.param == "spool":
        yield SpoolStage(request.getfixturevalue("port"))
    else:
        rows: Rows = request.getfixturevalue("rows")
        port = Port(tmp_path, lambda _files: rows.store)
        yield RowsStage(port, rows)
        rows.release()
        port.spool.close()


def test_done_is_called_later_in_order(stage: Stage) -> None:
    """`done` is called on the loop's thread, in order, never within `submit`."""

    async def work() -> None:
        calls: list[tuple[int, int]] = []
        for number in range(5):
            stage.recording.submit(
                exchange(str(number)),
                lambda error, n=number: (
                    calls.append((n, threading.get_ident()))  # type: ignore[misc]
                    if error is None
                    else None
                ),
            )
            assert [] == calls
        await until(lambda: len(calls) == 5)
        assert [(number, threading.get_ident()) for number in range(5)] == calls

    run(work())


def test_no_room_and_room_again(stage: Stage) -> None:
    """Over the limit there is no room; once written, there is."""

    async def work() -> None:
        settled: list[StorageError | None] = []
        stage.hold()
        assert stage.recording.has_room
        for number in range(4):
            stage.recording.submit(exchange(str(number), 30_000), settled.append)
        assert not stage.recording.has_room
        await asyncio.sleep(0.05)
        assert [] == settled
        stage.release()
        await until(lambda: settled == [None] * 4)
        assert stage.recording.has_room

    run(work())


def test_failing_and_working_again(stage: Stage) -> None:
    """While writing fails, `done` gets the error and `failure` says so; later all is as before."""

    async def work() -> None:
        port = SimpleNamespace(recording=stage.recording)
        assert [None] == await kept(port, exchange("1"))
        assert stage.recording.failure is None
        stage.fail()
        (error,) = await kept(port, exchange("2"))
        assert isinstance(error, StorageError)
        assert isinstance(stage.recording.failure, StorageError)
        stage.mend()
        await until(lambda: stage.recording.failure is None)
        assert [None] == await kept(port, exchange("3"))

    run(work())


@everywhere
def test_done_means_on_disk(port: Port) -> None:
    """When `done` has been called without an error, another process finds the exchange."""

    async def work() -> None:
        for number in range(5):
            assert [None] == await kept(port, exchange(str(number)))
            assert str(number) == port.found()[0][-1]
        assert port.recording.failure is None

    run(work())


@everywhere
def test_order_and_threads(port: Port) -> None:
    """Exchanges stay in order, over many files; `done` is called on the loop, after submit."""

    async def work() -> None:
        names = [str(number) for number in range(300)]
        threads: list[int] = []
        done = asyncio.Event()
        inside = False

        def settle(error: StorageError | None) -> None:
            assert error is None
            assert not inside
            threads.append(threading.get_ident())
            if len(threads) == len(names):
                done.set()

        for name in names:
            inside = True
            port.recording.submit(exchange(name, 1000), settle)
            inside = False
            if int(name) % 20 == 0:
                await until(lambda so_far=int(name): len(threads) > so_far)
        await done.wait()
        assert {threading.get_ident()} == set(threads)
        assert (names, 0) == port.found()
        await until(lambda: port.receiver.ids == names)
        assert len(port.receiver.files) > 3

    run(work())


@everywhere
def test_larger_than_a_file(port: Port) -> None:
    """An exchange larger than a spool file is kept."""

    async def work() -> None:
        assert [None, None] == await kept(port, exchange("big", 1 << 17), exchange("small"))
        assert (["big", "small"], 0) == port.found()

    run(work())


@pytest.mark.row("G1")
def test_a_small_record_does_not_stand_behind_a_large_one(port: Port) -> None:
    """While a large one is being written, a small one is durable: each is in a file of its lane.
    The large one is never copied as a whole, which would keep all threads waiting.
    """

    async def work() -> None:
        port.files.large_gate.clear()
        loop = asyncio.get_running_loop()
        large, small = loop.create_future(), loop.create_future()
        port.recording.submit(exchange("large", 2 << 20), large.set_result)
        port.recording.submit(exchange("small"), small.set_result)
        assert await small is None
        assert not large.done()
        port.files.large_gate.set()
        assert await large is None
        assert ["large", "small"] == sorted(port.found()[0])
        assert port.files.longest <= STEP

    run(work())


def test_room(port: Port) -> None:
    """Over the limit there is no room; when what waits has been written, there is."""

    async def work() -> None:
        await kept(port, exchange("first"))
        port.files.gate.clear()
        assert port.recording.has_room
        waiting = asyncio.ensure_future(kept(port, *[exchange(str(n), 30_000) for n in range(4)]))
        await asyncio.sleep(0)
        assert not port.recording.has_room
        port.files.gate.set()
        await waiting
        assert port.recording.has_room

    run(work())


@pytest.mark.parametrize("operation", ["fail_write", "fail_sync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failing_disk(port: Port, operation: str, number: int) -> None:
    """While the disk fails, all that waits is refused, `failure` says so, what was acknowledged
    stays, and what was refused does not reappear; when the disk works again, so does the port.
    """

    async def work() -> None:
        assert [None] == await kept(port, exchange("before"))
        setattr(port.files, operation, OSError(number, "no"))
        port.files.fail_make = OSError(number, "no")
        refused = await kept(port, exchange("1"), exchange("2"))
        assert all(isinstance(error, StorageError) for error in refused)
        assert port.recording.failure is not None
        assert all(await kept(port, exchange("3")))
        assert ["before"] == port.found()[0]
        setattr(port.files, operation, None)
        port.files.fail_make = None
        await until(lambda: port.recording.failure is None)
        assert [None] == await kept(port, exchange("after"))
        assert (["before", "after"], 0) == port.found()
        await until(lambda: port.receiver.ids == ["before", "after"])

    run(work())


@everywhere
def test_a_keyring_that_fails(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key nothing is written: a new file's exchanges are refused until there is one."""

    async def work() -> None:
        with monkeypatch.context() as patch:

            def fail(*_arguments: object) -> None:
                raise StorageError("no")

            patch.setattr(port.keyring, "dek", fail)
            refused = await kept(port, exchange("big", 1 << 20))
            assert all(isinstance(error, StorageError) for error in refused)
        await until(lambda: port.recording.failure is None)
        assert [None] == await kept(port, exchange("after"))
        assert (["after"], 0) == port.found()

    run(work())


@everywhere
def test_a_defect_does_not_leave_clients_waiting(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody thought of refuses the group and the port goes on."""

    async def work() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("bailee.vault.spool_writing.encoded", lambda _exchange: 1 / 0)
            (error,) = await kept(port, exchange("1"))
            assert isinstance(error, StorageError)
        await until(lambda: port.recording.failure is None)
        assert [None] == await kept(port, exchange("2"))

    run(work())


@everywhere
@pytest.mark.parametrize("size", [10, 2 * LARGE])
def test_a_defect_in_what_comes_after_writing_leaves_nobody_waiting(port: Port, size: int) -> None:
    """By the loop or by a lane: it is refused; and what comes later is written, and handed on."""

    async def work() -> None:
        port.receiver.defect = True
        for _ in range(3):  # the first one is written by the spool's thread
            assert [True] == [error is not None for error in await kept(port, exchange("1", size))]
        port.receiver.defect = False
        await until(lambda: port.recording.failure is None)
        assert [None, None] == await kept(port, exchange("2"), exchange("3", size))
        assert {"2", "3"} == set(port.receiver.ids)

    run(work())


def test_close_writes_what_waits(port: Port) -> None:
    """Closing writes all that was submitted."""

    async def work() -> None:
        port.files.gate.clear()
        waiting = asyncio.ensure_future(kept(port, *[exchange(str(n)) for n in range(9)]))
        await asyncio.sleep(0)
        port.files.gate.set()
        await asyncio.to_thread(port.spool.close)
        assert [None] * 9 == await waiting
        assert 9 == len(port.found()[0])

    run(work())
