"""What it costs to have answers durable in the database, against this machine's disk.

Both in one run, in rounds that take turns, on the disk that holds the temporary folder; PostgreSQL
is Debian's, beside, reached by a socket, with no standby: a network and a standby come to it.

* one exchange of 8 KB at a time: from `submit` to `done`;
* 64 clients: exchanges a second, and the time of this process' processor for each.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bailee.admission import Unsealed
from bailee.clock import system_clock
from bailee.db.postgresql import open_postgresql
from bailee.vault.exchange import CapturedExchange, Terms
from bailee.vault.lasting_rows import open_rows
from bailee.vault.spool import Spool
from bailee.vault.spool_reading import SpoolReader
from bailee.vault.spool_store import FolderSpool, SpoolStore, SpoolStores
from bailee.vault.spool_writing import Kept
from bench.alone import keyring_in
from bench.exchanges import captured
from bench.result import SHORT, Line, Unavailable
from bench.vault import postgres, postgres_binaries

ROUNDS = 2 if SHORT else 6
ALONE = 300
CLIENTS, EACH = 64, 60


class Releasing:
    """Lets files go as a sealer does that is quick enough."""

    def __init__(self, store: SpoolStore, keyring: Any) -> None:
        self._reader = SpoolReader(SpoolStores(store), keyring)

    def kept(self, group: Sequence[Kept]) -> None:
        """A group is durable."""

    def closed(self, file: str) -> None:
        """Let it go."""
        self._reader.release(file)

    def unsealed(self, _owner: str) -> Unsealed:
        """Nothing."""
        raise NotImplementedError


def main() -> list[Line]:
    """Measure and print."""
    with ExitStack() as closing:
        home = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="bailee-bench-")))
        keyring = closing.enter_context(keyring_in(home))
        engine = open_postgresql(closing.enter_context(server()), "database.url")
        closing.callback(engine.dispose)
        rows = open_rows(engine, None, writes=True)
        assert rows is not None
        closing.callback(rows.close)
        stores = {
            "local": FolderSpool(home / "spool", home / "quarantine"),
            "database": rows.spool,
        }
        spools = {
            name: Spool(store, keyring, system_clock, Releasing(store, keyring))
            for name, store in stores.items()
        }
        for spool in spools.values():
            closing.callback(spool.close)
        with asyncio.Runner() as loop:
            return loop.run(measure(spools))


@contextmanager
def server() -> Iterator[str]:
    """A server of PostgreSQL; the address of a database."""
    binaries = postgres_binaries()
    if binaries is None:
        raise Unavailable("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="bailee-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "cwd": "/"}
    try:
        with postgres(binaries, folder, user):
            yield f"postgresql://bench@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def measure(spools: dict[str, Spool]) -> list[Line]:
    """Rounds of each."""
    exchange = captured(
        "x", "account", Terms("P30D", "retain.consumer", "0" * 64), time.time(),
        "6f4f5a8e-32a5-4d0c-8f0b-0d7c3d1c1a11", os.urandom(4000), os.urandom(4000),
    )  # fmt: skip
    alone: dict[str, list[float]] = {name: [] for name in spools}
    rates: dict[str, list[float]] = {name: [] for name in spools}
    spent: dict[str, list[float]] = {name: [] for name in spools}
    for spool in spools.values():
        for _ in range(50):
            await one(spool, exchange)
    for number in range(ROUNDS):
        for name in sorted(spools, reverse=bool(number % 2)):
            spool = spools[name]
            for _ in range(ALONE):
                began = time.perf_counter()
                await one(spool, exchange)
                alone[name].append(time.perf_counter() - began)
            began, processor = time.perf_counter(), time.process_time()
            await asyncio.gather(*[client(spool, exchange) for _ in range(CLIENTS)])
            count = CLIENTS * EACH
            rates[name].append(count / (time.perf_counter() - began))
            spent[name].append((time.process_time() - processor) / count)
    return [
        *(
            say((f"durable on {name}, one at a time, p50 / p99", quantiles(some), ""))
            for name, some in alone.items()
        ),
        *(
            say(
                (
                    f"durable on {name}, {CLIENTS} clients",
                    f"{statistics.median(some):,.0f} exchanges/s",
                    f"{statistics.median(spent[name]) * 1e6:.0f} µs of this process each",
                )
            )
            for name, some in rates.items()
        ),
    ]


def quantiles(some: list[float]) -> str:
    """The median and the 99th of a hundred."""
    late = sorted(some)[len(some) * 99 // 100]
    return f"{statistics.median(some) * 1e3:.2f} / {late * 1e3:.2f} ms"


def say(line: Line) -> Line:
    """Print a line."""
    print(f"{line[0]:<52} {line[1]:>24}   {line[2]}")
    return line


async def one(spool: Spool, exchange: CapturedExchange) -> None:
    """Submit one, and wait until it is durable."""
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    spool.submit(exchange, done.set_result)
    assert await done is None


async def client(spool: Spool, exchange: CapturedExchange) -> None:
    """One after the other."""
    for _ in range(EACH):
        await one(spool, exchange)


if __name__ == "__main__":
    main()
