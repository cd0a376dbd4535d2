"""What it costs to let sessions follow a choice: 100,000 of them moved from 5 years to 30 days.

Against it, on the same disk in the same run: `UPDATE` of as many plain rows, one statement, which
is what a store without keys would do to change a date (and which forgets nothing by itself).

And what a home of 50,000 sessions costs otherwise: `size`.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from bailee.db.vault import sessions
from bailee.keyring import Want
from bailee.policy.period import expires_at
from bailee.testing import FakeClock
from bailee.vault.exchange import Terms
from bailee.vault.interpreted import Interpreted
from bailee.vault.terms import Present
from bailee.vault.vault import Vault
from bench import size
from bench.alone import vault_in
from bench.result import Line

SESSIONS = 100_000
SPREAD = timedelta(days=29)  # of their last activities: each half hour of it is an epoch
ROW_BYTES = 400
_LONG, _SHORT = Terms("P5Y", "allowed", "d" * 64), Terms("P30D", "refused", "d" * 64)


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        took, processor, portion = _move(Path(folder))
        plain = _update(Path(folder) / "rows.db")
    return [
        (
            f"moving {SESSIONS:,} sessions from 5 years to 30 days",
            f"{took:.1f} s ({processor:.1f} s of processor)",
            f"UPDATE of as many plain rows {plain:.2f} s ({took / plain:,.0f}x)",
        ),
        ("longest that it kept the sealer waiting", f"{portion * 1e3:.0f} ms", "one portion"),
        *size.lines(),
    ]


def _move(home: Path) -> tuple[float, float, float]:
    clock = FakeClock()
    chosen = clock() + SPREAD + timedelta(hours=1)
    with vault_in(
        home,
        lambda _exchange: Interpreted(),
        clock,
        present=lambda _owner, _plan, _channel: Present(_SHORT, 1, 1),
    ) as (vault, keyring):
        rows = [session_row(n, clock() + SPREAD * n / SESSIONS) for n in range(SESSIONS)]
        for start in range(0, SESSIONS, 10_000):
            some = rows[start : start + 10_000]
            keyring.many(Want(f"session:{r['id']}", "transcript", r["expires_at"]) for r in some)
            with vault._engine.begin() as connection:
                connection.execute(insert(sessions), some)
        clock.now = chosen
        longest = _watch(vault)
        vault.moving.request("owner", chosen, chosen)
        began, processor = time.perf_counter(), time.process_time()
        moved = vault.moving.run(chosen)
        took = time.perf_counter() - began, time.process_time() - processor
    assert moved == SESSIONS
    return *took, longest[0]


def session_row(number: int, last: datetime) -> dict[str, Any]:
    """What the index has of a session whose last activity was then."""
    return {
        "id": f"{number:08}",
        "owner": "owner",
        "data_class": "transcript",
        "plan": "pro",
        "channel": "api",
        "key_id": "key",
        "started": last,
        "last_activity": last,
        "last_request": last,
        "uses": "pro/api",
        "exchanges": 1,
        "bytes": ROW_BYTES,
        "expires_at": expires_at(last, _LONG.period),
        "period": _LONG.period,
        "clause": _LONG.clause,
        "document": _LONG.document,
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def _watch(vault: Vault) -> list[float]:
    """A place that will hold the longest portion."""
    longest = [0.0]
    real = vault.moving._step

    def timed(move: Any, now: Any) -> int:
        began = time.perf_counter()
        try:
            return real(move, now)
        finally:
            longest[0] = max(longest[0], time.perf_counter() - began)

    vault.moving._step = timed  # type: ignore[method-assign]
    return longest


def _update(path: Path) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute(
        "CREATE TABLE s (id TEXT PRIMARY KEY, owner TEXT, content BLOB, expires TEXT)"
    )
    connection.execute("CREATE INDEX expiring ON s (expires)")
    connection.execute(
        f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {SESSIONS}) "
        f"INSERT INTO s SELECT n, 'owner', randomblob({ROW_BYTES}), "
        "datetime(1767268800 + n * 25 + 157766400, 'unixepoch') FROM c"
    )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    began = time.perf_counter()
    connection.execute("UPDATE s SET expires = datetime(expires, '-1796 days') WHERE owner='owner'")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    took = time.perf_counter() - began
    connection.close()
    return took


if __name__ == "__main__":
    for _line in main():
        print(*_line, sep="   ")
