"""Who is signed in to the console: sessions on the server, a random cookie at the browser.

Rules kept here:

* A cookie is 256 random bits; its SHA-256 is kept, and looking that up tells nothing of how near a
  guess came.
* Signing in always gives a new cookie and ends the session of the one before (no fixation).
* A session ends when it was not used for a while, and after a while at all; an operator's sooner.
* Whoever has no place here any more (`authority.place_here`) has no good session either.
* A person sees their sessions and ends any of them. What the browser says of itself is sealed under
  the person's key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update

from bailee.accounts.authority import Authority, place_here
from bailee.accounts.backing import Backing
from bailee.accounts.roles import OPERATOR, Actor
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.people import persons, web_sessions
from bailee.errors import InputError

_WHAT: Final = "the console's sessions"
_TOUCH: Final = timedelta(minutes=1)
_LONGEST_CLIENT: Final = 200


@dataclass(frozen=True, slots=True)
class SessionLifetime:
    """After how long without use, and after how long at all, a session ends."""

    idle: timedelta
    absolute: timedelta


OF_PERSONS: Final = SessionLifetime(idle=timedelta(days=1), absolute=timedelta(days=14))
OF_OPERATORS: Final = SessionLifetime(idle=timedelta(hours=2), absolute=timedelta(hours=12))


@dataclass(frozen=True, slots=True)
class WebSession:
    """A session that is good. `person_id` None: the operator, by the printed link. `client` is what
    the browser said of itself. `ends_at`: if it is not used until then.
    """

    session_id: str
    person_id: str | None
    client: str | None
    created_at: datetime
    last_used_at: datetime
    ends_at: datetime


class WebSessions:
    """The sessions of a home's console.

    The console asks it for each request with a cookie, on its worker threads; ways in and erasures
    begin and end sessions. It owns their rows and has nothing in memory: a session that was ended
    is over for the next request. It never keeps a cookie, only its digest.
    """

    def __init__(self, backing: Backing, authority: Authority) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._identifiers = backing.identifiers
        self._random = backing.random
        self._authority = authority

    def begin(
        self, person_id: str | None, *, client: str | None = None, instead_of: str | None = None
    ) -> str:
        """Sign a person in (None: the operator); the cookie. The session of the cookie that the
        browser had before (`instead_of`) ends.
        """
        cookie, now = self._random(32).hex(), self._clock()
        session_id = "web_" + self._random(8).hex()
        sealed = (
            self._identifiers.seal(person_id, "client", client[:_LONGEST_CLIENT])
            if person_id is not None and client
            else None
        )
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                delete(web_sessions).where(web_sessions.c.created_at < now - OF_PERSONS.absolute)
            )
            if instead_of:
                connection.execute(
                    delete(web_sessions).where(web_sessions.c.digest == _digest(instead_of))
                )
            connection.execute(
                insert(web_sessions).values(
                    id=session_id,
                    digest=_digest(cookie),
                    person_id=person_id,
                    client=sealed,
                    created_at=now,
                    last_used_at=now,
                )
            )
            self._ledger.append(
                "sign_in.begun",
                person_id or "operator",
                {"session": session_id},
                connection=connection,
            )
        return cookie

    def find(self, cookie: str | None) -> WebSession | None:
        """The good session of a cookie, used now; None when there is none."""
        if not cookie:
            return None
        found = self._good(web_sessions.c.digest == _digest(cookie))
        if not found:
            return None
        (session,) = found
        now = self._clock()
        if now - session.last_used_at >= _TOUCH:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    update(web_sessions)
                    .where(web_sessions.c.id == session.session_id)
                    .values(last_used_at=now)
                )
        return session

    def actor(self, cookie: str | None) -> Actor:
        """Who the cookie's session is of.

        Raises:
            InputError: code `authentication`, nobody is signed in with it.
        """
        session = self.find(cookie)
        if session is None:
            raise InputError(
                "nobody is signed in.", code="authentication", hint="sign in to the console"
            )
        if session.person_id is None:
            return OPERATOR
        return self._authority.by_person(session.person_id)

    def end(self, cookie: str | None) -> None:
        """End the session of a cookie."""
        if cookie:
            self._end(web_sessions.c.digest == _digest(cookie))

    def of_person(self, person_id: str) -> list[WebSession]:
        """A person's good sessions, the last begun first."""
        return self._good(web_sessions.c.person_id == person_id)

    def end_one(self, person_id: str, session_id: str) -> None:
        """End one of a person's sessions.

        Raises:
            InputError: code `not_found`, they have none with this id.
        """
        mine = (web_sessions.c.person_id == person_id) & (web_sessions.c.id == session_id)
        if not self._end(mine):
            raise InputError("there is no such session.", code="not_found")

    def end_all(self, person_id: str, *, but: str | None = None) -> int:
        """End a person's sessions, except that of the cookie `but`; how many there were."""
        mine = web_sessions.c.person_id == person_id
        if but:
            mine &= web_sessions.c.digest != _digest(but)
        return self._end(mine)

    def _end(self, which: ColumnElement[bool]) -> int:
        with storage_errors(_WHAT), self._engine.begin() as connection:
            ended = connection.execute(
                delete(web_sessions)
                .where(which)
                .returning(web_sessions.c.id, web_sessions.c.person_id)
            ).all()
            for row in ended:
                self._ledger.append(
                    "sign_in.ended",
                    row.person_id or "operator",
                    {"session": row.id},
                    connection=connection,
                )
        return len(ended)

    def _good(self, which: ColumnElement[bool]) -> list[WebSession]:
        query = (
            select(web_sessions, persons.c.operator)
            .select_from(web_sessions.outerjoin(persons))
            .where(
                which,
                sound(web_sessions),
                or_(web_sessions.c.person_id.is_(None), place_here()),
            )
            .order_by(web_sessions.c.created_at.desc(), web_sessions.c.id)
        )
        now = self._clock()
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        found = (self._session(row) for row in rows)
        return [session for session in found if session.ends_at > now]

    def _session(self, row: Row[tuple[object, ...]]) -> WebSession:
        limits = OF_OPERATORS if row.person_id is None or row.operator else OF_PERSONS
        client = self._identifiers.shown(row.person_id, "client", row.client)
        return WebSession(
            row.id,
            row.person_id,
            client,
            row.created_at,
            row.last_used_at,
            min(row.last_used_at + limits.idle, row.created_at + limits.absolute),
        )


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).digest()
