"""Ten years of retention with the real code, in virtual time: what is kept, and what is left of it.

    python -m bench.years [YEARS]        (default 10; `python -m bench years` has it too)

A home as a server opens it: sealer, keyring, sweep, shred cycle and audit record are the product's,
and only the clocks are moved. Somebody who allows training and somebody who does not have sessions
on one day of ten; some are gone on with days later, some are deleted. One session stands for
1,250,000 of a service that has a million a day: nothing here depends on how many sessions share an
epoch, which `vault` and `shred` measure.

A server sweeps every five minutes. So does this, but for the sweeps that would find nothing: time
goes on to the first of those moments at which an epoch has ended or a rotation is due. Who kept
what and until when is reckoned here, from the policy's words, and not asked of the product; each
key is looked for before its time, when it must open, and after each sweep since. At the end of each
year all rows of all tables are counted.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import func, select

from bailee.accounts import OPERATOR
from bailee.db.metadata import data, keys
from bailee.db.vault import sessions
from bailee.errors import IntegrityError, StorageError
from bailee.home import Home, HomeLock
from bailee.keyring.epochs import ends_at, epoch_of
from bailee.node.node import Node
from bailee.operations.table import perform
from bailee.testing import FakeMachine
from bailee.vault.batch import DATA_CLASS
from bailee.vault.exchange import CapturedExchange
from bailee.vault.record import subject_of
from bench.exchanges import captured
from bench.result import Line

YEARS: Final = 10
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_SWEPT_EVERY: Final = timedelta(minutes=5)
_ROTATED_EVERY: Final = timedelta(hours=24)
_DAYS_APART: Final = 10
_EACH: Final = 4  # sessions of each of the two, on such a day
STANDS_FOR: Final = 1_000_000 * _DAYS_APART // (2 * _EACH)
"""How many sessions of a service that has a million a day one stands for."""
_STEADY: Final = 6
"""The year from whose end on as much goes as comes: nothing is kept for longer than five."""
_GOES_ON: Final = 0.4  # how often one of the latest sessions is gone on with on such a day
_AMONG: Final = 16
_DELETES: Final = 0.2  # how often somebody deletes a session on such a day
_PROMISED: Final = timedelta(hours=1)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_SEED: Final = 20260101
ON_PURPOSE: Final = frozenset(
    {"audit", "audit_leaves", "audit_positions", "receipts", "receipt_owners", "receipt_segments"}
)
"""Tables that say what was done, and grow with it."""


@dataclass(frozen=True, slots=True)
class Census:
    """What a home had at the end of a period. `rows` by table, of both databases; `objects`: files
    of sealed segments; `index`, `keys`, `log`: bytes of the two databases and of the log's tiles.
    `generation`: of the root, from the first on.
    """

    at: datetime
    rows: Mapping[str, int]
    objects: int
    index: int
    keys: int
    log: int
    generation: int


@dataclass(slots=True)
class Course:
    """How it went. `late`: of what was destroyed the longest from its time on until no key opened
    it; `in_copies`: from there on until the root was gone that older copies of the keyring have;
    `deleted_late`: from somebody's word on. `early`, `lasting`: keys that were gone before their
    time, and that still opened an hour after it.
    """

    begun: int = 0
    gone_on_with: int = 0
    deleted: int = 0
    destroyed: int = 0
    sweeps: int = 0
    rotations: int = 0
    late: timedelta = timedelta(0)
    in_copies: timedelta = timedelta(0)
    early: list[str] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)
    census: list[Census] = field(default_factory=list)

    def growing(self, first: int, last: int = -1) -> dict[str, tuple[int, int]]:
        """The tables with a tenth more rows at the end of one period than of another, and how many
        these were; without those that grow on purpose.
        """
        before, after = self.census[first].rows, self.census[last].rows
        return {
            name: (before[name], count)
            for name, count in after.items()
            if name not in ON_PURPOSE and count > 1.1 * before[name] + 12
        }


@dataclass(order=True, slots=True)
class _Kept:
    due: datetime
    id: str = field(compare=False)
    client: UUID = field(compare=False)
    allowed: bool = field(compare=False)


def term_of(last: datetime, *, allowed: bool) -> datetime:
    """Until when the policy says that a consumer's session is kept: for 30 days, or five years."""
    if not allowed:
        return last + 30 * _DAY
    leaps = last.month == 2 and last.day == 29
    return last.replace(year=last.year + 5, day=28 if leaps else last.day)


