"""Whether a server has the home, for a process that stands beside it.

Rules kept here:

* What counts is the moment of the lease in each of the two databases (`db.leases`), by the
  database's own clock; and from each look on, a clock of this machine that nobody sets.
* A look that fails says nothing: the time goes on to count.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Engine, text

from bailee.clock import Ticks
from bailee.db.engine import reading, storage_errors
from bailee.db.fencing import HOME, TABLE
from bailee.db.leases import SECONDS
from bailee.errors import StorageError
from bailee.lasting import Lasting
from bailee.steady import this_machine

_EVERY: Final = 5.0
_SINCE: Final = text(
    f"SELECT {SECONDS} + extract(epoch FROM clock_timestamp() - until) "  # noqa: S608 - constants
    f"FROM {TABLE} WHERE name = '{HOME}'"
)


class HomeHolding:
    """Looks at a home's two leases every five seconds, from `start` to `stop`, on its thread
    `holding`. `unheld` may be asked from any thread. It takes no lease.
    """

    def __init__(self, engines: Sequence[Engine], ticks: Ticks | None = None) -> None:
        """`ticks`: a clock that nobody sets, in seconds; else the machine's."""
        self._engines = engines
        self._ticks = ticks or this_machine().unset
        self._sure = self._ticks()
        self._ending = threading.Event()
        self.thread = Lasting("holding", self._run)

    def start(self) -> None:
        """Look once, and from now on.

        Raises:
            StorageError: a database can't be read.
        """
        self.look()
        self.thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()
        self.thread.join()

    def unheld(self) -> float:
        """Seconds since a server was last known to have the home: a lease that was just renewed
        counts as none. A look into memory.
        """
        return self._ticks() - self._sure

    def look(self) -> None:
        """Look once.

        Raises:
            StorageError: a database can't be read.
        """
        asked = self._ticks()
        since = 0.0
        for engine in self._engines:
            with storage_errors("the lease"), reading(engine) as connection:
                found = connection.execute(_SINCE).scalar()
            since = max(since, float("inf") if found is None else float(found))
        self._sure = asked - since

    def _run(self) -> None:
        while not self._ending.wait(_EVERY):
            try:
                self.look()
            except StorageError:
                continue  # the time goes on
