"""What has been begun and waits for its answer: a passkey's challenge, a visit to a provider.

In memory: what waits when the process ends is begun again. Each is good once, for ten minutes, and
there is room for a number of them; when it is full the oldest go.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from bailee.clock import Clock

LASTS: Final = timedelta(minutes=10)
_ROOM: Final = 10_000
Held = TypeVar("Held")


class Pending(Generic[Held]):
    """Things that wait, each under a token that only whoever began it knows.

    A way in owns one. `put` and `take` may be called from any thread. It never gives a thing twice,
    and none that is older than its time.
    """

    def __init__(self, clock: Clock, random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()  # whenever `_held` is read or changed
        self._held: OrderedDict[bytes, tuple[datetime, Held]] = OrderedDict()

    def put(self, held: Held) -> str:
        """Keep it; the token under which it is found."""
        token = self._random(32).hex()
        with self._lock:
            self._held[_digest(token)] = (self._clock() + LASTS, held)
            while len(self._held) > _ROOM:
                self._held.popitem(last=False)
        return token

    def take(self, token: str) -> Held | None:
        """What waits under this token, once; None when there is nothing (any more)."""
        with self._lock:
            found = self._held.pop(_digest(token), None)
        if found is None or found[0] <= self._clock():
            return None
        return found[1]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
