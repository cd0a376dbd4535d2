"""The exports of a home: their rows in the data database.

Rules kept here:

* A shard is committed with the sessions in it, in one transaction that holds the write lock and
  decides each of them again: what changed since it was lent is noted as taken out.
* The manifest's hash is committed with its entry of the audit record, if nothing that concerns the
  export has been put on record since it was looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from bailee.db.audit import audit
from bailee.db.checks import MAC, sound
from bailee.db.engine import reading, storage_errors
from bailee.db.training import training_exports, training_sessions, training_shards
from bailee.errors import InputError
from bailee.ledger import Ledger
from bailee.policy.holding import HeldBy, PolicyHolder
from bailee.training import leaving, standings
from bailee.training.exported import PLANNING, SIGNED, WRITING, Export, ExportedRows, Shard
from bailee.training.leaving import in_portions
from bailee.training.shards import ShardResult
from bailee.training.standings import Allowed, SessionSpan

_WHAT: Final = "the training exports"
_EVER: Final = datetime.min.replace(tzinfo=UTC)


class Exports:
    """The rows of all exports of one home. Operations and the export itself call it, on any thread.
    It opens no session and writes no file.
    """

    def __init__(self, engine: Engine, holding: PolicyHolder, ledger: Ledger) -> None:
        self._engine = engine
        self._holding = holding
        self._ledger = ledger

    # -- reading ---------------------------------------------------------------------------------

    def all(self) -> list[Export]:
        """Every export, the newest first."""
        return self._found()

    def get(self, export: str) -> Export:
        """One of them.

        Raises:
            InputError: code `not_found`.
        """
        found = self._found(training_exports.c.id == export)
        if not found:
            raise InputError(
                "this home knows no such export.",
                code="not_found",
                hint="another home made it, or this one was restored from a backup from before",
            )
        return found[0]

    def at(self, place: str) -> Export | None:
        """The latest export into a folder."""
        return next(iter(self._found(training_exports.c.place == place)), None)

    def _found(self, *which: ColumnElement[bool]) -> list[Export]:
        query = select(*_columns(training_exports)).where(sound(training_exports), *which)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query.order_by(training_exports.c.entry.desc()))
            return [Export(*row) for row in rows]

    def shards(self, export: str) -> list[Shard]:
        """The shards of an export, in order."""
        c = training_shards.c
        query = select(c.number, c.after, c.last, c.sha256, c.facts).where(c.export == export)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [Shard(*row) for row in connection.execute(query.order_by(c.number))]

    def sessions(self, export: str) -> Iterator[ExportedRows]:
        """The sessions of an export in order of shard and id, in portions."""
        c = training_sessions.c
        shard, after = 0, ""
        while True:
            query = (
                select(*_columns(training_sessions))
                .where(c.export == export, sound(training_sessions))
                .where(or_(c.shard > shard, (c.shard == shard) & (c.session > after)))
                .order_by(c.shard, c.session)
                .limit(1000)
            )
            with storage_errors(_WHAT), reading(self._engine) as connection:
                found = [ExportedRows(*row) for row in connection.execute(query)]
            yield from found
            if not found:
                return
            shard, after = found[-1].shard, found[-1].session

    def counts(self, export: str) -> tuple[int, int]:
        """How many sessions and rows are in an export."""
        c = training_sessions.c
        query = select(func.count(), func.coalesce(func.sum(c.rows), 0))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(query.where(c.export == export, c.left.is_(None))).one()
            return int(row[0]), int(row[1])

    def of_shard(self, export: str, shard: int) -> list[ExportedRows]:
        """The sessions of one shard that are in the export. One whose row is not what was written
        is not: whether it was taken out nobody knows.
        """
        c = training_sessions.c
        query = (
            select(*_columns(training_sessions))
            .where(c.export == export, c.shard == shard, c.left.is_(None))
            .where(sound(training_sessions))
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [ExportedRows(*row) for row in connection.execute(query)]

    def unreadable(self, export: str) -> int:
        """How many sessions could not be read."""
        c = training_shards.c
        query = select(func.coalesce(func.sum(c.unreadable), 0)).where(c.export == export)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return int(connection.execute(query).scalar() or 0)

    def of_owner(self, owner: str) -> list[tuple[Export, int, int]]:
        """The exports that have an account's sessions: how many sessions and rows each."""
        c = training_sessions.c
        query = (
            select(c.export, func.count(), func.sum(c.rows))
            .where(c.owner == owner, c.left.is_(None))
            .group_by(c.export)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            counts = {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query)}
        signed = [one for one in self.all() if one.id in counts and one.state == SIGNED]
        return [(one, *counts[one.id]) for one in signed]

    # -- planning --------------------------------------------------------------------------------

    def begin(
        self,
        *,
        place: str,
        format: str,  # noqa: A002
        by: str,
        reason: str,
        whose: str,
        since: datetime | None,
        now: datetime,
        names_model: str | None = None,
    ) -> Export:
        """A new export, on record before anything is read. `names_model`: the digest of the model
        that finds names in it.

        Raises:
            StorageError: it can't be recorded.
        """
        policy = self._holding.policy.sha256
        export = "exp_" + secrets.token_hex(8)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            entry = self._ledger.append(
                "training.export_begun",
                export,
                {"by": by, "reason": reason, "format": format, "policy": policy},
                whose=whose,
                connection=connection,
            )
            connection.execute(
                insert(training_exports).values(
                    id=export,
                    place=place,
                    format=format,
                    state=PLANNING,
                    began_at=now,
                    by=by,
                    policy=policy,
                    since=since,
                    shards=0,
                    entry=entry,
                    names_model=names_model,
                )
            )
        return self.get(export)

    def plan(self, export: Export, size: int, now: datetime) -> Export:
        """Freeze the plan of an export: its shards, of so many sessions each, which lie near each
        other by id. Which number a shard has is chance's: ids may say when a session began.

        Raises:
            StorageError: a store failed; call again.
        """
        ends = [*self._ends(export, size, now)]
        numbers = [*range(len(ends))]
        secrets.SystemRandom().shuffle(numbers)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for table in (training_shards, training_sessions):
                connection.execute(delete(table).where(table.c.export == export.id))
            for place, last in enumerate(ends):
                connection.execute(
                    insert(training_shards).values(
                        export=export.id,
                        number=numbers[place],
                        after=ends[place - 1] if place else "",
                        last=last,
                        state="planned",
                    )
                )
            self._set(connection, export.id, state=WRITING, shards=len(ends))
        return self.get(export.id)

    def plan_again(self, export: Export) -> Export:
        """Let an export that is not signed be planned anew: its files are not there any more.

        Raises:
            StorageError: a store failed; call again.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            self._set(connection, export.id, state=PLANNING)
        return self.get(export.id)

    def _ends(self, export: Export, size: int, now: datetime) -> Iterator[str]:
        count, last = 0, ""
        for session in self._candidates(export, "", standings.LAST, now):
            count, last = count + 1, session
            if count == size:
                yield last
                count = 0
        if count:
            yield last

    def planned(self, export: Export, shard: Shard, now: datetime) -> tuple[str, ...]:
        """The sessions of a shard that may be trained on now, by id, in order."""
        return tuple(self._candidates(export, shard.after, shard.last, now))

    def _candidates(self, export: Export, after: str, last: str, now: datetime) -> Iterator[str]:
        going = True
        while going:
            span = SessionSpan(after, last, export.since or _EVER, export.began_at)
            with storage_errors(_WHAT), reading(self._engine) as connection:
                after, ids = standings.candidates(connection, self._held(export), span, now)
            yield from ids
            going = bool(after)

    # -- writing ---------------------------------------------------------------------------------

    def allowed_now(self, session: str, now: datetime) -> Allowed | None:
        """What allows a session now; None: nothing does."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return standings.allowed(connection, self._holding.of, [session], now).get(session)

    def commit(
        self,
        export: Export,
        result: ShardResult,
        lent: Mapping[str, Allowed],
        now: datetime,
        unreadable: int,
    ) -> None:
        """A shard is written. `lent`: what its worker was given, by commitment; `unreadable`: how
        many of its sessions could not be read.
        """
        rows = result.rows or {}
        with storage_errors(_WHAT), self._engine.begin() as connection:
            gone = training_sessions.c
            connection.execute(
                delete(training_sessions).where(
                    gone.export == export.id, gone.shard == result.number
                )
            )
            written = [(lent[name], count) for name, count in rows.items() if name in lent]
            left = self._left(connection, export, [one for one, _ in written], now)
            values = [
                {
                    "export": export.id,
                    "session": one.session,
                    "owner": one.owner,
                    "shard": result.number,
                    "rows": count,
                    "clause": one.clause,
                    "consent": one.consent,
                    "word": one.word,
                    "left": left.get(one.session),
                }
                for one, count in written
            ]
            if values:  # at once: who records waits for this transaction
                connection.execute(insert(training_sessions), values)
            connection.execute(
                update(training_shards)
                .where(training_shards.c.export == export.id)
                .where(training_shards.c.number == result.number)
                .values(
                    state="written",
                    sha256=result.sha256,
                    facts=result.facts,
                    unreadable=unreadable,
                )
            )

    def take_out(self, export: Export, now: datetime) -> set[int]:
        """Note which sessions of an export may not be in it any more; the shards they are in."""
        touched: set[int] = set()
        for some in in_portions(one for one in self.sessions(export.id) if one.left is None):
            known = [leaving.as_then(export, one) for one in some]
            with storage_errors(_WHAT), reading(self._engine) as connection:
                left = self._left(connection, export, known, now)
            if not left:
                continue
            touched.update(one.shard for one in some if one.session in left)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                for session, why in left.items():
                    connection.execute(
                        update(training_sessions)
                        .where(training_sessions.c.export == export.id)
                        .where(training_sessions.c.session == session)
                        .values(left=why)
                    )
        return touched

    def mark(self) -> int:
        """The number of the latest entry of the audit record."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return int(connection.execute(select(func.max(audit.c.number))).scalar() or 0)

    def sign(
        self, export: Export, document: str, mark: int, counts: Mapping[str, int], now: datetime
    ) -> int | None:
        """Put a manifest (its SHA-256) on record, unless something that concerns the export has
        come since the entry `mark`: the number of the entry; None: something has.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if leaving.has_changed(connection, export, mark, now):
                return None
            entry = self._ledger.append(
                "training.exported",
                export.id,
                {"by": export.by, "document": document, "policy": export.policy, **counts},
                connection=connection,
            )
            self._set(connection, export.id, state=SIGNED, finished_at=now, document=document)
            connection.execute(
                update(training_shards)
                .where(training_shards.c.export == export.id)
                .values(after="", last="")
            )
        return entry

    # -- since -----------------------------------------------------------------------------------

    def _left(
        self, connection: Connection, export: Export, some: list[Allowed], now: datetime
    ) -> dict[str, str]:
        return leaving.left(connection, self._held(export), some, now)

    def _held(self, export: Export) -> HeldBy:
        """What holds, if it is what the export was begun under: one dataset is of one document of
        the operator's.

        Raises:
            InputError: another document came to hold since.
        """
        if self._holding.policy.sha256 != export.policy:
            raise InputError(
                "another policy document came to hold since this export was begun.",
                hint="remove the folder and export into a new one; nothing was signed",
            )
        return self._holding.of

    def withdrawn(self, export: Export, now: datetime) -> Iterator[tuple[ExportedRows, str]]:
        """The sessions in an export that were withdrawn, deleted or erased since, or are past their
        time, and which of these it is. See `leaving.withdrawn`.
        """
        for some in in_portions(one for one in self.sessions(export.id) if one.left is None):
            with storage_errors(_WHAT), reading(self._engine) as connection:
                found = [*leaving.withdrawn(connection, self._holding.of, export, some, now)]
            yield from found

    def _set(self, connection: Connection, export: str, **values: object) -> None:
        connection.execute(
            update(training_exports).where(training_exports.c.id == export).values(**values)
        )


def _columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if column.name != MAC]
