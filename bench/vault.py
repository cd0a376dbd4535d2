"""What the vault costs: bytes for a session, time to forget a million, time to keep an exchange.

Everything is measured side by side in one run, on the disk that holds the temporary folder:

* a 50-turn coding session (80 KB of system prompt and tools, real source files as tool results, a
  cache mark that moves), kept by the vault, against each request and answer stored verbatim: as it
  is, compressed each by itself, and compressed all together in one stream with a long window
  (which can't be appended to, read or erased in part);
* expiry of 1,000,000 sessions: one KEK destroyed, checkpoint included, against SQL DELETE of as
  many rows of 400 bytes in SQLite (secure_delete, checkpoint) and in PostgreSQL;
* a new session of one small exchange, as the sealer's thread takes it from spool to index;
* the spool alone: latency of one exchange at a time, throughput of 64 clients, 8 KB an exchange.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import sqlite3
import statistics
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import zstandard

from bailee.admission import Unsealed
from bailee.apis.reading import interpret
from bailee.clock import system_clock
from bailee.keyring import Keyring
from bailee.keyring.checkpoint import truncate_log
from bailee.testing import FakeClock
from bailee.vault.exchange import CapturedExchange, Terms
from bailee.vault.spool import Spool
from bailee.vault.spool_store import FolderSpool
from bailee.vault.spool_writing import Kept
from bailee.vault.vault import Vault
from bench.alone import keyring_in, vault_in
from bench.exchanges import captured
from bench.result import Line

TURNS = 50
SESSIONS = 1_000_000
ROW_BYTES = 400
NEW = 3_000


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        home = Path(folder)
        lines += _spool(home / "spool")
        lines += _bytes(home / "bytes")
        lines += _sealing(home / "sealing")
        lines += _expiry(home / "expiry")
    return lines


def _say(line: Line) -> Line:
    print(f"{line[0]:<52} {line[1]:>16}   {line[2]}")
    return line


_TERMS = Terms("P30D", "retain.consumer", "0" * 64)
_SESSION = "6f4f5a8e-32a5-4d0c-8f0b-0d7c3d1c1a11"


def _exchange(number: int, request: bytes, answer: bytes, now: float) -> CapturedExchange:
    made = captured(f"msg_{number}", "account", _TERMS, now, _SESSION, request, answer)
    return made._replace(target="/v1/messages?beta=true")


# -- bytes ---------------------------------------------------------------------------------------


def _session() -> list[tuple[bytes, bytes]]:
    """Requests and answers of a coding session; its matter is the standard library's sources."""
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    text = "".join(path.read_text(errors="replace") for path in sources[:40])
    system = [{"type": "text", "text": text[:30_000], "cache_control": {"type": "ephemeral"}}]
    tools = [
        {"name": f"tool{n}", "description": text[30_000 + n * 3000 :][:2800], "input_schema": {}}
        for n in range(17)
    ]
    messages: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": text[90_000:90_400]}]}
    ]
    made = []
    for turn in range(TURNS):
        sent = json.loads(json.dumps(messages))
        sent[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        body = {"model": "m", "max_tokens": 32000, "stream": True, "system": system, "tools": tools}
        start = 100_000 + turn * 6000
        content = [
            {"type": "text", "text": text[start : start + 500]},
            {
                "type": "tool_use",
                "id": f"toolu_{turn}",
                "name": "Read",
                "input": {"path": f"f{turn}"},
            },
        ]
        answer = {"id": f"msg_{turn}", "type": "message", "role": "assistant", "content": content}
        made.append((_compact({**body, "messages": sent}), _compact(answer)))
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{turn}",
            "content": text[start + 500 : start + 5000],
        }
        messages += [
            {"role": "assistant", "content": content},
            {"role": "user", "content": [result]},
        ]
    return made


