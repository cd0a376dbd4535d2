"""Where what is answered is durable in the database: the machine is lost, the network breaks off,
somebody else takes over; and what was destroyed stays so.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from bailee.db import links
from bailee.db.engine import reading
from bailee.db.leases import Lease
from bailee.db.postgresql import has_second_copy, open_postgresql
from bailee.errors import StorageError
from bailee.vault.lasting_rows import may_be_without_folder, open_rows
from bailee.vault.spool_rows import SLOTS, SpoolRows
from support.homes import databases
from support.servers import postgres
from support.servers.postgres_relay import PostgresRelay

pytestmark = pytest.mark.row("R5", "O6", "G1")

Bench = Any


def turn(words: str) -> dict[str, Any]:
    """A turn of a person's."""
    return {"role": "user", "content": words}


@pytest.fixture
def bench(make: Callable[..., Bench], tmp_path: Path) -> Bench:
    """A vault whose databases are on PostgreSQL, whose objects are in a bucket, and whose answers
    are durable there.
    """
    databases.use("postgresql")
    made = make()
    made.close()
    made.bucket, made.lasting = tmp_path / "bucket", True
    made.open()
    made.vault.recover()
    return made


def unsealed(bench: Bench, *words: str) -> None:
    """Answer, and end before any of it is sealed, as when the process is killed."""
    bench.vault._sealer.queue.stop()
    bench.vault._sealer.thread.join()
    some = [bench.exchange([turn(one)], session=one) for one in words]
    assert [None] * len(words) == bench.submit(*some)
    bench.close()


def shown(bench: Bench) -> set[str]:
    """The words of all sessions."""
    vault = bench.vault
    return {vault.show(row.id).main[0]["content"] for row in vault.sessions(bench.clock())}


def reported(bench: Bench) -> list[str]:
    """What is in the audit record, but that an end came before everything was sealed."""
    return [kind for kind, _, _ in bench.leaves if kind != "vault.closed_unsealed"]


def lie_there(engine: Engine) -> int:
    """How many rows there are of what is spooled."""
    with engine.begin() as connection:
        return sum(
            connection.execute(text(f"SELECT count(*) FROM bailee_spool_{n}")).scalar_one()
            for n in range(SLOTS)
        )


def lose(bench: Bench) -> None:
    """The vault's folder is gone."""
    shutil.rmtree(bench.path / "vault")


def again(bench: Bench) -> Bench:
    """Start, and take up what is left."""
    bench.open()
    bench.vault.recover()
    return bench


def test_the_folder_is_lost(bench: Bench) -> None:
    """What is in the bucket, what is in an open segment, and what is not sealed: all is there, and
    the database has nothing of it twice.
    """
    bench.keep(bench.exchange([turn("quince")], session="quince"))
    assert 1 == bench.vault.ship()
    bench.keep(bench.exchange([turn("pear")], session="pear"))
    large = bench.exchange([turn("x" * (3 << 20))], session="large")
    bench.keep(large)
    unsealed(bench, "sloe", "medlar")
    lose(bench)
    again(bench)
    assert {"quince", "pear", "sloe", "medlar", "x" * (3 << 20)} == shown(bench)
    assert may_be_without_folder(bench.engine)
    bench.vault.ship()
    bench.reopen()
    lose(bench)
    bench.reopen()
    assert 5 == len(shown(bench))
    assert 0 == lie_there(bench.engine)
    assert [] == [one for one in (bench.bucket / "spool").rglob("*") if one.is_file()]
    assert [] == reported(bench)


def test_one_bad_group_never_stops_the_others(bench: Bench) -> None:
    """It is put aside and reported, and the rest is filed; the report outlives the folder."""
    unsealed(bench, "sloe", "medlar", "pear")
    with bench.engine.begin() as connection:
        for slot in range(SLOTS):
            connection.execute(
                text(
                    f"UPDATE bailee_spool_{slot} SET content = "
                    "set_byte(content, 40, get_byte(content, 40) # 1) WHERE at = 0"
                )
            )
    lose(bench)
    again(bench)
    assert {"medlar", "pear"} == shown(bench)
    assert ["vault.damaged"] == reported(bench)
    (aside,) = bench.vault._reader.aside()
    assert (0, True) == (aside.offset, aside.size > 0)
    assert ["quarantine/" + aside.label] == [one.where for one in bench.vault.verifying({}).spool()]
    bench.reopen()
    lose(bench)
    bench.reopen()
    assert [aside] == bench.vault._reader.aside()