class Years:
    """One home's years. `run` it once; `sweeps` says whether it is swept at all."""

    def __init__(self, folder: Path, *, sweeps: bool = True) -> None:
        self.course = Course()
        self._sweeps = sweeps
        self._fake = FakeMachine(_START)
        self._home = Home(folder / "home")
        self._home.make()
        self._random = random.Random(_SEED)
        self._due: list[_Kept] = []
        self._until: dict[str, _Kept] = {}  # by session, of all that are kept
        self._for_copies: datetime | None = None  # since when something is destroyed, not there
        self._rotated = _START

    def run(self, periods: int, days: int = 365, kinds: Sequence[bool] = (True, False)) -> Course:
        """Live for so many periods of so many days, each with its census. `kinds`: whether those
        who have sessions allow training.
        """
        with (
            HomeLock(self._home),
            asyncio.Runner() as self._loop,
            Node.open(self._home, clock=self._fake.machine, environment={}) as self._node,
        ):
            self._who = {allowed: self._account(allowed=allowed) for allowed in kinds}
            for day in range(periods * days):
                midnight = _START + day * _DAY
                if day % _DAYS_APART == 0:
                    self._busy_day(midnight)
                self._pass_until(midnight + _DAY)
                if day % days == days - 1:
                    self.course.census.append(self._count())
        return self.course

    # -- what people do --------------------------------------------------------------------------

    def _account(self, *, allowed: bool) -> str:
        accounts = self._node.accounts
        made = accounts.create(plan="pro", name=f"training {allowed}")[0]
        accounts.choose_training(
            made.account_id,
            "allowed" if allowed else "refused",
            language="en",
            source="terminal",
            by=OPERATOR,
        )
        return made.account_id

    def _busy_day(self, midnight: datetime) -> None:
        self._pass_until(midnight + timedelta(seconds=self._random.randrange(24 * 3600)))
        for allowed in self._who:
            for _ in range(_EACH):
                self.course.begun += 1
                self._speak(UUID(int=self.course.begun), allowed=allowed)
        there = [one for one in self._until.values() if one.due > self._fake.wall()]
        if self._random.random() < _GOES_ON:
            one = self._random.choice(there[-_AMONG:])
            self._speak(one.client, allowed=one.allowed, name=one.id)
            self.course.gone_on_with += 1
        if self._random.random() < _DELETES:
            self._delete(self._random.choice(there).id)

    def _speak(self, client: UUID, *, allowed: bool, name: str = "") -> None:
        """Somebody asks in a session, a new one if it has no `name`; it is sealed, and due at its
        time from now on.
        """
        node, at = self._node, self._fake.wall()
        account = node.accounts.get(self._who[allowed])
        terms = node.policy.terms(DATA_CLASS, account.facts(zero_retention=False, channel="api"))
        assert terms is not None
        said = [{"role": "user", "content": f"question {self._random.getrandbits(64)}"}]
        exchange = captured(
            f"{client} {at}",
            account.account_id,
            terms,
            at.timestamp(),
            str(client),
            orjson.dumps({"model": "m", "messages": said}),
            orjson.dumps({"type": "message", "role": "assistant", "content": []}),
        )
        self._loop.run(self._record(exchange._replace(consent=account.consent)))
        node.vault.flush()
        with node.data.connect() as connection:
            which = sessions.c.number == select(func.max(sessions.c.number)).scalar_subquery()
            if name:
                which = sessions.c.id == name
            (row,) = connection.execute(select(sessions.c.id, sessions.c.expires_at).where(which))
        due = term_of(at, allowed=allowed)
        assert (not name or name == row.id) and row.expires_at == due, (row, due)
        self._until[row.id] = _Kept(due, row.id, client, allowed)
        heapq.heappush(self._due, self._until[row.id])

    async def _record(self, exchange: CapturedExchange) -> None:
        future: asyncio.Future[StorageError | None] = asyncio.get_running_loop().create_future()
        self._node.vault.spool.submit(exchange, future.set_result)
        assert await future is None

    def _delete(self, name: str) -> None:
        """Its key is gone when the answer is there."""
        del self._until[name]
        perform(self._node, "sessions.delete", {"id": name}, by=OPERATOR)
        self.course.deleted += 1
        self._gone(name)

    # -- what time brings ------------------------------------------------------------------------

    def _pass_until(self, moment: datetime) -> None:
        """Let time pass, with a sweep at each of its moments that has something to do."""
        while (at := self._next()) <= moment:
            self._fake.passes(at - self._fake.wall())
            self._sweep(at)
        self._fake.passes(moment - self._fake.wall())

    def _next(self) -> datetime:
        """When the next sweep is that may find something."""
        self._drop_changed()
        moments = [_NEVER]
        if self._sweeps:
            if self._due:
                moments.append(ends_at(epoch_of(self._due[0].due)))
            if self._for_copies is not None:
                moments.append(self._rotated + _ROTATED_EVERY)
        first = max(min(moments), self._fake.wall() + timedelta(seconds=1))
        since = first - _START if first is not _NEVER else timedelta(0)
        return _NEVER if first is _NEVER else _START + -(-since // _SWEPT_EVERY) * _SWEPT_EVERY

    def _sweep(self, at: datetime) -> None:
        course = self.course
        past = [one for one in self._due if one.due <= at and self._until.get(one.id) is one]
        course.early += [one.id for one in past if not self._opens(one.id)]
        swept = self._node.sweep(self._node.clock())
        assert not swept.failures, swept.failures
        self._node.sequencer.run()
        course.sweeps += 1
        for one in past:
            if self._opens(one.id):
                if at > one.due + _PROMISED and one.id not in course.lasting:
                    course.lasting.append(one.id)
                continue
            del self._until[one.id]
            course.destroyed += 1
            course.late = max(course.late, at - one.due)
            self._gone(one.id)
        if swept.sessions.rotated:
            assert self._for_copies is not None
            course.in_copies = max(course.in_copies, at - self._for_copies)
            course.rotations += 1
            self._for_copies, self._rotated = None, at

    def _gone(self, name: str) -> None:
        if self._opens(name):
            self.course.lasting.append(name)
        elif self._for_copies is None:
            self._for_copies = self._fake.wall()

    def _opens(self, name: str) -> bool:
        try:
            self._node.keyring.get(subject_of(name))
        except IntegrityError:
            return False
        return True

    def _drop_changed(self) -> None:
        """Leave out what is deleted, destroyed, or due later by now."""
        while self._due and self._until.get(self._due[0].id) is not self._due[0]:
            heapq.heappop(self._due)

    # -- what is counted -------------------------------------------------------------------------

    def _count(self) -> Census:
        for one in self._due:  # also where nothing is swept
            if one.due + _PROMISED < self._fake.wall() and self._until.get(one.id) is one:
                self.course.lasting.append(one.id)
        node, rows = self._node, {}
        for engine, metadata in ((node.data, data), (node.keyring.engine, keys)):
            with engine.connect() as connection:
                for table in metadata.sorted_tables:
                    counted = select(func.count()).select_from(table)
                    rows[table.name] = connection.execute(counted).scalar_one()
        folder = self._home.path
        sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}

        def size(part: str) -> int:
            return sum(count for path, count in sizes.items() if part in str(path))

        return Census(
            at=self._fake.wall(),
            rows=rows,
            objects=sum(1 for path in sizes if "/vault/segments/" in str(path)),
            index=size("data.db"),
            keys=size("keyring.db"),
            log=size("/ledger/"),
            generation=node.keyring.generation(),
        )


