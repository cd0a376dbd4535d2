"""How accounts stand with the disk, at a gateway beside the server that has the home.

The server keeps what each account has on disk in `stored`, and says in `disk_state` whether little
is free where its stores lie. A thread here reads that of the accounts that are asked about.

Rules kept here:

* Who asks is answered from memory, on the gateway's loop, at once.
* An account that was not asked about lately counts as one that has nothing, until it was looked
  for: that is a quarter of a second later. What is known is at most two seconds old.
* While the database is away, what was known counts on. Nothing is recorded then anyway.
* Of how many accounts is known is bounded; who was asked about longest ago goes.

Rows: G1, O6.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final

from sqlalchemy import Engine, func, select

from bailee.admission.disk import OnDisk
from bailee.clock import Clock
from bailee.db.among import among
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import insert as upsert
from bailee.db.portable import is_sqlite
from bailee.db.vault import stored
from bailee.db.watch import disk_state
from bailee.errors import BaileeError
from bailee.lasting import Lasting
from bailee.vault.stored import Sum, Sums

EVERY: Final = 2.0
SOON: Final = 0.25
"""Seconds between two looks; and at least, where somebody new is asked about."""
MOST: Final = 10_000
"""Of how many accounts is known."""
_STORES: Final = "stores"
_WHAT: Final = "what is on disk"
_NOTHING: Final = Sum()


def say_low(engine: Engine, low: bool, clock: Clock) -> None:
    """Have gateways know whether little is free where this home's stores lie. A home with files of
    SQLite's has no gateways beside it: nothing is written there.

    Raises:
        StorageError: it can't be written.
    """
    if is_sqlite(engine):
        return
    row = {"low": low, "at": clock()}
    with storage_errors(_WHAT), engine.begin() as connection:
        connection.execute(
            upsert(disk_state)
            .values(name=_STORES, **row)
            .on_conflict_do_update(index_elements=["name"], set_=row)
        )


class DiskBeside:
    """How accounts stand with the disk. A gateway's role owns it, from `start` to `stop`, and asks
    it on the gateway's loop. It refuses nobody, and writes nothing.
    """

    def __init__(
        self, engine: Engine, *, every: float = EVERY, soon: float = SOON, most: int = MOST
    ) -> None:
        """`engine`: the home's data database, to read. `every`, `soon`, `most`: see above."""
        self._engine = engine
        self._every = every
        self._soon = soon
        self._most = most
        self._asked: dict[str, None] = {}  # the loop's alone to change; the latest is last
        # Replaced as a whole by the thread.
        self._sums: Sums = {}
        self._known: frozenset[str] = frozenset()
        self._all = (0, 0)
        self._low = False
        self._wake = threading.Event()
        self._ending = threading.Event()
        self.thread = Lasting("disk", self._run)

    def start(self) -> None:
        """Look from now on."""
        self.thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()
        self._wake.set()
        self.thread.join()

    def of(self, owner: str) -> OnDisk:
        """An account's standing. On the gateway's loop alone."""
        self._asked.pop(owner, None)
        self._asked[owner] = None
        if len(self._asked) > self._most:
            del self._asked[next(iter(self._asked))]
        if owner not in self._known:
            self._wake.set()
        sums = self._sums.get(owner, _NOTHING)
        return OnDisk(sums.living, sums.gone, *self._all, self._low)

    def look(self) -> None:
        """Read what is there of who was asked about. On the thread, or before it begins.

        Raises:
            StorageError: the database can't be read.
        """
        owners = tuple(self._asked)
        row = select(stored).where(among(stored.c.owner, owners), sound(stored))
        said = select(disk_state.c.low).where(disk_state.c.name == _STORES)
        every = select(func.coalesce(func.sum(stored.c.living + stored.c.gone), 0), func.count())
        with storage_errors(_WHAT), reading(self._engine) as connection:
            sums = {one.owner: Sum(one.living, one.gone) for one in connection.execute(row)}
            low = bool(connection.execute(said).scalar())
            in_all = (0, 0)
            if low:  # else nobody asks
                size, accounts = connection.execute(every).one()
                in_all = int(size), int(accounts)
        self._sums, self._all, self._low = sums, in_all, low
        self._known = frozenset(owners)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._wake.clear()
            with suppress(BaileeError):  # what was known counts on
                self.look()
            self._ending.wait(self._soon)
            self._wake.wait(max(0.0, self._every - self._soon))