def test_a_row_that_is_gone_costs_what_was_in_it(bench: Bench) -> None:
    """In the middle: what comes before and after is filed, and a gap is reported."""
    bench.vault._sealer.queue.stop()
    bench.vault._sealer.thread.join()
    for one in ("sloe", "medlar", "pear"):
        assert [None] == bench.submit(bench.exchange([turn(one)], session=one))
    bench.close()
    with bench.engine.begin() as connection:
        for slot in range(SLOTS):
            which = f"SELECT min(at) FROM bailee_spool_{slot} WHERE at > 0"
            connection.execute(text(f"DELETE FROM bailee_spool_{slot} WHERE at = ({which})"))
    again(bench)
    assert {"sloe", "pear"} == shown(bench)
    assert ["vault.damaged"] == reported(bench)


def test_what_was_written_before_the_setting_was_changed_is_filed(bench: Bench) -> None:
    """From the database to the folder, and back. While anything lies in the folder alone a start
    may not do without it.
    """
    unsealed(bench, "sloe")
    bench.lasting = False
    again(bench)
    assert {"sloe"} == shown(bench)
    assert not may_be_without_folder(bench.engine)
    unsealed(bench, "medlar")
    bench.lasting = True
    bench.open()
    assert not may_be_without_folder(bench.engine)
    bench.vault.recover()
    assert {"sloe", "medlar"} == shown(bench)
    bench.keep(bench.exchange([turn("pear")], session="pear"))
    bench.vault.ship()
    bench.vault.sweep(bench.clock())
    assert may_be_without_folder(bench.engine)
    bench.close()
    lose(bench)
    again(bench)
    assert {"sloe", "medlar", "pear"} == shown(bench)


def test_it_is_forgotten_as_ever(bench: Bench) -> None:
    """A session that is deleted is in no row, and its file's key is gone, at once."""
    bench.keep(bench.exchange([turn("quince")], session="quince"))
    (row,) = bench.vault.sessions(bench.clock())
    bench.vault.delete(row.id, bench.clock())
    assert 0 == lie_there(bench.engine)
    assert [] == bench.keyring.subjects("spool:") or not bench.vault._reader.missing()
    bench.vault.sweep(bench.clock())
    with bench.engine.begin() as connection:
        count = "SELECT count(*) FROM bailee_open_segments"
        assert 0 == connection.execute(text(count)).scalar()
    assert set() == shown(bench)


# -- the network -----------------------------------------------------------------------------------


@pytest.fixture
def relay(bench: Bench) -> Iterator[PostgresRelay]:
    """The way to the data database, over which the spool's groups go from now on."""
    address = bench.engine.url.render_as_string().replace("+psycopg", "")
    with PostgresRelay(address) as made:
        other = open_postgresql(made.address, "database.url")
        for link in bench.vault._rows.spool._links.values():
            link.close()
            link._engine = other
        yield made
        made.come_back()
        bench.vault.spool.flush()
        other.dispose()


@pytest.mark.parametrize("arrives", [True, False])
def test_the_network_breaks_off_in_the_middle_of_a_group(
    bench: Bench, relay: PostgresRelay, arrives: bool
) -> None:
    """Before it arrives, or when its commit is answered: it is put again, is there once, and nobody
    is told anything else.
    """
    bench.keep(bench.exchange([turn("quince")], session="quince"))
    relay.cut(b"BLF1", arrives=arrives)
    bench.keep(bench.exchange([turn("pear")], session="pear"))
    assert 1 == relay.cuts
    unsealed(bench, "sloe")
    lose(bench)
    again(bench)
    assert {"quince", "pear", "sloe"} == shown(bench)
    assert [] == reported(bench)


def test_the_database_is_away(
    bench: Bench, relay: PostgresRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that an answer is complete: it is refused, and so is what comes next, until
    the database is back. What was refused does not reappear.
    """
    monkeypatch.setattr(links, "PATIENCE", 0.3)
    bench.keep(bench.exchange([turn("quince")], session="quince"))
    relay.go_away()
    (refused,) = bench.submit(bench.exchange([turn("pear")], session="pear"))
    assert isinstance(refused, StorageError)
    assert "the spool can't be read or written: PostgreSQL can't be reached" in refused.message
    assert bench.vault.spool.failure is not None
    relay.come_back()

    async def until_it_works() -> None:
        while bench.vault.spool.failure is not None:
            await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(until_it_works(), 30))
    bench.keep(bench.exchange([turn("sloe")], session="sloe"))
    bench.close()
    lose(bench)
    again(bench)
    assert {"quince", "sloe"} == shown(bench)


def test_what_was_refused_is_not_there_though_it_was_committed(
    bench: Bench, relay: PostgresRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to its commit was lost, and the database was away then. Once anything else is
    written, it is gone.
    """
    monkeypatch.setattr(links, "PATIENCE", 0.0)
    bench.keep(bench.exchange([turn("quince")], session="quince"))
    relay.cut(b"BLF1", arrives=True)
    (refused,) = bench.submit(bench.exchange([turn("pear")], session="pear"))
    assert isinstance(refused, StorageError)
    unsealed_too = bench.exchange([turn("sloe")], session="sloe")

    async def until_it_works() -> None:
        while bench.vault.spool.failure is not None:
            await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(until_it_works(), 30))
    bench.keep(unsealed_too)
    bench.close()
    lose(bench)
    again(bench)
    assert {"quince", "sloe"} == shown(bench)


