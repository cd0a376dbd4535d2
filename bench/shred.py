"""What a shred cycle costs: a new root, and every key under it that older copies could open.

`BAILEE_BENCH_SHRED` is how many keys there are (100,000 unless it is set; the mission asks for
1,000,000). They expire over 29 days, in as many half hours. First after one person was erased who
had 100 of them, then after one key under every KEK was destroyed, so that all are wrapped anew.

Against it, on the same disk in the same run: `UPDATE` of as many plain rows of the same size.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from bailee.keyring import Keyring, Want
from bailee.testing import FakeClock
from bench.alone import keyring_in
from bench.result import Line

KEYS = int(os.environ.get("BAILEE_BENCH_SHRED", "100000"))
SPREAD = 29 * 48  # half hours
ERASED = 100


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        clock = FakeClock()
        with keyring_in(Path(folder), clock) as keyring:
            _fill(keyring, clock)
            keyring.destroy([f"s{n}" for n in range(ERASED)])
            one, _, one_rewrapped = _shred(keyring)
            keyring.destroy([f"s{n}" for n in range(ERASED, ERASED + SPREAD)])
            all_, processor, rewrapped = _shred(keyring)
        plain = _update(Path(folder) / "rows.db")
    return [
        (
            f"shred of {KEYS:,} keys, {ERASED} of which were destroyed",
            f"{one:.2f} s, {one_rewrapped:,} wrapped anew",
            f"UPDATE of {KEYS:,} plain rows {plain:.2f} s",
        ),
        (
            f"the same, one under each of {SPREAD:,} KEKs",
            f"{all_:.1f} s ({processor:.1f} s of processor), {rewrapped:,} wrapped anew",
            f"{all_ / plain:,.0f}x as long",
        ),
    ]


def _fill(keyring: Keyring, clock: FakeClock) -> None:
    for start in range(0, KEYS, 10_000):
        numbers = range(start, min(start + 10_000, KEYS))
        keyring.many(
            Want(f"s{n}", "transcript", clock() + timedelta(days=1, minutes=30 * (n % SPREAD)))
            for n in numbers
        )


def _shred(keyring: Keyring) -> tuple[float, float, int]:
    """Seconds, those of the processor, and how many keys were wrapped anew."""
    began, busy = time.perf_counter(), time.process_time()
    done = keyring.rotate_root()
    return time.perf_counter() - began, time.process_time() - busy, done.rewrapped_deks


def _update(path: Path) -> float:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, wrapped BLOB)")
    connection.executemany(
        "INSERT INTO rows VALUES (?, ?)", ((f"s{n}", os.urandom(60)) for n in range(KEYS))
    )
    connection.commit()
    began = time.perf_counter()
    connection.execute("UPDATE rows SET wrapped = randomblob(60)")
    connection.commit()
    took = time.perf_counter() - began
    connection.close()
    return took
