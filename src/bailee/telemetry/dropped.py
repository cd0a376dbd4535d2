"""Counts of what was dropped, so that a client that sends what it should not is found.

Every name in a count is the registry's own or "other"; the service is one of a list. The number of
different counts is therefore bounded. They are kept in memory and written now and then: a crash
costs counts, never content.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine, delete, select

from bailee.db.engine import reading, storage_errors
from bailee.db.portable import insert as upsert
from bailee.db.telemetry import telemetry_dropped
from bailee.registry import Refusals

_WHAT = "the counts of what was dropped"


@dataclass(frozen=True, slots=True)
class DroppedCount:
    """How often a field was dropped on a day. `protocol`: otlp, sentry, statsig, event_logging."""

    day: str
    protocol: str
    service: str
    field: str
    reason: str
    count: int


class DroppedCounts:
    """The counts of one home. Whoever takes what senders sent adds to them, the sweep and the end
    write them; from any thread. It never has a name that the registry does not know.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()  # whenever `_counts` are read or changed
        self._counts: Counter[tuple[str, str, str, str, str]] = Counter()

    def add(self, day: date, protocol: str, service: str, refusals: Refusals) -> None:
        """Count what one payload lost."""
        if refusals.counts:
            with self._lock:
                for dropped, times in refusals.counts.items():
                    self._counts[str(day), protocol, service, dropped.name, dropped.reason] += times

    def flush(self) -> None:
        """Write what was counted.

        Raises:
            StorageError: the database can't be written; nothing is lost.
        """
        with self._lock:
            if not self._counts:
                return
            with storage_errors(_WHAT), self._engine.begin() as connection:
                for (day, protocol, service, name, reason), times in self._counts.items():
                    row = upsert(telemetry_dropped).values(
                        day=day,
                        protocol=protocol,
                        service=service,
                        field=name,
                        reason=reason,
                        count=times,
                    )
                    connection.execute(
                        row.on_conflict_do_update(
                            index_elements=["day", "protocol", "service", "field", "reason"],
                            set_={"count": telemetry_dropped.c.count + times},
                        )
                    )
            self._counts.clear()

    def all(self) -> list[DroppedCount]:
        """Every count, the latest day first and the highest first."""
        self.flush()
        query = select(telemetry_dropped).order_by(
            telemetry_dropped.c.day.desc(), telemetry_dropped.c.count.desc()
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [DroppedCount(*row) for row in connection.execute(query)]

    def forget(self, before: date) -> None:
        """Remove the counts of days before a day."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                delete(telemetry_dropped).where(telemetry_dropped.c.day < str(before))
            )
