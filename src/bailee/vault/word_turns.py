"""Which session's words are made next: of each owner in turn. Pure.

Rules kept here:

* A session is ready when it has been quiet for a while, or much of it is new.
* An owner's are taken in the order in which they were ready. Of the owners that have one it is the
  turn of who has had least of a processor, however many others have. Who comes new begins at the
  present least, so that nothing is saved up by being silent.
* So many are remembered of all together. Past that, of whose there are more than an equal part, one
  is only known to be missed: all have to be looked through again.

Rows: G1, O8.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

QUIET: Final = 20.0
"""Seconds without an exchange, after which a session is ready."""
MUCH: Final = 32
"""Exchanges, with which it is at once."""
_MOST: Final = 20_000
_A_TURN: Final = 1e-4  # seconds that it counts for at the least


class WordTurn(NamedTuple):
    """A session whose turn it is, and whose it is."""

    owner: str
    session: str


@dataclass(slots=True)
class _Noted:
    """A session that went on: when it was last told of, and how often."""

    owner: str
    at: float
    count: int = 0


class WordTurns:
    """Which sessions went on, and whose turn is next. `Indexing` owns it, and calls it inside a
    lock of its own; `now` is in seconds of one clock. It reads nothing.
    """

    def __init__(self, most: int = _MOST) -> None:
        """`most`: sessions that are remembered."""
        self.missed = False
        """Whether there are sessions that are not remembered."""
        self._most = most
        self._noted: OrderedDict[str, _Noted] = OrderedDict()  # told of last at the end
        self._ready: dict[str, OrderedDict[str, None]] = {}  # by owner
        self._counts: Counter[str] = Counter()  # of both, by owner
        self._total = 0
        self._had: dict[str, float] = {}  # virtual times, in seconds
        self._now = 0.0  # the virtual time of the last turn

    def note(self, session: str, owner: str, now: float) -> None:
        """A session went on."""
        if session in self._ready.get(owner, ()):
            return
        noted = self._noted.get(session)
        if noted is None:
            if not self._room(owner):
                return
            noted = self._noted[session] = _Noted(owner, now)
        noted.at = now
        noted.count += 1
        self._noted.move_to_end(session)
        if noted.count >= MUCH:
            self._is_ready(session)

    def found(self, session: str, owner: str) -> None:
        """A session that is ready was found when all were looked through."""
        if session in self._noted or session in self._ready.get(owner, ()) or not self._room(owner):
            return
        self._noted[session] = _Noted(owner, 0.0)
        self._is_ready(session)

    def next(self, now: float) -> WordTurn | None:
        """Take the session whose turn it is; it counts when it `took`."""
        while self._noted:
            session, noted = next(iter(self._noted.items()))
            if now - noted.at < QUIET:
                break
            self._is_ready(session)
        if not self._ready:
            self._had.clear()
            return None
        owner = min(self._ready, key=self._had.__getitem__)
        self._now = self._had[owner]
        ready = self._ready[owner]
        session, _ = ready.popitem(last=False)
        if not ready:
            del self._ready[owner]
        self._count(owner, -1)
        return WordTurn(owner, session)

    def took(self, turn: WordTurn, seconds: float, *, more: bool) -> None:
        """A turn took so much of a processor. `more`: of that session there is more to do, before
        others of its owner's.
        """
        had = self._now + max(seconds, _A_TURN)
        if more:
            if turn.session not in self._noted:
                self._count(turn.owner, 1)
                self._noted[turn.session] = _Noted(turn.owner, 0.0)
            self._is_ready(turn.session)
            self._ready[turn.owner].move_to_end(turn.session, last=False)
        self._had[turn.owner] = had
        for owner in [one for one in self._had if one not in self._ready]:
            if self._had[owner] <= self._now:
                del self._had[owner]

    def _room(self, owner: str) -> bool:
        """Whether one more of an owner's is remembered; counts it."""
        own = self._counts[owner]
        if self._total >= self._most and own >= self._most // max(1, len(self._counts)):
            self.missed = True
            return False
        self._count(owner, 1)
        return True

    def _count(self, owner: str, more: int) -> None:
        self._total += more
        self._counts[owner] += more
        if not self._counts[owner]:
            del self._counts[owner]

    def _is_ready(self, session: str) -> None:
        owner = self._noted.pop(session).owner
        if owner not in self._ready:
            self._ready[owner] = OrderedDict()
            self._had[owner] = max(self._had.get(owner, 0.0), self._now)
        self._ready[owner][session] = None
