"""Finds sessions by words: goes over their sealed indexes, the latest first, and opens what it
finds.

Rules kept here:

* A session is searched only while it can be read, with its own key: what is deleted, erased or past
  its time is not even looked at. What a hold keeps beyond its time is read by the hold alone.
* A page costs what is bounded: so many sessions that are found, a second of looking, and of a
  session that is found so many bytes of its records for the excerpt. It says how many were looked
  at, and from where to go on.
* An excerpt comes out of the session itself, never out of the index.
* One search at a time of whoever asks, a few of all: others wait a little, and are refused then.
* Nothing of what is asked for or found stays: no cache, no log, no count by word.

Rows: O8.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Engine, func, literal, select

from bailee.clock import Ticks, ticks
from bailee.db.checks import sound
from bailee.db.engine import Query, reading, storage_errors
from bailee.db.pages import following
from bailee.db.portable import as_text
from bailee.db.vault import OF_A_RECORD, exchanges, number_of, session_words, sessions
from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.items.words import LONGEST, asked_words, places, words_of
from bailee.keyring import Keyring
from bailee.vault.indexing import RECORD, Indexing
from bailee.vault.kept import SessionRow
from bailee.vault.record import open_within, subject_of
from bailee.vault.said import SaidAnew, said
from bailee.vault.segments import Segments
from bailee.vault.session_words import Telling, digest, has_all, open_words

SECONDS: Final = 1.0
"""That a page looks for."""
LONGEST_ASKED: Final = 500
"""Characters that may be asked for."""
MOST_ASKED: Final = 16
"""Words likewise."""
_FRESH: Final = 0.5  # seconds of that for what is not in the index of words yet
_AT_ONCE: Final = 250  # sessions
_EXCERPT: Final = 160  # characters
_BEFORE: Final = 50  # of them before the word
_OPENED: Final = 4 << 20  # bytes of a session's records, sealed, in which the excerpt is looked for
_TEXT: Final = 1 << 20  # characters of one text likewise
_WAITING: Final = 5.0  # seconds that one search waits for others
_TOGETHER: Final = 2
_WHAT: Final = "the vault's index"
_COLUMNS: Final = [sessions.c[field.name] for field in fields(SessionRow)]
_SEARCHED: Final = (
    sessions.c.id,
    as_text(sessions.c.last_activity).label("at"),
    sessions.c.exchanges,
    func.coalesce(session_words.c.covers, 0),
    session_words.c.words,
)


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session that has all the words. `excerpt`: where they stand in it, or what is near; "" if
    that is further in than is looked.
    """

    session: SessionRow
    telling: Telling
    excerpt: str


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of what was found. `searched`: so many sessions were looked at, the latest of those
    asked for; `unindexed`: of these, not or not all of so many is in the index yet. `next`: from
    where to go on; None: that was all.
    """

    found: list[FoundSession]
    searched: int
    unindexed: int
    next: str | None


class _Indexed(NamedTuple):
    """What is read of each session: of thousands, so no more than it takes to look for words. It is
    checked when it has them.
    """

    id: str
    at: str
    exchanges: int
    covers: int
    words: bytes

    def place(self) -> str:
        """Its place in the list, as `db.pages` has it."""
        return f"{self.at.replace(' ', 'T')}Z~{self.id}"


class Searching:
    """Searches of one vault. The vault makes it; operations call it, from any thread. It owns the
    turns of those who search, changes nothing, and asks nobody whether an actor may.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        segments: Segments,
        indexing: Indexing,
        ticking: Ticks = ticks,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._segments = segments
        self._indexing = indexing
        self._ticks = ticking
        self._turns = threading.Condition()
        self._under_way: set[str] = set()  # who searches; who holds `_turns`
        self._queued: dict[str, int] = {}  # how many wait, by who asks; likewise

    def search(
        self,
        words: str,
        now: datetime,
        *,
        asker: str,
        owner: str | None = None,
        after: str | None = None,
        limit: int,
        seconds: float = SECONDS,
    ) -> SearchPage:
        """A page of the sessions of an owner, or of all, that have all the words, the latest first.
        `asker`: who asks, whose searches come one after the other. `after`: as in `Vault.sessions`.

        Raises:
            InputError: there is no word in it, or more than may be; `over_share`: too many search.
            StorageError: a store can't be read.
        """
        wanted = _asked(words)
        digests = [digest(one) for one in wanted]
        with self._turn(asker):
            end = self._ticks() + seconds
            found: list[FoundSession] = []
            searched = unindexed = 0
            while True:
                rows = self._rows(now, owner, after, end)
                keys = self._keyring.keys_of([subject_of(row.id) for row in rows])
                for row in rows:
                    searched += 1
                    unindexed += row.covers < row.exchanges
                    if not self._has_all(row, keys, digests):
                        continue
                    if (one := self._found(row.id, keys, now, wanted)) is not None:
                        found.append(one)
                        if len(found) == limit or self._ticks() >= end:
                            return SearchPage(found, searched, unindexed, row.place())
                if len(rows) < _AT_ONCE:
                    return SearchPage(found, searched, unindexed, None)
                after = rows[-1].place()
                if self._ticks() >= end:
                    return SearchPage(found, searched, unindexed, after)

    # -- inside ----------------------------------------------------------------------------------

    @contextmanager
    def _turn(self, asker: str) -> Iterator[None]:
        """One at a time of an asker, `_TOGETHER` of all."""
        with self._turns:
            if self._queued.get(asker, 0) >= _TOGETHER:
                raise _busy()
            self._queued[asker] = self._queued.get(asker, 0) + 1
            try:
                free = self._turns.wait_for(
                    lambda: asker not in self._under_way and len(self._under_way) < _TOGETHER,
                    _WAITING,
                )
            finally:
                self._queued[asker] -= 1
                if not self._queued[asker]:
                    del self._queued[asker]
            if not free:
                raise _busy()
            self._under_way.add(asker)
        try:
            yield
        finally:
            with self._turns:
                self._under_way.discard(asker)
                self._turns.notify_all()

    def _rows(
        self, now: datetime, owner: str | None, after: str | None, end: float
    ) -> list[_Indexed]:
        """The next sessions, with their words; what is new of them is taken into these first."""
        query = select(*_SEARCHED).outerjoin(
            session_words, session_words.c.session == sessions.c.number
        )
        query = query.where(
            sessions.c.expires_at > now,
            following(sessions.c.last_activity, sessions.c.id, after),
            *(() if owner is None else (sessions.c.owner == owner,)),
        )
        query = query.order_by(sessions.c.last_activity.desc(), sessions.c.id).limit(_AT_ONCE)
        rows = self._read(query)
        behind = [row.id for row in rows if row.covers < row.exchanges]
        seconds = min(_FRESH, end - self._ticks())
        if behind and seconds > 0:
            self._indexing.bring(behind, now, seconds)
            rows = self._read(query)
        return rows

    def _read(self, query: Query) -> list[_Indexed]:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [*map(_Indexed._make, connection.execute(query))]

    def _has_all(self, row: _Indexed, keys: Mapping[str, bytes], digests: Sequence[int]) -> bool:
        key = keys.get(subject_of(row.id))
        if key is None or not row.covers:
            return False
        try:
            return has_all(open_words(row.words, key, row.id, row.covers), digests)
        except IntegrityError:
            self._indexing.drop(row.id)
            return False

    def _found(
        self, session_id: str, keys: Mapping[str, bytes], now: datetime, wanted: Sequence[str]
    ) -> FoundSession | None:
        """A session that has the words, if it can still be read and its row is what was written."""
        query = select(*_COLUMNS).where(
            sessions.c.id == session_id, sessions.c.expires_at > now, sound(sessions)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        session = SessionRow(**row._mapping)
        telling = self._indexing.tellings([session_id]).get(session_id, Telling())
        excerpt = self._excerpt(session, keys[subject_of(session_id)], wanted)
        return FoundSession(session, telling, excerpt)

    def _excerpt(self, session: SessionRow, key: bytes, wanted: Sequence[str]) -> str:
        """Where a session has the words: of the first of its texts that has most of them."""
        best, most = "", 0
        try:
            for one in self._opened(session, key):
                for text in one.texts():
                    at, count = _where(text[:_TEXT], wanted)
                    if count > most:
                        best, most = _around(text, at), count
                    if most == len(wanted):
                        return best
        except BaileeError:  # damaged, or gone meanwhile: what was found is that it has them
            return best
        return best

    def _opened(self, session: SessionRow, key: bytes) -> Iterator[SaidAnew]:
        query = (
            select(*OF_A_RECORD)
            .where(exchanges.c.session == number_of(literal(session.id)), sound(exchanges))
            .order_by(exchanges.c.number)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        left = _OPENED
        for row in rows:
            if row.length > left:
                continue
            left -= row.length
            record = open_within(
                self._segments.read(row.segment_id, row.offset, row.length),
                key,
                session_id=session.id,
                record_id=row.id,
                data_class=session.data_class,
                most=RECORD,
            )
            if record is not None:
                yield said(record)


def _asked(words: str) -> tuple[str, ...]:
    """The words that are asked for.

    Raises:
        InputError: there are none, or more than may be.
    """
    if len(words) > LONGEST_ASKED:
        raise InputError(f"a search has at most {LONGEST_ASKED} characters.")
    wanted = asked_words(words)
    if not wanted:
        raise InputError(
            "there is no word to look for.", hint="give one of at least two letters or digits"
        )
    if len(wanted) > MOST_ASKED:
        raise InputError(f"a search has at most {MOST_ASKED} words.", hint="the rarest find most")
    return wanted


def _where(text: str, wanted: Sequence[str]) -> tuple[int, int]:
    """Where the first of the words stands in a text, and how many of them it has."""
    found = list(places(text, wanted))
    if not found:
        return 0, 0
    if len(found) == len(wanted) or len(text) > _EXCERPT * 100:
        return min(found), len(found)
    has = words_of([text], most_text=len(text), most_words=len(text)).words
    return min(found), sum(one[:LONGEST] in has for one in wanted)


def _around(text: str, at: int) -> str:
    """Some of a text around a place, in one line."""
    begin = max(0, at - _BEFORE)
    end = min(len(text), begin + _EXCERPT)
    shown = " ".join(text[begin:end].encode("utf-8", "replace").decode().split())
    return f"{'… ' if begin else ''}{shown}{' …' if end < len(text) else ''}"


def _busy() -> InputError:
    return InputError(
        "other searches are under way.", code="over_share", hint="wait for their end; ask again"
    )
