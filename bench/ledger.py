"""Leaves of a home's entries, batched, and a proof at ten million leaves.

Leaves: of a whole home, by its own sequencer: entries read from the database, their leaves and
salts put down in it, history, tiles, bundles and checkpoint written and synced. By processor time,
and by the clock, which on a shared machine is others' as well. Against them, on the same disk in
the same run, as many plain rows, put down with one commit for each batch, and the files of a batch
alone, written, synced and renamed: on a disk that has been in use, making a file may cost more than
all that is in it. As in a server, what was there at the start is taken from the collector.

Proofs: at one and at ten million leaves, in turns, by who has verified nothing before, from tiles
in files. All leaves are the same: what is read and hashed for a proof is what it would be else.
"""

from __future__ import annotations

import gc
import os
import random
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from bailee.home import Home
from bailee.ledger import Folder
from bailee.ledger.tlog import tiles, tree
from bailee.ledger.tlog.tiles import Tile, Tiles
from bailee.node import Node
from bench.result import Line

BATCHES, BATCH = 12, 8192
FILES = 3 + 2 * BATCH // 256  # bundles, tiles, history and checkpoint
SIZES = 1_000_077, 10_000_077
PLACES = 100


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
        gc.freeze()
        for _ in range(BATCHES):
            some = [(f"ses_{number:08d}", {"by": "operator"}) for number in range(BATCH)]
            node.ledger.append_all("session.deletion_asked", some)
            began, of_processor = time.perf_counter(), time.process_time()
            node.sequencer.run()
            took.append(time.perf_counter() - began)
            busy.append(time.process_time() - of_processor)
    gc.unfreeze()
    plain = f"plain rows {BATCH / _rows(folder / 'rows.db'):,.0f}"
    alone = _files(folder)
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
        (
            f"processor of a batch's {FILES} files alone",
            f"{median(alone) * 1000:.0f} ms, the least {min(alone) * 1000:.0f} ms",
            f"of {median(busy) * 1000:.0f} ms, the least {min(busy) * 1000:.0f} ms",
        ),
    ]


def _files(folder: Path) -> list[float]:
    """The processor's seconds of the files of each batch, where nothing else is done."""
    took, content = [], bytes(BATCH)
    for batch in range(BATCHES):
        began = time.process_time()
        for number in range(FILES):
            how = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            file = os.open(folder / "being-written", how, 0o600)
            os.write(file, content)
            os.fdatasync(file)
            os.close(file)
            (folder / "being-written").replace(folder / f"{batch}-{number}")
        took.append(time.process_time() - began)
    return took


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


def _proofs(path: Path) -> Iterator[Line]:
    logs = [_EqualLeaves(path / str(size), size) for size in SIZES]
    rng, took = random.Random(1), defaultdict[tuple[str, int], list[float]](list)
    for _ in range(PLACES):
        for log in logs:  # in turns, so that what else runs slows both
            index = rng.randrange(1, log.size)
            for what, prove in (("inclusion", tree.inclusion), ("consistency", tree.consistency)):
                prove(index, log.size, log.opened(log.make).hashes)
                took[what, log.size].append(
                    min(_busy(lambda: prove(index, log.size, log.opened().hashes)) for _ in "12345")  # noqa: B023
                )
    for (what, size), times in sorted(took.items(), reverse=True):
        yield (
            f"{what} proof at {size:,} leaves, cold, from files",
            f"{median(times) * 1000:.2f} ms, the least {min(times) * 1000:.2f} ms",
            "≤ 1 ms",
        )


def _busy(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


class _EqualLeaves:
    """A log whose leaves are all the same, so that each of its tiles can be made by itself."""

    def __init__(self, path: Path, size: int) -> None:
        self.size, self._path = size, path
        self._hash = [tree.leaf_hash(b"")]  # of a whole node, by its level
        while len(self._hash) < 64:
            self._hash.append(tree.node_hash(self._hash[-1], self._hash[-1]))
        levels = [level for level in range(63, -1, -1) if size >> level & 1]
        self._root = tree.Frontier(size, tuple(self._hash[level] for level in levels)).root()
        self._files = Folder(path)

    def make(self, wanted: Sequence[Tile]) -> list[bytes]:
        """Tiles, which are files from then on."""
        for one in wanted:
            at = self._path / one.path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(self._hash[tiles.HEIGHT * one.level] * one.width)
        return self._files.fetch(wanted)

    def opened(self, fetch: tiles.Fetch | None = None) -> Tiles:
        """For somebody who has read nothing of it yet."""
        return Tiles(self.size, self._root, fetch or self._files.fetch)
