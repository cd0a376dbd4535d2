"""Recordings for tests: one that keeps exchanges in memory, and one that fails when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bailee.admission import Unsealed
from bailee.errors import StorageError
from bailee.vault.exchange import CapturedExchange

Done = Callable[[StorageError | None], None]


class MemoryRecording:
    """Keeps exchanges in a list. Each is durable at the loop's next turn.

    With `manual`, an exchange is durable only when `settle` is called. `limit` is the number of
    bytes that may wait.
    """

    def __init__(self, *, manual: bool = False, limit: int = 64 * 1024 * 1024) -> None:
        self.exchanges: list[CapturedExchange] = []
        self.waiting = 0  # bytes
        self.unsealed_bytes: dict[str, int] = {}  # by owner; set by a test
        self.unsealed_exchanges: dict[str, int] = {}  # likewise
        self.unsealed_seconds: dict[str, float] = {}  # likewise
        self._manual = manual
        self._limit = limit
        self._pending: list[tuple[CapturedExchange, Done]] = []
        self._scheduled = False
        self._failure: StorageError | None = None

    def submit(self, exchange: CapturedExchange, done: Done) -> None:
        """See `bailee.gateway.recording.Recording`."""
        self._pending.append((exchange, done))
        self.waiting += len(exchange.request) + len(exchange.answer)
        if not self._manual and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.settle)

    @property
    def has_room(self) -> bool:
        """See `bailee.gateway.recording.Recording`."""
        return self.waiting < self._limit

    def unsealed(self, owner: str) -> Unsealed:
        """See `bailee.gateway.recording.Recording`."""
        size, count = self.unsealed_bytes, self.unsealed_exchanges
        return Unsealed(
            size.get(owner, 0),
            sum(size.values()),
            count.get(owner, 0),
            sum(count.values()),
            len(size.keys() | count.keys()),
            own_seconds=self.unsealed_seconds.get(owner, 0.0),
        )

    @property
    def failure(self) -> StorageError | None:
        """See `bailee.gateway.recording.Recording`."""
        return self._failure

    @property
    def pending(self) -> int:
        """How many exchanges are submitted and not durable."""
        return len(self._pending)

    def settle(self) -> None:
        """Makes durable what is pending. Called on the loop's thread."""
        self._scheduled = False
        pending, self._pending = self._pending, []
        self.waiting = 0
        for exchange, done in pending:
            error = self._write(exchange)
            if error is None:
                self.exchanges.append(exchange)
            done(error)

    def _write(self, exchange: CapturedExchange) -> StorageError | None:  # noqa: ARG002
        return None


class FaultyRecording(MemoryRecording):
    """Fails like a full disk while `broken`.

    With `known`, it says so beforehand through `failure`; without, each exchange finds out for
    itself, which is how the first one after the disk fills does.
    """

    def __init__(self, *, known: bool = False, broken: bool = True) -> None:
        super().__init__()
        self.known = known
        self.broken = broken

    @property
    def failure(self) -> StorageError | None:
        """See `bailee.gateway.recording.Recording`."""
        return _full() if self.broken and self.known else None

    def _write(self, exchange: CapturedExchange) -> StorageError | None:  # noqa: ARG002
        return _full() if self.broken else None


def _full() -> StorageError:
    return StorageError("The spool can't be written.", hint="the disk is full")
