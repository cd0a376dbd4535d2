"""Single-use links for the operator; there is no default password.

The server prints a link when it starts. Its token is good once and for fifteen minutes; only its
digest is kept, in memory. What the browser then holds is a console session like any other.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from bailee.clock import Clock

LINK_LASTS = timedelta(minutes=15)


class SignIn:
    """The links that were given out and not used.

    The server makes it and gives out links; the console redeems them on its worker threads. It owns
    their digests, in memory alone, and begins no session.
    """

    def __init__(self, clock: Clock, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._links: dict[bytes, datetime] = {}  # with `_lock`: a link is good once

    def link_token(self) -> str:
        """A token for one link."""
        now = self._clock()
        token = self._random(32).hex()
        with self._lock:
            self._links = {digest: until for digest, until in self._links.items() if until > now}
            self._links[_digest(token)] = now + LINK_LASTS
        return token

    def redeem(self, token: str) -> bool:
        """Whether the token is good: for the first time, and in time."""
        with self._lock:
            until = self._links.pop(_digest(token), None)
        return until is not None and until > self._clock()


def _digest(token: str) -> bytes:
    """What is kept of a token. Looking a digest up tells nothing of how near a guess came."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
