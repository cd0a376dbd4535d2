"""What each account sent of one class of data: how much today, and how much of it rests on disk.

Theory of operation: what was kept is counted in memory as it is kept; a sweep writes the counts,
and has the store say what rests by now (compressed, or withdrawn). Between two sweeps, what came
counts as it came. So who sends is judged by a look-up, and nothing is searched for. The first sweep
is there before a server says that it is ready.

Rules kept here:

* A count says how many and how large, and nothing of what it was.
* Its row goes when what it counts is past its time, and with its account.
* What was not written is written by the next sweep. A crash costs it, and nothing else.
* What is over a share is told to its account alone. What is under way comes on top of it.

Rows: S2, F4.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from sqlalchemy import Engine, delete, func, select

from bailee.db.engine import reading, storage_errors
from bailee.db.ingest import received as table
from bailee.db.portable import insert as upsert

_WHAT: Final = "the shares of the ingest"
_AN_HOUR: Final = 3600
_Key = tuple[str, str, str, datetime]  # account, day, period, until


@dataclass(frozen=True, slots=True)
class Share:
    """Of one account: items a day (UTC), bytes on disk. 0: no limit."""

    items: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account has: items today, bytes on disk; or what is added to that."""

    items: int = 0
    bytes: int = 0

    def over(self, share: Share, now: datetime) -> tuple[str, int] | None:
        """How its share is used up, to follow "this account has", and the seconds to wait; or None.

        On disk something goes when its time comes, which may be at any hour.
        """
        if share.items and self.items >= share.items:
            tomorrow = datetime.combine(now.astimezone(UTC) + timedelta(days=1), time(), UTC)
            return "sent as much today as it may", max(1, int((tomorrow - now).total_seconds()))
        if share.bytes and self.bytes >= share.bytes:
            return "as much on disk as it may", _AN_HOUR
        return None


def sent_today(engine: Engine, now: datetime) -> Mapping[str, Mapping[str, int]]:
    """How many items each account has sent today, by class of data.

    Raises:
        StorageError: the counts can't be read.
    """
    query = (
        select(table.c.data_class, table.c.account_id, func.sum(table.c["items"]))
        .where(table.c.day == _day(now))
        .group_by(table.c.data_class, table.c.account_id)
    )
    sent: dict[str, dict[str, int]] = {}
    with storage_errors(_WHAT), reading(engine) as connection:
        for data_class, account, items in connection.execute(query):
            sent.setdefault(data_class, {})[account] = int(items)
    return sent


class ReceivedCounts:
    """The counts of one class, in one home. A store owns it and calls `look` when it sweeps; `add`,
    `of` and `forget` are called from any thread, `rests` from any but the event loop's. It refuses
    nobody: that is the door's.
    """

    def __init__(
        self,
        engine: Engine,
        data_class: str,
        now: datetime,
        resting: Callable[[], Mapping[str, int]],
        today: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        """`resting`: what a store has on disk by now, in bytes, by account. `today`: what
        `sent_today` gives, where several counts begin with it.

        Raises:
            StorageError: the counts can't be read.
        """
        self._engine = engine
        self._class = data_class
        self._resting = resting
        self._lock = threading.Lock()  # who changes any of these; `of` reads them without
        self._unwritten: dict[_Key, tuple[int, int]] = {}
        self._since: Counter[str] = Counter()
        self._rest: Mapping[str, int] | None = None
        self._day = _day(now)
        counted = sent_today(engine, now) if today is None else today
        self._today: Counter[str] = Counter(counted.get(data_class, {}))

    def of(self, account_id: str, now: datetime) -> Standing:
        """What an account has; until something has looked, what rested before counts as nothing.
        Takes no lock and asks no database, so the event loop may call it.
        """
        today = self._today[account_id] if self._day == _day(now) else 0
        return Standing(today, (self._rest or {}).get(account_id, 0) + self._since[account_id])

    def rests(self, account_id: str, now: datetime) -> int:
        """What of an account is on disk, in bytes. Looks, if nothing has: not for the event loop.

        Raises:
            StorageError: the store can't be read or written.
        """
        if self._rest is None:
            self.look(now)
        return self.of(account_id, now).bytes

    def add(
        self, account_id: str, kept: Standing, now: datetime, until: datetime, period: str = ""
    ) -> None:
        """So many items of an account were kept at `now`; their bytes rest until `until`, which is
        `period` after the day.
        """
        key = account_id, _day(now), period, until
        items, size = kept.items, kept.bytes
        with self._lock:
            if self._day != _day(now):
                self._day, self._today = _day(now), Counter()
            self._today[account_id] += items
            self._since[account_id] += size
            self._count(key, items, size)

    def look(self, now: datetime) -> None:
        """Write what was counted, and see what rests by now.

        Raises:
            StorageError: the store can't be read or written; nothing is lost, call again.
        """
        with self._lock:
            seen = Counter(self._since)
        self.write(now)
        rest = self._resting()
        with self._lock:
            self._rest = rest
            self._since -= seen

    @property
    def waits(self) -> bool:
        """Whether something was counted that is not written."""
        return bool(self._unwritten)

    def write(self, now: datetime) -> None:
        """Write what was counted, and forget what is past its time.

        Raises:
            StorageError: the counts can't be written; nothing is lost, call again.
        """
        with self._lock:  # and not while it is written: the event loop waits for this lock
            counted, self._unwritten = self._unwritten, {}
        try:
            self._write(counted, now)
        except BaseException:
            with self._lock:
                for key, (items, size) in counted.items():
                    self._count(key, items, size)
            raise

    def _count(self, key: _Key, items: int, size: int) -> None:
        """Under the lock."""
        before = self._unwritten.get(key, (0, 0))
        self._unwritten[key] = before[0] + items, before[1] + size

    def _write(self, counted: Mapping[_Key, tuple[int, int]], now: datetime) -> None:
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for (account_id, day, period, until), (items, size) in counted.items():
                row = upsert(table).values(
                    data_class=self._class,
                    account_id=account_id,
                    day=day,
                    period=period,
                    items=items,
                    bytes=size,
                    expires_at=until,
                )
                connection.execute(
                    row.on_conflict_do_update(
                        index_elements=["data_class", "account_id", "day", "period"],
                        set_={
                            "items": table.c["items"] + row.excluded["items"],
                            "bytes": table.c.bytes + row.excluded.bytes,
                        },
                    )
                )
            past = (table.c.data_class == self._class) & (table.c.expires_at <= now)
            connection.execute(delete(table).where(past))

    def forget(self, account_id: str) -> None:
        """An account is gone.

        Raises:
            StorageError: the counts can't be written; call again.
        """
        with self._lock:
            self._unwritten = {
                key: counted for key, counted in self._unwritten.items() if key[0] != account_id
            }
            self._today.pop(account_id, None)
            self._since.pop(account_id, None)
            if self._rest is not None:
                self._rest = {k: v for k, v in self._rest.items() if k != account_id}
        theirs = (table.c.data_class == self._class) & (table.c.account_id == account_id)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(table).where(theirs))


def _day(now: datetime) -> str:
    return str(now.astimezone(UTC).date())
