"""What is known of cloud sessions without their content: whose they are, their states, in the open.

The audit record's entry and the change of state that it records are one transaction.

Rows: C4.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Engine, Row, func, insert, select, true, update

from bailee.cloud.ports import End
from bailee.cloud.sessions.states import SessionState, may_follow
from bailee.db.checks import sound
from bailee.db.cloud import cloud_sessions
from bailee.db.engine import reading, storage_errors
from bailee.db.pages import cut, following, place
from bailee.errors import InputError
from bailee.ledger import Ledger

WHAT: Final = "the cloud sessions"
"""As errors of the database name what can't be read or written."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session without its content. See `bailee.db.cloud`."""

    id: str
    owner: str
    by: str
    plan: str
    zero_retention: bool
    agent: str
    network: str
    state: SessionState
    end: End | None
    problem: str | None
    security: str | None
    transcript: str | None
    created_at: datetime
    started_at: datetime | None
    last_activity: datetime
    ended_at: datetime | None


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


_COLUMNS: Final = [cloud_sessions.c[name] for name in SessionRecord.__slots__]


class SessionRecords:
    """The rows of a home's cloud sessions. Its methods may be called from any thread.

    `Store` makes it and has it; who leads sessions changes states by it, operations read. It asks
    nobody whether an actor may, and knows no content.
    """

    def __init__(
        self, engine: Engine, ledger: Ledger, lock: AbstractContextManager[object]
    ) -> None:
        """`lock`: its store's, held while a state is looked at and changed."""
        self._engine = engine
        self._ledger = ledger
        self._lock = lock

    def add(self, record: SessionRecord) -> None:
        """A new session."""
        with storage_errors(WHAT), self._engine.begin() as connection:
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

    def get(self, session_id: str) -> SessionRecord:
        """A session.

        Raises:
            InputError: code `not_found`.
        """
        query = select(*_COLUMNS).where(cloud_sessions.c.id == session_id, sound(cloud_sessions))
        with storage_errors(WHAT), reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise InputError(
                "there is no such cloud session.",
                code="not_found",
                hint="see `bailee cloud list`",
            )
        return _record(row)

    def all(self, owner: str | None = None) -> list[SessionRecord]:
        """Sessions, the latest first."""
        return self._select(true() if owner is None else cloud_sessions.c.owner == owner)

    def page(
        self, visible: Visible | None, *, state: SessionState | None, after: str | None, limit: int
    ) -> tuple[list[SessionRecord], str | None]:
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

    def _select(self, *where: ColumnElement[bool], limit: int | None = None) -> list[SessionRecord]:
        query = (
            select(*_COLUMNS)
            .where(sound(cloud_sessions), *where)
            .order_by(cloud_sessions.c.created_at.desc(), cloud_sessions.c.id)
            .limit(limit)
        )
        with storage_errors(WHAT), reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(query)]

    def unended(self) -> list[SessionRecord]:
        """The sessions that have not ended, the oldest first."""
        query = (
            select(*_COLUMNS)
            .where(sound(cloud_sessions))
            .where(cloud_sessions.c.state != SessionState.ENDED)
            .order_by(cloud_sessions.c.created_at)
        )
        with storage_errors(WHAT), reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(query)]

    def change(
        self,
        session_id: str,
        state: SessionState,
        now: datetime,
        *,
        entry: tuple[str, Mapping[str, str | int | float | bool | None]] | None = None,
        end: End | None = None,
        problem: str | None = None,
    ) -> SessionRecord:
        """Bring a session to a state, with an entry of the audit record in the same transaction.
        `end`, `problem`: why it has ended, if it has.

        Raises:
            InputError: it can't come there from where it is.
        """
        with self._lock:
            before = self.get(session_id)
            if not may_follow(before.state, state):
                raise InputError(f"a session that is {before.state} can't become {state}.")
            after = replace(
                before,
                state=state,
                last_activity=now,
                end=end,
                problem=problem,
                ended_at=now if state is SessionState.ENDED else None,
            )
            with storage_errors(WHAT), self._engine.begin() as connection:
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
        with storage_errors(WHAT), self._engine.begin() as connection:
            connection.execute(
                update(cloud_sessions)
                .where(cloud_sessions.c.id == session_id)
                .values(started_at=now, security=security)
            )
            self._ledger.append("cloud.session_started", session_id, body, connection=connection)

    def name_transcript(self, session_id: str, transcript: str) -> None:
        """Note which session of the vault is the conversation of this one."""
        with storage_errors(WHAT), self._engine.begin() as connection:
            connection.execute(
                update(cloud_sessions)
                .where(cloud_sessions.c.id == session_id)
                .values(transcript=transcript)
            )

    def unended_count(self, owner: str | None = None) -> int:
        """How many sessions have not ended, of an owner or of all."""
        query = select(func.count()).where(cloud_sessions.c.state != SessionState.ENDED)
        if owner is not None:
            query = query.where(cloud_sessions.c.owner == owner)
        with storage_errors(WHAT), reading(self._engine) as connection:
            return int(connection.execute(query).scalar() or 0)


def _values(record: SessionRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in SessionRecord.__slots__}


def _record(row: Row[tuple[object, ...]]) -> SessionRecord:
    values = dict(row._mapping)
    values["state"] = SessionState(values["state"])
    values["end"] = None if values["end"] is None else End(values["end"])
    return SessionRecord(**values)