def _compact(value: object) -> bytes:
    """JSON as the official clients write it, in JavaScript and in Python."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _bytes(home: Path) -> list[Line]:
    session = _session()
    verbatim = sum(len(request) + len(answer) for request, answer in session)
    apart = sum(len(zstandard.compress(request + answer, 3)) for request, answer in session)
    long = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, enable_ldm=True)
    together = len(
        zstandard.ZstdCompressor(compression_params=long).compress(
            b"".join(request + answer for request, answer in session)
        )
    )
    with asyncio.Runner() as loop, vault_in(home, interpret) as (vault, _):
        _warm(vault, loop)
        empty = _pages(home / "data.db")
        now = system_clock().timestamp()
        began, processor = time.perf_counter(), time.process_time()
        loop.run(
            _submit_all(vault.spool, [_exchange(n, *pair, now) for n, pair in enumerate(session)])
        )
        vault.flush()
        took = time.perf_counter() - began
        worked = time.process_time() - processor
        row = max(vault.sessions(system_clock()), key=lambda row: row.exchanges)
        shown = vault.show(row.id)
        requests = [json.loads(request) for request, _ in session]
        assert requests == [x.request for x in shown.exchanges]
    index = _pages(home / "data.db") - empty
    kept = row.bytes + index
    rivals = (("verbatim", verbatim), ("zstd each", apart), ("zstd together", together))
    against = ", ".join(
        f"{name} {size / 1e3:,.0f} KB ({size / kept:.1f}x)" for name, size in rivals
    )
    return [
        _say(
            (
                f"bytes kept, {TURNS} turns (index {index / 1e3:.0f} KB)",
                f"{kept / 1e3:,.0f} KB",
                against,
            )
        ),
        _say(
            (
                "sealing that session",
                f"{took / TURNS * 1e3:.1f} ms/exchange",
                f"spool to index; {worked / TURNS * 1e3:.1f} ms of processor",
            )
        ),
    ]


def _warm(vault: Vault, loop: asyncio.Runner) -> None:
    """Seal one exchange: each statement is made when it is first needed."""
    first = _exchange(TURNS, b"{}", b"{}", system_clock().timestamp())
    other = (("x-claude-code-session-id", str(UUID(int=1))),)
    for number in range(2):
        one = first._replace(exchange_id=f"first_{number}", request_headers=other)
        loop.run(_submit_all(vault.spool, [one]))
        vault.flush()


def _new(count: int) -> list[CapturedExchange]:
    """Exchanges that each begin a session, of fifty accounts."""
    now = system_clock().timestamp()
    words = "some words of an ordinary question " * 10
    messages = [{"role": "user", "content": words}]
    request = _compact({"model": "m", "system": words, "messages": messages})
    content = [{"type": "text", "text": words}]
    answer = _compact({"type": "message", "role": "assistant", "content": content})
    return [
        _exchange(n, request, answer, now)._replace(
            owner=f"account {n % 50}",
            request_headers=(("x-claude-code-session-id", str(UUID(int=n + 2))),),
        )
        for n in range(count)
    ]


def _sealing(home: Path) -> list[Line]:
    """New sessions of one exchange each, taken apart in this process."""
    sent = _new(NEW)
    with asyncio.Runner() as loop, vault_in(home, interpret) as (vault, _):
        _warm(vault, loop)
        worked = [0.0]
        seal = vault._sealer._work

        def timed(batch: Any) -> None:
            began = time.thread_time()
            try:
                seal(batch)
            finally:
                worked[0] += time.thread_time() - began

        vault._sealer._work = timed  # type: ignore[method-assign]
        loop.run(_submit_all(vault.spool, sent))
        vault.flush()
        assert vault.count(system_clock()) == NEW + 1
    each = worked[0] / NEW
    return [
        _say(("sealing a new session", f"{each * 1e6:.0f} µs of processor", f"{1 / each:,.0f}/s"))
    ]


def _pages(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)
    finally:
        connection.close()


async def _submit_all(spool: Spool, exchanges: Sequence[CapturedExchange]) -> None:
    for exchange in exchanges:
        await _one(spool, exchange)


async def _one(spool: Spool, exchange: CapturedExchange) -> None:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    spool.submit(exchange, future.set_result)
    assert await future is None


# -- expiry --------------------------------------------------------------------------------------


def _expiry(home: Path) -> list[Line]:
    clock = FakeClock()
    with keyring_in(home, clock) as keyring:
        return _forgetting(home, keyring, clock)


def _forgetting(home: Path, keyring: Keyring, clock: FakeClock) -> list[Line]:
    keys = keyring.engine
    keyring.dek("session:0", "transcript", clock() + timedelta(days=30))
    with keys.begin() as connection:
        connection.exec_driver_sql(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) "
            "INSERT INTO deks SELECT 'session:' || n, kek_id, version, randomblob(60) FROM c, deks",
            (SESSIONS - 1,),
        )
    truncate_log(keys)
    clock.advance(timedelta(days=30, hours=1))
    began = time.perf_counter()
    (destroyed,) = keyring.destroy_due(clock())
    ours = time.perf_counter() - began
    assert destroyed.data_class == "transcript"
    began = time.perf_counter()
    while keyring.remove_dead():
        pass
    background = time.perf_counter() - began
    rivals = [("SQLite", _sqlite_delete(home / "rows.db")), ("PostgreSQL", _postgres_delete())]
    against = ", ".join(
        f"{name} not available"
        if seconds is None
        else f"{name} DELETE {seconds:.2f} s ({seconds / ours:,.0f}x)"
        for name, seconds in rivals
    )
    return [
        _say((f"forgetting {SESSIONS:,} sessions", f"{ours * 1e3:.1f} ms", against)),
        _say(("their DEK rows, in the background", f"{background:.1f} s", "")),
    ]


def _sqlite_delete(path: Path) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE s (id INTEGER PRIMARY KEY, content BLOB, expires INTEGER)")
    connection.execute(
        f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {SESSIONS}) "
        f"INSERT INTO s SELECT n, randomblob({ROW_BYTES}), 1 FROM c"
    )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    began = time.perf_counter()
    connection.execute("DELETE FROM s WHERE expires <= 1")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    took = time.perf_counter() - began
    connection.close()
    return took


def _postgres_delete() -> float | None:
    """Seconds for DELETE and its commit (what a VACUUM would still have to do is not counted)."""
    binaries = postgres_binaries()
    if binaries is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="bailee-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            account = pwd.getpwnam("nobody")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "cwd": "/"}
    try:
        with postgres(binaries, folder, user) as run:
            run(
                "CREATE TABLE s (id bigint PRIMARY KEY, content bytea, expires int); INSERT INTO s "
                f"SELECT n, decode(repeat(md5(n::text), {ROW_BYTES // 16}), 'hex'), 1 "
                f"FROM generate_series(1, {SESSIONS}) n; CHECKPOINT;"
            )
            began = time.perf_counter()
            run("DELETE FROM s WHERE expires <= 1;")
            return time.perf_counter() - began
    except (OSError, subprocess.SubprocessError) as error:
        print(f"PostgreSQL could not be started ({type(error).__name__})")
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def postgres_binaries() -> Path | None:
    """The folder with `initdb`, `pg_ctl` and `psql`, or None."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("pg_ctl")
    if found:
        candidates.append(Path(found).resolve().parent)
    return next((path for path in candidates if (path / "initdb").exists()), None)


