"""What one of each costs where nothing else was measured: bytes of a row, of a leaf, of a write.

`docs/scale.md` reckons with these, beside what the other benchmarks measure. A session here is a
new one of one small exchange; a turn is one of a coding session of fifty (`vault`). What a process
writes is counted by the kernel, as it is asked for: spool, segments, index, and the write-ahead
log, which has each page of the index once more.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from bailee.apis.reading import interpret
from bailee.clock import system_clock
from bailee.home import Home
from bailee.keyring import Want
from bailee.node.node import Node
from bailee.testing import FakeClock
from bailee.vault.exchange import CapturedExchange
from bench.alone import keyring_in, vault_in
from bench.result import Line
from bench.vault import _exchange, _new, _pages, _session, _submit_all, _warm

SESSIONS = 2_000
KEYS = 20_000
KEKS = 5_000
LEAVES = 16_384


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        home = Path(folder)
        lines = [
            *_sealed(home / "sessions", "a new session", _new(SESSIONS), SESSIONS),
            *_sealed(home / "turns", "a turn of a coding session", _turns(), 1),
            *_keys(home / "keys"),
            *_leaves(home / "leaves"),
        ]
    for measured, result, against in lines:
        print(f"{measured}: {result}" + (f" ({against})" if against else ""), flush=True)
    return lines


def _turns() -> list[CapturedExchange]:
    now = system_clock().timestamp()
    return [_exchange(n, *pair, now) for n, pair in enumerate(_session())]


def _sealed(home: Path, what: str, some: list[CapturedExchange], sessions: int) -> list[Line]:
    """What so many exchanges, of so many sessions, leave, and what was written for them."""
    sent = sum(len(one.request) + len(one.answer) for one in some) / len(some)
    with asyncio.Runner() as loop, vault_in(home, interpret) as (vault, _):
        _warm(vault, loop)
        empty, before = _pages(home / "data.db"), _written()
        loop.run(_submit_all(vault.spool, some))
        vault.flush()
        written = (_written() - before) / len(some)
        index = (_pages(home / "data.db") - empty) / len(some)
        found = [row for row in vault.sessions(system_clock()) if row.exchanges]
        latest = sorted(found, key=lambda row: row.bytes)[-sessions:]
        kept = sum(row.bytes for row in latest) / len(some)
        spare = _pages(home / "data.db")
        for row in latest[:200]:
            vault.indexing.bring([row.id], system_clock(), 60.0)
        words = (_pages(home / "data.db") - spare) / min(len(latest), 200)
    return [
        (f"{what}: its segment", f"{kept:,.0f} bytes", f"{sent:,.0f} bytes sent and answered"),
        (f"{what}: its rows", f"{index:,.0f} bytes", ""),
        (f"{what}: written to disk", f"{written:,.0f} bytes", "spool, segment, log and index"),
        (f"{what}: what finds its session", f"{words:,.0f} bytes", "a session, not a turn"),
    ]


def _keys(home: Path) -> list[Line]:
    clock = FakeClock()
    path = home / "keyring" / "keyring.db"
    with keyring_in(home, clock) as keyring:
        keyring.dek("first", "transcript", clock() + timedelta(days=1))
        empty = _pages(path)
        keyring.many(
            Want(f"session:{n:036d}", "transcript", clock() + timedelta(days=1))
            for n in range(KEYS)
        )
        of_a_key = (_pages(path) - empty) / KEYS
        empty = _pages(path)
        keyring.many(
            Want(f"epoch:{n:036d}", "transcript", clock() + timedelta(days=1, minutes=30 * n))
            for n in range(KEKS)
        )
        of_both = (_pages(path) - empty) / KEKS
        gc.collect()
        began = time.process_time()
        keyring.rotate_root()
        rotated = (time.process_time() - began) / KEKS
    return [
        ("a session's key", f"{of_a_key:,.0f} bytes", "its row and indexes in the keyring"),
        ("an epoch's key", f"{of_both - of_a_key:,.0f} bytes", "the same"),
        (
            "an epoch's key wrapped under a new root",
            f"{rotated * 1e6:,.0f} µs of processor",
            "a root in a file",
        ),
    ]


def _leaves(home: Path) -> list[Line]:
    path = Home(home)
    with Node.open(path) as node:
        node.sequencer.run()
        before = _pages(path.data_database), _size(path.ledger)
        some = [(f"ses_{number:032x}", {"by": "operator"}) for number in range(LEAVES)]
        node.ledger.append_all("session.deletion_asked", some)
        node.sequencer.run()
        rows = (_pages(path.data_database) - before[0]) / LEAVES
        files = (_size(path.ledger) - before[1]) / LEAVES
    return [
        ("an entry of the audit record: its rows", f"{rows:,.0f} bytes", ""),
        ("an entry of the audit record: its files", f"{files:,.0f} bytes", "tiles and bundles"),
    ]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _written() -> int:
    """Bytes that this process has had written, by any thread."""
    for line in Path("/proc/self/io").read_text().splitlines():
        name, _, count = line.partition(": ")
        if name == "wchar":
            return int(count)
    raise AssertionError("the kernel says nothing of it")


if __name__ == "__main__":
    main()
