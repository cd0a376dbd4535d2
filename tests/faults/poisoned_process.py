"""A process whose interpretation of one exchange ends it by SIGKILL, as a machine does that has no
memory left.

    python poisoned_process.py HOME [fill]

With `fill` it submits five exchanges, of which the third is that one. It prints, when it comes to
its end, what was reported and how each exchange is kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import vault_process

from bailee.clock import system_clock
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.errors import StorageError
from bailee.keeping.holds import Holds
from bailee.keeping.receipts import Receipts
from bailee.keyring import FileRoot, Keyring
from bailee.vault.exchange import CapturedExchange
from bailee.vault.interpreted import Interpreted
from bailee.vault.vault import Vault

POISON = b"poison"


def interpret(exchange: CapturedExchange) -> Interpreted:
    """Ends the process at one exchange."""
    if POISON in exchange.request:
        os.kill(os.getpid(), signal.SIGKILL)
    found: Interpreted = vault_process.interpret(exchange)
    return found


async def fill(vault: Vault) -> None:
    """Submit five exchanges."""
    loop = asyncio.get_running_loop()
    waits = []
    for number in range(5):
        exchange = vault_process.exchange(number)
        if number == 2:
            exchange = exchange._replace(request=b'{"poison": 1, "messages": []}')
        future: asyncio.Future[StorageError | None] = loop.create_future()
        vault.spool.submit(exchange, future.set_result)
        waits.append(future)
    await asyncio.gather(*waits)


def main() -> None:
    """See the module."""
    home = Path(sys.argv[1])
    engine = open_sqlite(home / "data" / "data.db")
    upgrade(engine, "data")
    keys = open_sqlite(home / "keyring" / "keyring.db")
    upgrade(keys, "keys")
    reported: list[str] = []
    keyring = Keyring.open(keys, FileRoot(home / "keyring" / "root.json"), system_clock)
    vault = Vault(
        engine,
        home / "vault",
        keyring=keyring,
        clock=system_clock,
        interpret=interpret,
        record=lambda kind, _subject, _body: reported.append(kind),
        holds=Holds(engine, keyring=keyring, record=lambda _kind, _subject, _body: None),
        receipts=Receipts(engine, lambda _kind, _entries, _within: None, keyring.generation),
    )
    if sys.argv[2:] == ["fill"]:
        asyncio.run(fill(vault))
    vault.recover()
    vault.flush()
    kept = {
        exchange.exchange_id: exchange.beyond
        for row in vault.sessions(system_clock())
        for exchange in vault.show(row.id).exchanges
    }
    vault.close()
    sys.stdout.write(json.dumps({"reported": reported, "kept": kept}))


if __name__ == "__main__":
    main()
