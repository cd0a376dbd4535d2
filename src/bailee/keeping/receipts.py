"""Receipts: what was destroyed, how far that has come, and since when.

    requested → inaccessible → key_destroyed → backups_unrecoverable → reclaimed
                     ↓               ↑
                  deferred ──────────┘  (a legal hold, until it is released)

* `inaccessible`: nothing reads it any more. `key_destroyed`: nothing can. Where the store of keys
  overwrites what it lets go of, that is when it has. Where it does not (PostgreSQL: wraps stay in
  the heap and the write-ahead log), it is when the root's generation is gone that wrapped them, as
  with older copies: so both steps come with a rotation, and none before.
* `backups_unrecoverable`: a root rotation has begun and ended since, so older copies of the keyring
  don't help. What is since, the root's generations say, and no clock: the number is noted once the
  key is destroyed, and a rotation to a higher one began after that.
* `reclaimed`: no segment with its ciphertext is left.

Who asked is on it (`by`): an actor's name, or nobody, where time did it. What was under one key for
several is everybody's of them (`Due.shared`), until they are erased.

A receipt whose row is not sound (`db.checks`) says nothing: it is not shown, nor driven on.

Each step is entered in the audit record and noted here in one transaction, many at once; the
caller's, where the fact that it notes is one of the database's too. Two who note the same step
enter it once, and no step leads back. An entry says what the receipt said then, each step before it
with its moment: so the proof of the latest is the proof of the receipt.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Engine,
    Select,
    delete,
    exists,
    func,
    select,
    true,
    union_all,
    update,
)

from bailee.db.among import among
from bailee.db.checks import sound
from bailee.db.engine import Query, reading, storage_errors
from bailee.db.late import late
from bailee.db.many import put
from bailee.db.pages import following
from bailee.db.vault import receipt_owners, receipt_segments, receipts
from bailee.errors import InputError

REQUESTED: Final = "requested"
INACCESSIBLE: Final = "inaccessible"
DEFERRED: Final = "deferred"
KEY_DESTROYED: Final = "key_destroyed"
BACKUPS_UNRECOVERABLE: Final = "backups_unrecoverable"
RECLAIMED: Final = "reclaimed"

_ORDER: Final = (
    REQUESTED,
    INACCESSIBLE,
    DEFERRED,
    KEY_DESTROYED,
    BACKUPS_UNRECOVERABLE,
    RECLAIMED,
)

ERASURE: Final = "erasure"
EXPIRY: Final = "expiry"
HELD_EXPIRY: Final = "held_expiry"

_PORTION: Final = 1000
_HAS_KEY: Final = receipts.c.generation.is_(None)
_GOING: Final = receipts.c.state.in_((REQUESTED, INACCESSIBLE)) & _HAS_KEY
_DEFERRED: Final = (receipts.c.state == DEFERRED) & _HAS_KEY
_LET_GO: Final = (receipts.c.state == KEY_DESTROYED) | (
    receipts.c.state.in_((INACCESSIBLE, DEFERRED)) & ~_HAS_KEY
)

Body = Mapping[str, str | int | float | bool | None]
Record = Callable[[str, str, Body], object]
"""Adds an entry to the audit record: its kind, its subject, its body."""
RecordAll = Callable[[str, Sequence[tuple[str, Body]], Connection], None]
"""Adds entries of one kind, each a subject and a body, within a transaction."""


class Due(NamedTuple):
    """What is to be destroyed: its id, where its ciphertext lies, whose it is, its data class; who
    shared it, where it is nobody's alone.
    """

    subject: str
    segments: Iterable[str]
    owner: str | None
    data_class: str
    shared: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it stands. `kind`: `erasure` (of the session `subject`), `expiry` (of all that
    was under the KEK `subject`), `held_expiry` (of the session `subject`, whose time has passed
    while it was held, or just before the clock was set back), or one of another keeper's.
    `data_class`: of what was destroyed. `by`: who asked; None: nobody, or from before it was noted.
    """

    id: str
    kind: str
    subject: str
    state: str
    requested_at: datetime
    inaccessible_at: datetime | None
    deferred_at: datetime | None
    key_destroyed_at: datetime | None
    backups_unrecoverable_at: datetime | None
    reclaimed_at: datetime | None
    owner: str | None
    part_of: str | None
    data_class: str
    by: str | None

    @property
    def moments(self) -> dict[str, datetime | None]:
        """When each state came, in their order; None: it has not."""
        return {state: getattr(self, f"{state}_at") for state in _ORDER}


