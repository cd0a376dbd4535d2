"""Makes of each session what it is found by and told by (`session_words`), behind the sealer.

Rules kept here:

* The sealer never waits for this. It says which sessions go on (`note`); they are taken up when
  they are quiet or much of one is new, of each owner in turn (`word_turns`), or when somebody lists
  or searches them.
* A row says how many of its session's exchanges it covers, so that this goes on where it was broken
  off, and does sessions from before there was an index the same way.
* What it costs is bounded for each exchange (`TEXT`, `WORDS`, `RECORD`) and for each session
  (`MOST_WORDS`). What is past a bound is not found, and the row says that there is such.
* A row is written with the vault's lock held, and only of a session that can be read then: what is
  denied or gone gets none. A session whose key or records don't open gets none either.
* Words are in memory while a portion of some sessions is read, and nowhere else. What is made of
  them in the background is written together: each sync of a disk keeps waiting who is answered.

Rows: O8.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, String, bindparam, delete, func, literal, select

from bailee.clock import Ticks, ticks
from bailee.damage import Damages
from bailee.db.among import each
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.portable import insert as upsert
from bailee.db.vault import OF_A_RECORD, exchanges, number_of, session_words, sessions
from bailee.errors import BaileeError, IntegrityError, StorageError
from bailee.items.words import words_of
from bailee.keyring import Dek, Keyring
from bailee.keyring.wrapping import NONCE_BYTES
from bailee.vault.record import open_within, subject_of
from bailee.vault.said import SaidAnew, said
from bailee.vault.segments import Segments
from bailee.vault.session_words import (
    Telling,
    merged,
    open_telling,
    open_words,
    seal_telling,
    seal_words,
)
from bailee.vault.stored import WORDS as ROW
from bailee.vault.stored import Stored
from bailee.vault.word_turns import WordTurn, WordTurns

TEXT: Final = 128 << 10
"""Characters of an exchange whose words are found."""
WORDS: Final = 4_096
"""Words of an exchange that are found."""
RECORD: Final = 8 << 20
"""Bytes of a record that is read for its words; of a larger one none are found."""
_PORTION: Final = 32  # exchanges that are read before what was found is written
_PORTION_BYTES: Final = 8 << 20  # of their records, sealed
_AT_ONCE: Final = 500  # sessions, when all are looked through
_MOMENT: Final = 0.02  # seconds of a processor, for what is written together
_WHAT: Final = "the vault's index"
_PUT = upsert(session_words)
_REPLACE: Final = _PUT.on_conflict_do_update(
    index_elements=["session"],
    set_={name: _PUT.excluded[name] for name in ("covers", "whole", "about", "words")},
)
_OF_SESSION: Final = (
    select(*[sessions.c[name] for name in ("id", "number", "owner", "data_class", "exchanges")])
    .add_columns(*[session_words.c[name] for name in ("covers", "whole", "about", "words")])
    .outerjoin(session_words, session_words.c.session == sessions.c.number)
    .where(
        sessions.c.id == bindparam("which"), sessions.c.expires_at > bindparam("now"),
        sound(sessions),
    )
)  # fmt: skip
_NEXT: Final = (
    select(*OF_A_RECORD)
    .where(
        exchanges.c.session == bindparam("session"),
        exchanges.c.number >= bindparam("since"),
        sound(exchanges),
    )
    .order_by(exchanges.c.number)
    .limit(_PORTION)
)
_HAD: Final = select(
    func.length(session_words.c.about) + func.length(session_words.c.words) + ROW
).where(session_words.c.session == bindparam("session"))
_STILL: Final = select(sessions.c.id).where(
    sessions.c.id == bindparam("which"), sessions.c.expires_at > bindparam("now")
)
_TOLD: Final = (
    select(
        sessions.c.id.label("session_id"),
        sessions.c.exchanges,
        session_words.c.covers,
        session_words.c.about,
    )
    .outerjoin(session_words, session_words.c.session == sessions.c.number)
    .where(sessions.c.id.in_(each(bindparam("ids", type_=String))))
)
_BEHIND: Final = (
    select(sessions.c.id, sessions.c.owner, sessions.c.exchanges, session_words.c.covers)
    .outerjoin(session_words, session_words.c.session == sessions.c.number)
    .where(sessions.c.id > bindparam("after"))
    .order_by(sessions.c.id)
    .limit(_AT_ONCE)
)


@dataclass(slots=True)
class _Made:
    """What is made of a session so far."""

    covers: int
    whole: bool
    telling: Telling
    words: bytes


class _ToWrite(NamedTuple):
    """A session's row, what is made of it, and the key that seals it."""

    session: DbRow
    made: _Made
    key: bytes

    @property
    def more(self) -> bool:
        """Whether of the session more is left."""
        return bool(self.made.covers < self.session.exchanges)


