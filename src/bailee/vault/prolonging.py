"""A session that its person keeps beyond its time, by an act of their own.

    keeping → kept → releasing → released

Rules kept here:

* It is an act about one session, until a day that a clause has allowed. It only ever lengthens:
  what the session is on by itself (`terms`) goes on beside it, and the later day counts.
* What nobody can read any more is not kept, and nothing brings it back: not an act that a crash has
  broken off, nor a restore. A deletion, an erasure and a hold are stronger.
* To keep is no activity: nothing is trained on, moved or asked anew because of it.
* Each step is noted before it is taken, and can be taken twice; a crash is found by its state. The
  next sweep finishes it before it destroys anything.
* Where keeping is forbidden afterwards, what is kept stays a week more: so its people are told.

Rows: O7.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Engine, delete, func, insert, select, update

from bailee.damage import Damages
from bailee.db.among import among
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.vault import kept_sessions, sessions
from bailee.errors import InputError
from bailee.keeping.receipts import Record
from bailee.keyring import Keyring, Want
from bailee.vault.exchange import Terms
from bailee.vault.record import subject_of
from bailee.vault.terms import end_of

KEEPING: Final = "keeping"
KEPT: Final = "kept"
RELEASING: Final = "releasing"
RELEASED: Final = "released"

NOTICE: Final = timedelta(days=7)
"""How long before its end people are told of a session."""

_WHAT: Final = "the vault's index"


@dataclass(frozen=True, slots=True)
class KeepingAct:
    """Who keeps a session since when, until when, and on what terms that is allowed."""

    by: str
    since: datetime
    until: datetime
    terms: Terms


@dataclass(frozen=True, slots=True)
class ProlongedSession:
    """The latest act about a session, and how far it is. `period`, `clause`, `document`: by which
    it was allowed; `released_at`: when it was taken back.
    """

    session_id: str
    owner: str
    by: str
    since: datetime
    until: datetime
    period: str
    clause: str
    document: str
    state: str
    released_at: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it keeps the session now."""
        return self.state in (KEEPING, KEPT) and now < self.until


_COLUMNS: Final = tuple(kept_sessions.c[one.name] for one in fields(ProlongedSession))


