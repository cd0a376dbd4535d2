"""What was used, by the hour: the counts of one home, and what can be asked of them.

Rules kept here:

* Counts alone: who, by which key, client, model, channel and upstream, how many tokens, at what
  cost and how long it took; never content. So they are kept of a zero-retention key too, as the
  policy says.
* A row lives as long as the policy's clause said when it was counted, and goes with a sweep. When a
  person is erased, their rows become part of a total that names nobody.
* A batch that has a number is added once, however often it is said: where the answer to a commit
  was lost, nobody knows whether it was carried out.
* What somebody used who is erased meanwhile is added to the total, or to nothing: the same
  transaction looks whether they are.
* Nobody makes rows without end: an account has `_MOST_MODELS` models an hour, the rest are `other`.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
)

from bailee.apis.batch_results import BatchUse, ResultsOfModel
from bailee.apis.using import Tokens
from bailee.db.among import among
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import by_day, by_hour, greatest, unix_now
from bailee.db.portable import insert as upsert
from bailee.db.usage import DIMENSIONS, SUMS, usage_gateways
from bailee.db.usage import usage_counts as table
from bailee.db.vault import erasures
from bailee.errors import InputError
from bailee.keeping.keeper import Owner
from bailee.usage.batches import BATCHES, count_new, drop_ended
from bailee.usage.limits import Scope, Subject, Used, organisation_of

HOUR: Final = 3600
_WHAT: Final = "the counts of what is used"
# No parameters: what is grouped by them would not be what is selected.
_SLASH: Final[ColumnElement[str]] = literal_column("'/'")
_NONE: Final[ColumnElement[str]] = literal_column("''")
_BATCHED: Final = case((table.c.channel.endswith(BATCHES), table.c.requests), else_=0)
_MOST_ROWS: Final = 10_000
_AT_ONCE: Final = 500
BY: Final = (
    "day",
    "hour",
    "person",
    "organisation",
    "team",
    "account",
    "key",
    "client",
    "model",
    "channel",
    "upstream",
)
"""By what counts can be asked for."""


@dataclass(frozen=True, slots=True)
class CountedUse:
    """What was used under one set of dimensions, in one hour. `amounts`: as `SUMS`, in that order;
    `slowest` in milliseconds; `until`: when it goes, in Unix seconds.
    """

    hour: int
    account: str
    person: str
    organisation: str
    team: str
    key_id: str
    client: str
    model: str
    channel: str
    upstream: str
    own: bool
    until: int
    amounts: tuple[int, ...]
    slowest: int


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What was used, under what it was asked by (`group`: a value for each). `cost_micro_usd`: of
    the requests whose price is known; `unpriced`: how many's is not. `mean_ms`, `slowest_ms`:
    milliseconds from a request's head to its answer's end, of what was answered here: those of a
    batch have none.
    """

    group: Mapping[str, str]
    requests: int
    errors: int
    refused: int
    aborted: int
    estimated: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    thinking_tokens: int
    cost_micro_usd: int
    unpriced: int
    mean_ms: int
    slowest_ms: int

    def amounts(self) -> dict[str, int]:
        """The counts, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "group"}


@dataclass(frozen=True, slots=True)
class UsageOf:
    """Of whom counts are asked for; with nothing set, of everybody."""

    account: str | None = None
    person: str | None = None
    organisation: str | None = None
    team: str | None = None


class UsageCounts:
    """The counts of one home. What counts (`counting`), sweeps, erases and asks calls it, on any
    thread but an event loop's. It has nothing in memory.
    """

    name: Final = "usage"

    def __init__(self, engine: Engine, gateway: str = "") -> None:
        """`gateway`: a name that no other process has, nor had; empty: none of its batches has a
        number.
        """
        self._engine = engine
        self._gateway = gateway

    def add(self, counted: Iterable[CountedUse], number: int = 0) -> None:
        """Add to what there is, in one transaction. `number`: of the batch, greater than that of
        the one before; 0: it has none, and is told once.

        Raises:
            StorageError: nothing was added, as far as is known.
        """
        rows = [_row(one) for one in counted]
        if not rows:
            return
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if not number or not self._gateway or self._is_new(connection, number):
                _add(connection, _of_the_living(connection, rows))

    def add_results(
        self,
        use: BatchUse,
        until: datetime,
        counted: Callable[[ResultsOfModel], CountedUse],
    ) -> list[ResultsOfModel]:
        """Add what the results of a batch show that was not counted before, in one transaction;
        gives that. `until`: when it goes; `counted`: how something of it is counted.

        Raises:
            StorageError: nothing was added, as far as is known; said again it counts once.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            new = count_new(connection, use.batch, use.models, int(until.timestamp()))
            _add(connection, _of_the_living(connection, [_row(counted(one)) for one in new]))
        return new

    def _is_new(self, connection: Connection, number: int) -> bool:
        """Whether this batch was not added before; it is now."""
        there = usage_gateways
        own = there.c.id == self._gateway
        before = connection.execute(select(there.c.counted).where(own)).scalar()
        if before is not None and before >= number:
            return False
        new = upsert(there).values(id=self._gateway, seen=unix_now(), counted=number)
        more = {"counted": new.excluded.counted}
        connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=more))
        return True

    def of(
        self,
        whose: UsageOf,
        since: datetime,
        until: datetime,
        by: Sequence[str],
        now: datetime,
    ) -> list[UsageRow]:
        """What was used from `since` to `until` (whole hours), by these, in their order. What is
        past its time at `now` is not told.

        Raises:
            InputError: there is no such dimension, or the answer would be too long.
            StorageError: it can't be read.
        """
        wrong = [one for one in by if one not in BY]
        if wrong or len({*by}) != len(by):
            raise InputError("counts can't be had by that.", hint=f"by: {', '.join(BY)}")
        groups = [_group(one).label(one) for one in by]
        sums = [func.coalesce(func.sum(table.c[name]), 0).label(f"sum_{name}") for name in SUMS]
        slowest = func.coalesce(func.max(table.c.slowest), 0).label("slowest")
        batched = func.coalesce(func.sum(_BATCHED), 0).label("batched")
        query = (
            select(*groups, *sums, slowest, batched)
            .where(
                table.c.hour >= _hour(since),
                table.c.hour < until.timestamp(),
                table.c.until > now.timestamp(),
                *_of(whose),
            )
            .limit(_MOST_ROWS + 1)
        )
        if groups:
            query = query.group_by(*groups).order_by(*groups)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        if len(rows) > _MOST_ROWS:
            raise InputError(
                f"there are more than {_MOST_ROWS} rows.", hint="ask for less time, or by less"
            )
        return [_usage(by, row._asdict()) for row in rows if row.sum_requests]

    def spent(self, person: str, starts: Sequence[datetime], now: datetime) -> tuple[int, ...]:
        """What a person's requests cost since each of these moments, in micro-USD."""
        return tuple(
            sum(one.cost_micro_usd for one in self.of(UsageOf(person=person), start, now, (), now))
            for start in starts
        )

    def used_by(self, subject: Subject, since: datetime, until: datetime) -> Used:
        """What a subject of limits used on the operator's credential, so far as it is counted: of
        less than an hour nothing, since the hour that it is in would be more than that.
        """
        if until - since < timedelta(seconds=HOUR):
            return Used()
        columns = {
            Scope.PERSON: table.c.person,
            Scope.ORGANISATION: table.c.organisation,
            Scope.KEY: table.c.key_id,
        }
        query = select(
            *(func.coalesce(func.sum(table.c[name]), 0).label(name) for name in SUMS)
        ).where(table.c.hour >= _hour(since), table.c.hour < until.timestamp(), table.c.own == 0)
        if subject.scope in {Scope.TEAM, Scope.POOL, Scope.PAUSED_POOL}:
            organisation, _, team = subject.id.partition("/")
            query = query.where(table.c.organisation == organisation, table.c.team == team)
        elif subject.scope is Scope.DOCUMENT:
            query = query.where(table.c.organisation == organisation_of(subject))
        elif subject.scope is Scope.MEMBER:
            organisation, _, person = subject.id.partition("/")
            query = query.where(table.c.organisation == organisation, table.c.person == person)
        elif (column := columns.get(subject.scope)) is not None:
            query = query.where(column == subject.id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(query).one()
        tokens = Tokens(*(int(row._mapping[name]) for name in Tokens._fields))
        return Used(row.requests - row.refused, tokens.whole, row.money)

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """Remove what is past its time; how many rows.

        Raises:
            StorageError: call again.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            gone = connection.execute(delete(table).where(table.c.until <= now.timestamp()))
            drop_ended(connection, now.timestamp())
        return {"usage_hours": gone.rowcount}

    def forget(self, whose: Owner) -> None:
        """Make of somebody's counts a total that names nobody. Can be repeated.

        Raises:
            StorageError: call again.
        """
        theirs: list[ColumnElement[bool]] = []
        if whose.person_id is not None:
            theirs.append(table.c.person == whose.person_id)
        if whose.account_id is not None:
            theirs.append(table.c.account == whose.account_id)
        if not theirs:
            return
        while True:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                query = select(table).where(or_(*theirs)).limit(_AT_ONCE)
                rows = [dict(row._mapping) for row in connection.execute(query)]
                for row in rows:
                    same = [table.c[name] == row[name] for name in DIMENSIONS]
                    connection.execute(delete(table).where(*same))
                    if row["account"] == whose.account_id:
                        row["account"] = ""
                    row["person"] = row["key_id"] = ""
                _add(connection, rows)
            if len(rows) < _AT_ONCE:
                return


def _of_the_living(
    connection: Connection, rows: list[dict[str, object]]
) -> list[dict[str, object]]:
    """Without what accounts used whose person is erased; what an erased person used elsewhere is
    nobody's.
    """
    named = [{str(row[name]) for row in rows} for name in ("account", "person")]
    ids = erasures.c.account_id, erasures.c.person_id
    of = or_(*(among(column, some) for column, some in zip(ids, named, strict=True)))
    gone = connection.execute(select(*ids).where(of)).all()
    accounts, people = {one.account_id for one in gone}, {one.person_id for one in gone}
    left = [row for row in rows if row["account"] not in accounts]
    for row in left:
        if row["person"] in people:
            row["person"] = row["key_id"] = ""
    return left


def _add(connection: Connection, rows: list[dict[str, object]]) -> None:
    if not rows:
        return
    new = upsert(table)
    more: dict[str, ColumnElement[int]] = {
        name: table.c[name] + new.excluded[name] for name in SUMS
    }
    for name in ("slowest", "until"):
        more[name] = greatest(table.c[name], new.excluded[name])
    connection.execute(new.on_conflict_do_update(index_elements=list(DIMENSIONS), set_=more), rows)


def _row(one: CountedUse) -> dict[str, object]:
    return {
        "hour": one.hour, "account": one.account, "person": one.person,
        "organisation": one.organisation, "team": one.team, "key_id": one.key_id,
        "client": one.client, "model": one.model, "channel": one.channel,
        "upstream": one.upstream, "own": int(one.own), "until": one.until,
        "slowest": one.slowest, **dict(zip(SUMS, one.amounts, strict=True)),
    }  # fmt: skip


def _of(whose: UsageOf) -> list[ColumnElement[bool]]:
    wanted = {
        "account": whose.account, "person": whose.person, "organisation": whose.organisation,
        "team": whose.team,
    }  # fmt: skip
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def _group(by: str) -> ColumnElement[str]:
    if by == "day":
        return by_day(table.c.hour)
    if by == "hour":
        return by_hour(table.c.hour)
    if by == "team":
        named = table.c.organisation.concat(_SLASH).concat(table.c.team)
        return case((table.c.team == _NONE, _NONE), else_=named)
    return table.c["key_id" if by == "key" else by]


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // HOUR * HOUR


def _usage(by: Sequence[str], row: Mapping[str, object]) -> UsageRow:
    amount = {name: int(str(row[f"sum_{name}"])) for name in SUMS}
    timed = amount["requests"] - amount["refused"] - int(str(row["batched"]))
    return UsageRow(
        {one: str(row[one]) for one in by},
        amount["requests"],
        amount["errors"],
        amount["refused"],
        amount["aborted"],
        amount["estimated"],
        amount["input"],
        amount["output"],
        amount["cache_read"],
        amount["cache_write_5m"],
        amount["cache_write_1h"],
        amount["thinking"],
        amount["money"],
        amount["unpriced"],
        amount["milliseconds"] // max(1, timed),
        int(str(row["slowest"])),
    )
