"""A process with a vault that submits exchanges without end and prints what was acknowledged.

    python vault_process.py HOME FIRST [POINT COUNT WHEN]

`HOME` may also be said as `HOME,DATA,KEYS,OTHER`: the two databases are on PostgreSQL, what is
answered is durable there, and bucket and root key lie in the folder `OTHER`.

It dies by SIGKILL when `POINT` (a method, "module:Class.method") is called for the `COUNT`th time,
`WHEN` = "before" or "after" its work; without a point, somebody else kills it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from obstore.store import LocalStore

from bailee.clock import system_clock
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql
from bailee.errors import StorageError
from bailee.keeping.holds import Holds
from bailee.keeping.receipts import Receipts
from bailee.keyring import FileRoot, Keyring
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from bailee.vault.interpreted import Interpreted
from bailee.vault.lasting_rows import open_rows
from bailee.vault.objects import StoredObjects
from bailee.vault.vault import Vault

SESSIONS = 3
OWNERS = ("ada", "bob", "bob")  # of the sessions: one has twice as much waiting as the other


def interpret(exchange: CapturedExchange) -> Interpreted:
    """JSON bodies; the session is in a header."""
    body = json.loads(exchange.request)
    messages = body.pop("messages")
    session = dict(exchange.request_headers)["session"]
    answer = json.loads(exchange.answer)
    return Interpreted(client_session=session, fields=body, messages=messages, answer=answer)


def open_vault(place: str | Path) -> tuple[Vault, Keyring]:
    """A vault whose files are small, so that everything happens often."""
    path, *there = str(place).split(",")
    home = Path(path)
    elsewhere: dict[str, Any] = {}
    if there:
        engine, keys = (open_postgresql(one, "database.url") for one in there[:2])
        root = Path(there[2]) / "root.json"
    else:
        engine = open_sqlite(home / "data" / "data.db")
        keys = open_sqlite(home / "keyring" / "keyring.db")
        root = home / "keyring" / "root.json"
    upgrade(engine, "data")
    upgrade(keys, "keys")
    keyring = Keyring.open(keys, FileRoot(root), system_clock)
    if there:
        kinds = {}
        for kind in ("segments", "spool"):
            (Path(there[2]) / kind).mkdir(exist_ok=True)
            kinds[kind] = StoredObjects(LocalStore(Path(there[2]) / kind))
        rows = open_rows(engine, kinds["spool"], writes=True)
        elsewhere = {"objects": kinds["segments"], "rows": rows}
    vault = Vault(
        engine,
        home / "vault",
        keyring=keyring,
        clock=system_clock,
        interpret=interpret,
        record=lambda _kind, _subject, _body: None,
        holds=Holds(engine, keyring=keyring, record=lambda _kind, _subject, _body: None),
        receipts=Receipts(engine, lambda _kind, _entries, _within: None, keyring.generation),
        spool_file_bytes=1 << 15,
        ship_bytes=1 << 12,
        rotation_interval=timedelta,
        **elsewhere,
    )
    return vault, keyring


def exchange(number: int, *, some_large: bool = False) -> CapturedExchange:
    """The exchange with this number: it repeats the five before it in its session. `some_large`: of
    many one is for the lane of large ones.
    """
    texts = [f"m{n}" for n in range(number % SESSIONS, number + 1, SESSIONS)][-6:]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": t * 20} for t in texts]}
    if some_large and number % 30 == 29:
        body["padding"] = "x" * (2 << 20)
    now = system_clock().timestamp()
    return CapturedExchange(
        exchange_id=str(number),
        owner=OWNERS[number % SESSIONS],
        key_id="k",
        plan="pro",
        channel="api",
        terms=Terms("P30D", "c", "d"),
        started_at=now,
        ended_at=now,
        outcome=Outcome.COMPLETE,
        method="POST",
        target="/v1/messages",
        status=200,
        request_headers=(("session", f"s{number % SESSIONS}"),),
        answer_headers=(),
        request=json.dumps(body).encode(),
        answer=b'{"role": "assistant", "content": "ok"}',
    )


async def work(vault: Vault, first: int, *, some_large: bool) -> None:
    """Submit from `first` on, four at a time; sweep now and then."""
    loop = asyncio.get_running_loop()
    number = first
    while True:
        waits = []
        for _ in range(4):
            future: asyncio.Future[StorageError | None] = loop.create_future()
            vault.spool.submit(exchange(number, some_large=some_large), future.set_result)
            waits.append((number, future))
            number += 1
        for submitted, future in waits:
            if await future is None:
                os.write(1, f"{submitted}\n".encode())
        if number % 40 < 4:
            await asyncio.to_thread(vault.sweep, system_clock())


def main() -> None:
    """Recover, then work until the end."""
    place, first = sys.argv[1], int(sys.argv[2])
    if len(sys.argv) > 3:
        from killing import die_at  # beside this file, which a test imports from elsewhere

        die_at(sys.argv[3], int(sys.argv[4]), sys.argv[5])
    vault, _ = open_vault(place)
    vault.recover()
    asyncio.run(work(vault, first, some_large="," in place))


if __name__ == "__main__":
    main()
