"""Makes of each session what it is found by and told by (`session_words`), behind the sealer.

Rules kept here:

* The sealer never waits for this. It says which sessions go on (`note`); they are taken up when
  they are quiet, when much of one is new, or when somebody lists or searches them.
* A row says how many of its session's exchanges it covers, so that this goes on where it was broken
  off, and does sessions from before there was an index the same way.
* What it costs is bounded for each exchange (`TEXT`, `WORDS`, `RECORD`) and for each session
  (`MOST_WORDS`). What is past a bound is not found, and the row says that there is such.
* A row is written with the vault's lock held, and only of a session that can be read then: what is
  denied or gone gets none. A session whose key or records don't open gets none either.
* Words are in memory while one portion of one session is read, and nowhere else.

Rows: O8.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, bindparam, delete, func, literal, select

from bailee.clock import Ticks, ticks
from bailee.damage import Damages
from bailee.db.among import among
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

TEXT: Final = 128 << 10
"""Characters of an exchange whose words are found."""
WORDS: Final = 4_096
"""Words of an exchange that are found."""
RECORD: Final = 8 << 20
"""Bytes of a record that is read for its words; of a larger one none are found."""
_PORTION: Final = 32  # exchanges that are read before what was found is written
_PORTION_BYTES: Final = 8 << 20  # of their records, sealed
_QUIET: Final = 20.0  # seconds without an exchange, after which a session is taken up
_MUCH: Final = 32  # exchanges, with which it is taken up at once
_MOST_NOTED: Final = 20_000
_AT_ONCE: Final = 500  # sessions, when all are looked through
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
_STILL: Final = select(sessions.c.id).where(
    sessions.c.id == bindparam("which"), sessions.c.expires_at > bindparam("now")
)
_BEHIND: Final = (
    select(sessions.c.id, sessions.c.exchanges, session_words.c.covers)
    .outerjoin(session_words, session_words.c.session == sessions.c.number)
    .where(sessions.c.id > bindparam("after"))
    .order_by(sessions.c.id)
    .limit(_AT_ONCE)
)


@dataclass(slots=True)
class _Noted:
    """A session that went on: when it was last told of (ticks), and how often since."""

    at: float
    count: int = 0


@dataclass(slots=True)
class _Made:
    """What is made of a session so far."""

    covers: int
    whole: bool
    telling: Telling
    words: bytes


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
        # These two: who holds `_noting`. Whoever was told of last is at the end.
        self._noted: OrderedDict[str, _Noted] = OrderedDict()
        self._much: dict[str, None] = {}
        self._noting = threading.Lock()
        self._after: str | None = ""  # of all sessions, how far; None: to the end

    def note(self, session_ids: Iterable[str]) -> None:
        """These sessions went on."""
        now = self._ticks()
        with self._noting:
            for one in session_ids:
                noted = self._noted.setdefault(one, _Noted(now))
                noted.at = now
                noted.count += 1
                self._noted.move_to_end(one)
                if noted.count >= _MUCH:
                    self._much[one] = None
            if len(self._noted) > _MOST_NOTED:
                self._noted.clear()
                self._much.clear()
                self._after = ""  # all are looked through again

    def work(self, now: datetime, stop: Callable[[], bool] = lambda: False) -> bool:
        """Take up one session that is to be, or look through some of all; whether there is more to
        do at once.

        Raises:
            StorageError: a store failed; call again.
        """
        if (ready := self._ready()) is not None:
            self._bring(ready, now, stop)
            return True
        if self._after is None:
            return False
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(_BEHIND, {"after": self._after}).all()
        for row in rows:
            if stop():
                return False
            if (row.covers or 0) < row.exchanges:
                self._bring(row.id, now, stop)
            self._after = row.id
        if len(rows) < _AT_ONCE:
            self._after = None
        return True

    def bring(self, session_ids: Sequence[str], now: datetime, seconds: float) -> None:
        """Take up these sessions as far as so many seconds allow, one after the other."""
        end = self._ticks() + seconds

        def late() -> bool:
            return self._ticks() >= end

        for one in session_ids:
            if late():
                return
            self._bring(one, now, late)

    def tellings(self, session_ids: Sequence[str]) -> dict[str, Telling]:
        """What sessions are told by, of those of which there is something that opens."""
        ids = list(session_ids)
        query = (
            select(sessions.c.id.label("session_id"), session_words.c.covers, session_words.c.about)
            .join(session_words, session_words.c.session == sessions.c.number)
            .where(among(sessions.c.id, ids))
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        keys = self._keyring.some([subject_of(row.session_id) for row in rows])
        found: dict[str, Telling] = {}
        for row in rows:
            telling = self._telling(row, keys)
            if telling is not None:
                found[row.session_id] = telling
        return found

    def behind(self, session_ids: Sequence[str]) -> list[str]:
        """Those of the sessions of which something is not in the index of words yet, as ordered."""
        query = (
            select(sessions.c.id)
            .outerjoin(session_words, session_words.c.session == sessions.c.number)
            .where(
                among(sessions.c.id, list(session_ids)),
                func.coalesce(session_words.c.covers, 0) < sessions.c.exchanges,
            )
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found = {*connection.execute(query).scalars()}
        return [one for one in session_ids if one in found]

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
        self.note([session_id])

    # -- inside ----------------------------------------------------------------------------------

    def _ready(self) -> str | None:
        with self._noting:
            one = next(iter(self._much), None)
            if one is None:
                one, noted = next(iter(self._noted.items()), (None, None))
                if noted is None or self._ticks() - noted.at < _QUIET:
                    return None
            if one is not None:
                self._much.pop(one, None)
                self._noted.pop(one, None)
            return one

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
        """Bring a session up to date, a portion after the other. What fails of it by itself is its
        own: others go on.

        Raises:
            StorageError: a store failed.
        """
        more = True
        while more:
            with self._one:
                try:
                    more = self._portion(session_id, now)
                except StorageError:
                    raise
                except BaileeError:  # damaged, or gone meanwhile: nothing is made of it
                    return
            more = more and not stop()

    def _portion(self, session_id: str, now: datetime) -> bool:
        """Read some of a session; whether more is left."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            session = connection.execute(_OF_SESSION, {"which": session_id, "now": now}).first()
            if session is None or (session.covers or 0) >= session.exchanges:
                return False
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
            return False
        self._write(session, made, key, now)
        return bool(made.covers < session.exchanges)

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

    def _write(self, session: DbRow, made: _Made, key: bytes, now: datetime) -> None:
        about = seal_telling(made.telling, key, session.id, made.covers, os.urandom(NONCE_BYTES))
        words = seal_words(made.words, key, session.id, made.covers, os.urandom(NONCE_BYTES))
        values = {
            "session": session.number,
            "covers": made.covers,
            "whole": int(made.whole),
            "about": about,
            "words": words,
        }
        length = func.length(session_words.c.about) + func.length(session_words.c.words) + ROW
        before = select(length).where(session_words.c.session == session.number)
        with self._lock:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                still = connection.execute(_STILL, {"which": session.id, "now": now}).first()
                if still is None:
                    return
                had = connection.execute(before).scalar() or 0
                connection.execute(_REPLACE, values)
                grown = len(about) + len(words) + ROW - had
                sums = self._stored.add(connection, {session.owner: grown})
            self._stored.note(sums)
        self._damages.forget(_name(session.id))


def _name(session_id: str) -> str:
    """As what a damaged row of this is named."""
    return f"session_words {session_id}"
