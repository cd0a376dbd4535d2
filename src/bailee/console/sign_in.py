"""Signing in to the console by a single-use link; there is no default password.

The server prints a link when it starts. Its token is good once and for fifteen minutes; what the
browser then holds is a random session cookie, good for twelve hours and until the process ends.
Only digests are kept, in memory.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from bailee.clock import Clock

LINK_LASTS = timedelta(minutes=15)
SESSION_LASTS = timedelta(hours=12)


class SignIn:
    """Links given out and sessions begun."""

    def __init__(self, clock: Clock, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock = clock
        self._random = random
        self._links: dict[bytes, datetime] = {}
        self._sessions: dict[bytes, datetime] = {}

    def link_token(self) -> str:
        """A token for one link."""
        return self._give_out(self._links, LINK_LASTS)

    def redeem(self, token: str) -> str | None:
        """The cookie for a session in exchange for a link's token; None when it is not good."""
        until = self._links.pop(_digest(token), None)
        if until is None or until <= self._clock():
            return None
        return self._give_out(self._sessions, SESSION_LASTS)

    def is_signed_in(self, cookie: str | None) -> bool:
        """Whether this cookie belongs to a living session."""
        until = self._sessions.get(_digest(cookie)) if cookie else None
        return until is not None and until > self._clock()

    def end(self, cookie: str | None) -> None:
        """End a session."""
        if cookie:
            self._sessions.pop(_digest(cookie), None)

    def _give_out(self, held: dict[bytes, datetime], lasts: timedelta) -> str:
        now = self._clock()
        for digest in [digest for digest, until in held.items() if until <= now]:
            del held[digest]
        token = self._random(32).hex()
        held[_digest(token)] = now + lasts
        return token


def _digest(token: str) -> bytes:
    """What is kept of a token. Looking a digest up tells nothing of how near a guess came."""
    return hashlib.sha256(token.encode()).digest()
