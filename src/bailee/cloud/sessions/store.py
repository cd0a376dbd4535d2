"""What cloud sessions leave: content, sealed. What they are, in the open, is in `records`.

Rules kept here:

* No content is kept without terms, and terms come from the policy: for each data class (`OUTPUT`,
  `DIFF`, `EGRESS`) a session has terms or none, and what has none is never written.
* Each class of a session has a key of its own in the keyring, which expires with it. The key goes
  first; rows follow.
* What is past its time is not read, whether or not a sweep has been.
* A legal hold on a session holds every class of it, and what comes to it later (`keeping`).

Rows: C4, R6.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
import zstandard
from sqlalchemy import ColumnElement, Engine, Row, delete, insert, not_, select, update

from bailee.clock import Clock
from bailee.cloud.sessions.records import WHAT, SessionRecord, SessionRecords
from bailee.db.checks import sound
from bailee.db.cloud import cloud_holdings, cloud_pieces, cloud_sessions
from bailee.db.engine import reading, storage_errors
from bailee.errors import IntegrityError
from bailee.json_lines import line
from bailee.json_values import JsonObject, members
from bailee.keeping.ending import Ending
from bailee.keeping.holds import Holds
from bailee.keeping.keeper import KeyOf, Owner
from bailee.keeping.receipts import Due, Receipt, Receipts, is_deferred
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES, associated, seal, unseal
from bailee.ledger import Ledger
from bailee.policy.period import expires_at
from bailee.vault.exchange import Terms

OUTPUT: Final = "cloud_output"
DIFF: Final = "cloud_diff"
EGRESS: Final = "egress_record"
CLASSES: Final = (OUTPUT, DIFF, EGRESS)
ERASURE: Final = "cloud_erasure"
EXPIRY: Final = "cloud_expiry"
_PORTION: Final = 200
_DEFERRED: Final = is_deferred(cloud_holdings.c.session_id, cloud_holdings.c.data_class)

TermsOf = Callable[[str, str, bool], Mapping[str, Terms]]
"""By owner, plan and zero retention: the terms of each data class that may be kept."""


@dataclass(frozen=True, slots=True)
class SessionHolding:
    """What is kept of a session in one data class."""

    session_id: str
    data_class: str
    terms: Terms
    expires_at: datetime
    pieces: int
    bytes: int


class Store:
    """What the cloud sessions of a home leave, a `keeping.keeper.Keeper` of it; it has their
    `records`. Its methods may be called from any thread.
    """

    name: Final = "cloud"
    what: Final = "cloud session"
    prefix: Final = "cs-"

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        ledger: Ledger,
        clock: Clock,
        terms: TermsOf,
        holds: Holds,
        receipts: Receipts,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._ledger = ledger
        self._clock = clock
        self._terms = terms
        self._holds = holds
        self._receipts = receipts
        self._ending = Ending(self, frozenset({ERASURE, EXPIRY}), keyring, holds, receipts)
        self.lock = threading.RLock()
        holds.register(self)
        self.records = SessionRecords(engine, ledger, self.lock)
        """What the sessions are, without what they left."""

    # -- content ---------------------------------------------------------------------------------

    def keeps(self, record: SessionRecord, data_class: str) -> bool:
        """Whether the policy lets this class of a session be kept."""
        return data_class in self._terms(record.owner, record.plan, record.zero_retention)

    def append(
        self, record: SessionRecord, data_class: str, content: object, now: datetime
    ) -> bool:
        """Keep one more piece; whether it was kept: what has no terms is not."""
        return self._write(record, data_class, content, now, instead=False)

    def replace(
        self, record: SessionRecord, data_class: str, content: object, now: datetime
    ) -> bool:
        """Keep this instead of what is kept; whether it was."""
        return self._write(record, data_class, content, now, instead=True)

    def _write(
        self,
        record: SessionRecord,
        data_class: str,
        content: object,
        now: datetime,
        *,
        instead: bool,
    ) -> bool:
        terms = self._terms(record.owner, record.plan, record.zero_retention).get(data_class)
        if terms is None:
            return False
        with self.lock:
            held = self._holding(record.id, data_class)
            past = held is not None and held.expires_at <= now
            if past and self._places(_of(record.id, data_class), _DEFERRED):
                return False  # what was denied to everybody is not gone on with
            until = expires_at(now, terms.period)
            number = 0 if held is None else held.pieces
            key = self._keyring.dek(_subject(record.id, data_class), data_class, until).key
            if held is None:
                self._holds.secure(record.id)
            packed = zstandard.compress(orjson.dumps(content))
            about = _about(record.id, data_class, number)
            sealed = seal(key, packed, about, os.urandom(NONCE_BYTES))
            size = len(sealed) if held is None or instead else held.bytes + len(sealed)
            with storage_errors(WHAT), self._engine.begin() as connection:
                connection.execute(delete(cloud_holdings).where(_of(record.id, data_class)))
                connection.execute(
                    insert(cloud_holdings).values(
                        session_id=record.id,
                        data_class=data_class,
                        period=terms.period,
                        clause=terms.clause,
                        document=terms.document,
                        expires_at=until,
                        pieces=number + 1,
                        bytes=size,
                    )
                )
                if instead:
                    connection.execute(
                        delete(cloud_pieces).where(
                            cloud_pieces.c.session_id == record.id,
                            cloud_pieces.c.data_class == data_class,
                        )
                    )
                connection.execute(
                    insert(cloud_pieces).values(
                        session_id=record.id, data_class=data_class, number=number, sealed=sealed
                    )
                )
            return True

    def read(self, session_id: str, data_class: str, now: datetime) -> Iterator[JsonObject]:
        """What is kept of one class, in order; nothing when it is past its time.

        Raises:
            IntegrityError: the bytes are not what was written.
        """
        held = self._holding(session_id, data_class)
        if held is None or held.expires_at <= now:
            return
        try:
            key = self._keyring.get(_subject(session_id, data_class)).key
        except IntegrityError as error:
            if error.code != "key_destroyed":
                raise
            return
        yield from self._pieces(session_id, data_class, key)

    def _pieces(self, session_id: str, data_class: str, key: bytes) -> Iterator[JsonObject]:
        query = (
            select(cloud_pieces.c.number, cloud_pieces.c.sealed)
            .where(cloud_pieces.c.session_id == session_id, cloud_pieces.c.data_class == data_class)
            .order_by(cloud_pieces.c.number)
        )
        with storage_errors(WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        for number, sealed in rows:
            about = _about(session_id, data_class, number)
            packed = unseal(key, sealed, about, "a piece of a cloud session")
            yield members(orjson.loads(zstandard.decompress(packed)))

    def holdings(self, session_id: str | None = None) -> list[SessionHolding]:
        """What is kept, of a session or of all."""
        query = select(cloud_holdings).where(sound(cloud_holdings))
        if session_id is not None:
            query = query.where(cloud_holdings.c.session_id == session_id)
        with storage_errors(WHAT), reading(self._engine) as connection:
            return [_held(row) for row in connection.execute(query)]

    # -- forgetting ------------------------------------------------------------------------------

    def sweep(self, now: datetime) -> dict[str, int]:
        """Finish what was begun, and destroy what is past its time; in how many classes of sessions
        there was something.

        Raises:
            StorageError: a store failed; the next sweep goes on.
        """
        with self.lock:
            gone = self._ending.finish(now)
        gone += self._ending.end_all(
            EXPIRY,
            lambda: self._due(cloud_holdings.c.expires_at <= now, sound(cloud_holdings)),
            now,
            lock=self.lock,
        )
        return {"cloud": gone + self._remove_unsound()}

    def _remove_unsound(self) -> int:
        """Remove what is kept of rows that are not sound, once its key is gone with its epoch."""
        held = self._holds.held()
        found = [one for one in self._places(not_(sound(cloud_holdings))) if one[0] not in held]
        living = set(self._keyring.living([_subject(*one) for one in found]))
        gone = [one for one in found if _subject(*one) not in living]
        for one in gone:
            self._remove(*one, "cloud.expired")
        return len(gone)

    def _due(self, *where: ColumnElement[bool]) -> list[Due]:
        """Some of what is kept of which that is true, and whose end waits for no hold."""
        table = cloud_holdings.c
        query = (
            select(table.session_id, table.data_class, cloud_sessions.c.owner)
            .outerjoin(cloud_sessions, cloud_sessions.c.id == table.session_id)
            .where(not_(_DEFERRED), *where)
            .limit(_PORTION)
        )
        with storage_errors(WHAT), reading(self._engine) as connection:
            return [
                Due(session, [_subject(session, data_class)], owner, data_class)
                for session, data_class, owner in connection.execute(query)
            ]

    def _places(self, *where: ColumnElement[bool]) -> list[tuple[str, str]]:
        """Where something is kept, a session and a data class; sound or not."""
        columns = (cloud_holdings.c.session_id, cloud_holdings.c.data_class)
        with storage_errors(WHAT), reading(self._engine) as connection:
            rows = connection.execute(select(*columns).where(*where))
            return [(row.session_id, row.data_class) for row in rows]

    def follow(self, account_id: str, chosen_at: datetime | None, policy: int) -> None:  # noqa: ARG002
        """Let what is kept of an account's sessions follow its present choice where that is
        shorter. What is longer now reaches only what goes on.
        """
        now = self._clock()
        with self.lock:
            for record in self.records.all(account_id):
                present = self._terms(record.owner, record.plan, record.zero_retention)
                for held in self.holdings(record.id):
                    terms = present.get(held.data_class)
                    if held.expires_at <= now:
                        continue  # the sweep's
                    if terms is None:
                        self._ending.begin(EXPIRY, self._due(_of(record.id, held.data_class)), now)
                    elif (
                        until := expires_at(record.last_activity, terms.period)
                    ) < held.expires_at:
                        self._shorten(held, terms, until)

    def _shorten(self, held: SessionHolding, terms: Terms, until: datetime) -> None:
        with self.lock:
            self._keyring.dek(_subject(held.session_id, held.data_class), held.data_class, until)
            with storage_errors(WHAT), self._engine.begin() as connection:
                connection.execute(
                    update(cloud_holdings)
                    .where(_of(held.session_id, held.data_class))
                    .values(
                        period=terms.period,
                        clause=terms.clause,
                        document=terms.document,
                        expires_at=until,
                    )
                )

    def delete(self, session_id: str, now: datetime, *, by: str) -> list[Receipt]:
        """Destroy all that is kept of a session, as far as holds allow: a receipt for each class.

        Raises:
            StorageError: a store failed; if there is a receipt, the next sweep finishes it.
        """
        with self.lock:
            some = self._due(cloud_holdings.c.session_id == session_id)
            return self._ending.begin(ERASURE, some, now, by=by)

    # -- as a keeper -----------------------------------------------------------------------------

    def is_kept(self, thing: str, now: datetime) -> bool:
        """Whether something is kept of a session at `now`."""
        return any(one.expires_at > now for one in self.holdings(thing))

    def keys_of(self, thing: str) -> dict[str, str]:
        """A key for each class, whether there is something of it yet or not."""
        return {data_class: _subject(thing, data_class) for data_class in CLASSES}

    def resume(self, thing: str, now: datetime) -> None:
        """Go on with what holds have deferred."""
        self._ending.resume(thing, now)

    def read_held(self, thing: str, key_of: KeyOf) -> Iterator[bytes]:
        """What a held session left: one line for what is known of it, one for each piece."""
        record = self.records.get(thing)
        yield line({"type": "cloud_session", "id": thing, "account": record.owner})
        for data_class in sorted(one.data_class for one in self.holdings(thing)):
            key = key_of(data_class)
            for piece in () if key is None else self._pieces(thing, data_class, key):
                yield line({"type": "piece", "data_class": data_class, "piece": piece})

    def erase(self, whose: Owner, now: datetime, part_of: str, by: str) -> None:
        """Destroy all that is kept of an owner's sessions, as a part of an erasure. Can be broken
        off and repeated.

        Raises:
            StorageError: a store failed; call again.
        """
        if whose.account_id is None:
            return
        theirs = cloud_sessions.c.owner == whose.account_id
        owned = select(cloud_sessions.c.id).where(theirs)
        of_them = cloud_holdings.c.session_id.in_(owned)
        with self.lock:
            self._ending.finish(now)
            deferred = self._places(of_them, _DEFERRED)
            self._receipts.take_over([session for session, _ in deferred], part_of)
            self._ending.end_all(
                ERASURE, lambda: self._due(theirs), now, lock=self.lock, by=by, part_of=part_of
            )

    # -- as its endings see it -------------------------------------------------------------------

    def key_of(self, receipt: Receipt) -> str:
        """The name of the key of a session's class."""
        return _subject(receipt.subject, receipt.data_class)

    def deny(self, receipt: Receipt, now: datetime) -> None:
        """Past its time nobody reads what is kept."""
        of_it = _of(receipt.subject, receipt.data_class)
        with storage_errors(WHAT), self._engine.begin() as connection:
            connection.execute(
                update(cloud_holdings)
                .where(of_it, cloud_holdings.c.expires_at > now)
                .values(expires_at=now)
            )

    def remove(self, receipt: Receipt) -> None:
        """Remove the rows of a session's class."""
        kind = "cloud.expired" if receipt.kind == EXPIRY else "cloud.erased"
        self._remove(receipt.subject, receipt.data_class, kind)

    def _remove(self, session_id: str, data_class: str, kind: str) -> None:
        query = select(cloud_holdings.c.clause).where(_of(session_id, data_class))
        with storage_errors(WHAT), self._engine.begin() as connection:
            clause = connection.execute(query).scalar()
            connection.execute(
                delete(cloud_pieces).where(
                    cloud_pieces.c.session_id == session_id,
                    cloud_pieces.c.data_class == data_class,
                )
            )
            connection.execute(delete(cloud_holdings).where(_of(session_id, data_class)))
            if clause is not None:
                body = {"data_class": data_class, "clause": clause}
                self._ledger.append(kind, session_id, body, connection=connection)

    # -- inside ----------------------------------------------------------------------------------

    def _holding(self, session_id: str, data_class: str) -> SessionHolding | None:
        return next((h for h in self.holdings(session_id) if h.data_class == data_class), None)


def _subject(session_id: str, data_class: str) -> str:
    return f"cloud/{session_id}/{data_class}"


def _about(session_id: str, data_class: str, number: int) -> bytes:
    return associated("bailee/cloud/1", session_id, data_class, number)


def _of(session_id: str, data_class: str) -> ColumnElement[bool]:
    """The condition that a holding is this one."""
    table = cloud_holdings.c
    return (table.session_id == session_id) & (table.data_class == data_class)


def _held(row: Row[tuple[object, ...]]) -> SessionHolding:
    return SessionHolding(
        row.session_id,
        row.data_class,
        Terms(row.period, row.clause, row.document),
        row.expires_at,
        row.pieces,
        row.bytes,
    )
