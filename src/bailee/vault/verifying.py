"""Whether what the vault keeps is what was written, and agrees with its keys. Reads, and changes
nothing.

Rules kept here:

* Each check stands alone: what it can't read it reports, and the next one goes on.
* What is past its time is not looked at: it need not open any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Engine, select

from bailee.damage import UNREADABLE, UNSOUND, Damaged, why
from bailee.db.among import among
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.vault import exchanges, holds, receipts, sessions
from bailee.errors import IntegrityError, StorageError
from bailee.keeping.holds import PLACED, key_name
from bailee.keeping.receipts import (
    BACKUPS_UNRECOVERABLE,
    ERASURE,
    EXPIRY,
    HELD_EXPIRY,
    KEY_DESTROYED,
    RECLAIMED,
)
from bailee.keyring import Dek, Keyring
from bailee.vault.delta import digest_key
from bailee.vault.places import told
from bailee.vault.record import open_record, subject_of
from bailee.vault.segments import Segments
from bailee.vault.spool_reading import SpoolReader
from bailee.vault.spool_writing import subject_of as spool_subject
from bailee.vault.stored import Sum, counted, kept

_DESTROYED: Final = (KEY_DESTROYED, BACKUPS_UNRECOVERABLE, RECLAIMED)
_WHAT: Final = "the vault's index"
_PORTION: Final = 200  # sessions: what is held of them at once
_OF_A_SESSION: Final = (sessions.c.id, sessions.c.data_class, sessions.c.exchanges)


class _Place(NamedTuple):
    """Where an exchange's record lies, and what its session has had from it on: columns of
    `exchanges`, and its session's id.
    """

    number: int
    id: str
    segment_id: str
    offset: int
    length: int
    places: object
    session_id: str


_OF_AN_EXCHANGE: Final = (
    *(exchanges.c[name] for name in _Place._fields[:-1]),
    sessions.c.id.label("session_id"),
)


@dataclass(frozen=True, slots=True)
class Verifying:
    """The checks of one vault. `checked` counts what was looked at, by kind. Made for one
    verification, on its thread. It changes nothing, and gives no content.
    """

    engine: Engine
    keyring: Keyring
    segments: Segments
    reader: SpoolReader
    checked: dict[str, int]

    def all(self, now: datetime) -> tuple[Iterator[Damaged], ...]:
        """What is wrong, of everything: each check by itself. It raises `StorageError` where a
        store can't be read at all.
        """
        found = (self._sessions(now), self._lost(), self._holds(), self._receipts())
        return (*found, self.spool())

    def spool(self) -> Iterator[Damaged]:
        """Spool files whose key does not open, or that are missing, and what was put aside of
        others.
        """
        for name in self.reader.names():
            self._count("spool files")
            if not self._opens(spool_subject(name)) and not self.reader.is_blank(name):
                yield Damaged(f"spool file {name}", "its key does not open; it is put aside next.")
        for name in self.reader.missing():
            said = "it is not there, though its key is: what was in it is lost."
            yield Damaged(f"spool file {name}", said)
        for one in self.reader.aside():
            self._count("bytes aside", one.size)
            yield Damaged(f"quarantine/{one.label}", "bytes of the spool that do not open.")

    def _sessions(self, now: datetime) -> Iterator[Damaged]:
        living = select(*_OF_A_SESSION).where(sessions.c.expires_at > now, sound(sessions))
        after = ""
        while True:
            query = living.where(sessions.c.id > after).order_by(sessions.c.id).limit(_PORTION)
            filed: dict[str, list[_Place]] = {}
            with storage_errors(_WHAT), reading(self.engine) as connection:
                rows = connection.execute(query).all()
                theirs = among(sessions.c.id, [row.id for row in rows])
                places = (
                    select(*_OF_AN_EXCHANGE)
                    .join(sessions, sessions.c.number == exchanges.c.session)
                    .where(theirs)
                    .order_by(exchanges.c.number)
                )
                for place in map(_Place._make, connection.execute(places)):
                    filed.setdefault(place.session_id, []).append(place)
            keys = self.keyring.some([subject_of(row.id) for row in rows])
            for row in rows:
                yield from self._places(filed.get(row.id, []), keys[subject_of(row.id)])
                self._count("sessions")
                found = list(self._session(row, filed.get(row.id, []), keys[subject_of(row.id)]))
                if found and self._there(row.id, now):
                    yield from found
            if len(rows) < _PORTION:
                return
            after = rows[-1].id

    def _places(self, filed: Sequence[_Place], key: Dek | IntegrityError) -> Iterator[Damaged]:
        """Exchanges of a session of which the index has a place that is not what was written: what
        goes on with it is stored anew, and refers to no such place.
        """
        if isinstance(key, Dek):
            own = digest_key(key.key)
            for row in filed:
                if not told(own, row.number, row.places).whole:
                    yield Damaged(f"places {row.session_id}/{row.number}", UNSOUND)

    def _lost(self) -> Iterator[Damaged]:
        """Accounts of which more was filed than there is, or less: rows are gone, or others' are
        there. And the sessions of which there is a key alone, if there are such accounts: which are
        missed. Else a crash has left it, before a session's first exchange was filed.
        """
        with storage_errors(_WHAT), reading(self.engine) as connection:
            filed, there = kept(connection), counted(connection)
            known = {*connection.execute(select(sessions.c.id)).scalars()}
        wrong = sorted(one for one in {*filed, *there} if filed.get(one) != there.get(one))
        for owner in wrong:
            was, has = (sums.get(owner, Sum()) for sums in (filed, there))
            said = (
                f"{was.living:,} bytes of its sessions were filed, {has.living:,} are in the index."
            )
            yield Damaged(f"account {owner}", said)
        if wrong:
            for subject in self.keyring.subjects(subject_of("")):
                if (session := subject.removeprefix(subject_of(""))) not in known:
                    yield Damaged(f"session {session}", "its key is there, and its row is gone.")

    def _session(
        self, session: DbRow, filed: list[_Place], key: Dek | IntegrityError
    ) -> Iterator[Damaged]:
        if [row.number for row in filed] != list(range(session.exchanges)):
            said = f"{len(filed)} of {session.exchanges} exchanges are there."
            yield Damaged(f"session {session.id}", said)
        if isinstance(key, IntegrityError):
            yield Damaged(f"session {session.id}", why(key))
            return
        for row in filed:
            self._count("records")
            try:
                sealed = self.segments.read(row.segment_id, row.offset, row.length)
                open_record(
                    sealed,
                    key.key,
                    session_id=session.id,
                    record_id=row.id,
                    data_class=session.data_class,
                )
            except (*UNREADABLE, StorageError) as error:
                said = error.message if isinstance(error, StorageError) else why(error)
                yield Damaged(f"session {session.id}, exchange {row.number}", said)

    def _there(self, session_id: str, now: datetime) -> bool:
        """Whether a session has not been forgotten meanwhile."""
        still = select(sessions.c.id).where(
            sessions.c.id == session_id, sessions.c.expires_at > now
        )
        with storage_errors(_WHAT), reading(self.engine) as connection:
            return connection.execute(still).first() is not None

    def _holds(self) -> Iterator[Damaged]:
        query = select(holds.c.id, holds.c.subject).where(holds.c.state == PLACED, sound(holds))
        with storage_errors(_WHAT), reading(self.engine) as connection:
            placed = connection.execute(query).all()
            known = set(connection.execute(select(holds.c.id)).scalars())
        for row in placed:
            self._count("holds")
            kept = self.keyring.subjects(key_name(row.id))
            if not kept or not all(map(self._opens, kept)):
                yield Damaged(f"hold {row.id}", f"its key of {row.subject} is gone.")
        for subject in self.keyring.subjects(key_name("")):
            hold_id = subject.removeprefix(key_name("")).partition("/")[0]
            if hold_id not in known:
                yield Damaged(f"hold {hold_id}", "its key is there, and its row is gone.")

    def _receipts(self) -> Iterator[Damaged]:
        query = select(receipts.c.id, receipts.c.kind, receipts.c.subject).where(
            receipts.c.state.in_(_DESTROYED), sound(receipts)
        )
        with storage_errors(_WHAT), reading(self.engine) as connection:
            rows = connection.execute(query).all()
        self._count("receipts", len(rows))
        said = {subject_of(r.subject): r.id for r in rows if r.kind in (ERASURE, HELD_EXPIRY)}
        keks = {r.subject: r.id for r in rows if r.kind == EXPIRY}
        for subject in self.keyring.subjects(subject_of("")):
            if subject in said:
                yield Damaged(f"receipt {said[subject]}", f"the key of {subject} is still there.")
        for kek_id in self.keyring.kek_ids():
            if kek_id in keks:
                yield Damaged(f"receipt {keks[kek_id]}", f"the KEK {kek_id} is still there.")

    def _opens(self, subject: str) -> bool:
        try:
            self.keyring.get(subject)
        except UNREADABLE:
            return False
        return True

    def _count(self, kind: str, number: int = 1) -> None:
        self.checked[kind] = self.checked.get(kind, 0) + number
