"""Legal holds: a session, a report, or what a cloud session left, whose destruction is deferred; by
whose word and until when.

    placing → placed → releasing → released          placing → void: the key was gone already

Rules kept here:

* A hold keeps a thing's keys under one of its own, so the keys of their epoch go on time for
  everyone else. What comes to a held thing later is taken before anything of it is destroyed.
* A hold keeps, and shows nothing: past its time, or erased, what is held is as unreadable as any
  other to whoever reads it. It is read for the matter alone (`read`), which is put on record first.
* What would have destroyed it is deferred, with a receipt that says so, and goes on by itself when
  the last hold on it is released.
* A hold whose row is not sound (`db.checks`) still holds, and is listed as damaged. Releasing it is
  somebody's express word, by which the row counts again.
* Each step is noted before it is taken, and can be taken twice; a crash is found by its state.

Rows: R6.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    insert,
    not_,
    or_,
    select,
    update,
)

from bailee.damage import UNREADABLE, Damages, why
from bailee.db.checks import accept, sound
from bailee.db.engine import reading, storage_errors
from bailee.db.vault import holds
from bailee.errors import InputError, IntegrityError
from bailee.keeping.keeper import Keeper
from bailee.keeping.receipts import Record
from bailee.keyring import Keyring
from bailee.shown import named

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
    """A hold on one thing, which `subject` is the id of. One in the state `damaged` has its ids
    alone.
    """

    id: str
    subject: str
    reason: str
    state: str
    requested_at: datetime
    placed_at: datetime | None
    released_at: datetime | None


class Holds:
    """The holds of one home, on the things of whichever keepers are registered. Its methods may be
    called from any thread; what destroys calls `held` and `secure` inside its keeper's lock.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        record: Record,
        damages: Damages | None = None,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._record = record
        self._damages = damages or Damages()
        self._keepers: list[Keeper] = []

    def register(self, keeper: Keeper) -> None:
        """Let the things of a store be held."""
        self._keepers.append(keeper)
        self._keepers.sort(key=lambda one: len(one.prefix), reverse=True)

    def keeper(self, subject: str) -> Keeper:
        """Whose thing it is."""
        return next(one for one in self._keepers if str(subject).startswith(one.prefix))

    def place(self, subject: str, reason: str, now: datetime) -> Hold:
        """Hold a thing that is kept at `now`, or that is held already.

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
        keeper = self.keeper(subject)
        with keeper.lock:
            if not self.holding(subject) and not keeper.is_kept(subject, now):
                raise InputError(
                    f"there is no such {keeper.what}, or no more.",
                    code="not_found",
                    hint="what can be listed can be held",
                )
            hold_id = "hold_" + os.urandom(8).hex()
            self._record("hold.requested", subject, {"hold": hold_id})
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    insert(holds).values(
                        id=hold_id,
                        subject=subject,
                        reason=reason,
                        state=PLACING,
                        requested_at=now,
                    )
                )
            self._take(self.get(hold_id), now)
            return self.get(hold_id)

    def finish(self, now: datetime) -> IntegrityError | None:
        """Take what a crash left to be taken, and release what is to be released. One whose thing's
        key is damaged can't be taken, and stops no other: an error that names the last such.

        Raises:
            StorageError: a store failed; call again.
        """
        begun = self._begun(PLACING, RELEASING)
        damaged = self._finish_placing([one for one in begun if one.state == PLACING], now)
        self._finish_releases([one for one in begun if one.state == RELEASING], now)
        return damaged

    def _begun(self, *states: str) -> list[Hold]:
        """Those at one of these states whose rows are what was written; the others are noted."""
        found = self._select(holds.c.state.in_(states))
        return [hold for hold in found if hold.state != DAMAGED]

    def _finish_placing(self, some: Sequence[Hold], now: datetime) -> IntegrityError | None:
        damaged = None
        for hold in some:
            try:
                with self.keeper(hold.subject).lock:
                    if self.get(hold.id).state == PLACING:
                        self._take(hold, now)
            except UNREADABLE as error:
                self._damages.note(f"hold {hold.id}", why(error))
                damaged = IntegrityError(
                    f"the hold {hold.id} can't be placed: a key of what it is on is damaged.",
                    hint="release it, or put back a keyring that has the key",
                )
                damaged.__cause__ = error
        return damaged

    def secure(self, subject: str) -> None:
        """Take the keys of a held thing that its holds have not yet: when it has got another, and
        before they are destroyed.

        Raises:
            StorageError: a store failed; nothing may be destroyed.
        """
        for hold in self.holding(subject):
            if hold.state in (PLACING, PLACED):
                try:
                    self._keep(hold)
                except UNREADABLE as error:
                    self._damages.note(f"hold {hold.id}", why(error))

    def read(self, hold_id: str) -> Iterator[bytes]:
        """What a hold keeps, as JSON Lines. Who reads is put on record before.

        Raises:
            InputError: `not_found`; or the hold is not placed.
            IntegrityError: what it keeps is not what was written.
        """
        hold = self.get(hold_id)
        if hold.state != PLACED:
            raise InputError(
                f"the hold {hold_id} is {hold.state}: there is nothing that it lets be read.",
                hint="see `bailee hold list`",
            )
        return self.keeper(hold.subject).read_held(
            hold.subject, lambda part: self._key(hold_id, part)
        )

    def _key(self, hold_id: str, part: str) -> bytes | None:
        try:
            return self._keyring.get(key_name(hold_id, part)).key
        except IntegrityError as error:
            if error.code != "key_destroyed":
                raise
            return None

    def release(self, hold_id: str, now: datetime) -> Hold:
        """Release a hold. What was deferred by it, and by no other, goes on at once.

        Raises:
            InputError: `not_found`; or it is released already.
            StorageError: a store failed; the next sweep finishes it.
        """
        self.begin_release(hold_id)
        self._finish_releases(self._begun(RELEASING), now)
        return self.get(hold_id)

    def _finish_releases(self, some: Sequence[Hold], now: datetime) -> None:
        """Release these; the last hold on a thing sets free what it deferred."""
        for hold in some:
            keeper = self.keeper(hold.subject)
            with keeper.lock:
                if not self.holding(hold.subject):
                    # First the keys, or a receipt would say that they are destroyed when they are
                    # not.
                    self._destroy(hold)
                    keeper.resume(hold.subject, now)
                self.released(hold, now)

    def begin_release(self, hold_id: str) -> Hold:
        """Note that a hold is to be released; `finish` does the rest.

        Raises:
            InputError: `not_found`; or it is not placed.
        """
        hold = self.get(hold_id)
        if hold.state not in (PLACING, PLACED, RELEASING, DAMAGED):
            raise InputError(f"the hold {hold_id} is {hold.state} already.")
        if hold.state != RELEASING:
            self._record("hold.releasing", hold.subject, {"hold": hold_id})
            if hold.state == DAMAGED:
                self._accept(hold)
            self._note(hold, RELEASING)
        return self.get(hold_id)

    def released(self, hold: Hold, now: datetime) -> None:
        """Destroy a hold's keys and note that it is released."""
        self._destroy(hold)
        self._record("hold.released", hold.subject, {"hold": hold.id})
        self._note(hold, RELEASED, released_at=now)

    def _destroy(self, hold: Hold) -> None:
        self._keyring.destroy(self._keyring.subjects(key_name(hold.id)))

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

    def holding(self, subject: str) -> list[Hold]:
        """The holds that are on a thing now."""
        return self._select(holds.c.subject == subject, _holding())

    def is_held(self, subject: str, connection: Connection | None = None) -> bool:
        """Whether there is a hold on a thing; within a transaction of the caller's, if given."""
        if connection is not None:
            return connection.execute(_HELD, {"subject": subject}).first() is not None
        with storage_errors(_WHAT), reading(self._engine) as own:
            return self.is_held(subject, own)

    def held(self) -> set[str]:
        """The things on which there is a hold."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return set(connection.execute(_ALL_HELD).scalars())

    def _take(self, hold: Hold, now: datetime) -> None:
        if self._keep(hold):
            self._record("hold.placed", hold.subject, {"hold": hold.id})
            self._note(hold, PLACED, placed_at=now)
        else:
            self._record("hold.void", hold.subject, {"hold": hold.id})
            self._note(hold, VOID)

    def _keep(self, hold: Hold) -> bool:
        """Keep each key of what a hold is on that is there, or that another hold has; whether there
        was one.
        """
        others = [one.id for one in self.holding(hold.subject) if one.state == PLACED]
        taken = [
            self._keep_part(key_name(hold.id, part), (name, *(key_name(o, part) for o in others)))
            for part, name in self.keeper(hold.subject).keys_of(hold.subject).items()
        ]
        return any(taken)

    def _keep_part(self, name: str, sources: tuple[str, ...]) -> bool:
        for source in sources:
            try:
                self._keyring.hold(name, source)
            except IntegrityError as error:
                if error.code != "key_destroyed":
                    raise
            else:
                return True
        return False

    def forget_reasons(self, of: Callable[[Hold], bool]) -> None:
        """Empty the reasons of these holds, so far as they hold nothing any more."""
        over = [one.id for one in self.all() if one.state in (RELEASED, VOID) and of(one)]
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for hold_id in over:
                connection.execute(update(holds).where(holds.c.id == hold_id).values(reason=""))

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
        bad = select(holds.c.id, holds.c.subject).where(*where, not_(sound(holds)))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(good.order_by(holds.c.requested_at, holds.c.id))
            found = [Hold(**row._mapping) for row in rows]
            damaged = connection.execute(bad.order_by(holds.c.id)).all()
        self._damages.note_all("holds", [row.id for row in damaged])
        unknown = datetime.fromtimestamp(0, UTC)
        return found + [
            Hold(row.id, row.subject, "", DAMAGED, unknown, None, None) for row in damaged
        ]


def held_subjects() -> Select[str]:
    """The ids of the things on which there is a hold, as a query."""
    return select(holds.c.subject).where(_holding())


def _holding() -> ColumnElement[bool]:
    return or_(holds.c.state.in_((PLACING, PLACED)), not_(sound(holds)))


# Built once: to build a statement costs several times what it takes to run it.
_ALL_HELD: Final = held_subjects()
_HELD: Final = held_subjects().where(holds.c.subject == bindparam("subject")).limit(1)


def key_name(hold_id: str, part: str = "") -> str:
    """The keyring subject under which a hold keeps the key of a thing, or of a part of it."""
    return f"held:{hold_id}/{part}" if part else f"held:{hold_id}"