class Receipts:
    """The receipts of one home, of all that it keeps. Any thread.

    A home's wiring makes it; stores note on it what they have destroyed, the sweep what a rotation
    and emptied segments have made of that. It owns the rows, and destroys nothing itself.
    """

    def __init__(
        self,
        engine: Engine,
        record_all: RecordAll,
        generation: Callable[[], int],
        reached: Callable[[int, datetime], tuple[int, datetime]] = lambda *rotation: rotation,
        *,
        overwritten: bool = True,
    ) -> None:
        """`generation`: the root's newest. `reached`: how far a rotation reaches, copies of the
        keyring that live on considered. `overwritten`: whether the store of keys overwrites what it
        lets go of.
        """
        self._overwritten = overwritten
        self._engine = engine
        self._generation = generation
        self._reached = reached
        self._record_all = record_all

    def request(
        self,
        kind: str,
        some: Sequence[Due],
        now: datetime,
        *,
        by: str | None = None,
        part_of: str | None = None,
        denied_by: Connection | None = None,
    ) -> list[Receipt]:
        """Write a receipt for each of what is to be destroyed, in one transaction. `by`: who asked;
        `part_of`: the erasure that they belong to; `denied_by`: the transaction since which nobody
        reads any of it.
        """
        denied = denied_by is not None
        made = [
            Receipt(
                id=str(UUID(bytes=os.urandom(16), version=4)),
                kind=kind,
                subject=one.subject,
                state=INACCESSIBLE if denied else REQUESTED,
                requested_at=now,
                inaccessible_at=now if denied else None,
                deferred_at=None,
                key_destroyed_at=None,
                backups_unrecoverable_at=None,
                reclaimed_at=None,
                owner=one.owner,
                part_of=part_of,
                data_class=one.data_class,
                by=by,
            )
            for one in some
        ]
        rows = [
            {"receipt_id": receipt.id, "segment_id": name}
            for receipt, one in zip(made, some, strict=True)
            for name in one.segments
        ]
        shared = [
            {"owner": owner, "requested_at": now, "receipt_id": receipt.id}
            for receipt, one in zip(made, some, strict=True)
            for owner in one.shared
        ]
        with self._within(denied_by) as connection:
            self._enter(connection, made, REQUESTED)
            if denied:
                self._enter(connection, made, INACCESSIBLE)
            put(connection, receipts, [_row(receipt) for receipt in made])
            put(connection, receipt_segments, rows)
            put(connection, receipt_owners, shared)
        return made

    def advance(self, receipt: Receipt, state: str, now: datetime) -> None:
        """Note that a receipt has come to `state`."""
        self.advance_all([receipt], state, now)

    def advance_all(
        self,
        some: Sequence[Receipt],
        state: str,
        now: datetime,
        connection: Connection | None = None,
    ) -> None:
        """Note that receipts have come to `state`, many in one transaction: that of `connection`,
        if it is given. What has come as far, or further, stays as it is.
        """
        before = _ORDER[: _ORDER.index(state)]
        for start in range(0, len(some), _PORTION):
            ids = [one.id for one in some[start : start + _PORTION]]
            behind = among(receipts.c.id, ids) & receipts.c.state.in_(before)
            with self._within(connection) as own:
                self._note(own, self._found(own, self._query().where(behind)), state, now)

    @contextmanager
    def _within(self, connection: Connection | None) -> Iterator[Connection]:
        """The caller's transaction, or one that writes; nobody else writes meanwhile."""
        with storage_errors("the receipts"):
            if connection is not None:
                yield connection
            else:
                with self._engine.begin() as own:
                    yield own

    def let_go(
        self, some: Sequence[Receipt], now: datetime, connection: Connection | None = None
    ) -> None:
        """Note that the store of keys has let go of the keys of what receipts are of: they are
        destroyed, or will be once the root's newest generation is gone. In the transaction of
        `connection`, if it is given.
        """
        if self._overwritten:
            self.advance_all(some, KEY_DESTROYED, now, connection)
            return
        before = receipts.c.state.in_(_ORDER[: _ORDER.index(KEY_DESTROYED)])
        generation = self._generation()
        with self._within(connection) as own:
            for start in range(0, len(some), _PORTION):
                ids = [one.id for one in some[start : start + _PORTION]]
                of_them = (among(receipts.c.id, ids), before, receipts.c.generation.is_(None))
                own.execute(update(receipts).where(*of_them).values(generation=generation))

    def _note(
        self, connection: Connection, moved: Sequence[Receipt], state: str, now: datetime
    ) -> None:
        if not moved:
            return
        noted: dict[str, object] = {"state": state, f"{state}_at": now}
        if state == KEY_DESTROYED and self._overwritten:
            noted["generation"] = self._generation()
        self._enter(connection, moved, state)
        these = among(receipts.c.id, [receipt.id for receipt in moved])
        connection.execute(update(receipts).where(these).values(noted))

    def _enter(self, connection: Connection, some: Sequence[Receipt], state: str) -> None:
        """Enter a step of receipts, with what each says that came before it."""
        for kind in sorted({receipt.kind for receipt in some}):
            of_kind = [receipt for receipt in some if receipt.kind == kind]
            entries = [(one.subject, _said(one, state)) for one in of_kind]
            self._record_all(f"{kind}.{state}", entries, connection)

    def get(self, receipt_id: str) -> Receipt:
        """A receipt by its id.

        Raises:
            InputError: there is none.
        """
        found = self._select(receipts.c.id == receipt_id)
        if not found:
            raise InputError("there is no such receipt.", code="not_found")
        return found[0]

    def all(self, subject: str | None = None) -> list[Receipt]:
        """All receipts, or those for `subject`, oldest first."""
        return self._select(receipts.c.subject == subject if subject else true())

    def about(self, subjects: Sequence[str]) -> list[Receipt]:
        """The receipts for any of these subjects, oldest first."""
        return self._select(among(receipts.c.subject, subjects))

    def of_owner(self, owner: str) -> list[Receipt]:
        """The receipts of what was an owner's, shared or not, oldest first."""
        shared = select(receipt_owners.c.receipt_id).where(receipt_owners.c.owner == owner)
        return self._select((receipts.c.owner == owner) | receipts.c.id.in_(shared))

    def is_of(self, receipt: Receipt, owner: str) -> bool:
        """Whether what a receipt is of was an owner's, shared or not."""
        shared = (receipt_owners.c.owner == owner) & (receipt_owners.c.receipt_id == receipt.id)
        with storage_errors("the receipts"), reading(self._engine) as connection:
            found = connection.execute(select(receipt_owners.c.owner).where(shared)).first()
        return receipt.owner == owner or found is not None

    def forget(self, owner: str) -> None:
        """Note no more what an owner shared with others."""
        with storage_errors("the receipts"), self._engine.begin() as connection:
            connection.execute(delete(receipt_owners).where(receipt_owners.c.owner == owner))

    def latest(
        self,
        most: int,
        *,
        owner: str | None = None,
        subject: str | None = None,
        after: str | None = None,
    ) -> list[Receipt]:
        """At most so many receipts, of an owner's, for a subject, or all, the newest first; those
        that come `after` a place (`db.pages`: when it was requested, and its id), if given. A page
        costs what is on it.
        """
        query = self._query().order_by(receipts.c.requested_at.desc(), receipts.c.id)
        if owner is not None:
            query = query.where(receipts.c.id.in_(_latest_of(owner, subject, most, after)))
        elif subject is not None:
            query = query.where(receipts.c.subject == subject)
        query = query.where(following(receipts.c.requested_at, receipts.c.id, after))
        with storage_errors("the receipts"), reading(self._engine) as connection:
            return self._found(connection, query.limit(most))

    def parts(self, erasure_id: str) -> list[Receipt]:
        """The receipts of one person's erasure."""
        return self._select(receipts.c.part_of == erasure_id)

    def begun(self, kinds: Iterable[str]) -> list[Receipt]:
        """The receipts of these kinds whose destruction was begun and waits for no hold, or has
        left something of the ciphertext: what a crash or a failing store interrupted.
        """
        left = exists().where(receipt_segments.c.receipt_id == receipts.c.id)
        rest = (_LET_GO | (receipts.c.state == BACKUPS_UNRECOVERABLE)) & left
        return self._select(receipts.c.kind.in_(tuple(kinds)) & (_GOING | rest))

    def going(self) -> list[Receipt]:
        """The receipts whose destruction was begun, and whose keys the store has still."""
        return self._select(_GOING)

    def going_and_gone(self, of: Select[str]) -> tuple[list[Receipt], list[Receipt]]:
        """What `going` gives; and the receipts for the subjects `of` a query whose keys the store
        has let go of, and that have come no further.
        """
        with storage_errors("the receipts"), reading(self._engine) as connection:
            going = self._found(connection, self._in_order(_GOING))
            gone = _LET_GO & receipts.c.subject.in_(of)
            return going, self._found(connection, self._in_order(gone))

    def late(
        self, states: Sequence[str], since: str, before: datetime
    ) -> tuple[int, datetime | None]:
        """How many receipts are at one of these states though they came to the state `since` before
        a moment, and when the first of them did.
        """
        waits = receipts.c.state.in_(tuple(states))
        return late(self._engine, "the receipts", receipts.c[f"{since}_at"], before, waits)

    def deferred(self, subject: str) -> list[Receipt]:
        """The receipts for a subject that wait for the last hold on it."""
        return self._select((receipts.c.subject == subject) & _DEFERRED)

    def segments_of(self, owner: str | None, erasure_id: str) -> list[str]:
        """The segments that still have ciphertext of what an owner had, or an erasure destroyed."""
        theirs = (receipts.c.part_of == erasure_id) | (receipts.c.owner == owner)
        query = select(receipt_segments.c.segment_id).distinct().join(receipts).where(theirs)
        with storage_errors("the receipts"), reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def waits_for(self, receipt_id: str) -> int:
        """In how many segments ciphertext lies still that a receipt covers."""
        of_it = receipt_segments.c.receipt_id == receipt_id
        query = select(func.count()).select_from(receipt_segments).where(of_it)
        with storage_errors("the receipts"), reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def without(self, segment_id: str) -> None:
        """Note that a segment is gone: no receipt waits for it any more."""
        with storage_errors("the receipts"), self._engine.begin() as connection:
            connection.execute(
                delete(receipt_segments).where(receipt_segments.c.segment_id == segment_id)
            )

    def take_over(self, session_ids: Sequence[str], erasure_id: str) -> None:
        """Let the unfinished receipts of these sessions be part of an erasure."""
        open_ones = receipts.c.state.in_((REQUESTED, INACCESSIBLE, DEFERRED))
        with storage_errors("the receipts"), self._engine.begin() as connection:
            connection.execute(
                update(receipts)
                .where(among(receipts.c.subject, session_ids), open_ones)
                .values(part_of=erasure_id)
            )

    def in_state(self, *states: str) -> list[Receipt]:
        """The receipts that stand at one of `states`, oldest first."""
        return self._select(receipts.c.state.in_(states))

    def rotated(self, generation: int, began: datetime, now: datetime) -> int:
        """A root rotation to `generation`, that began at `began`, has ended; how many receipts that
        moved. Those from before generations were noted go by the time.
        """
        waited: list[Receipt] = []
        if not self._overwritten:
            waits = receipts.c.state.in_((INACCESSIBLE, DEFERRED))
            waited = self._select(waits & (receipts.c.generation < generation))
            self.advance_all(waited, KEY_DESTROYED, now)
        generation, began = self._reached(generation, began)
        unnumbered = receipts.c.generation.is_(None) & (receipts.c.key_destroyed_at <= began)
        before = (receipts.c.generation < generation) | unnumbered
        moved = self._select((receipts.c.state == KEY_DESTROYED) & before)
        self.advance_all(moved, BACKUPS_UNRECOVERABLE, now)
        return len({one.id for one in (*waited, *moved)})

    def reclaimed(self, now: datetime) -> int:
        """Close the receipts that no segment is left of; how many."""
        left = exists().where(receipt_segments.c.receipt_id == receipts.c.id)
        done = self._select((receipts.c.state == BACKUPS_UNRECOVERABLE) & ~left)
        self.advance_all(done, RECLAIMED, now)
        return len(done)

    def _select(self, where: ColumnElement[bool]) -> list[Receipt]:
        with storage_errors("the receipts"), reading(self._engine) as connection:
            return self._found(connection, self._in_order(where))

    def _in_order(self, where: ColumnElement[bool]) -> Query:
        return self._query().where(where).order_by(receipts.c.requested_at, receipts.c.id)

    def _query(self) -> Query:
        return select(*[receipts.c[name] for name in Receipt.__slots__]).where(sound(receipts))

    @staticmethod
    def _found(connection: Connection, query: Query) -> list[Receipt]:
        as_receipt: Callable[..., Receipt] = Receipt  # the query has its fields, in their order
        return [as_receipt(*row) for row in connection.execute(query)]


