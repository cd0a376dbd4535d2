"""When a connection is read from, and when what came over it is gone into.

Rules kept here: it is read from while nobody has a reason against that; what comes when its account
has had its part of the loop's turn waits for a later one, if it is small, and takes no time of it.
What is large is gone into at once, since it would take room. Either way nothing more is read from
the connection until its turn has come. A few bytes in the middle of a body are gone into at once
and have nothing wait: that costs less than their waiting.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

from bailee.admission import Rounds

_SMALL: Final = 16 * 1024
_FEW: Final = 16
_EVENT: Final = 4 * 1024  # what is less, of an account that is alone, is not worth counting


class ReadInTurns(asyncio.Protocol):
    """The reading side of a connection, client's or upstream's, which are made of it; on the
    gateway's thread. It never looks at what came.
    """

    __slots__ = ("_aside", "_rounds", "_why", "transport")

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds
        self._why: set[str] = set()  # it is not read from
        self._aside: bytes | None = None  # what waits for its account's turn
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    def _received(self, data: bytes) -> None:
        """Goes into what came."""
        raise NotImplementedError

    def _whose(self) -> str:
        """Whose it is, as far as that is known; the empty name is nobody's."""
        raise NotImplementedError

    def _goes_on(self, size: int) -> bool:  # noqa: ARG002
        """Whether so many bytes more are surely the middle of a body, and end nothing."""
        return False

    def _reads_on(self) -> None:
        """It is read from again."""

    def pause(self, why: str) -> None:
        """Stops reading until every `why` is resumed."""
        if not self._why and not self.transport.is_closing():
            self.transport.pause_reading()
        self._why.add(why)

    def resume(self, *whys: str) -> None:
        """Takes back a `pause`, or several; without a name, all."""
        if not self._why:
            return
        self._why.difference_update(whys or tuple(self._why))
        if not self._why and not self.transport.is_closing():
            self.transport.resume_reading()
            self._reads_on()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._rounds.crowded or len(data) > _EVENT:
            self._came(data)
        else:
            self._received(data)

    def _came(self, data: bytes) -> None:
        """Goes into what came, or has it wait. What is nobody's never waits: who is known, and
        asks over a new connection, would wait with it.
        """
        account = self._whose()
        if self._aside is not None:  # it was on its way before the pause
            self._aside += data
        elif len(data) <= _FEW and self._goes_on(len(data)):
            self._go_into(data)
        elif account and len(data) <= _SMALL and not self._rounds.has_turn(account):
            self._aside = data
            self._rest(account)
        else:
            self._go_into(data)
            if not self._rounds.has_turn(account := self._whose()):
                self._rest(account)

    def _rest(self, account: str) -> None:
        if "round" not in self._why:
            self.pause("round")
            self._rounds.rest(account, self._turn)

    def _turn(self) -> None:
        if self._aside is not None:
            data, self._aside = self._aside, None
            self._go_into(data)
        self.resume("round")

    def _go_into(self, data: bytes) -> None:
        began = time.thread_time()
        self._received(data)
        self._rounds.took(self._whose(), time.thread_time() - began, len(data))
