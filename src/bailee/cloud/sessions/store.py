"""What is kept of cloud sessions: their states in the open, all that is content sealed.

Rules kept here:

* No content is kept without terms, and terms come from the policy: for each data class (`OUTPUT`,
  `DIFF`, `EGRESS`) a session has terms or none, and what has none is never written.
* Each class of a session has a key of its own in the keyring, which expires with it. The key goes
  first; rows follow.
* The audit record's entry and the change of state that it records are one transaction.
* What is past its time is not read, whether or not a sweep has been.

Rows: C4.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
import zstandard
from sqlalchemy import ColumnElement, Engine, delete, func, insert, not_, select, true, update

from bailee.cloud.ports import End
from bailee.cloud.sessions.states import State, may_follow
from bailee.db.checks import sound
from bailee.db.cloud import cloud_holdings, cloud_pieces, cloud_sessions
from bailee.db.engine import reading, storage_errors
from bailee.db.pages import cut, following, place
from bailee.errors import InputError, IntegrityError
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES, associated, seal, unseal
from bailee.ledger import Ledger
from bailee.policy.period import expires_at
from bailee.vault.exchange import Terms

OUTPUT: Final = "cloud_output"
DIFF: Final = "cloud_diff"
EGRESS: Final = "egress_record"
CLASSES: Final = (OUTPUT, DIFF, EGRESS)
_WHAT: Final = "the cloud sessions"
_PORTION: Final = 200

_Place = tuple[str, str, str]
"""A session, a data class, and the clause by which something is kept."""

TermsOf = Callable[[str, str, bool], Mapping[str, Terms]]
"""By owner, plan and zero retention: the terms of each data class that may be kept."""


@dataclass(frozen=True, slots=True)
class Record:
    """A session without its content. See `bailee.db.cloud`."""

    id: str
    owner: str
    by: str
    plan: str
    zero_retention: bool
    agent: str
    network: str
    state: State
    end: End | None
    problem: str | None
    security: str | None
    transcript: str | None
    created_at: datetime
    started_at: datetime | None
    last_activity: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Holding:
    """What is kept of a session in one data class."""

    session_id: str
    data_class: str
    terms: Terms
    expires_at: datetime
    pieces: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Visible:
    """Which sessions somebody may see: all of the accounts `whole`; of the accounts `part` those
    that they asked for themselves, as `by`.
    """

    whole: frozenset[str]
    part: frozenset[str]
    by: str

    @property
    def condition(self) -> ColumnElement[bool]:
        """As the database understands it."""
        table = cloud_sessions.c
        return table.owner.in_(self.whole) | (table.owner.in_(self.part) & (table.by == self.by))


_COLUMNS: Final = [cloud_sessions.c[name] for name in Record.__slots__]


class Store:
    """The cloud sessions of a home. Its methods may be called from any thread."""

    def __init__(self, engine: Engine, *, keyring: Keyring, ledger: Ledger, terms: TermsOf) -> None:
        self._engine = engine
        self._keyring = keyring
        self._ledger = ledger
        self._terms = terms
        self._lock = threading.RLock()

    # -- sessions --------------------------------------------------------------------------------

    def add(self, record: Record) -> None:
        """A new session."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(insert(cloud_sessions).values(**_values(record)))
            self._ledger.append(
                "cloud.session_requested",
                record.id,
                {
                    "account": record.owner,
                    "by": record.by,
                    "agent": record.agent,
                    "network": record.network,
                    "zero_retention": record.zero_retention,
                },
                connection=connection,
            )

    def get(self, session_id: str) -> Record:
        """A session.

        Raises:
            InputError: code `not_found`.
        """
        query = select(*_COLUMNS).where(cloud_sessions.c.id == session_id, sound(cloud_sessions))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise InputError(
                "there is no such cloud session.",
                code="not_found",
                hint="see `bailee cloud list`",
            )
        return _record(row)

    def all(self, owner: str | None = None) -> list[Record]:
        """Sessions, the latest first."""
        return self._select(true() if owner is None else cloud_sessions.c.owner == owner)

    def page(
        self, visible: Visible | None, *, state: State | None, after: str | None, limit: int
    ) -> tuple[list[Record], str | None]:
        """Sessions that somebody may see (None: all), the latest first, of one state if it is
        given; and the place where more follow (`db.pages`).

        Raises:
            InputError: there is no such place.
        """
        found = self._select(
            true() if visible is None else visible.condition,
            true() if state is None else cloud_sessions.c.state == state,
            following(cloud_sessions.c.created_at, cloud_sessions.c.id, after),
            limit=limit + 1,
        )
        return cut(found, limit, lambda one: place(one.created_at, one.id))

    def _select(self, *where: ColumnElement[bool], limit: int | None = None) -> list[Record]:
        query = (
            select(*_COLUMNS)
            .where(sound(cloud_sessions), *where)
            .order_by(cloud_sessions.c.created_at.desc(), cloud_sessions.c.id)
            .limit(limit)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(query)]

    def unended(self) -> list[Record]:
        """The sessions that have not ended, the oldest first."""
        query = (
            select(*_COLUMNS)
            .where(sound(cloud_sessions))
            .where(cloud_sessions.c.state != State.ENDED)
            .order_by(cloud_sessions.c.created_at)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(query)]

    def change(
        self,
        session_id: str,
        state: State,
        now: datetime,
        *,
        entry: tuple[str, Mapping[str, str | int | float | bool | None]] | None = None,
        **values: Any,
    ) -> Record:
        """Bring a session to a state, with an entry of the audit record in the same transaction.

        Raises:
            InputError: it can't come there from where it is.
        """
        with self._lock:
            before = self.get(session_id)
            if not may_follow(before.state, state):
                raise InputError(f"a session that is {before.state} can't become {state}.")
            after = replace(before, state=state, last_activity=now, **values)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    update(cloud_sessions)
                    .where(cloud_sessions.c.id == session_id)
                    .values(**_values(after))
                )
                if entry is not None:
                    self._ledger.append(entry[0], session_id, entry[1], connection=connection)
            return after

    def started(
        self, session_id: str, now: datetime, security: str, body: Mapping[str, str]
    ) -> None:
        """Note that a session has its machine, and on whose behalf, in the audit record too."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(cloud_sessions)
                .where(cloud_sessions.c.id == session_id)
                .values(started_at=now, security=security)
            )
            self._ledger.append("cloud.session_started", session_id, body, connection=connection)

    def name_transcript(self, session_id: str, transcript: str) -> None:
        """Note which session of the vault is the conversation of this one."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(cloud_sessions)
                .where(cloud_sessions.c.id == session_id)
                .values(transcript=transcript)
            )

    # -- content ---------------------------------------------------------------------------------

    def keeps(self, record: Record, data_class: str) -> bool:
        """Whether the policy lets this class of a session be kept."""
        return data_class in self._terms(record.owner, record.plan, record.zero_retention)

    def append(self, record: Record, data_class: str, content: object, now: datetime) -> bool:
        """Keep one more piece; whether it was kept: what has no terms is not."""
        return self._write(record, data_class, content, now, instead=False)

    def replace(self, record: Record, data_class: str, content: object, now: datetime) -> bool:
        """Keep this instead of what is kept; whether it was."""
        return self._write(record, data_class, content, now, instead=True)

    def _write(
        self, record: Record, data_class: str, content: object, now: datetime, *, instead: bool
    ) -> bool:
        terms = self._terms(record.owner, record.plan, record.zero_retention).get(data_class)
        if terms is None:
            return False
        with self._lock:
            held = self._holding(record.id, data_class)
            until = expires_at(now, terms.period)
            number = 0 if held is None else held.pieces
            key = self._keyring.dek(_subject(record.id, data_class), data_class, until).key
            packed = zstandard.compress(orjson.dumps(content))
            about = _about(record.id, data_class, number)
            sealed = seal(key, packed, about, os.urandom(NONCE_BYTES))
            of_session = (cloud_holdings.c.session_id == record.id) & (
                cloud_holdings.c.data_class == data_class
            )
            size = len(sealed) if held is None or instead else held.bytes + len(sealed)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(delete(cloud_holdings).where(of_session))
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

    def read(self, session_id: str, data_class: str, now: datetime) -> Iterator[Any]:
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
        query = (
            select(cloud_pieces.c.number, cloud_pieces.c.sealed)
            .where(cloud_pieces.c.session_id == session_id, cloud_pieces.c.data_class == data_class)
            .order_by(cloud_pieces.c.number)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        for number, sealed in rows:
            about = _about(session_id, data_class, number)
            packed = unseal(key, sealed, about, "a piece of a cloud session")
            yield orjson.loads(zstandard.decompress(packed))

    def holdings(self, session_id: str | None = None) -> list[Holding]:
        """What is kept, of a session or of all."""
        query = select(cloud_holdings).where(sound(cloud_holdings))
        if session_id is not None:
            query = query.where(cloud_holdings.c.session_id == session_id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [_held(row) for row in connection.execute(query)]

    # -- forgetting ------------------------------------------------------------------------------

    def sweep(self, now: datetime) -> int:
        """Destroy the keys of what is past its time and remove its rows; how many there were."""
        gone = 0
        while True:
            query = select(cloud_holdings).where(
                cloud_holdings.c.expires_at <= now, sound(cloud_holdings)
            )
            with storage_errors(_WHAT), reading(self._engine) as connection:
                due = [_held(row) for row in connection.execute(query.limit(_PORTION))]
            if not due:
                return gone + self._remove_unsound()
            self._forget([_place(one) for one in due], "cloud.expired")
            gone += len(due)

    def _remove_unsound(self) -> int:
        """Remove what is kept of rows that are not sound, once its key is gone with its epoch."""
        found = self._places(not_(sound(cloud_holdings)))
        living = set(self._keyring.living([_subject(*place[:2]) for place in found]))
        gone = [place for place in found if _subject(*place[:2]) not in living]
        self._forget(gone, "cloud.expired")
        return len(gone)

    def _places(self, which: ColumnElement[bool]) -> list[_Place]:
        """Where something is kept, sound or not."""
        columns = (
            cloud_holdings.c.session_id,
            cloud_holdings.c.data_class,
            cloud_holdings.c.clause,
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(select(*columns).where(which))
            return [(row.session_id, row.data_class, row.clause) for row in rows]

    def follow(self, owner: str) -> int:
        """Let what is kept of an owner's ended sessions follow their present choice where that is
        shorter; how much was moved. What is longer now reaches only what goes on.
        """
        moved = 0
        for record in self.all(owner):
            present = self._terms(record.owner, record.plan, record.zero_retention)
            for held in self.holdings(record.id):
                terms = present.get(held.data_class)
                if terms is None:
                    self._forget([_place(held)], "cloud.expired")
                    moved += 1
                elif (until := expires_at(record.last_activity, terms.period)) < held.expires_at:
                    self._shorten(held, terms, until)
                    moved += 1
        return moved

    def _shorten(self, held: Holding, terms: Terms, until: datetime) -> None:
        with self._lock:
            self._keyring.dek(_subject(held.session_id, held.data_class), held.data_class, until)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    update(cloud_holdings)
                    .where(
                        cloud_holdings.c.session_id == held.session_id,
                        cloud_holdings.c.data_class == held.data_class,
                    )
                    .values(
                        period=terms.period,
                        clause=terms.clause,
                        document=terms.document,
                        expires_at=until,
                    )
                )

    def erase(self, session_id: str) -> int:
        """Destroy all that is kept of a session; in how many classes there was something."""
        held = self._places(cloud_holdings.c.session_id == session_id)
        self._forget(held, "cloud.erased")
        return len(held)

    def erase_owned(self, owner: str) -> int:
        """Destroy all that is kept of an owner's sessions."""
        query = select(cloud_sessions.c.id).where(cloud_sessions.c.owner == owner)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            owned = connection.execute(query).scalars().all()
        return sum(self.erase(session_id) for session_id in owned)

    def _forget(self, some: Sequence[_Place], kind: str) -> None:
        if not some:
            return
        with self._lock:
            self._keyring.destroy([_subject(*place[:2]) for place in some])
            with storage_errors(_WHAT), self._engine.begin() as connection:
                for session_id, data_class, clause in some:
                    for table in (cloud_pieces, cloud_holdings):
                        connection.execute(
                            delete(table).where(
                                table.c.session_id == session_id,
                                table.c.data_class == data_class,
                            )
                        )
                    self._ledger.append(
                        kind,
                        session_id,
                        {"data_class": data_class, "clause": clause},
                        connection=connection,
                    )

    # -- inside ----------------------------------------------------------------------------------

    def unended_count(self, owner: str | None = None) -> int:
        """How many sessions have not ended, of an owner or of all."""
        query = select(func.count()).where(cloud_sessions.c.state != State.ENDED)
        if owner is not None:
            query = query.where(cloud_sessions.c.owner == owner)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return int(connection.execute(query).scalar() or 0)

    def _holding(self, session_id: str, data_class: str) -> Holding | None:
        return next((h for h in self.holdings(session_id) if h.data_class == data_class), None)


def _subject(session_id: str, data_class: str) -> str:
    return f"cloud/{session_id}/{data_class}"


def _about(session_id: str, data_class: str, number: int) -> bytes:
    return associated("bailee/cloud/1", session_id, data_class, number)


def _place(held: Holding) -> _Place:
    return held.session_id, held.data_class, held.terms.clause


def _values(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in Record.__slots__}


def _record(row: Any) -> Record:
    values = dict(row._mapping)
    values["state"] = State(values["state"])
    values["end"] = None if values["end"] is None else End(values["end"])
    return Record(**values)


def _held(row: Any) -> Holding:
    return Holding(
        row.session_id,
        row.data_class,
        Terms(row.period, row.clause, row.document),
        row.expires_at,
        row.pieces,
        row.bytes,
    )
