"""Forgetting: a session at its owner's word, or everything whose time has come.

Rules kept here:

* What is past its time is refused by whoever reads, from that moment on; the sweep makes it true of
  the bytes. Lag: until the end of the half-hour epoch, plus the time to the next sweep. Backups of
  the keyring follow at the next root rotation (by default at most a day later).
* What is deleted is unreadable whatever the clock does, and nothing brings it back (`tombstones`).
* The key goes first; rows and segments follow, in portions, and may follow later.
* Every step is found again after a crash: a receipt that was begun is driven on.
* One sweep at a time, and one rotation: who comes second waits. A step that fails stops no other,
  but for what would destroy keys that a hold was to keep.
* What was denied to everybody stays so, whatever a clock says afterwards.
* Nobody waits for the sealer. What was deleted while copies of it may have waited in the spool is
  destroyed once all is sealed that was there then.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)

from bailee.damage import Damages
from bailee.db.among import among, among_numbers, texts
from bailee.db.checks import sound
from bailee.db.engine import DbRow, Query, fold, past_indexes, reading, storage_errors, writing_much
from bailee.db.metadata import Moment
from bailee.db.portable import insert as insert_or_ignore
from bailee.db.vault import (
    OF_A_RECORD,
    conversation_links,
    departed_sessions,
    exchanges,
    kept_sessions,
    number_of,
    segments,
    session_words,
    sessions,
)
from bailee.errors import BaileeError
from bailee.keeping.holds import Holds, held_subjects
from bailee.keeping.receipts import (
    DEFERRED,
    ERASURE,
    EXPIRY,
    HELD_EXPIRY,
    INACCESSIBLE,
    REQUESTED,
    Due,
    Receipt,
    Receipts,
    Record,
)
from bailee.keyring import Keyring, Rotation
from bailee.keyring.epochs import EPOCH_SECONDS, ends_at, last_ended
from bailee.vault.batch import DATA_CLASS, digests_of
from bailee.vault.compressing import ExchangeRecord as StoredRecord
from bailee.vault.delta import replies
from bailee.vault.going_round import Round
from bailee.vault.record import open_record, subject_of
from bailee.vault.sealer import Sealer
from bailee.vault.sealing_queue import Mark
from bailee.vault.segments import Segments
from bailee.vault.steps import Steps
from bailee.vault.stored import Stored
from bailee.vault.tombstones import Tombstones
from bailee.vault.transcript import rebuild

_Found = TypeVar("_Found")

_ENDED = (
    sessions.c.expires_at > bindparam("after", type_=Moment),
    sessions.c.expires_at <= bindparam("until", type_=Moment),
)
_EXPIRED = (
    select(exchanges.c.segment_id)
    .join(sessions, sessions.c.number == exchanges.c.session)
    .where(*_ENDED)
    .distinct()
)
_HAS_SOME = exists().where(
    exchanges.c.session == sessions.c.number,
    func.substr(exchanges.c.id, 1, 8) == func.substr(sessions.c.id, 1, 8),
)
"""Whether a session has an exchange: one of its number, whose record's id begins as the session's.
Of a row that is not what was written the number may be another session's."""
_WHOSE = select(sessions.c.owner).where(*_ENDED, sessions.c.id.not_in(held_subjects())).distinct()
_NO_ID = re.compile(r"[^A-Za-z0-9_:.~/ \-]")  # a damaged name may be none
_PORTION = 1000
_REMOVED_AT_ONCE = 1500  # sessions: the vault's lock is held for a fifth of a second
_FOLDED_AT_ONCE = 2  # portions: their pages are written to the file together
_PAST = datetime(1970, 1, 1, tzinfo=UTC)
_ROTATED_EVERY = timedelta(minutes=15)
"""How soon one rotation follows another where only a rotation destroys keys: with the half hour of
an epoch and the time between two sweeps, what is past its time is gone within the hour."""
_FIRST = 20
"""Of a deleted session's exchanges so many are looked at for how its conversations began."""
_LINKED = select(conversation_links.c.digest).where(
    conversation_links.c.session_id == bindparam("session")
)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep did. `keks`: keys destroyed, each for a whole epoch; `sessions`: rows removed;
    `segments`: reclaimed; `shipped`: put into the object store; `rotated`: the root was. `waits`:
    what is due by its time waits for what an earlier process left (`recovery.WAITS`). `kept`: how
    many sessions there are that their person keeps by an act of their own.
    """

    keks: int
    sessions: int
    segments: int
    shipped: int
    rotated: bool
    receipts: int
    waits: bool
    kept: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How long what is destroyed can be recovered from older copies of the keyring, `at_most`; how
    much of that the root's own service takes (`of_root`); `until` when all is unrecoverable that is
    destroyed by now, None: it is.
    """

    at_most: timedelta
    of_root: timedelta
    until: datetime | None