@contextmanager
def postgres(binaries: Path, folder: Path, user: dict[str, Any]) -> Any:
    """A server of our own: a folder, a socket in it, no network."""
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, **user}
    data = folder / "data"
    subprocess.run(
        [
            binaries / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "bench",
            "--no-locale",
            "-E",
            "UTF8",
        ],
        check=True,
        **quiet,
    )
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}'"
    subprocess.run(
        [binaries / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"],
        check=True,
        **quiet,
    )
    try:
        yield lambda sql: subprocess.run(
            [binaries / "psql", "-h", folder, "-U", "bench", "-d", "postgres", "-q", "-c", sql],
            check=True,
            **quiet,
        )
    finally:
        subprocess.run(
            [binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, **quiet
        )


# -- spool ---------------------------------------------------------------------------------------


class _Nowhere:
    """Takes what the spool hands on, and drops it."""

    def kept(self, group: Sequence[Kept]) -> None:
        pass

    def closed(self, file: str) -> None:
        pass

    def unsealed(self, owner: str) -> Unsealed:  # noqa: ARG002
        return Unsealed(0, 0)


def _spool(home: Path) -> list[Line]:
    with keyring_in(home) as keyring:
        store = FolderSpool(home / "files", home / "quarantine")
        spool = Spool(store, keyring, system_clock, _Nowhere())
        exchange = _exchange(0, os.urandom(4000), os.urandom(4000), time.time())
        try:
            return asyncio.run(_measure(spool, exchange, home))
        finally:
            spool.close()


async def _measure(spool: Spool, exchange: CapturedExchange, home: Path) -> list[Line]:
    for _ in range(100):
        await _one(spool, exchange)
    alone: list[float] = []
    bare: list[float] = []
    descriptor = os.open(home / "bare", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(descriptor, bytes(16 << 20))
    os.fsync(descriptor)
    os.lseek(descriptor, 0, 0)
    for _ in range(1500):
        began = time.perf_counter()
        await _one(spool, exchange)
        alone.append(time.perf_counter() - began)
        began = time.perf_counter()
        os.write(descriptor, exchange.request + exchange.answer)
        os.fdatasync(descriptor)
        bare.append(time.perf_counter() - began)
    os.close(descriptor)
    count, each = 64, 400

    async def client() -> None:
        for _ in range(each):
            await _one(spool, exchange)

    began = time.perf_counter()
    await asyncio.gather(*[client() for _ in range(count)])
    rate = count * each / (time.perf_counter() - began)
    p50, p99 = statistics.median(alone) * 1e3, sorted(alone)[int(len(alone) * 0.99)] * 1e3
    floor = statistics.median(bare) * 1e3
    return [
        _say(
            (
                "spool, one exchange at a time, p50 / p99",
                f"{p50:.2f} / {p99:.2f} ms",
                f"write + fdatasync of the same bytes {floor:.2f} ms ({p50 / floor:.1f}x)",
            )
        ),
        _say(("spool, 64 clients", f"{rate:,.0f} exchanges/s", "durable, encrypted, 8 KB each")),
    ]


if __name__ == "__main__":
    main()
