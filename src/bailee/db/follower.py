"""Following what another process changes in a database on PostgreSQL, and the notices (`NOTIFY`)
that have somebody look.

Rules kept here:

* It looks when a notice comes (`Notices`), and every two seconds whether one does or not: notices
  make it quick, and nothing depends on them. One has nothing in it, so one that is lost, or comes
  twice, does no harm. Where the server, or what stands before it, lets nobody listen, looking is
  all there is.
* Who listens before a look misses none after it.
* A look is one transaction: what changed, and the rows themselves, are of one moment. It is a
  confirmation once whoever has them in memory has taken all of it; a look that failed is none.
* It never says that it is up to date: who goes by what is in memory asks the `Confirmation`. So a
  thread that stands, has ended, or waits for a network says nothing that is not so.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from typing import Final

from sqlalchemy import Connection, Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError

from bailee.clock import Ticks, ticks
from bailee.db import change_log
from bailee.db.engine import is_unreached, reading, storage_errors
from bailee.db.leases import driver
from bailee.db.versions import EVERY, ChangedRows, Confirmation, DataVersion
from bailee.errors import BaileeError
from bailee.lasting import Lasting

Take = Callable[[Connection, ChangedRows], None]
"""Takes up in memory what has changed, reading it by the connection; it may be told of the same
twice. What it raises of ours is a look that failed."""

_WHAT: Final = "the database"
_ENDING: Final = 40.0  # seconds for a look that waits for a network; see `db.postgresql`


class Notices:
    """What comes over one channel. Whoever owns it listens and waits on one thread; `wake` is for
    any. It has a connection of its own while it listens.
    """

    def __init__(self, engine: Engine, channel: str) -> None:
        """`channel`: a name of ours, as it stands in SQL."""
        self._engine = engine
        self._statement = f"LISTEN {channel}"
        self._listening: PoolProxiedConnection | None = None
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    def listen(self) -> bool:
        """Have notices come from now on; whether they do, as far as can be told."""
        from psycopg import Error

        if self._listening is not None:
            return True
        with suppress(DBAPIError, Error, BaileeError):
            made = self._engine.raw_connection()
            made.detach()
            self._listening = made
            raw = driver(made)
            raw.read_only, raw.autocommit = True, True  # whatever it was used for before
            raw.execute(self._statement)
            return True
        self._deaf()
        return False

    def wait(self, seconds: float) -> bool:
        """Until a notice comes, somebody wakes it, or so many seconds are over; whether it was a
        notice.
        """
        from psycopg import Error

        listening, came = self._listening, False
        try:
            with DefaultSelector() as selector:
                selector.register(self._woken, EVENT_READ)
                if listening is not None:
                    selector.register(driver(listening).fileno(), EVENT_READ)
                selector.select(seconds)
            with suppress(BlockingIOError):  # nobody did
                self._woken.recv(4096)
            if listening is not None:
                server = driver(listening).pgconn
                server.consume_input()
                while server.notifies() is not None:  # however many came: one look is for all
                    came = True
        except Error:
            self._deaf()  # it is looked for without, and listened for again
        return came

    def wake(self) -> None:
        """Have who waits go on, or who waits next."""
        with suppress(OSError):  # it is about to, or it is closed
            self._wake.send(b"\0")

    def close(self) -> None:
        """Listen no more, once nobody waits. Twice changes nothing."""
        self._deaf()
        self._wake.close()
        self._woken.close()

    def _deaf(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            driver(listening).close()
            listening.invalidate()


class Follower:
    """Looks at a database from `start` until `close`, on its thread `following`. Who has something
    in memory makes one, and looks once before anybody asks. It owns no engine.
    """

    def __init__(
        self,
        engine: Engine,
        take: Take,
        confirmation: Confirmation,
        *,
        every: float = EVERY,
        ticks: Ticks = ticks,
    ) -> None:
        """`every`: seconds between two looks without a notice. `ticks`: what a confirmation is told
        by.
        """
        self._engine = engine
        self._take = take
        self._confirmation = confirmation
        self._every = every
        self._ticks = ticks
        self._known: DataVersion | None = None
        self._notices = Notices(engine, change_log.CHANNEL)
        self._ending = False
        self.failure: BaileeError | None = None
        """Why the last look failed; None: it did not."""
        self.thread = Lasting("following", self._run)
        """Who watches over threads may begin it anew."""

    def look(self) -> None:
        """Take up what has changed. Before `start`, or on its own thread.

        Raises:
            StorageError: the database can't be read.
            BaileeError: what was found can't be taken up.
        """
        asked = self._ticks()
        with storage_errors(_WHAT), reading(self._engine) as connection:
            changes = change_log.read(connection, self._known)
            self._take(connection, changes)
        self._known = changes.version
        self._confirmation.note(asked)

    def start(self) -> None:
        """Look from now on."""
        self.thread.start()

    def close(self) -> None:
        """Look no more. Twice changes nothing."""
        if self._ending:
            return
        self._ending = True
        self._notices.wake()
        self.thread.join(_ENDING)
        if self.thread.is_alive():
            return  # what it has is its own; it ends with what it waits for
        self._notices.close()

    # -- inside ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending:
            self._notices.listen()
            try:
                self.look()
                self.failure = None
            except BaileeError as error:
                self.failure = error
                self._confirmation.missed(unreached=is_unreached(error))
            self._notices.wait(self._every)
