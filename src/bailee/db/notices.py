"""Notices of a database on PostgreSQL (`NOTIFY`), for a thread that looks when one comes.

Rules kept here:

* A notice has nothing in it: it says that there is something to look for, so one that is lost, or
  comes twice, does no harm. Whoever waits looks now and then anyway.
* Who listens before a look misses none after it.
* Where the server, or what stands before it, lets nobody listen, waiting is for the time alone.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError

from bailee.db.leases import driver
from bailee.errors import BaileeError


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