class Prolonging:
    """The acts by which sessions of one vault are kept. The vault makes it; operations, the sweep
    and a restore call it, on any thread. It decides neither who may nor until when: the operations
    do. It destroys nothing.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        record: Record,
        lock: AbstractContextManager[object],
        damages: Damages,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._record = record
        self._lock = lock  # the vault's
        self._damages = damages

    def keep(self, session_id: str, act: KeepingAct, at: datetime) -> None:
        """Keep a session that can be read `at` a moment; a new act takes the place of an older.

        Raises:
            InputError: `not_found`: there is no such session, or no more.
            StorageError: a store failed; if it is on record, the next sweep finishes it.
        """
        with self._lock:
            row = self._living(session_id, at)
            if row is None:
                raise InputError(
                    "there is no such session, or no more.",
                    code="not_found",
                    hint="what can be listed can be kept",
                )
            values = {
                "session_id": session_id,
                "owner": row.owner,
                "by": act.by,
                "since": act.since,
                "until": act.until,
                "period": act.terms.period,
                "clause": act.terms.clause,
                "document": act.terms.document,
                "state": KEEPING,
                "released_at": None,
            }
            said: dict[str, str | int | float | bool | None] = {
                "until": int(act.until.timestamp()),
                "period": act.terms.period,
                "clause": act.terms.clause,
                "document": act.terms.document,
                "by": act.by,
            }
            self._record("session.kept", session_id, said)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                # A change would not make an older act sound that is not.
                older = delete(kept_sessions).where(kept_sessions.c.session_id == session_id)
                connection.execute(older)
                connection.execute(insert(kept_sessions).values(values))
            self._apply(session_id, at)

    def release(self, session_id: str, by: str, now: datetime, at: datetime) -> None:
        """Take it back: the session goes by its own time again, which may be over. What is not
        kept is as it was.

        Raises:
            InputError: `not_found`: there is no such session, or no more.
            StorageError: a store failed; if it is on record, the next sweep finishes it.
        """
        with self._lock:
            if self._living(session_id, at) is None:
                raise InputError("there is no such session, or no more.", code="not_found")
            if not self._select(kept_sessions.c.session_id == session_id, _under_way_or_kept()):
                return
            self._record("session.released", session_id, {"by": by})
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    update(kept_sessions)
                    .where(kept_sessions.c.session_id == session_id)
                    .values(state=RELEASING, released_at=now)
                )
            self._apply(session_id, at)

    def shorten(self, owner: str, by: str, now: datetime, at: datetime) -> int:
        """Let what is kept of an owner stay a week more at most; how many acts that shortened.

        Raises:
            StorageError: a store failed; call again.
        """
        until = now + NOTICE
        late = kept_sessions.c.owner == owner, kept_sessions.c.until > until, _under_way_or_kept()
        shortened = self._select(*late)
        for one in shortened:
            terms = Terms(one.period, one.clause, one.document)
            with self._lock:
                if self._living(one.session_id, at) is not None:
                    self.keep(one.session_id, KeepingAct(by, one.since, until, terms), at)
        return len(shortened)

    def finish(self, at: datetime) -> int:
        """Finish what was broken off; of how many.

        Raises:
            StorageError: a store failed; call again.
        """
        found = self._select(kept_sessions.c.state.in_((KEEPING, RELEASING)))
        for one in found:
            with self._lock:
                self._apply(one.session_id, at)
        return len(found)

    def of(self, session_ids: Sequence[str]) -> dict[str, ProlongedSession]:
        """The acts about these sessions, those that were taken back too."""
        found = self._select(among(kept_sessions.c.session_id, session_ids))
        return {one.session_id: one for one in found}

    def owned(self, owner: str) -> list[ProlongedSession]:
        """The acts about an owner's sessions, oldest first."""
        return self._select(kept_sessions.c.owner == owner)

    def count(self, now: datetime) -> int:
        """How many sessions are kept so."""
        query = (
            select(func.count())
            .select_from(kept_sessions)
            .where(kept_sessions.c.state == KEPT, kept_sessions.c.until > now, sound(kept_sessions))
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    # -- inside ----------------------------------------------------------------------------------

    def _apply(self, session_id: str, at: datetime) -> None:
        """Let key and index follow what is noted; first the key, as `moving` does it. Of what is
        past its time nothing is touched: the sweep has it, and the act goes with its row.
        """
        acts = self._select(kept_sessions.c.session_id == session_id)
        row = self._living(session_id, at)
        if not acts or row is None:
            return
        kept = acts[0].state in (KEEPING, KEPT)
        wanted = acts[0].until if kept else None
        until = end_of(row.last_activity, row.period, wanted)
        want = Want(subject_of(session_id), row.data_class, until)
        if self._keyring.move([want]).damaged:
            self._damages.note(f"session {session_id}", "its key does not open.")
            self._record("retention.key_damaged", session_id, {})
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(sessions)
                .where(sessions.c.id == session_id)
                .values(kept_until=wanted, expires_at=until)
            )
            connection.execute(
                update(kept_sessions)
                .where(kept_sessions.c.session_id == session_id)
                .values(state=KEPT if kept else RELEASED)
            )

    def _living(self, session_id: str, at: datetime) -> DbRow | None:
        query = select(sessions).where(
            sessions.c.id == session_id, sessions.c.expires_at > at, sound(sessions)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(query).first()

    def _select(self, *where: ColumnElement[bool]) -> list[ProlongedSession]:
        query = select(*_COLUMNS).where(*where, sound(kept_sessions))
        query = query.order_by(kept_sessions.c.since, kept_sessions.c.session_id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [ProlongedSession(*row) for row in connection.execute(query)]


def _under_way_or_kept() -> ColumnElement[bool]:
    return kept_sessions.c.state.in_((KEEPING, KEPT))
