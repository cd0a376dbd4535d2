"""What is asked of a million sessions at once: whom a document would concern, and what is kept.

    python -m bench.million [SESSIONS]        (default 1,000,000; `python -m bench million`)

On SQLite and on PostgreSQL. The sessions are rows alone, which the database writes itself: of ten
thousand people, each under two choices and on two channels, with ends over a month; then all is
summed up once, as in an older home that is opened. What is measured is an operation as a server
does it, the first time that it is asked; the documents are shipped ones. The processor's time is
that of the process which asks: what PostgreSQL does is in the seconds of the clock alone.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    String,
    Table,
    cast,
    insert,
    literal,
    select,
    true,
)

from bailee.accounts import OPERATOR
from bailee.db.accounts import accounts
from bailee.db.checks import MAC
from bailee.db.portable import is_sqlite
from bailee.db.postgresql import open_postgresql
from bailee.db.vault import sessions
from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.operations.table import perform
from bailee.policy.loading import shipped
from bailee.testing import FakeClock
from bench.durability import server
from bench.result import Line, Unavailable

SESSIONS: Final = 1_000_000
PEOPLE: Final = 10_000
_ENDS: Final = 1_250  # half hours of a month
_KINDS: Final = tuple(product(("api", "bedrock"), (0, 1)))
"""Channels, and numbers of a choice."""
_SUMMED: Final = ("insert", "delete", "session_facts", "session_ends")
_TARGET: Final = "target 1 s"


def main(count: int = SESSIONS) -> list[Line]:
    """Measure on each database that is here."""
    found = _on("SQLite", {}, count)
    try:
        with server() as address:
            found += _on("PostgreSQL", _databases(address), count)
    except Unavailable as lack:
        found.append(("on PostgreSQL", "could not run here", str(lack)))
    return found


def _databases(address: str) -> dict[str, str]:
    """The settings that have a home in PostgreSQL; the keys are in another database."""
    engine = open_postgresql(address, "database.url")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE keys")
    engine.dispose()
    keys = address.replace("/postgres?", "/keys?")
    return {"BAILEE_DATABASE_URL": address, "BAILEE_KEYRING_DATABASE_URL": keys}


def _on(database: str, environment: Mapping[str, str], count: int) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        home, clock = Home(Path(folder) / "home"), FakeClock()
        home.make()
        with HomeLock(home):
            began = time.perf_counter()
            with Node.open(home, clock=clock, environment=environment) as node:
                node.accounts.create(plan="pro", name="first")
                with node.data.begin() as connection:
                    _fill(connection, node, count)
            print(f"{database}: {count:,} sessions in {time.perf_counter() - began:.0f} s")
            began = time.perf_counter()
            with Node.open(home, clock=clock, environment=environment) as node:
                print(f"{database}: opened and summed up in {time.perf_counter() - began:.0f} s")
                return _asked(node, database, count)


def _asked(node: Node, database: str, count: int) -> list[Line]:
    before, after = (shipped(one).decode() for one in ("2025-08-28", "2026-08-22"))
    lines = []
    for what, name, asked in (
        ("whom a document would concern (`policy try`)", "policy.try", {"document": after}),
        (
            "whom two documents concern (`policy diff`)",
            "policy.try",
            {"document": after, "against": before},
        ),
        ("what is kept (`retention report`)", "retention.report", {}),
    ):
        gc.collect()
        wall, processor = time.perf_counter(), time.process_time()
        found = perform(node, name, asked, by=OPERATOR)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        assert found
        line = (
            f"{what} of {count:,} sessions, on {database}",
            f"{wall:.2f} s ({processor:.2f} s of processor)",
            _TARGET,
        )
        print(*line, sep="   ", flush=True)
        lines.append(line)
    return lines


def _fill(connection: Connection, node: Node, count: int) -> None:
    """People, and their sessions: one of each kind and end, again and again. The triggers that sum
    up are away, so that all is summed up when the home is opened next.
    """
    for name in (f"sessions_summed_{one}" for one in _SUMMED):
        sqlite = is_sqlite(connection)
        gone = f"TRIGGER {name}" if sqlite else f"FUNCTION {name}() CASCADE"
        connection.exec_driver_sql(f"DROP {gone}")
    people, times = _numbers(PEOPLE), _numbers(count // (_ENDS * len(_KINDS)))
    _copy(connection, accounts, people, {"id": literal("acc_") + cast(people.c.n, String)})
    connection.execute(
        insert(sessions), [_session(node, one) for one in range(_ENDS * len(_KINDS))]
    )
    number = sessions.c.number + _ENDS * len(_KINDS) * times.c.n
    owner = (sessions.c.number / len(_KINDS) + _ENDS * times.c.n) % PEOPLE
    _copy(
        connection,
        sessions,
        times,
        {
            "id": sessions.c.id + literal("-") + cast(times.c.n, String),
            "number": number,
            "owner": literal("acc_") + cast(owner, String),
        },
    )


def _session(node: Node, number: int) -> dict[str, object]:
    channel, consent = _KINDS[number % len(_KINDS)]
    last = node.clock() + timedelta(minutes=30) * (number // len(_KINDS))
    return {
        "id": f"session-{number}", "number": number, "owner": "acc_1", "plan": "pro",
        "channel": channel, "uses": f"pro/{channel}", "last_consent": consent, "key_id": "key_1",
        "data_class": "transcript", "started": last, "last_activity": last, "last_request": last,
        "expires_at": last + timedelta(days=30), "period": "P30D", "exchanges": 3, "bytes": 4000,
        "clause": "retain.consumer-refused", "document": node.policy.sha256,
        **{one.name: 100 for one in sessions.c if one.name.endswith("_tokens")},
    }  # fmt: skip


def _numbers(count: int) -> CTE:
    """The numbers from 1 to one below `count`."""
    first = select(literal(1).label("n")).cte(f"below_{count}", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < count - 1))


def _copy(
    connection: Connection, table: Table, numbers: CTE, other: Mapping[str, ColumnElement[Any]]
) -> None:
    """Each row of a table once more for each number, with other values in some columns."""
    columns = [one for one in table.c if one.name != MAC]
    chosen = select(*(other.get(one.name, one) for one in columns)).select_from(
        table.join(numbers, true())
    )
    connection.execute(insert(table).from_select([one.name for one in columns], chosen))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS)
