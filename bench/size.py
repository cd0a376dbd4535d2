"""What a home of many sessions costs: to list, show, export, sweep, erase, start.

    python -m bench.size [SESSIONS]        (default 50,000; `python -m bench retention` has it too)

The sessions are real: one is recorded and sealed, and its records are sealed again under the keys
of all others, in segments, with their rows. They are of ten persons, one with 2,000 and one with
5,000; 14,500 are due on one day. Seconds of the processor say more than those of the clock, where
others work on the machine.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import insert, select

from bailee.accounts import OPERATOR
from bailee.db.vault import exchanges, sessions
from bailee.errors import StorageError
from bailee.home import Home, HomeLock
from bailee.keyring import Want
from bailee.keyring.wrapping import NONCE_BYTES
from bailee.node.node import Node
from bailee.operations import exporting
from bailee.operations.table import perform
from bailee.policy.facts import Facts
from bailee.policy.period import expires_at
from bailee.testing import FakeClock
from bailee.vault.batch import DATA_CLASS
from bailee.vault.compressing import compress
from bailee.vault.record import open_record, seal_record, subject_of
from bench.exchanges import captured
from bench.result import Line

SESSIONS = 50_000
DUE = 14_500
ERASED, EXPORTED, OTHERS = 5_000, 2_000, 8
TURNS = 3
_AT_ONCE = 5_000
_PERIOD = "P30D"


def lines(count: int = SESSIONS) -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        return _Home(Path(folder), count).measure()


class _Home:
    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self.home = Home(folder / "home")
        self.clock = FakeClock()
        self.lines: list[Line] = []
        self.took = (0.0, 0.0)
        self.home.make()
        self.lock = HomeLock(self.home)
        self.lock.acquire()

    def measure(self) -> list[Line]:
        began = self.clock()
        self.node = self._open()
        self.names = [
            self.node.accounts.create(plan="pro", name=f"person {n}")[0].account_id
            for n in range(OTHERS + 2)
        ]
        with self._timed():
            self._seed()
        print(f"{self.count:,} sessions made in {self.took[0]:.0f} s")
        self.node.close()
        self.clock.now = began + timedelta(days=29, hours=1)
        with self._timed():
            self.node = self._open()
        self._say("start", "")
        self._reading()
        self._export()
        with self._timed():
            assert not self.node.sweep(self.clock()).failures
        self._say("sweep that ships a month's segments", "a server's does so every five minutes")
        self.clock.now = began + timedelta(days=31, hours=1)
        with self._timed():
            swept = self.node.sweep(self.clock())
        assert not swept.failures, swept.failures
        due = swept.sessions.sessions
        self._say(f"sweep of {due:,} due, its rotation too", f"{self._each(due)}; target 3 s")
        with self._timed():
            assert not self.node.sweep(self.clock()).failures
        self._say("sweep with nothing due", "every five minutes")
        erased = self.names[1]
        with self._timed():
            self.node.erasures.request(erased, self.clock(), by=OPERATOR)
        assert not self.node.vault.owned(erased)
        self._say(f"erasing a person of {ERASED:,}", f"{self._each(ERASED)}; target 1 ms each")
        self.clock.advance(timedelta(days=1, minutes=1))
        with self._timed():
            assert not self.node.sweep(self.clock()).failures
        self._say("the sweep after it, its rotation too", self._each(ERASED))
        self.node.close()
        self.lock.release()
        return self.lines

    def _reading(self) -> None:
        owner = self.names[2]
        for name, arguments in (
            ("sessions.list", {"limit": 100}),
            ("sessions.list", {"limit": 100, "owner": owner}),
            ("sessions.count", {}),
            ("retention.report", {}),
            ("retention.damaged", {}),
        ):
            with self._timed():
                for _ in range(5):
                    perform(self.node, name, arguments, by=OPERATOR)
            said = f"{name} {' of a person' if 'owner' in arguments else ''}"
            self._say(said, "a page of 100" if "limit" in arguments else "", times=5)
        with self._timed():
            assert self.count < sum(one.sessions for one in self.node.vault.groups())
        self._say("counted by what a policy decides by", "as for `policy try`")
        listed: Any = perform(self.node, "sessions.list", {"limit": 50}, by=OPERATOR)
        for what, against in (
            ("sessions.show, what finds it made then", "a server's thread has made it before"),
            ("sessions.show", "by the operator, on record first; target 10 ms"),
        ):
            with self._timed():
                for one in listed["items"]:
                    perform(self.node, "sessions.show", {"id": one["id"]}, by=OPERATOR)
            self._say(what, against, times=len(listed["items"]))
        before = _resident()
        with self._timed():
            page: Any = perform(self.node, "sessions.list", {"limit": 1000}, by=OPERATOR)
            found = len(page["items"])
            while page["next"] is not None:
                asked = {"limit": 1000, "after": page["next"]}
                page = perform(self.node, "sessions.list", asked, by=OPERATOR)
                found += len(page["items"])
        self._say(f"all {found:,} listed", f"memory {_resident() - before:+.0f} MB")

    def _export(self) -> None:
        before = _resident()
        with self._timed():
            size = sum(
                map(
                    len,
                    exporting.export(self.node, self.names[0], self.clock(), by=OPERATOR),
                )
            )
        more = f"{size / 1e6:.1f} MB, memory {_resident() - before:+.0f} MB"
        self._say(f"export of {EXPORTED:,} sessions", f"{self._each(EXPORTED)}; {more}")

    # -- inside ----------------------------------------------------------------------------------

    def _open(self) -> Node:
        return Node.open(self.home, clock=self.clock, environment={})

    @contextmanager
    def _timed(self) -> Iterator[None]:
        gc.collect()
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.took = (time.perf_counter() - wall, time.process_time() - processor)

    def _each(self, count: int) -> str:
        return f"{self.took[1] / count * 1e3:.2f} ms of processor each"

    def _say(self, what: str, against: str, times: int = 1) -> None:
        wall, processor = (took / times for took in self.took)
        line = (what, f"{_seconds(wall)} ({_seconds(processor)} of processor)", against)
        print(f"{line[0]:<44} {line[1]:>34}   {line[2]}", flush=True)
        self.lines.append(line)

    def _seed(self) -> None:
        template = _Template(self.node, self.names[2], self.clock())
        due = min(DUE, self.count // 3)
        for start in range(0, self.count, _AT_ONCE):
            template.repeat(
                [
                    (self._owner(n), self._last(n, due))
                    for n in range(start, min(self.count, start + _AT_ONCE))
                ]
            )

    def _owner(self, number: int) -> str:
        fromend = self.count - 1 - number
        if fromend < EXPORTED:
            return self.names[0]
        if fromend < EXPORTED + ERASED:
            return self.names[1]
        return self.names[2 + number % OTHERS]

    def _last(self, number: int, due: int) -> datetime:
        if number < due:
            return self.clock() + timedelta(days=1) * number / due
        return self.clock() + timedelta(days=20 + 9 * (number * 7919 % self.count) / self.count)


class _Template:
    """A session that was recorded and sealed, to make others of."""

    def __init__(self, node: Node, owner: str, now: datetime) -> None:
        self.node = node
        vault = node.vault
        asyncio.run(_record(node, owner, now))
        vault.flush()
        (row,) = vault.sessions(now)
        with node.data.connect() as connection:
            session = connection.execute(select(sessions).where(sessions.c.id == row.id)).one()
            self.session = {
                name: value for name, value in session._mapping.items() if name != "mac"
            }
            query = select(exchanges).where(exchanges.c.session == session.number)
            found = [dict(one._mapping) for one in connection.execute(query)]
        key = node.keyring.get(subject_of(row.id)).key
        self.number = session.number
        self.records = []
        for one in found:
            record = open_record(
                vault._segments.read(one["segment_id"], one["offset"], one["length"]),
                key,
                session_id=row.id,
                record_id=one["id"],
                data_class=DATA_CLASS,
            )
            packed = compress(record.body, record.raw_request, record.raw_answer)
            self.records.append((one, packed))

    def repeat(self, some: list[tuple[str, datetime]]) -> None:
        """Sessions like it, each of an owner and with a last activity."""
        node, segments = self.node, self.node.vault._segments
        made: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for owner, last in some:
            session_id = str(UUID(bytes=os.urandom(16), version=4))
            moments = dict.fromkeys(("started", "last_activity", "last_request"), last)
            until = expires_at(last, _PERIOD)
            self.number += 1
            own = {"id": session_id, "number": self.number, "owner": owner, "expires_at": until}
            made.append(self.session | own | moments | {"client_session": os.urandom(16)})
        wants = [Want(subject_of(one["id"]), DATA_CLASS, one["expires_at"]) for one in made]
        keys = node.keyring.many(wants)
        for one in made:
            key = keys[subject_of(one["id"])].key
            segment = segments.take(
                DATA_CLASS, one["expires_at"].date().isoformat(), self.node.clock()
            )
            for row, packed in self.records:
                record_id = one["id"][:8] + os.urandom(12).hex()
                sealed = seal_record(
                    packed,
                    key,
                    session_id=one["id"],
                    record_id=record_id,
                    data_class=DATA_CLASS,
                    nonce=os.urandom(NONCE_BYTES),
                )
                place = {"segment_id": segment.id, "offset": segment.append(sealed)}
                said = os.urandom(len(row["places"]))
                own = {"id": record_id, "session": one["number"], "places": said}
                rows.append(row | place | own)
        segments.write()
        with node.data.begin() as connection:
            connection.execute(insert(sessions), made)
            segments.put_rows(connection)
            connection.execute(insert(exchanges), rows)
        segments.committed()


async def _record(node: Node, owner: str, now: datetime) -> None:
    account = node.accounts.get(owner)
    terms = node.policy.terms(
        DATA_CLASS,
        Facts(account.plan, "api", "refused", zero_retention=False, partner_programme=False),
    )
    assert terms is not None
    assert terms.period == _PERIOD
    said: list[Any] = []
    for turn in range(TURNS):
        said.append({"role": "user", "content": f"question {turn}: {os.urandom(150).hex()}"})
        answer = {"role": "assistant", "content": [{"type": "text", "text": os.urandom(400).hex()}]}
        body = {"model": "m", "max_tokens": 1000, "messages": said}
        recorded = captured(
            f"msg_{turn}",
            owner,
            terms,
            now.timestamp(),
            str(UUID(int=1)),
            orjson.dumps(body),
            orjson.dumps({"id": f"msg_{turn}", "type": "message", **answer}),
        )
        exchange = recorded._replace(plan=account.plan)
        future: asyncio.Future[StorageError | None] = asyncio.get_running_loop().create_future()
        node.vault.spool.submit(exchange, future.set_result)
        assert await future is None
        said.append(answer)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _resident() -> float:
    """Of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    lines(int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS)