def test_a_commit_that_waits_for_a_standby_is_not_called_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The standby does not answer: what waits for it is broken off after a time, and refused; once
    there is one again, or none is waited for, the spool goes on.
    """
    monkeypatch.setattr(links, "LONGEST", 1.0)
    monkeypatch.setattr(links, "PATIENCE", 0.0)
    server = postgres.PostgresServer()
    try:
        engine = open_postgresql(server.new(), "database.url")
        assert not has_second_copy(engine)
        rows = open_rows(engine, None, writes=True)
        assert rows is not None
        file = rows.spool.make("1-a-rows", 1 << 16)
        file.append([b"pear"], 4, 0)
        standby(server, engine, "nobody")
        assert has_second_copy(engine)
        with pytest.raises(StorageError):
            file.append([b"quince"], 6, 4)
        standby(server, engine, "")
        file.give_up(4)
        rows.spool.make("2-b-rows", 1 << 16).append([b"sloe"], 4, 0)
        assert [b"pear", b"sloe"] == [rows.spool.content(n) for n in sorted(rows.spool.names())]
        rows.close()
        engine.dispose()
    finally:
        server.end()


def standby(server: postgres.PostgresServer, engine: Engine, name: str) -> None:
    """Have commits wait for a standby of that name; return when they do."""
    said = f"ALTER SYSTEM SET synchronous_standby_names = '{name}'"
    server.do(said, "SELECT pg_reload_conf()")
    shown = None
    while shown != name:
        with reading(engine) as connection:
            shown = connection.execute(text("SHOW synchronous_standby_names")).scalar()


# -- somebody else ---------------------------------------------------------------------------------


def test_who_was_taken_over_writes_nothing_more() -> None:
    """Over a link that was open, or a new one: from the moment in which another reads what is
    there, each group is refused. What was there before is read.
    """
    address = postgres.shared().new()
    engines = [open_postgresql(address, "database.url") for _ in range(2)]
    leases = [Lease(engine, "database.url") for engine in engines]
    leases[0].take()
    leases[0].number()
    first = open_rows(engines[0], None, writes=True)
    assert first is not None
    file = first.spool.make("1-a-rows", 1 << 16)
    file.append([b"pear"], 4, 0)
    assert leases[0]._connection is not None
    postgres.shared().do(
        "UPDATE bailee_lease SET until = clock_timestamp() - interval '1 second'",
        at=address.rpartition("/")[2],
    )
    leases[1].take()
    leases[1].number()
    second = open_rows(engines[1], None, writes=True)
    assert second is not None
    for _ in range(2):
        with pytest.raises(StorageError, match="another process has taken this home over"):
            file.append([b"quince"], 6, 4)
    assert leases[0].lost
    with pytest.raises(StorageError):
        first.spool.make("2-b-rows", 1 << 16)
    assert [b"pear"] == [second.spool.content(name) for name in second.spool.names()]
    for one in (first, second):
        one.close()
    for lease in leases:
        lease.give_back()
    for engine in engines:
        engine.dispose()


def test_two_writers_of_one_database_are_two_only_by_their_lanes() -> None:
    """Who takes what is there ends every link, however many there are."""
    address = postgres.shared().new()
    engine = open_postgresql(address, "database.url")
    rows = open_rows(engine, None, writes=True)
    assert rows is not None
    for name in ("1-a-rows", "1-a-rows-large"):
        rows.spool.make(name, 64).append([b"pear"], 4, 0)
    other = SpoolRows(open_postgresql(address, "database.url"))
    other.take()
    with engine.begin() as connection:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'"
        assert 0 == connection.execute(text(held)).scalar()
    other._engine.dispose()
    rows.close()
    engine.dispose()
