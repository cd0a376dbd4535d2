"""Ending sessions at somebody's word: denied, then their keys destroyed, then their rows removed.

Rules kept here:

* What is deleted is unreadable whatever the clock does, and nothing brings it back (`tombstones`).
* The key goes first; rows follow, in portions, and may follow later. Segments go when no record is
  left in them.
* Every step is found again after a crash: a receipt that was begun is driven on.
* Nobody waits for the sealer. What was deleted while copies of it may have waited in the spool is
  destroyed once all is sealed that was there then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime

from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from bailee.db.among import among, among_numbers
from bailee.db.checks import sound
from bailee.db.engine import DbRow, Query, past_indexes, reading, storage_errors, writing_much
from bailee.db.vault import (
    OF_A_RECORD,
    conversation_links,
    exchanges,
    kept_sessions,
    number_of,
    segments,
    session_words,
    sessions,
)
from bailee.errors import BaileeError, StorageError
from bailee.keeping.holds import Holds
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
)
from bailee.keyring import Keyring
from bailee.vault.batch import DATA_CLASS
from bailee.vault.compressing import ExchangeRecord as StoredRecord
from bailee.vault.delta import replies
from bailee.vault.departing import depart
from bailee.vault.record import open_record, subject_of
from bailee.vault.sealer import Sealer
from bailee.vault.sealing_queue import Mark
from bailee.vault.segments import Segments
from bailee.vault.stored import Stored
from bailee.vault.tombstones import Tombstones
from bailee.vault.transcript import rebuild

_PORTION = 1000
_PAST = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = 20
"""Of a deleted session's exchanges so many are looked at for how its conversations began."""
_LINKED = select(conversation_links.c.digest).where(
    conversation_links.c.session_id == bindparam("session")
)
HAS_SOME = exists().where(
    exchanges.c.session == sessions.c.number,
    func.substr(exchanges.c.id, 1, 8) == func.substr(sessions.c.id, 1, 8),
)
"""Whether a session has an exchange: one of its number, whose record's id begins as the session's.
Of a row that is not what was written the number may be another session's."""


