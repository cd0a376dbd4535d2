"""Legal holds: a session whose destruction is deferred, by whose word and until when.

    placing → placed → releasing → released          placing → void: the key was gone already

Rules kept here:

* A hold keeps a session's key under a key of its own, so the keys of the session's epoch go on time
  for everyone else.
* A hold keeps, and shows nothing: past its time, or erased, a held session is as unreadable as any
  other to whoever reads sessions.
* What would have destroyed a held session is deferred, with a receipt that says so, and goes on by
  itself when the last hold on it is released.
* A hold whose row is not sound (`db.checks`) still holds, and is listed as damaged. Releasing it is
  somebody's express word, by which the row counts again.
* Each step is noted before it is taken, and can be taken twice; a crash is found by its state.

Rows: R6.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Select, bindparam, insert, not_, or_, select, update

from bailee.damage import UNREADABLE, Damages, why
from bailee.db.checks import accept, sound
from bailee.db.engine import reading, storage_errors
from bailee.db.vault import holds, sessions
from bailee.errors import InputError, IntegrityError
from bailee.keyring import Keyring
from bailee.shown import named
from bailee.vault.receipts import Record
from bailee.vault.record import subject_of

PLACING: Final = "placing"
PLACED: Final = "placed"
RELEASING: Final = "releasing"
RELEASED: Final = "released"
VOID: Final = "void"
DAMAGED: Final = "damaged"

_LONGEST_REASON: Final = 300
_WHAT: Final = "the holds"


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on one session. One in the state `damaged` has its ids alone."""

    id: str
    session_id: str
    reason: str
    state: str
    requested_at: datetime
    placed_at: datetime | None
    released_at: datetime | None