@dataclass(slots=True)
class _Done:
    """What a sweep has done so far: see `SweepReport`."""

    keks: int = 0
    sessions: int = 0
    segments: int = 0
    shipped: int = 0
    rotated: bool = False
    receipts: int = 0
    waits: bool = False
    kept: int = 0


class Forgetting:
    """Erasure and expiry in one vault.

    The vault owns it and calls it, from any thread; of sweeps and rotations one goes on at a time.
    It never decides whether something may be erased, has holds take their keys before it destroys
    any, and never waits for the sealer.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        segments: Segments,
        sealer: Sealer,
        record: Record,
        lock: AbstractContextManager[object],
        holds: Holds,
        tombstones: Tombstones,
        stored: Stored,
        receipts: Receipts,
        damages: Damages,
        rotation_interval: timedelta,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._segments = segments
        self._sealer = sealer
        self._record = record
        self._lock = lock
        self._holds = holds
        self._tombstones = tombstones
        self._stored = stored
        self._damages = damages
        self._rotation_interval = (
            rotation_interval if keyring.overwrites else min(rotation_interval, _ROTATED_EVERY)
        )
        self._one = threading.RLock()  # taken before the vault's lock, never inside it
        self._key = keyring.secret("vault/identifiers")
        self._behind: dict[str, Mark] = {}  # deleted: what has to be gone from the spool first
        self._round = Round()
        self.receipts = receipts

    # -- erasure ---------------------------------------------------------------------------------

    def erase(self, session_id: str, now: datetime, by: str | None) -> Receipt:
        """Destroy a session's key and remove it from the index, all of it sealed already. `by`: who
        asked.
        """
        with self._lock:
            receipt = self._past(lambda: self._asked(ERASURE, session_id, now, by))
            self._past(lambda: self._drive([receipt], now))
            self._reclaim()
            self.receipts.reclaimed(now)
            return self.receipts.get(receipt.id)

    def make_inaccessible(self, session_id: str, now: datetime, by: str | None) -> Receipt:
        """Let nobody read a session from now on, and have the next `finish_erasures` erase it:
        copies of it may wait in the spool. What of it is sealed until then is dropped (`batch`).
        """
        with self._lock:
            receipt = self._past(lambda: self._asked(ERASURE, session_id, now, by))
            self._past(lambda: self._deny([receipt], now))
            self._behind[session_id] = self._sealer.queue.mark(receipt.owner)
            return self.receipts.get(receipt.id)

    def _asked(self, kind: str, session_id: str, now: datetime, by: str | None = None) -> Receipt:
        owner = self._owner(session_id)
        (receipt,) = self.receipts.request(kind, self._due([session_id], owner), now, by=by)
        return receipt

    def _due(self, session_ids: Sequence[str], owner: str | None) -> list[Due]:
        """Sessions of an owner, to be destroyed."""
        places = self._segments_of(session_ids)
        return [Due(name, places[name], owner, DATA_CLASS) for name in session_ids]

    def erase_owned(self, owner: str, now: datetime, part_of: str, by: str | None) -> None:
        """Erase all that there is of an owner, what is past its time and not yet swept too. What
        was begun before, or is deferred by a hold, becomes part of this. Can be broken off and
        repeated. `by`: who asked.
        """
        self.finish_erasures(now, at_once=owner)
        query = select(sessions.c.id).where(sessions.c.owner == owner).order_by(sessions.c.id)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            owned = list(connection.execute(query).scalars())
        self.receipts.take_over(owned, part_of)
        deferred = {receipt.subject for receipt in self.receipts.in_state(DEFERRED)}
        owned = [session_id for session_id in owned if session_id not in deferred]
        for start in range(0, len(owned), _PORTION):
            with self._lock:  # a portion at a time: the sealer gets its turn
                some = self._existing(owned[start : start + _PORTION])
                asked = self.receipts.request(
                    ERASURE, self._due(some, owner), now, by=by, part_of=part_of
                )
                self._drive(asked, now)
        with self._lock:
            self._tombstones.forget(owner)
            self._reclaim()
            self._stored.forget(owner)
            self.receipts.reclaimed(now)

    def finish_erasures(self, now: datetime, *, at_once: str | None = None) -> int:
        """Drive on the erasures that a crash or a failing store has interrupted, and those whose
        copies in the spool are sealed, that is dropped, by now; of the owner `at_once` all. How
        many.
        """
        with self._lock:
            left = self.receipts.gone(select(sessions.c.id))
            gone = {receipt.id for receipt in left}
            going = [
                receipt
                for receipt in (*self.receipts.going(), *left)
                if receipt.kind in (ERASURE, HELD_EXPIRY)
                and (
                    receipt.id in gone
                    or (at_once is not None and receipt.owner == at_once)
                    or self._is_gone(receipt)
                )
            ]
            for start in range(0, len(going), _PORTION):
                self._drive(going[start : start + _PORTION], now)
        return len(going)

    def _is_gone(self, receipt: Receipt) -> bool:
        """Whether nothing of a session that was deleted is in the spool any more. What an earlier
        process left there is in the queue before this is asked.
        """
        mark = self._behind.get(receipt.subject)
        if mark is None:
            mark = self._behind[receipt.subject] = self._sealer.queue.mark(receipt.owner)
        return self._sealer.queue.passed(mark)

    def _drive(self, some: list[Receipt], now: datetime) -> None:
        """Drive receipts of sessions on, as far as holds allow."""
        self._deny([receipt for receipt in some if receipt.state == REQUESTED], now)
        held = self._holds.held()
        for subject in held.intersection(receipt.subject for receipt in some):
            self._holds.secure(subject)
        self._keyring.destroy([subject_of(receipt.subject) for receipt in some])
        waiting = [receipt for receipt in some if receipt.subject in held]
        self.receipts.advance_all(waiting, DEFERRED, now)
        going = [receipt for receipt in some if receipt.subject not in held]
        self.receipts.let_go(going, now)
        for receipt in some:
            self._behind.pop(receipt.subject, None)
        if going:
            self._remove_rows([receipt.subject for receipt in going])

    def _deny(self, asked: list[Receipt], now: datetime) -> None:
        """Past its `expires_at` nothing of a session is shown, nor does it go on, and `_PAST` is so
        by any clock. What its owner deleted gets its tombstone.
        """
        if asked:
            names = [receipt.subject for receipt in asked]
            deleted = [one.subject for one in asked if one.kind == ERASURE and not one.part_of]
            digests = {name: self._digests_of(name) for name in deleted}
            with storage_errors("the vault's index"), self._engine.begin() as connection:
                connection.execute(
                    update(sessions).where(among(sessions.c.id, names)).values(expires_at=_PAST)
                )
                for name, (owner, some) in digests.items():
                    self._tombstones.bury_session(connection, name, owner, some, now)
            self.receipts.advance_all(asked, INACCESSIBLE, now)

    def _digests_of(self, session_id: str) -> tuple[str, set[bytes]]:
        """Whose a session is, and the digests by which is told what goes on with it: of its
        client's id, of how its first conversations began, as far as they can be read, and of what
        can be continued by name.
        """
        query = select(sessions.c.owner, sessions.c.client_session, sessions.c.data_class).where(
            sessions.c.id == session_id
        )
        first = (
            select(*OF_A_RECORD, literal(session_id).label("session_id"))
            .where(exchanges.c.session == number_of(literal(session_id)))
            .where(exchanges.c.number < _FIRST)
            .order_by(exchanges.c.number)
        )
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            session = connection.execute(query).first()
            rows = connection.execute(first).all()
            linked = connection.execute(_LINKED, {"session": session_id}).scalars().all()
        if session is None:
            return "", set()
        found = {session.client_session, *linked}
        with suppress(BaileeError):  # damaged: its id alone tells what goes on with it
            key = self._keyring.get(subject_of(session_id)).key
            for exchange, _ in rebuild(
                (row, self._open(session_id, session.data_class, row, key)) for row in rows
            ):
                api = exchange.api
                messages = [*exchange.messages, *replies(api, exchange.answer)]
                found.update(self._tombstones.beginnings(session.owner, messages, api))
        return session.owner, found - {None}

    def _open(self, session_id: str, data_class: str, row: DbRow, key: bytes) -> StoredRecord:
        sealed = self._segments.read(row.segment_id, row.offset, row.length)
        return open_record(
            sealed, key, session_id=session_id, record_id=row.id, data_class=data_class
        )

    def _owner(self, session_id: str) -> str | None:
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            query = select(sessions.c.owner).where(sessions.c.id == session_id)
            owner: str | None = connection.execute(query).scalar()
        return owner

    def _existing(self, session_ids: Sequence[str]) -> list[str]:
        """Those of the sessions that are in the index, in the order given."""
        query = select(sessions.c.id).where(among(sessions.c.id, session_ids))
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            found = set(connection.execute(query).scalars())
        return [session_id for session_id in session_ids if session_id in found]

    def resume(self, session_id: str, now: datetime) -> None:
        """Go on with what holds on a session have deferred; there is none any more."""
        with self._lock:
            if deferred := self.receipts.deferred(session_id):
                self._drive(deferred, now)
            self._reclaim()

    # -- expiry ----------------------------------------------------------------------------------

    def sweep(self, now: datetime, steps: Steps, *, waits: bool = False) -> SweepReport:
        """Everything that time brings, step by step. `waits`: but for what is due by its time."""
        done = _Done(waits=waits)
        with self._one:
            damaged = None
            with steps.step("holds"):
                damaged = self._holds.finish_placing(now)
                self._holds.finish_releases(now)
                if not waits:
                    self._defer_held(now)
            with steps.step("damaged holds"):
                if damaged is not None:
                    raise damaged
            with steps.step("deletions"):
                self._past(lambda: self.finish_erasures(now))
            if "holds" not in steps.failures and not waits:
                with steps.step("keys"):
                    done.keks = self._past(lambda: self._destroy_due(now))
            if "keys" in steps.done:
                with steps.step("rows"):
                    done.sessions = self._past(lambda: self._remove_expired(now))
                    while self._keyring.remove_dead():
                        pass
            with steps.step("segments"), self._lock:
                done.shipped = self._segments.ship(now)
                done.segments = self._reclaim()
            with steps.step("rotation"):
                if self.rotation_due(now):
                    self.rotate(now)
                    done.rotated = True
                done.receipts += self.note_ended_roots(now)
            with steps.step("receipts"):
                done.receipts += self._past(lambda: self.receipts.reclaimed(now))
            with steps.step("tombstones"), self._lock:
                self._past(lambda: self._tombstones.remove_past(now))
        return SweepReport(**asdict(done))

    def _past(self, act: Callable[[], _Found]) -> _Found:
        """What can be repeated, past an index that does not fit its table (`past_indexes`)."""
        return past_indexes(self._engine, act)

    def rotation_due(self, now: datetime) -> bool:
        """Whether something was destroyed, and an interval has passed since the last rotation."""
        return self._keyring.rotation_due(now, self._rotation_interval.total_seconds())

    def lag(self, now: datetime) -> Lag:
        """How long what is destroyed can be recovered from older copies of the keyring."""
        interval = self._rotation_interval
        at_most = interval + self._keyring.root_lag
        until = self._keyring.unrecoverable_at(now, interval.total_seconds())
        return Lag(at_most, self._keyring.root_lag, until)

    def rotate(self, now: datetime) -> Rotation:
        """Rotate the root; what that did."""
        with self._one:
            self._mend()
            rotation = self._keyring.rotate_root()
            self._record(
                "keyring.rotated",
                f"generation {rotation.generation}",
                {"replaced": rotation.replaced_keks, "rewrapped": rotation.rewrapped_deks},
            )
            for kind, name in rotation.damaged:
                self._enter_damaged(kind, name)
            self.note_ended_roots(now)
            return rotation

    def note_ended_roots(self, now: datetime) -> int:
        """Note on receipts that no root can be brought back that opened what they are of; on how
        many. A service may keep a root for days after it was destroyed.
        """
        with self._one:
            ended = self._keyring.ended_root(now)
            if ended is None:
                return 0
            return self._past(lambda: self.receipts.rotated(ended.generation, ended.began, now))

    def _mend(self) -> None:
        """Have put right what the keyring says of its keys and is not what was written, and say
        of which.
        """
        for where in self._keyring.mend():
            self._damages.note(where, "what it says was not what was written; it was put right.")
            kind, _, name = where.partition(" ")
            self._enter_damaged(kind.lower(), name or kind)

    def _enter_damaged(self, kind: str, name: str) -> None:
        self._record("keyring.damaged", _NO_ID.sub("~", name)[:200], {"key": kind})

    def _destroy_due(self, now: datetime) -> int:
        """Destroy the keys of ended epochs; first receipts, so that none is without."""
        self._mend()
        due = [kek for kek in self._keyring.due(now) if kek.data_class == DATA_CLASS]
        begun = [one for one in self.receipts.going() if one.kind == EXPIRY]
        known = {receipt.subject for receipt in begun}
        new = {kek.kek_id: ends_at(kek.epoch) for kek in due if kek.kek_id not in known}
        if new:
            begun += self.receipts.request(EXPIRY, self._ended(new), now)
        asked = [receipt for receipt in begun if receipt.state == REQUESTED]
        self.receipts.advance_all(asked, INACCESSIBLE, now)
        destroyed = self._keyring.destroy_due(now)
        self.receipts.let_go(begun, now)
        return len(destroyed)

    def _ended(self, keks: Mapping[str, datetime]) -> list[Due]:
        """KEKs that are to be destroyed, each with when its epoch ended."""
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            return [
                Due(
                    kek,
                    self._expired(connection, _EXPIRED, end),
                    None,
                    DATA_CLASS,
                    self._expired(connection, _WHOSE, end),
                )
                for kek, end in keks.items()
            ]

    def _defer_held(self, now: datetime) -> None:
        """Receipts for held sessions whose epoch has ended: their destruction is deferred."""
        ended = sessions.c.expires_at <= ends_at(last_ended(now))
        self._end(select(sessions.c.id).where(ended, sessions.c.id.in_(held_subjects())), now)

    def end_past(self, now: datetime) -> None:
        """Destroy each session that is past its time at `now`, whose epoch has not ended yet too,
        as far as holds allow. The index says of those that are held that no time shows them.
        """
        self._end(select(sessions.c.id).where(sessions.c.expires_at <= now), now)

    def _end(self, query: Query, now: datetime) -> None:
        with self._lock:
            with storage_errors("the vault's index"), reading(self._engine) as connection:
                found = list(connection.execute(query).scalars())
            for session_id in found:
                if not any(receipt.kind != EXPIRY for receipt in self.receipts.all(session_id)):
                    self._drive([self._asked(HELD_EXPIRY, session_id, now)], now)

    def _remove_expired(self, now: datetime) -> int:
        """Remove the rows of the sessions whose epoch has ended, and the key of one that is under
        another epoch's, since it could not be moved. Of a session whose row is not sound it is the
        key that says whether its time has come: so whose key is gone is not asked for its check,
        but for one without exchanges, whose id may be what was changed.

        In the order of their numbers, as they were filed: so a portion lies close together in most
        of the index's trees, and few pages are written twice. While the vault's lock is held only
        the write-ahead log is written.
        """
        ended = (
            sessions.c.expires_at <= ends_at(last_ended(now)),
            sessions.c.id.not_in(held_subjects()),
        )
        query = select(sessions.c.id).where(*ended).order_by(sessions.c.number)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            due = texts(connection, query)
        removed = 0
        try:
            for number, start in enumerate(range(0, len(due), _REMOVED_AT_ONCE)):
                removed += self._remove_portion(due[start : start + _REMOVED_AT_ONCE], ended)
                if number % _FOLDED_AT_ONCE == _FOLDED_AT_ONCE - 1:
                    self._fold()
        finally:
            if due:
                self._fold()
        return removed + self._remove_unsound()

    def _remove_portion(self, some: list[str], ended: Sequence[ColumnElement[bool]]) -> int:
        with self._lock:
            living = {*self._keyring.living([subject_of(name) for name in some])}
            asked = [name for name in some if subject_of(name) in living]
            goes = or_(and_(not_(among(sessions.c.id, asked)), _HAS_SOME), sound(sessions))
            still = select(sessions.c.id).where(among(sessions.c.id, some), *ended, goes)
            with storage_errors("the vault's index"), reading(self._engine) as connection:
                some = texts(connection, still)
            living.intersection_update(map(subject_of, some))
            if living:
                self._keyring.destroy(sorted(living))
            self._remove_rows(some)
        return len(some)

    def _fold(self) -> None:
        with storage_errors("the vault's index"):
            fold(self._engine)

    def _remove_unsound(self) -> int:
        """Remove the rows that are not sound and whose key is gone, of one part of the sessions:
        what decides is checked where it is read, so there is time.

        One that has no exchanges stays, and stays named: its id may be what was changed.
        """
        unheld = sessions.c.id.not_in(held_subjects())
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            part = self._round.next(connection)
            query = select(sessions.c.id).where(*part, not_(sound(sessions)), unheld, _HAS_SOME)
            found = list(connection.execute(query).scalars())
        living = set(self._keyring.living([subject_of(name) for name in found]))
        gone = [name for name in found if subject_of(name) not in living]
        if gone:
            with self._lock:
                self._remove_rows(gone)
        return len(gone)

    def _remove_rows(self, session_ids: list[str]) -> None:
        if not session_ids:
            return
        digests = digests_of(self._key, "departed", session_ids)
        gone = [{"digest": digest} for digest in digests]
        with storage_errors("the vault's index"), writing_much(self._engine) as connection:
            # Of a row that is not what was written what is under its number may be another's.
            own = select(sessions.c.number).where(
                among(sessions.c.id, session_ids), or_(_HAS_SOME, sound(sessions))
            )
            numbers = list(connection.execute(own).scalars())
            sums = self._stored.remove(connection, session_ids, numbers)
            connection.execute(insert_or_ignore(departed_sessions).on_conflict_do_nothing(), gone)
            for number in (exchanges.c.session, session_words.c.session):
                theirs = among_numbers(number, numbers)
                connection.execute(delete(number.table).where(theirs))
            for column in (
                conversation_links.c.session_id,
                kept_sessions.c.session_id,
                sessions.c.id,
            ):
                connection.execute(delete(column.table).where(among(column, session_ids)))
        self._stored.note(sums)
        self._sealer.forget(session_ids)

    # -- segments --------------------------------------------------------------------------------

    def _segments_of(self, session_ids: Sequence[str]) -> dict[str, list[str]]:
        """In which segments records of the sessions are."""
        query = (
            select(sessions.c.id, exchanges.c.segment_id)
            .join(exchanges, exchanges.c.session == sessions.c.number)
            .where(among(sessions.c.id, session_ids))
            .distinct()
        )
        found: dict[str, list[str]] = {session_id: [] for session_id in session_ids}
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            for session_id, segment_id in connection.execute(query):
                found[session_id].append(segment_id)
        return found

    @staticmethod
    def _expired(connection: Connection, query: Select[str], end: datetime) -> list[str]:
        """What a query gives of the sessions whose epoch ended then."""
        since = end - timedelta(seconds=EPOCH_SECONDS)
        return list(connection.execute(query, {"after": since, "until": end}).scalars())

    def _reclaim(self) -> int:
        """Remove the segments that no record is left in."""
        used = exists().where(exchanges.c.segment_id == segments.c.id)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            empty = list(connection.execute(select(segments.c.id).where(~used)).scalars())
        for segment_id in empty:
            self._segments.remove(segment_id)
        self._stored.reclaimed()
        return len(empty)