class Erasing:
    """The ends of a vault's sessions, but for those that time brings by their epoch.

    The vault owns it and calls it, and so does `Forgetting`, from any thread. It never decides
    whether something may be erased, has holds take their keys before it destroys any, and never
    waits for the sealer.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        segments: Segments,
        sealer: Sealer,
        lock: AbstractContextManager[object],
        holds: Holds,
        tombstones: Tombstones,
        stored: Stored,
        receipts: Receipts,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._segments = segments
        self._sealer = sealer
        self._lock = lock
        self._holds = holds
        self._tombstones = tombstones
        self._stored = stored
        self._key = keyring.secret("vault/identifiers")
        self._behind: dict[str, Mark] = {}  # deleted: what has to be gone from the spool first
        self.receipts = receipts

    def erase(self, session_id: str, now: datetime, by: str | None) -> Receipt:
        """Destroy a session's key and remove it from the index, all of it sealed already. `by`: who
        asked.
        """
        with self._lock:
            receipt = past_indexes(self._engine, lambda: self._asked(ERASURE, session_id, now, by))
            past_indexes(self._engine, lambda: self._drive([receipt], now))
        self._reclaim_as_far()
        with self._lock:
            self.receipts.reclaimed(now)
            return self.receipts.get(receipt.id)

    def make_inaccessible(self, session_id: str, now: datetime, by: str | None) -> Receipt:
        """Let nobody read a session from now on, and have the next `finish_erasures` erase it:
        copies of it may wait in the spool. What of it is sealed until then is dropped (`batch`).
        """
        with self._lock:
            receipt = past_indexes(self._engine, lambda: self._asked(ERASURE, session_id, now, by))
            self._behind[session_id] = self._sealer.queue.mark(receipt.owner)
            return receipt

    def _asked(self, kind: str, session_id: str, now: datetime, by: str | None = None) -> Receipt:
        due = self._due([session_id], self._owner(session_id))
        with self._denying([session_id], now, buried=kind == ERASURE) as connection:
            (receipt,) = self.receipts.request(kind, due, now, by=by, denied_by=connection)
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
                due = self._due(some, owner)
                with self._denying(some, now) as connection:
                    asked = self.receipts.request(
                        ERASURE, due, now, by=by, part_of=part_of, denied_by=connection
                    )
                self._drive(asked, now)
        with self._lock:
            self._tombstones.forget(owner)
        self._reclaim_as_far()
        with self._lock:
            self._stored.forget(owner)
            self.receipts.reclaimed(now)

    def finish_erasures(self, now: datetime, *, at_once: str | None = None) -> int:
        """Drive on the erasures that a crash or a failing store has interrupted, and those whose
        copies in the spool are sealed, that is dropped, by now; of the owner `at_once` all. How
        many.
        """
        with self._lock:
            begun, left = self.receipts.going_and_gone(select(sessions.c.id))
            gone = {receipt.id for receipt in left}
            going = [
                receipt
                for receipt in (*begun, *left)
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
        """Drive receipts of sessions on, as far as holds allow. That one's key is destroyed is
        noted with the end of its rows.
        """
        self._deny([receipt for receipt in some if receipt.state == REQUESTED], now)
        held = self._holds.held()
        for subject in held.intersection(receipt.subject for receipt in some):
            self._holds.secure(subject)
        self._keyring.destroy([subject_of(receipt.subject) for receipt in some])
        waiting = [receipt for receipt in some if receipt.subject in held]
        self.receipts.advance_all(waiting, DEFERRED, now)
        going = [receipt for receipt in some if receipt.subject not in held]
        for receipt in some:
            self._behind.pop(receipt.subject, None)
        if going:
            names = [receipt.subject for receipt in going]
            try:
                self.remove_rows(names, now, lambda with_: self.receipts.let_go(going, now, with_))
            except StorageError:  # their keys are gone, whatever keeps the rows
                self.receipts.let_go(going, now)
                raise

    def _deny(self, asked: list[Receipt], now: datetime) -> None:
        """Go on with what was asked for by who did not deny it at once."""
        deleted = [one.kind == ERASURE and not one.part_of for one in asked]
        for buried in {*deleted}:
            some = [one for one, goes in zip(asked, deleted, strict=True) if goes == buried]
            names = [one.subject for one in some]
            with self._denying(names, now, buried=buried) as connection:
                self.receipts.advance_all(some, INACCESSIBLE, now, connection)

    @contextmanager
    def _denying(
        self, names: Sequence[str], now: datetime, *, buried: bool = False
    ) -> Iterator[Connection]:
        """The transaction since which nobody reads these sessions. Past its `expires_at` nothing of
        one is shown, nor does it go on, and `_PAST` is so by any clock. `buried`: their owner
        deleted them, so each gets its tombstone.
        """
        digests = {name: self._digests_of(name) for name in names} if buried else {}
        with storage_errors("the vault's index"), self._engine.begin() as connection:
            connection.execute(
                update(sessions).where(among(sessions.c.id, names)).values(expires_at=_PAST)
            )
            for name, (owner, some) in digests.items():
                self._tombstones.bury_session(connection, name, owner, some, now)
            yield connection

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
        self._reclaim_as_far()

    def end(self, query: Query, now: datetime) -> None:
        """End the sessions whose ids a query finds, past their time by themselves, as far as holds
        allow.
        """
        with self._lock:
            with storage_errors("the vault's index"), reading(self._engine) as connection:
                found = list(connection.execute(query).scalars())
            for session_id in found:
                if not any(receipt.kind != EXPIRY for receipt in self.receipts.all(session_id)):
                    self._drive([self._asked(HELD_EXPIRY, session_id, now)], now)

    def _reclaim_as_far(self) -> None:
        """Reclaim, as far as the object store lets. What it keeps has no key any more, whoever
        asked need not wait for it, and the next sweep goes on.
        """
        with suppress(StorageError):
            self.reclaim()

    def reclaim(self) -> int:
        """Remove the segments that no record is left in; how many.

        Raises:
            StorageError: the object store or the index failed; call again.
        """
        used = exists().where(exchanges.c.segment_id == segments.c.id)
        with self._lock:  # no record comes into one that is empty now
            with storage_errors("the vault's index"), reading(self._engine) as connection:
                empty = list(connection.execute(select(segments.c.id).where(~used)).scalars())
            gone = self._segments.let_go(empty)
        for segment_id in gone:
            self._segments.remove(segment_id)
        with self._lock:
            self._stored.reclaimed()
        return len(gone)

    def remove_rows(
        self,
        session_ids: list[str],
        now: datetime,
        note: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Remove what the index has of sessions. `note` is called within the transaction."""
        if not session_ids:
            return
        with storage_errors("the vault's index"), writing_much(self._engine) as connection:
            # Of a row that is not what was written what is under its number may be another's.
            own = select(sessions.c.number).where(
                among(sessions.c.id, session_ids), or_(HAS_SOME, sound(sessions))
            )
            numbers = list(connection.execute(own).scalars())
            sums = self._stored.remove(connection, session_ids, numbers)
            depart(connection, self._key, session_ids, now)
            for number in (exchanges.c.session, session_words.c.session):
                theirs = among_numbers(number, numbers)
                connection.execute(delete(number.table).where(theirs))
            for column in (
                conversation_links.c.session_id,
                kept_sessions.c.session_id,
                sessions.c.id,
            ):
                connection.execute(delete(column.table).where(among(column, session_ids)))
            note(connection)
        self._stored.note(sums)
        self._sealer.forget(session_ids)

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
