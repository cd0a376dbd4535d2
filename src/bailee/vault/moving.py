"""Retention follows a choice, and another policy document: the sessions that it concerns move to
the period that the policy now gives.

A move is a row of a queue in the index: whose sessions, how far it has come. It is carried out in
portions of a thousand, each of which is: keys wrapped anew under the KEKs of the new expiry, then
one transaction with the index's rows and the place that was reached.

Rules kept here:

* What a session moves to is decided when it is moved, from the choice that holds then (`terms`),
  not from the one that asked for the move. So moves can come in any order, twice, or late.
* A session that can't be read any more, past its time or erased, is never moved: nothing that was
  refused becomes readable again.
* A crash at any point leaves a portion that is done again; what was moved already stays as it is.
  Moves are finished before a sweep destroys anything, so that the keys of the two agree.
* A period that is already over puts the session into an epoch that has ended: the next sweep
  destroys it.
* A session whose row is not sound is not moved: what it would move to can't be known. One whose key
  does not open ends with the others: `forgetting` destroys the key with the row. Both are named.
* The vault's lock is held for one portion at a time. What the sealer adds in between is sealed by
  the same rule.

Rows: R4, T4.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from bailee.damage import Damages
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.late import late
from bailee.db.vault import receipts, retention_moves, sessions
from bailee.keeping.receipts import DEFERRED, EXPIRY, INACCESSIBLE, REQUESTED, Record
from bailee.keyring import Keyring, Want
from bailee.vault.exchange import Terms
from bailee.vault.record import subject_of
from bailee.vault.terms import Present, PresentTerms, end_of, governing

_PORTION: Final = 1000
_WHAT: Final = "the vault's index"
_NEEDED: Final = (
    *("id", "owner", "data_class", "plan", "channel", "last_consent", "last_activity"),
    *("expires_at", "period", "clause", "document", "kept_until"),
)
_MOVE: Final = (
    update(sessions)
    .where(sessions.c.id == bindparam("of"))
    .values(
        expires_at=bindparam("until"),
        period=bindparam("kept"),
        clause=bindparam("by"),
        document=bindparam("from"),
    )
)


Wanted: TypeAlias = tuple[str, datetime | None, int]
"""Whose sessions are to be looked at, since which choice and which document."""


class _Change(NamedTuple):
    """What a session moves to."""

    session: str
    data_class: str
    until: datetime
    terms: Terms

    def values(self) -> dict[str, object]:
        """For `_MOVE`."""
        terms = self.terms
        return {
            "of": self.session,
            "until": self.until,
            "kept": terms.period,
            "by": terms.clause,
            "from": terms.document,
        }


@dataclass(frozen=True, slots=True)
class Move:
    """One owner's sessions on the move. Of `total` at the beginning `seen` were looked at, and
    `moved` had to be. `choice_at`: when the choice was made that asked for it.
    """

    id: int
    owner: str
    choice_at: datetime | None
    requested_at: datetime
    total: int
    seen: int
    moved: int
    finished_at: datetime | None


class Moving:
    """The queue of moves of one vault.

    The vault makes it. Whoever heard of a choice calls `request`, the mover's thread or a sweep
    `run`; from any thread, of which one carries out moves at a time. It owns the queue's rows. It
    decides no terms: it asks for those that hold when it moves.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        record: Record,
        lock: AbstractContextManager[object],
        present: PresentTerms,
        damages: Damages | None = None,
        portion: int = _PORTION,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._record = record
        self._lock = lock
        self._present = present
        self._damages = damages or Damages()
        self._portion = portion
        self._running = threading.Lock()  # who carries out moves, outside of the vault's lock

    def request(
        self, owner: str, choice_at: datetime | None, now: datetime, policy: int = 0
    ) -> None:
        """Queue a move of the owner's sessions, unless one for this choice and policy document (by
        the number of its entry) was queued before.

        Raises:
            StorageError: the index can't be written.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            latest = connection.execute(
                select(retention_moves.c.choice_at, retention_moves.c.policy_number)
                .where(retention_moves.c.owner == owner)
                .order_by(retention_moves.c.id.desc())
                .limit(1)
            ).first()
            if latest is not None and tuple(latest) == (choice_at, policy):
                return
            total = connection.execute(
                select(func.count()).where(sessions.c.owner == owner, sessions.c.expires_at > now)
            ).scalar_one()
            _queue(connection, [(owner, choice_at, policy)], {owner: total}, now)

    def request_all(self, wanted: Sequence[Wanted], now: datetime) -> None:
        """Queue moves of many owners' sessions at once, whatever was queued before; none for who
        has no session.

        Raises:
            StorageError: the index can't be written; none is queued.
        """
        counted = (
            select(sessions.c.owner, func.count())
            .where(sessions.c.expires_at > now)
            .group_by(sessions.c.owner)
        )
        with storage_errors(_WHAT), self._engine.begin() as connection:
            totals = {owner: int(total) for owner, total in connection.execute(counted)}
            _queue(connection, [one for one in wanted if one[0] in totals], totals, now)

    def applied(self) -> dict[str, tuple[datetime | None, int]]:
        """The choice and the document that the latest move of each owner was for."""
        latest = select(func.max(retention_moves.c.id)).group_by(retention_moves.c.owner)
        columns = retention_moves.c
        query = select(columns.owner, columns.choice_at, columns.policy_number).where(
            columns.id.in_(latest), sound(retention_moves)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query)
            return {row.owner: (row.choice_at, row.policy_number) for row in rows}

    def run(self, now: datetime, stop: Callable[[], bool] = lambda: False) -> int:
        """Carry out what is queued, to its end or until `stop` says so; how many sessions moved.

        Raises:
            StorageError: a store failed; call again to go on.
        """
        moved = 0
        with self._running:
            while not stop():
                row = self._next()
                if row is None:
                    break
                with self._lock:
                    moved += self._step(row, now)
        return moved

    def all(self) -> list[Move]:
        """Every move, oldest first."""
        query = (
            select(*[retention_moves.c[name] for name in Move.__slots__])
            .where(sound(retention_moves))
            .order_by(retention_moves.c.id)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [Move(*row) for row in connection.execute(query)]

    def latest(
        self, most: int, *, owner: str | None = None, before: int | None = None
    ) -> list[Move]:
        """At most so many moves, of an owner or of all, the newest first: with ids below `before`,
        if it is given.
        """
        query = (
            select(*[retention_moves.c[name] for name in Move.__slots__])
            .where(sound(retention_moves))
            .order_by(retention_moves.c.id.desc())
            .limit(most)
        )
        if owner is not None:
            query = query.where(retention_moves.c.owner == owner)
        if before is not None:
            query = query.where(retention_moves.c.id < before)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [Move(*row) for row in connection.execute(query)]

    def late(self, before: datetime) -> tuple[int, datetime | None]:
        """How many moves that were asked for before a moment are not at their end, and when the
        first of them was asked for.
        """
        moves = retention_moves.c
        return late(self._engine, _WHAT, moves.requested_at, before, moves.finished_at.is_(None))

    # -- inside ----------------------------------------------------------------------------------

    def _next(self) -> DbRow | None:
        query = (
            select(retention_moves)
            .where(retention_moves.c.finished_at.is_(None), sound(retention_moves))
            .order_by(retention_moves.c.id)
            .limit(1)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(query).first()

    def _step(self, move: DbRow, now: datetime) -> int:
        query = (
            select(*[sessions.c[name] for name in _NEEDED])
            .where(sessions.c.owner == move.owner, sessions.c.id > move.seen_to, sound(sessions))
            .order_by(sessions.c.id)
            .limit(self._portion)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        leaving = self._leaving()
        changes = self._changes(
            [row for row in rows if row.expires_at > now and row.id not in leaving]
        )
        moved = self._keyring.move(
            [Want(subject_of(one.session), one.data_class, one.until) for one in changes]
        )
        self._say(moved.damaged)
        finished = len(rows) < self._portion
        with storage_errors(_WHAT), self._engine.begin() as connection:
            self._put(connection, changes)
            connection.execute(
                update(retention_moves)
                .where(retention_moves.c.id == move.id)
                .values(
                    seen=move.seen + len(rows),
                    moved=move.moved + len(changes),
                    seen_to=rows[-1].id if rows else move.seen_to,
                    finished_at=now if finished else None,
                )
            )
        if finished:
            self._record(
                "retention.moved",
                move.owner,
                {"seen": move.seen + len(rows), "moved": move.moved + len(changes)},
            )
        return len(changes)

    def _say(self, damaged: Sequence[str]) -> None:
        for subject in damaged:
            name = subject.removeprefix(subject_of(""))
            self._damages.note(f"session {name}", "its key does not open.")
            self._record("retention.key_damaged", name, {})

    def _leaving(self) -> set[str]:
        """Sessions that are being erased, or would be if they were not held."""
        query = select(receipts.c.subject).where(
            receipts.c.kind != EXPIRY, receipts.c.state.in_((REQUESTED, INACCESSIBLE, DEFERRED))
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return set(connection.execute(query).scalars())

    def _changes(self, rows: Sequence[DbRow]) -> list[_Change]:
        presents: dict[tuple[str, str, str], Present | None] = {}
        changes = []
        for row in rows:
            use = (row.owner, row.plan, row.channel)
            if use not in presents:
                presents[use] = self._present(*use)
            held = Terms(row.period, row.clause, row.document)
            terms = governing(
                held,
                presents[use],
                last_consent=row.last_consent,
                last_activity=row.last_activity,
            )
            if terms != held:
                until = end_of(row.last_activity, terms.period, row.kept_until)
                changes.append(_Change(row.id, row.data_class, until, terms))
        return changes

    def _put(self, connection: Connection, changes: Sequence[_Change]) -> None:
        if changes:
            connection.execute(_MOVE, [one.values() for one in changes])


def _queue(
    connection: Connection, wanted: Sequence[Wanted], totals: Mapping[str, int], now: datetime
) -> None:
    rows = [
        {
            "owner": owner,
            "choice_at": choice_at,
            "policy_number": policy,
            "requested_at": now,
            "total": totals[owner],
            "seen": 0,
            "moved": 0,
            "seen_to": "",
        }
        for owner, choice_at, policy in wanted
    ]
    if rows:
        connection.execute(insert(retention_moves), rows)
