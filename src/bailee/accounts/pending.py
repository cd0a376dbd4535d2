"""What has been begun and waits for its answer: a passkey's challenge, a visit to a provider, a
client that signs in, a link.

Each is a row, so another process, or the next one, takes what this one has begun. Rules kept here:

* A thing is good once: whoever deletes its row has it, and of two at once one does.
* It is found by its secret, of which a keyed digest is kept. What it says is sealed under a key
  that is made of the secret too, so it opens for who shows that, and not for who has the database,
  nor for who has the keyring as well.
* It is good for some minutes by the home's time. After a clock was set back it is good no more: a
  thing that was begun later than now, by more than clocks differ, is none.
* Who guesses writes nothing: a row is looked for before it is deleted, by what was shown.
* There is room for a number of each kind, and for so many of one asker. A stranger who has as many
  waiting is refused; of somebody who is known the oldest goes. Where all room is taken, the oldest
  goes of whoever has most, and who would have as many as they is refused: no flood pushes out those
  who have few.
* A row is checked (`db.checks`): one that was changed on the disk lets nobody in. It goes with its
  person, with a restore, and with its time.

Rows: O1, O6, R6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select

from bailee.accounts.backing import Backing
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.pending import pending
from bailee.db.people import persons
from bailee.errors import InputError
from bailee.steady import BOUND

LASTS: Final = timedelta(minutes=10)
ROOM: Final = 10_000
"""How many of one kind may wait."""
_WHAT: Final = "the sign-ins under way"
_NONCE: Final = 12
_LONGEST_SECRET: Final = 1000


@dataclass(frozen=True, slots=True)
class PendingKind:
    """A sort of thing. `most`: how many of one asker may wait. `strangers`: they are begun by whom
    nobody knows; see the module.
    """

    name: str
    most: int
    lasts: timedelta = LASTS
    strangers: bool = False


@dataclass(frozen=True, slots=True)
class PendingThing:
    """A thing that was taken, or that waits. `content` is "" of one that was not taken."""

    kind: str
    content: str
    person_id: str | None
    begun_at: datetime
    until: datetime


class Pending:
    """The things of a home that wait. The ways in, a server and its console call it, on any thread;
    the sweep removes. It owns the rows, and has nothing in memory. It knows no way in.
    """

    name: Final = "pending"

    def __init__(self, backing: Backing, *, room: int = ROOM) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._identifiers = backing.identifiers
        self._random = backing.random
        self._room = room

    def secret(self) -> str:
        """A new secret, of 256 random bits."""
        return self._random(32).hex()

    def put(
        self,
        kind: PendingKind,
        secret: str,
        content: str = "",
        *,
        asker: str,
        person_id: str | None = None,
    ) -> None:
        """Have a thing wait under a secret that was not used before.

        Raises:
            InputError: `too_many_attempts`, too many wait; `not_found`, the person was erased.
        """
        digest = self.digest(kind, secret)
        assert digest is not None, "a secret of ours"
        row = {
            "digest": digest,
            "person_id": person_id,
            "content": self.sealed(kind, secret, content),
        }
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if person_id is not None:
                require_living(connection, person_id)
            self.insert(connection, kind, row, asker=asker)

    def take(self, kind: PendingKind, secret: str) -> PendingThing | None:
        """What waits under this secret, once; None when there is nothing (any more)."""
        digest = self.digest(kind, secret)
        row = None if digest is None else self.find(pending.c.digest == digest)
        if row is None or not self.drop(row):
            return None
        content = self.opened(kind, secret, row.content)
        return None if content is None else _thing(row, content)

    def of_person(self, person_id: str) -> list[PendingThing]:
        """What waits that is somebody's, oldest first."""
        query = select(pending).where(pending.c.person_id == person_id, self.good(), sound(pending))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query.order_by(pending.c.begun_at)).all()
        return [_thing(row, "") for row in rows]

    def sweep(self, now: datetime) -> dict[str, int]:
        """Remove what is past its time; how much that was.

        Raises:
            StorageError: the store failed.
        """
        gone = or_(pending.c.until <= now, pending.c.begun_at > now + BOUND)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            return {"pending": connection.execute(delete(pending).where(gone)).rowcount}

    # -- for a kind with a protocol of its own (`device_grants`) -----------------------------------

    def digest(self, kind: PendingKind, secret: str) -> bytes | None:
        """By what a secret is found; None: it is none of ours, whatever it is."""
        if not secret.isascii() or len(secret) > _LONGEST_SECRET:
            return None
        return self._identifiers.index("pending", kind.name, secret)

    def sealed(self, kind: PendingKind, secret: str, content: str) -> bytes:
        """Content as it is kept: it opens with the secret."""
        nonce = self._random(_NONCE)
        return nonce + AESGCM(self._key(kind, secret)).encrypt(nonce, content.encode(), None)

    def opened(self, kind: PendingKind, secret: str, sealed: bytes) -> str | None:
        """What was sealed; None: not with this secret."""
        try:
            key = AESGCM(self._key(kind, secret))
            return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], None).decode()
        except (InvalidTag, ValueError):
            return None

    def find(self, which: ColumnElement[bool]) -> DbRow | None:
        """The row that waits and is what was written. Nothing is written."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return self.found(connection, which)

    def found(self, connection: Connection, which: ColumnElement[bool]) -> DbRow | None:
        """As `find`, within a transaction."""
        query = select(pending).where(which, self.good(), sound(pending))
        return connection.execute(query).first()

    def good(self) -> ColumnElement[bool]:
        """The condition that a row is within its time."""
        now = self._clock()
        return (pending.c.until > now) & (pending.c.begun_at <= now + BOUND)

    def drop(self, row: DbRow) -> bool:
        """Delete a row that was found; whether it was this call that did."""
        this = delete(pending).where(pending.c.digest == row.digest)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            return connection.execute(this.returning(pending.c.digest)).first() is not None

    def refuse_more(self, kind: PendingKind, *, asker: str) -> None:
        """Refuse an asker who has as many waiting as they may. Nothing is written.

        Raises:
            InputError: `too_many_attempts`.
        """
        theirs = _of(kind) & (pending.c.asker == self._asker(kind, asker)) & self.good()
        with storage_errors(_WHAT), reading(self._engine) as connection:
            if _count(connection, theirs) >= kind.most:
                raise too_many()

    def insert(
        self, connection: Connection, kind: PendingKind, row: Mapping[str, object], *, asker: str
    ) -> None:
        """Insert a row, once there is room. Its `digest` and `content` are the caller's.

        Raises:
            InputError: `too_many_attempts`.
        """
        now, whose = self._clock(), self._asker(kind, asker)
        connection.execute(delete(pending).where(pending.c.until <= now))  # no sweep has been yet
        theirs = _of(kind) & (pending.c.asker == whose)
        there = _count(connection, theirs)
        if there >= kind.most:
            if kind.strangers:
                raise too_many()
            _oldest_goes(connection, theirs)
        elif _count(connection, _of(kind)) >= self._room:
            most, number = _largest(connection, kind)
            if number <= there + 1:
                raise too_many()
            _oldest_goes(connection, _of(kind) & (pending.c.asker == most))
        said = {"kind": kind.name, "asker": whose, "begun_at": now, "until": now + kind.lasts}
        connection.execute(insert(pending).values({**row, **said}))

    def _asker(self, kind: PendingKind, asker: str) -> bytes:
        return self._identifiers.index("pending asker", kind.name, asker)

    def _key(self, kind: PendingKind, secret: str) -> bytes:
        return self._identifiers.index("pending key", kind.name, secret)


def require_living(connection: Connection, person_id: str) -> None:
    """Refuse a person who was erased: nothing is to be left of them.

    Raises:
        InputError: `not_found`.
    """
    living = select(persons.c.id).where(persons.c.id == person_id, persons.c.erased_at.is_(None))
    if connection.execute(living).first() is None:
        raise InputError("this person was erased.", code="not_found")


def too_many() -> InputError:
    """The refusal of one more."""
    return InputError(
        "there were too many attempts from this address.",
        code="too_many_attempts",
        hint="wait ten minutes, then begin again",
    )


def _thing(row: DbRow, content: str) -> PendingThing:
    return PendingThing(row.kind, content, row.person_id, row.begun_at, row.until)


def _of(kind: PendingKind) -> ColumnElement[bool]:
    return pending.c.kind == kind.name


def _count(connection: Connection, which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(pending).where(which)).scalar_one()


def _largest(connection: Connection, kind: PendingKind) -> tuple[bytes, int]:
    """Which asker has most of a kind, and how many."""
    number = func.count()
    query = select(pending.c.asker, number).where(_of(kind)).group_by(pending.c.asker)
    asker, there = connection.execute(query.order_by(number.desc()).limit(1)).one()
    return asker, there


def _oldest_goes(connection: Connection, which: ColumnElement[bool]) -> None:
    oldest = select(pending.c.digest).where(which).order_by(pending.c.begun_at).limit(1)
    connection.execute(delete(pending).where(pending.c.digest == oldest.scalar_subquery()))