def is_deferred(subject: ColumnElement[str], data_class: ColumnElement[str]) -> ColumnElement[bool]:
    """The condition that the end of a thing, whose columns these are, waits for a hold."""
    of_it = (receipts.c.subject == subject) & (receipts.c.data_class == data_class)
    return exists().where(of_it, _DEFERRED, sound(receipts))


def _latest_of(
    owner: str, subject: str | None, most: int, after: str | None
) -> CompoundSelect[str]:
    """The ids of the latest receipts that are an owner's alone, and of those that they shared: of
    each as many as a page has, found by an index.
    """
    about = select(receipts.c.id).where(receipts.c.subject == subject)
    found = []
    for whose, at, name in (
        (receipts.c.owner, receipts.c.requested_at, receipts.c.id),
        (receipt_owners.c.owner, receipt_owners.c.requested_at, receipt_owners.c.receipt_id),
    ):
        query = select(name.label("id")).where(whose == owner, following(at, name, after))
        if subject is not None:
            query = query.where(name.in_(about))
        found.append(query.order_by(at.desc(), name).limit(most).subquery())
    return union_all(*(select(one.c.id) for one in found))


def _said(receipt: Receipt, state: str) -> Body:
    """What the entry of a step says: whose receipt, and what had come before."""
    before = _ORDER[: _ORDER.index(state)]
    known = {"receipt": receipt.id, "data_class": receipt.data_class, "by": receipt.by}
    moments = ((one, getattr(receipt, f"{one}_at")) for one in before)
    came = {one: at.isoformat() for one, at in moments if at}
    return {name: value for name, value in (known | came).items() if value is not None}


def _row(receipt: Receipt) -> dict[str, object]:
    return {name: getattr(receipt, name) for name in Receipt.__slots__} | {"generation": None}
