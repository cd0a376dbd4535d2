"""Going over all sessions a part at a time, so that what is done at each sweep costs the same
whatever there is.

Rules kept here:

* In a home of few sessions a part is all of them.
* Else parts follow one another in the order of ids, and round again. The first begins anywhere, so
  that a server that starts often comes to all of them too.
* However many there are, `parts` and two of them are all: with a sweep every five minutes, a few
  hours. Who asks for more parts than there ever are gets the least each time.
"""

from __future__ import annotations

import os

from sqlalchemy import ColumnElement, Connection, func, select

from bailee.db.vault import session_ends, sessions

_LEAST = 5000
_PARTS = 40
_TOTAL = select(func.coalesce(func.sum(session_ends.c.sessions), 0))


class Round:
    """Where one vault's round has come to. The caller sees to it that one at a time asks."""

    def __init__(self, *, least: int = _LEAST, parts: int = _PARTS) -> None:
        """`least`: sessions in a part, if there are so many."""
        self._least = least
        self._parts = parts
        self._after = os.urandom(2).hex()

    def next(self, connection: Connection) -> list[ColumnElement[bool]]:
        """The conditions under which a session is in the next part."""
        total = connection.execute(_TOTAL).scalar_one()
        size = max(self._least, total // self._parts)
        if total <= size:
            return []
        part = [sessions.c.id > self._after] if self._after else []
        last = select(sessions.c.id).where(*part).order_by(sessions.c.id).offset(size - 1).limit(1)
        self._after = connection.execute(last).scalar() or ""
        return [*part, sessions.c.id <= self._after] if self._after else part