def main(years: int = YEARS) -> list[Line]:
    """Live through them and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        course = Years(Path(folder)).run(years)
    found = [
        _say(f"year {number}", _counted(census), f"root {census.generation} generations on")
        for number, census in enumerate(course.census, 1)
    ]
    found += [
        _say(
            f"{years} years: sessions begun, gone on with, deleted, destroyed by their time",
            f"{course.begun:,}, {course.gone_on_with:,}, {course.deleted:,}, {course.destroyed:,}",
            f"one for {STANDS_FOR:,} of a million a day",
        ),
        _say(
            "from a session's time until no key opened it, at most",
            f"{course.late.total_seconds() / 60:.0f} min",
            f"an hour; {len(course.lasting)} still opened then, {len(course.early)} too early",
        ),
        _say(
            "from there until no copy of the keyring opens it, at most",
            f"{course.in_copies.total_seconds() / 3600:.1f} h",
            f"{course.rotations:,} rotations in {course.sweeps:,} sweeps",
        ),
    ]
    entries, receipts = (course.census[-1].rows[name] for name in ("audit", "receipts"))
    found.append(
        _say(
            "entries of the audit record, of each epoch that ended and each deletion",
            f"{entries / receipts:.1f}",
            f"{entries:,} of {receipts:,}",
        )
    )
    if years > _STEADY:
        growing = [
            f"{name} {before:,} to {after:,}"
            for name, (before, after) in course.growing(_STEADY - 1).items()
        ]
        found.append(
            _say(f"tables that grew from year {_STEADY} on", ", ".join(growing) or "none", "")
        )
    return found


def _counted(census: Census) -> str:
    rows = census.rows
    return (
        f"{rows['sessions']:,} sessions, {rows['deks']:,} keys under {rows['keks']:,}, "
        f"{census.objects:,} objects, {rows['audit']:,} entries, {rows['receipts']:,} receipts; "
        f"index {census.index / 1e6:.1f} MB, keyring {census.keys / 1e6:.1f} MB, "
        f"log {census.log / 1e6:.1f} MB"
    )


def _say(what: str, result: str, against: str) -> Line:
    print(f"{what}: {result}   {against}", flush=True)
    return what, result, against


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else YEARS)
