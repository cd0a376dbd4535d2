"""One home, open, as operations are given it: a record of its stores and the services over them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self, Unpack

from bailee.home import Home
from bailee.node.deciding import Deciding
from bailee.node.erasing import Erasures
from bailee.node.following import Following
from bailee.node.running import Serving
from bailee.node.stores import Stores
from bailee.node.sweeping import NodeSweep, Sweeping
from bailee.node.wiring import Wiring, WiringOptions

_RECOVERY_SECONDS: Final = 1.5
"""How long a start waits for what a crash left in the spool. The rest is sealed behind it, and what
is to be done then (erasures that were broken off) is done by the sweep."""


@dataclass(frozen=True, eq=False)
class Node(Stores):
    """All of a home. A process that serves or answers anything opens one, and closes it at its end;
    operations are given it, on any thread. `serving`: what a server has besides, where one runs.
    It has no state of its own.
    """

    deciding: Deciding
    following: Following
    erasures: Erasures
    sweeping: Sweeping
    wiring: Wiring
    serving: Serving | None = None

    @classmethod
    def open(cls, home: Home, **given: Unpack[WiringOptions]) -> Node:
        """Open a home whose lock the caller holds. What may be given, and what is raised: see
        `Wiring`.
        """
        return cls.over(Wiring(home, **given))

    @classmethod
    def over(cls, wiring: Wiring) -> Node:
        """Open all that a wiring has, and do what is to be done at a start.

        Raises:
            InputError: a setting is wrong.
            StorageError: a store can't be opened.
            IntegrityError: a store does not authenticate.
        """
        with wiring.ground.room.deleting():
            node = cls(
                **vars(wiring.stores),
                deciding=wiring.deciding,
                following=wiring.following,
                erasures=wiring.erasures,
                sweeping=wiring.sweeping,
                wiring=wiring,
            )
            # What was left goes first: it may have moved the end of what is destroyed next.
            recovered = node.vault.recover(_RECOVERY_SECONDS) is not None
            node.sweeping.mind_clock()
            node.following.follow_all()
            if recovered:
                node.erasures.resume(node.clock())
            node.telemetry.recover()
            node.reports.recover()
        return node

    def sweep(self, now: datetime) -> NodeSweep:
        """Look at the clock, and destroy what is due of all that is kept. See `Sweeping`."""
        return self.sweeping.sweep(now)

    def close(self) -> None:
        """Seal what is in the spool and let everything go."""
        self.wiring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