class Holds:
    """The holds of one vault."""

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        record: Record,
        lock: AbstractContextManager[object],
        damages: Damages | None = None,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._record = record
        self._lock = lock
        self._damages = damages or Damages()

    def place(self, session_id: str, reason: str, now: datetime) -> Hold:
        """Hold a session that is kept at `now`, or that is held already.

        Raises:
            InputError: `not_found`; or no reason, one over 300 characters, or one that is no line.
            StorageError: a store failed; if there is a hold, the next sweep finishes it.
        """
        if not reason.strip() or len(reason) > _LONGEST_REASON:
            raise InputError(
                "a hold needs a reason of at most 300 characters.",
                hint="name the matter, not what the session says",
            )
        reason = named(reason, "a hold's reason", longest=_LONGEST_REASON)
        with self._lock:
            if not self.holding(session_id) and not self._is_kept(session_id, now):
                raise InputError(
                    "there is no such session, or no more.",
                    code="not_found",
                    hint="bailee sessions list shows what is kept",
                )
            hold_id = "hold_" + os.urandom(8).hex()
            self._record("hold.requested", session_id, {"hold": hold_id})
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    insert(holds).values(
                        id=hold_id,
                        session_id=session_id,
                        reason=reason,
                        state=PLACING,
                        requested_at=now,
                    )
                )
            self._take(self.get(hold_id), now)
            return self.get(hold_id)

    def finish_placing(self, now: datetime) -> IntegrityError | None:
        """Take what a crash left to be taken. One whose session's key is damaged can't be, and
        stops no other: an error that names the last such.

        Raises:
            StorageError: a store failed; call again.
        """
        damaged = None
        with self._lock:
            for hold in self._select(holds.c.state == PLACING, sound(holds)):
                try:
                    self._take(hold, now)
                except UNREADABLE as error:
                    self._damages.note(f"hold {hold.id}", why(error))
                    damaged = IntegrityError(
                        f"the hold {hold.id} can't be placed: its session's key is damaged.",
                        hint="release it, or put back a keyring that has the key",
                    )
                    damaged.__cause__ = error
        return damaged

    def begin_release(self, hold_id: str) -> Hold:
        """Note that a hold is to be released; the vault's forgetting does the rest.

        Raises:
            InputError: `not_found`; or it is not placed.
        """
        hold = self.get(hold_id)
        if hold.state not in (PLACING, PLACED, RELEASING, DAMAGED):
            raise InputError(f"the hold {hold_id} is {hold.state} already.")
        if hold.state != RELEASING:
            self._record("hold.releasing", hold.session_id, {"hold": hold_id})
            if hold.state == DAMAGED:
                self._accept(hold)
            self._note(hold, RELEASING)
        return self.get(hold_id)

    def released(self, hold: Hold, now: datetime) -> None:
        """Destroy a hold's key and note that it is released."""
        self._keyring.destroy([key_name(hold.id)])
        self._record("hold.released", hold.session_id, {"hold": hold.id})
        self._note(hold, RELEASED, released_at=now)

    def releasing(self) -> list[Hold]:
        """The holds that are to be released."""
        return self._select(holds.c.state == RELEASING, sound(holds))

    def get(self, hold_id: str) -> Hold:
        """A hold.

        Raises:
            InputError: code `not_found`.
        """
        found = self._select(holds.c.id == hold_id)
        if not found:
            raise InputError(
                f"there is no hold {hold_id!r}.", code="not_found", hint="see `bailee hold list`"
            )
        return found[0]

    def all(self) -> list[Hold]:
        """Every hold, released ones too, oldest first."""
        return self._select()

    def holding(self, session_id: str) -> list[Hold]:
        """The holds that are on a session now."""
        return self._select(holds.c.session_id == session_id, _holding())

    def is_held(self, session_id: str) -> bool:
        """Whether there is a hold on a session."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(_HELD, {"session": session_id}).first() is not None

    def held(self) -> set[str]:
        """The sessions on which there is a hold."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return set(connection.execute(held_sessions()).scalars())

    def _take(self, hold: Hold, now: datetime) -> None:
        others = [key_name(o.id) for o in self.holding(hold.session_id) if o.state == PLACED]
        for source in (subject_of(hold.session_id), *others):
            try:
                self._keyring.hold(key_name(hold.id), source)
            except IntegrityError as error:
                if error.code != "key_destroyed":
                    raise
            else:
                self._record("hold.placed", hold.session_id, {"hold": hold.id})
                self._note(hold, PLACED, placed_at=now)
                return
        self._record("hold.void", hold.session_id, {"hold": hold.id})
        self._note(hold, VOID)

    def forget_reasons(self, of: Callable[[Hold], bool]) -> None:
        """Empty the reasons of these holds, so far as they hold nothing any more."""
        over = [one.id for one in self.all() if one.state in (RELEASED, VOID) and of(one)]
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for hold_id in over:
                connection.execute(update(holds).where(holds.c.id == hold_id).values(reason=""))

    def _is_kept(self, session_id: str, now: datetime) -> bool:
        query = select(sessions.c.id).where(
            sessions.c.id == session_id, sessions.c.expires_at > now
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(query).first() is not None

    def _accept(self, hold: Hold) -> None:
        """Let the row of a damaged hold say what is known of it, and count again."""
        values = {name: getattr(hold, name) for name in Hold.__slots__}
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(update(holds).where(holds.c.id == hold.id).values(values))
            accept(connection, holds, hold.id)
        self._damages.forget(f"{holds.name} {hold.id}")

    def _note(self, hold: Hold, state: str, **moments: datetime) -> None:
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(holds).where(holds.c.id == hold.id).values(state=state, **moments)
            )

    def _select(self, *where: ColumnElement[bool]) -> list[Hold]:
        """The holds of which that is true, oldest first; then those that are damaged: of these the
        ids are read, and nothing else is believed.
        """
        columns = [holds.c[name] for name in Hold.__slots__]
        good = select(*columns).where(*where, sound(holds))
        bad = select(holds.c.id, holds.c.session_id).where(*where, not_(sound(holds)))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(good.order_by(holds.c.requested_at, holds.c.id))
            found = [Hold(**row._mapping) for row in rows]
            damaged = connection.execute(bad.order_by(holds.c.id)).all()
        self._damages.note_all("holds", [row.id for row in damaged])
        unknown = datetime.fromtimestamp(0, UTC)
        return found + [
            Hold(row.id, row.session_id, "", DAMAGED, unknown, None, None) for row in damaged
        ]


def held_sessions() -> Select[Any]:
    """The ids of the sessions on which there is a hold, as a query."""
    return select(holds.c.session_id).where(_holding())


def _holding() -> ColumnElement[bool]:
    return or_(holds.c.state.in_((PLACING, PLACED)), not_(sound(holds)))


# Built once: to build a statement costs several times what it takes to run it.
_HELD: Final = held_sessions().where(holds.c.session_id == bindparam("session")).limit(1)


def key_name(hold_id: str) -> str:
    """The keyring subject under which a hold keeps its session's key."""
    return f"held:{hold_id}"
