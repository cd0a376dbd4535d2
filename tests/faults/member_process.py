"""A process beside the one with a vault, a member, that submits exchanges and prints what was
acknowledged: `member_process.py PLACE FIRST [COUNT]`.

`PLACE` as for `vault_process.py`. It prints `as NAME` for each name under which it writes, and
`as nobody` where it begins and may not write yet. After
`COUNT` exchanges it closes its spool and ends; without, it goes on until somebody kills it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from obstore.store import LocalStore
from sqlalchemy import Engine
from vault_process import exchange

from bailee.db.postgresql import open_postgresql
from bailee.errors import StorageError
from bailee.keyring import FileRoot
from bailee.vault.member_spool import MemberSpool
from bailee.vault.objects import StoredObjects

AT_ONCE = 16
MOST = 300


def open_spool(place: str) -> MemberSpool:
    """The spool of a member, whose files are small."""
    _, data, keys, other = place.split(",")

    def connect(closing: ExitStack) -> tuple[Engine, Engine]:
        engines = []
        for address in (data, keys):
            engine = open_postgresql(address, "database.url", member=True)
            closing.callback(engine.dispose)
            engines.append(engine)
        return engines[0], engines[1]

    return MemberSpool(
        connect,
        lambda: FileRoot(Path(other) / "root.json", may_make=False),
        StoredObjects(LocalStore(Path(other) / "spool")),
        "gateway",
        file_bytes=1 << 15,
        every=0.2,
    )


async def work(spool: MemberSpool, first: int, count: int | None) -> None:
    """Submit, some at a time. What is refused is submitted again under another number, later."""
    loop = asyncio.get_running_loop()
    number, name = first, None
    while count is None or number < first + count:
        if spool.name not in (name, None):
            name = spool.name
            os.write(1, f"as {name}\n".encode())
        waits = []
        for _ in range(AT_ONCE):
            future: asyncio.Future[StorageError | None] = loop.create_future()
            spool.submit(exchange(number, some_large=count is None), future.set_result)
            waits.append((number, future))
            number += 1
        refused = False
        for submitted, future in waits:
            if await future is None:
                os.write(1, f"{submitted}\n".encode())
            else:
                refused = True
        # Who floods is refused by their share of what waits, as by any gateway.
        while refused or spool.unsealed("").all_exchanges > MOST:
            refused = False
            await asyncio.sleep(0.05)


def main() -> None:
    """See the module."""
    spool = open_spool(sys.argv[1])
    if spool.name is None:
        os.write(1, b"as nobody\n")
    asyncio.run(work(spool, int(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else None))
    spool.close()


if __name__ == "__main__":
    main()
