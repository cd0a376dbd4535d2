"""What a training export costs: sessions a second, and memory, however many there are.

Side by side in one run, over the same home: the export with one worker and with one for each
processor, in processes and on a Ray cluster, against a plain loop over the vault in this process
(open, make rows, mask, write; it decides, lends and commits nothing), and against pyarrow reading
the finished dataset. A session is two exchanges of some 3 KB of code. Memory: the highest of any
worker, and by how much this process has grown, at 500 sessions and at four times as many.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import resource
import sys
import sysconfig
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson

from bailee.accounts import OPERATOR
from bailee.clock import ticks
from bailee.home import Home
from bailee.node import Node
from bailee.operations import training
from bailee.testing import FakeClock
from bailee.training import files, rows, scrubbing
from bailee.training.cluster import RayEngine
from bailee.training.dataset import ExportedSession
from bailee.training.exported import Export
from bailee.training.finding import Finder
from bailee.training.finishing import Finished
from bailee.training.pool import LocalEngine
from bailee.training.shards import Engine
from bench.exchanges import captured
from bench.result import Line

FEW, MANY = 500, 2_000
START = datetime.fromisoformat("2026-03-01T09:00:00+00:00")


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        clock = FakeClock(START)
        with Node.open(Home(Path(folder) / "home"), clock=clock, environment={}) as node:
            account = node.accounts.create(plan="pro", name="ada")[0].account_id
            node.accounts.choose_training(
                account, "allowed", language="en", source="terminal", by=OPERATOR
            )
            _say(node, account, 0, FEW)
            few = _memory(node, Path(folder) / "few")
            _say(node, account, FEW, MANY)
            many = _memory(node, Path(folder) / "many")
            clock.advance(timedelta(minutes=1))
            return [
                *_speeds(node, Path(folder)),
                (
                    f"memory of a worker, {MANY:,} sessions",
                    f"{many[0]:.0f} MB",
                    f"{few[0]:.0f} MB at {FEW:,}",
                ),
                (
                    f"growth of the home's process, {MANY:,} sessions",
                    f"{many[1]:.0f} MB",
                    f"{few[1]:.0f} MB at {FEW:,}",
                ),
            ]


def _say(node: Node, account: str, first: int, last: int) -> None:
    source = Path(sysconfig.get_paths()["stdlib"], "argparse.py").read_text()
    owner = node.accounts.get(account)
    terms = node.policy.terms("transcript", owner.facts(zero_retention=False, channel="api"))
    assert terms is not None
    now = node.clock().timestamp()

    async def say(number: int) -> None:
        at = number * 37 % (len(source) - 4_000)
        said: list[object] = []
        for turn in range(2):
            said.append({"role": "user", "content": source[at + 1500 * turn :][:1500]})
            future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            recorded = captured(
                f"msg_{number}_{turn}",
                account,
                terms,
                now,
                str(UUID(int=number + 1)),
                orjson.dumps({"model": "m", "messages": said}),
                b"{}",
            )
            exchange = recorded._replace(answer_headers=(), consent=owner.consent)
            node.vault.spool.submit(exchange, future.set_result)
            await future
            said.append({"role": "assistant", "content": "Done."})

    async def all_of_them() -> None:
        node.vault.spool._loop = asyncio.get_running_loop()
        for start in range(first, last, 200):
            await asyncio.gather(*(say(one) for one in range(start, min(start + 200, last))))

    asyncio.run(all_of_them())
    node.vault.flush()


def _begin(node: Node, folder: Path) -> Export:
    return node.exports.begin(
        place=str(folder),
        format="parquet",
        by="operator",
        reason="a benchmark",
        whose="nobody",
        since=None,
        now=node.clock(),
    )


def _export(node: Node, folder: Path, engine: Engine) -> float:
    began = ticks()
    *_, done = training.carry_out(node, _begin(node, folder), engine)
    assert isinstance(done, Finished)
    taken = ticks() - began
    print(f"{done.sessions} sessions into {folder.name}: {taken:.1f} s")
    return done.sessions / taken


def _memory(node: Node, folder: Path) -> tuple[float, float]:
    before = _resident()
    _export(node, folder, LocalEngine(1))
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return children, _resident() - before


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / (1 << 20)


def _speeds(node: Node, folder: Path) -> list[Line]:
    import pyarrow.parquet as pq

    cores = os.cpu_count() or 1
    plain = _plain(node, folder / "plain.parquet")
    one = _export(node, folder / "one", LocalEngine(1))
    all_of_them = _export(node, folder / "all", LocalEngine(cores))
    began = ticks()
    read = sum(pq.read_table(path).num_rows for path in (folder / "all" / "data").iterdir())
    alone = read / (ticks() - began)
    return [
        ("training export, 1 worker", f"{one:,.0f} sessions/s", f"plain loop {plain:,.0f}"),
        (
            f"training export, {cores} workers",
            f"{all_of_them:,.0f} sessions/s",
            f"pyarrow reading alone {alone:,.0f} rows/s",
        ),
        *_on_ray(node, folder, cores, all_of_them),
    ]


def _on_ray(node: Node, folder: Path, cores: int, local: float) -> list[Line]:
    """Beside it on a cluster of as many workers, if there is Ray; its start is not counted."""
    if importlib.util.find_spec("ray") is None:
        print("Ray is not installed: left out")
        return []
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the cluster that the tests use
    from support.servers.ray_cluster import RayCluster

    cluster = RayCluster(cores)
    try:
        cluster.wait()
        engine = RayEngine(cluster.address, None, environment=cluster.environment)
        _export(node, folder / "first", engine)  # Ray starts its workers
        speed = _export(node, folder / "ray", engine)
    finally:
        cluster.close()
    return [
        (
            f"training export on Ray, {cores} workers",
            f"{speed:,.0f} sessions/s",
            f"processes {local:,.0f}",
        )
    ]


def _plain(node: Node, path: Path) -> float:
    finder = Finder()
    ids = [one.id for one in node.vault.sessions(node.clock())]
    began = ticks()

    def made() -> list[rows.Row]:
        found = []
        for session in ids:
            shown = node.vault.show(session)
            exported = ExportedSession(session, shown, "c", "d", "r", "pro", "api")
            found += [scrubbing.masked(row, finder)[0] for row in rows.conversation(exported)]
        return found

    files.write(path, made(), files.Format.PARQUET)
    return len(ids) / (ticks() - began)