class Indexing:
    """What the sessions of one vault are found by.

    The vault makes it. The sealer calls `note`, on its thread; a server's own thread calls `work`
    (`app.word_maker`), and who lists or searches calls `bring`, from any. It owns the rows of
    `session_words`; it changes nothing else, and gives nobody a word.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        segments: Segments,
        stored: Stored,
        damages: Damages,
        lock: AbstractContextManager[object],
        ticking: Ticks = ticks,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._segments = segments
        self._stored = stored
        self._damages = damages
        self._lock = lock
        self._ticks = ticking
        self._one = threading.Lock()  # taken before the vault's lock, never inside it
        self._turns = WordTurns()  # who holds `_noting`
        self._noting = threading.Lock()
        self._after: str | None = ""  # of all sessions, how far; None: to the end

    def note(self, owners: Mapping[str, str]) -> None:
        """These sessions went on, by whose they are."""
        now = self._ticks()
        with self._noting:
            for session, owner in owners.items():
                self._turns.note(session, owner, now)

    def work(self, now: datetime) -> bool:
        """Look through some of all sessions for what is behind, once; else take up those whose turn
        it is, a portion of each, as far as a moment allows. Whether there is more to do at once.

        Raises:
            StorageError: a store failed; call again.
        """
        if self._after is not None:
            self._after = self._look_through(self._after)
            return True
        found: list[_ToWrite] = []
        end, turn = time.thread_time() + _MOMENT, self._next()
        if turn is None:
            with self._noting:
                if self._turns.missed:
                    self._turns.missed = False
                    self._after = ""
            return self._after is not None
        with self._one:
            while turn is not None:
                if self._take_up(turn, now, found) or time.thread_time() > end:
                    break  # what is left of one goes on from what was written
                turn = self._next()
            try:
                if found:
                    self._write(found, now)
            except StorageError:
                self.note({one.session.id: one.session.owner for one in found})
                raise
        return True

    def _next(self) -> WordTurn | None:
        with self._noting:
            return self._turns.next(self._ticks())

    def _take_up(self, turn: WordTurn, now: datetime, found: list[_ToWrite]) -> bool:
        """Read a portion of the session whose turn it is, to be written; whether more is left."""
        began, more = time.thread_time(), True  # it is still to do where a store fails
        try:
            one = self._portion(turn.session, now)
            more = one is not None and one.more
            if one is not None:
                found.append(one)
        finally:
            with self._noting:
                self._turns.took(turn, time.thread_time() - began, more=more)
        return more

    def _look_through(self, after: str) -> str | None:
        """Remember what is behind of the next sessions; after which to go on."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(_BEHIND, {"after": after}).all()
        with self._noting:
            for row in rows:
                if (row.covers or 0) < row.exchanges:
                    self._turns.found(row.id, row.owner)
        return None if len(rows) < _AT_ONCE else str(rows[-1].id)

    def bring(self, session_ids: Sequence[str], now: datetime, seconds: float) -> None:
        """Take up these sessions as far as so many seconds allow, one after the other."""
        end = self._ticks() + seconds

        def late() -> bool:
            return self._ticks() >= end

        for one in session_ids:
            if late():
                return
            self._bring(one, now, late)

    def told(self, session_ids: Sequence[str], now: datetime, seconds: float) -> dict[str, Telling]:
        """What sessions are told by (`tellings`); what is new of them is taken up before, as far as
        so many seconds allow.
        """
        return self.told_by(self._rows(session_ids), session_ids, now, seconds)

    def told_by(
        self, rows: Sequence[DbRow], session_ids: Sequence[str], now: datetime, seconds: float
    ) -> dict[str, Telling]:
        """The same, where `rows_of` has given the rows."""
        if behind := _behind(rows, session_ids):
            self.bring(behind, now, seconds)
            rows = self._rows(session_ids)
        return self._tellings(rows)

    def tellings(self, session_ids: Sequence[str]) -> dict[str, Telling]:
        """What sessions are told by, of those of which there is something that opens."""
        return self._tellings(self._rows(session_ids))

    def behind(self, session_ids: Sequence[str]) -> list[str]:
        """Those of the sessions of which something is not in the index of words yet, as ordered."""
        return _behind(self._rows(session_ids), session_ids)

    def _rows(self, session_ids: Sequence[str]) -> Sequence[DbRow]:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return self.rows_of(connection, session_ids)

    @staticmethod
    def rows_of(connection: Connection, session_ids: Sequence[str]) -> Sequence[DbRow]:
        """What there is of sessions to tell them by, and how far it goes: for `told_by`."""
        ids = {"ids": orjson.dumps([*session_ids]).decode()}
        return connection.execute(_TOLD, ids).all()

    def _tellings(self, rows: Iterable[DbRow]) -> dict[str, Telling]:
        there = [row for row in rows if row.covers is not None]
        keys = self._keyring.some([subject_of(row.session_id) for row in there])
        tellings = {row.session_id: self._telling(row, keys) for row in there}
        return {name: one for name, one in tellings.items() if one is not None}

    def drop(self, session_id: str) -> None:
        """What was found not to open goes; it is made anew."""
        query = (
            delete(session_words)
            .where(session_words.c.session == number_of(literal(session_id)))
            .returning(func.length(session_words.c.about) + func.length(session_words.c.words))
        )
        whose = select(sessions.c.owner).where(sessions.c.id == session_id)
        self._damages.note(_name(session_id), "it does not open; it is made anew.")
        with self._lock:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                size = connection.execute(query).scalar()
                owner = connection.execute(whose).scalar()
                if size is None or owner is None:
                    return
                sums = self._stored.add(connection, {owner: -size - ROW})
            self._stored.note(sums)
        self.note({session_id: owner})

    # -- inside ----------------------------------------------------------------------------------

    def _telling(self, row: DbRow, keys: Mapping[str, Dek | IntegrityError]) -> Telling | None:
        key = keys[subject_of(row.session_id)]
        if isinstance(key, IntegrityError):
            return None
        try:
            return open_telling(row.about, key.key, row.session_id, row.covers)
        except IntegrityError:
            self.drop(row.session_id)
            return None

    def _bring(self, session_id: str, now: datetime, stop: Callable[[], bool]) -> None:
        """Bring a session up to date, a portion after the other.

        Raises:
            StorageError: a store failed.
        """
        while self._step(session_id, now) and not stop():
            pass

    def _step(self, session_id: str, now: datetime) -> bool:
        """Take up a portion of a session; whether more is left.

        Raises:
            StorageError: a store failed.
        """
        with self._one:
            one = self._portion(session_id, now)
            if one is not None:
                self._write([one], now)
        return one is not None and one.more

    def _portion(self, session_id: str, now: datetime) -> _ToWrite | None:
        """Read some of a session. None: there is nothing to be made of it. What fails of it by
        itself is its own: others go on.

        Raises:
            StorageError: a store failed.
        """
        try:
            return self._portion_of(session_id, now)
        except StorageError:
            raise
        except BaileeError:  # damaged, or gone meanwhile
            return None

    def _portion_of(self, session_id: str, now: datetime) -> _ToWrite | None:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            session = connection.execute(_OF_SESSION, {"which": session_id, "now": now}).first()
            if session is None or (session.covers or 0) >= session.exchanges:
                return None
        key = self._keyring.get(subject_of(session_id)).key
        made = self._made(session, key)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            asked = {"session": session.number, "since": made.covers}
            rows = connection.execute(_NEXT, asked).all()
        begun = made.covers
        size = 0
        for row in rows:
            if row.number != made.covers or (size and size + row.length > _PORTION_BYTES):
                break
            size += row.length
            self._read(session, row, key, made)
        if made.covers == begun:  # its rows are not what was written: `verify` says so
            return None
        return _ToWrite(session, made, key)

    def _made(self, session: DbRow, key: bytes) -> _Made:
        if session.covers is None:
            return _Made(0, whole=True, telling=Telling(), words=b"")
        try:
            return _Made(
                session.covers,
                bool(session.whole),
                open_telling(session.about, key, session.id, session.covers),
                open_words(session.words, key, session.id, session.covers),
            )
        except IntegrityError:  # what replaces it is made of all that there is
            self._damages.note(_name(session.id), "it does not open; it is made anew.")
            return _Made(0, whole=True, telling=Telling(), words=b"")

    def _read(self, session: DbRow, row: DbRow, key: bytes, made: _Made) -> None:
        made.covers += 1
        one = self._said(session, row, key)
        if one is None:
            made.whole = False
            return
        found = words_of(one.texts(), most_text=TEXT, most_words=WORDS)
        made.words, room = merged(made.words, found.words)
        made.whole = made.whole and room and found.whole
        made.telling = made.telling.with_more(one.title, one.first, one.client, one.folder)

    def _said(self, session: DbRow, row: DbRow, key: bytes) -> SaidAnew | None:
        """What a record says; None: it is too large."""
        if row.length > RECORD:
            return None
        record = open_within(
            self._segments.read(row.segment_id, row.offset, row.length),
            key,
            session_id=session.id,
            record_id=row.id,
            data_class=session.data_class,
            most=RECORD,
        )
        return None if record is None else said(record)

    def _write(self, some: Sequence[_ToWrite], now: datetime) -> None:
        """Write what was made, of the sessions that can still be read, in one transaction."""
        sealed = [(one, _values(one)) for one in some]
        grown: Counter[str] = Counter()
        with self._lock:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                for (session, _, _), (values, size) in sealed:
                    still = connection.execute(_STILL, {"which": session.id, "now": now}).first()
                    if still is not None:
                        had = connection.execute(_HAD, {"session": session.number}).scalar() or 0
                        connection.execute(_REPLACE, values)
                        grown[session.owner] += size - had
                sums = self._stored.add(connection, grown)
            self._stored.note(sums)
        for one in some:
            self._damages.forget(_name(one.session.id))


def _values(one: _ToWrite) -> tuple[dict[str, object], int]:
    """A session's row of words, sealed, and what it takes on disk."""
    session, made, key = one
    about = seal_telling(made.telling, key, session.id, made.covers, os.urandom(NONCE_BYTES))
    words = seal_words(made.words, key, session.id, made.covers, os.urandom(NONCE_BYTES))
    values: dict[str, object] = {
        "session": session.number,
        "covers": made.covers,
        "whole": int(made.whole),
        "about": about,
        "words": words,
    }
    return values, len(about) + len(words) + ROW


def _name(session_id: str) -> str:
    """As what a damaged row of this is named."""
    return f"session_words {session_id}"


def _behind(rows: Iterable[DbRow], session_ids: Sequence[str]) -> list[str]:
    found = {row.session_id for row in rows if (row.covers or 0) < row.exchanges}
    return [one for one in session_ids if one in found]
