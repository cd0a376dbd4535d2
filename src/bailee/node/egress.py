"""What left this home, as one entry of the audit record for each day on which something did.

Rules kept here:

* Numbers alone: exchanges, connections and bytes, by the channel to the models, by the kind of
  proxy of cloud sessions, and of telemetry that is passed on. Neither whose they were nor where
  they went.
* Of telemetry each request counts that was sent, answered or not; what comes back is not counted.
* A day (UTC) is summed up once, by the first sweep after it: its entry and the end of its counts
  are one transaction. What is counted later, because the clock went back, belongs to the next day.
* What the gateway sent is counted in memory and written by each sweep and at the end; a crash costs
  what came since the last sweep. What cloud sessions sent is summed from the entries of their ends.

Rows: P4.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import orjson
from sqlalchemy import Connection, Engine, delete, select

from bailee.clock import Clock
from bailee.db.audit import audit
from bailee.db.egress import egress_counts
from bailee.db.engine import storage_errors
from bailee.db.portable import insert as upsert
from bailee.ledger import Ledger
from bailee.ledger.particulars import CLOUD_COUNTS

KIND: Final = "egress.day"
TELEMETRY: Final = "telemetry"
"""What is passed on, as a channel of its own."""
_WHAT: Final = "what left"
_COUNTED: Final = ("exchanges", "sent", "received")


class EgressDays:
    """The counts of a home. The gateway's loop calls `add`, the sweep `sweep`, the home's close
    `write`; each from any thread. It reads no exchange, only sizes.
    """

    name: Final = "egress"

    def __init__(self, engine: Engine, ledger: Ledger, clock: Clock) -> None:
        self._engine = engine
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()  # whenever `_counts` are read or changed
        self._counts: dict[str, tuple[int, int, int]] = {}
        self._summed: date | None = None  # the day on which all before it were summed up

    def add(self, channel: str, sent: int, received: int, exchanges: int = 1) -> None:
        """An exchange went upstream by a channel. It only adds up."""
        with self._lock:
            before = self._counts.get(channel, (0, 0, 0))
            self._counts[channel] = before[0] + exchanges, before[1] + sent, before[2] + received

    def write(self) -> None:
        """Make durable what was counted.

        Raises:
            StorageError: it can't be written; nothing is lost, call again.
        """
        with self._lock:
            counted, self._counts = self._counts, {}
        if not counted:
            return
        try:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                day = str(max(_day(self._clock()), self._after(connection)))
                for channel, counts in counted.items():
                    row = dict(zip(_COUNTED, counts, strict=True))
                    new = upsert(egress_counts).values(day=day, channel=channel, **row)
                    more = {name: egress_counts.c[name] + new.excluded[name] for name in _COUNTED}
                    connection.execute(
                        new.on_conflict_do_update(index_elements=["day", "channel"], set_=more)
                    )
        except BaseException:
            for channel, (exchanges, sent, received) in counted.items():
                self.add(channel, sent, received, exchanges)
            raise

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """Write what was counted, and enter the days that are over; how many.

        Raises:
            StorageError: the store failed; the next sweep goes on.
        """
        self.write()
        today = _day(now)
        if self._summed == today:
            return {"days": 0}
        with storage_errors(_WHAT), self._engine.begin() as connection:
            days = self._days(connection, today)
            for day, sums in sorted(days.items()):
                self._ledger.append(KIND, day, dict(sums), connection=connection)
            connection.execute(delete(egress_counts).where(egress_counts.c.day < str(today)))
        self._summed = today
        return {"days": len(days)}

    def _days(self, connection: Connection, today: date) -> dict[str, Counter[str]]:
        """The sums of each day before today that has some and is not entered."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        query = select(egress_counts).where(egress_counts.c.day < str(today))
        for row in connection.execute(query):
            for name in _COUNTED:
                if (row.channel, name) != (TELEMETRY, "received"):
                    found[row.day][f"{row.channel}_{name}"] += getattr(row, name)
        ended = select(audit.c.at, audit.c.body).where(
            audit.c.kind == "cloud.session_ended",
            audit.c.at >= _moment(self._after(connection)),
            audit.c.at < _moment(today),
        )
        for at, body in connection.execute(ended):
            sums = found[str(_day(at))]
            sums["cloud_sessions"] += 1
            particulars = orjson.loads(body)
            for name in CLOUD_COUNTS:
                sums[name] += int(particulars.get(name) or 0)
        return found

    def _after(self, connection: Connection) -> date:
        """The first day that is not entered yet."""
        query = select(audit.c.subject).where(audit.c.kind == KIND)
        last = connection.execute(query.order_by(audit.c.number.desc()).limit(1)).scalar()
        return date.min if last is None else date.fromisoformat(last) + timedelta(days=1)


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
