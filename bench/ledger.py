"""Leaves of a home's entries, batched, and a proof at ten million leaves.

Leaves: of a whole home, by its own sequencer: entries read from the database, their leaves and
salts put down in it, history, tiles, bundles and checkpoint written and synced. By processor time,
and by the clock, which on a shared machine is others' as well. Against them, on the same disk in
the same run, as many plain rows, put down with one commit for each batch.

Proofs: at ten million leaves, of tiles in files, as `bench.tree` measures them at a million. The
hashes of the leaves are counted up, not made, so that setting up takes no longer than it must.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bailee.home import Home
from bailee.ledger import Folder
from bailee.ledger.tlog import tiles, tree
from bailee.ledger.tlog.tiles import Tile, Tiles
from bailee.node import Node
from bench.result import Line

BATCHES, BATCH = 12, 8192
SIZE = 10_000_077
PLACES = 200


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as name:
        folder = Path(name)
        lines = [*_leaves(folder), *_proofs(folder / "log")]
    for measured, result, against in lines:
        print(f"{measured}: {result}" + (f" ({against})" if against else ""))
    return lines


def _leaves(folder: Path) -> list[Line]:
    busy, took = [], []
    with Node.open(Home(folder / "home")) as node:
        node.sequencer.run()
        for _ in range(BATCHES):
            some = [(f"ses_{number:08d}", {"by": "operator"}) for number in range(BATCH)]
            node.ledger.append_all("session.deletion_asked", some)
            began, of_processor = time.perf_counter(), time.process_time()
            node.sequencer.run()
            took.append(time.perf_counter() - began)
            busy.append(time.process_time() - of_processor)
    plain = f"plain rows {BATCH / _rows(folder / 'rows.db'):,.0f}"
    return [
        (
            f"leaves a second of processor, {BATCH:,} at once",
            f"{BATCH / median(busy):,.0f}, the best batch {BATCH / min(busy):,.0f}",
            "≥ 50,000",
        ),
        (
            "the same, by the clock",
            f"{BATCH / median(took):,.0f}, the best batch {BATCH / min(took):,.0f}",
            plain,
        ),
    ]


def _rows(path: Path) -> float:
    """The median seconds of a batch."""
    took = []
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, number UNIQUE, salt BLOB)")
    for batch in range(BATCHES):
        began = time.perf_counter()
        connection.execute("BEGIN")
        numbers = range(batch * BATCH, (batch + 1) * BATCH)
        connection.executemany(
            "INSERT INTO rows VALUES (?, ?, ?)", ((n, n, bytes(32)) for n in numbers)
        )
        connection.execute("COMMIT")
        took.append(time.perf_counter() - began)
    connection.close()
    return median(took)


def _proofs(path: Path) -> list[Line]:
    path.mkdir()
    folder, edge = Folder(path), tree.Frontier()

    def made(wanted: Sequence[Tile]) -> list[bytes]:
        return [(path / one.path).read_bytes() for one in wanted]

    while edge.size < SIZE:
        until = min(edge.size + (1 << 18), SIZE)
        before, hashes = edge, [_leaf(number) for number in range(edge.size, until)]
        edge, came = edge.grown_by(hashes)
        for tile, content in tiles.written(before.size, came, made):
            at = path / tile.path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(content)  # not synced: this is not what is measured
    root, rng = edge.root(), random.Random(1)
    took: dict[str, list[float]] = {"cold": [], "grown": []}
    for index in (rng.randrange(1, SIZE) for _ in range(PLACES)):
        for name, times in took.items():
            least = []
            for _ in range(5):
                began = time.process_time()
                read = Tiles(SIZE, root, folder.fetch).hashes
                if name == "cold":
                    proof = tree.inclusion(index, SIZE, read)
                else:
                    tree.consistency(index, SIZE, read)
                least.append(time.process_time() - began)
            times.append(min(least))
        tree.verify_inclusion(_leaf(index), index, SIZE, proof, root)
    cold, grown = (f"{median(some) * 1000:.2f} ms" for some in took.values())
    return [
        (f"inclusion proof at {SIZE:,} leaves, from files", cold, "≤ 1 ms"),
        (f"consistency proof at {SIZE:,} leaves, from files", grown, "≤ 1 ms"),
    ]


def _leaf(number: int) -> bytes:
    return number.to_bytes(32, "big")
