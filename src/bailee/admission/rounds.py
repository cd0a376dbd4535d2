"""Whose request begins next when several accounts want more than one thread can do.

Pure, but for what it is made with: a clock, and two callables that call back, at the loop's next
turn (`soon`) or after so many seconds (`later`).

Rules kept here:

* Each account begins at most `most` requests in a turn of the loop, one that is alone `alone` (a
  turn's end is looked for only after so many: it costs the loop a turn that nobody needs); what
  is more waits for the next turn, in the order in which it came, the keys of an account one after
  the other. So another account's request stands behind a few of them, never behind all; also who
  comes while one account alone was there. Who is alone begins more at once, since what begins
  together ends together, and is written in one go.
* While several are there it is so with what comes, from either side: of an account that had
  `seconds_most` of a turn, or of which `bytes_most` were gone into, the rest waits for the next, in
  which its connections go on in the order in which they came to rest, one of them at the least.
  Who is alone has `alone_share` times as much of a turn: who comes then stands behind no more.
* While several are there, an account may go beyond its part of a turn by what it saved up: a fifth
  of the loop's time, some milliseconds at the most, and all of them together by no more than one
  may. So what comes at the same time of who seldom asks is gone into together, and not in as many
  turns as there are requests; who goes beyond in each turn has nothing saved.
* While the loop is late, who wants most of it is paced (`pace`), and waits for that.

Rows: G1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bailee.admission.pace import AccountDemand, Pace

_MOST: Final = 1
_ALONE: Final = 16
_BYTES_MOST: Final = 128 << 10
_SECONDS_MOST: Final = 0.0005
_ALONE_SHARE: Final = 4
_SAVES: Final = 0.2  # of the loop's time
_SAVED_MOST: Final = 0.004  # seconds
_BEGINNING: Final = 0.00025  # seconds that a request takes until it is begun
_REMEMBERED: Final = 10.0  # seconds for which who asked counts as there
_LOOK_SECONDS: Final = 0.005
_LOOKS: Final = 20  # between two adjustments
_LONGEST: Final = 0.1  # seconds until a turn is looked for again, at the most
_SHORTEST: Final = 0.001  # and at the least: less is none to the loop, which would only go round

Go = Callable[[], None]


@dataclass(slots=True)
class _Had:
    """What an account had of the present turn."""

    seconds: float = 0.0
    bytes: int = 0


@dataclass(slots=True)
class _Saved:
    """What an account saved up of the loop's time: so many seconds at that time."""

    seconds: float
    at: float


class Rounds:
    """Whose request begins next, and whose connection is read from: what waits, and what each
    account had of the present turn of the loop.

    The gateway owns it. All methods are called on its event loop's thread, and each `go` from
    there. Who is not known is one account, of the empty name. It refuses nobody, and never reads a
    request.
    """

    def __init__(
        self,
        soon: Callable[[Go], object],
        later: Callable[[float, Go], object],
        now: Callable[[], float],
        *,
        most: int = _MOST,
        alone: int = _ALONE,
        bytes_most: int = _BYTES_MOST,
        seconds_most: float = _SECONDS_MOST,
        alone_share: int = _ALONE_SHARE,
        remembered: float = _REMEMBERED,
        pace: Pace | None = None,
    ) -> None:
        self.crowded = False
        """Whether several accounts are there, so that what each costs is to be told (`spent`)."""
        self._soon = soon
        self._later = later
        self._now = now
        self._several, self._alone = most, alone
        self._bytes_most = bytes_most
        self._seconds_most = seconds_most
        self._alone_share = alone_share
        self._remembered = remembered
        self._pace = pace or Pace()
        self._seen: dict[str, float] = {}  # when each account last asked
        self._begun: dict[str, int] = {}
        self._had: dict[str, _Had] = {}
        self._saved: dict[str, _Saved] = {}
        self._drawn = 0.0  # seconds of the present turn that had been saved
        self._resting: dict[str, deque[Go]] = {}
        self._queues: dict[str, dict[str, deque[Go]]] = {}
        self._turns = False  # whether the next turn of the loop is ours too
        self._wakes = 0.0  # when a turn is looked for again, while all that wait are paced
        self._wanted: dict[str, AccountDemand] = {}
        self._looking = False
        self._due = self._adjusted = 0.0
        self._late = 0.0
        self._looks = 0

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(map(self._waiting, self._queues))

    def begins(self, account: str) -> bool:
        """Whether a request begins now; otherwise its caller goes on with `wait`."""
        self._seen[account] = now = self._now()
        if not self.crowded and len(self._seen) > 1:
            self._crowd()
        count = self._begun.get(account, 0)
        most = self._most(account, count)
        if count >= most or account in self._queues or self._pace.wait(account, now):
            return False
        count += 1
        if self.crowded or count == most:
            self._take_turn()
        self._begin(account, count)
        return True

    def _most(self, account: str, begun: int) -> int:
        """How many requests of an account begin in a turn in which so many have."""
        if not self.crowded:
            return self._alone
        more = round(self._spare(account) / _BEGINNING)
        return self._several if begun < self._several else min(self._alone, begun + more)

    def _spare(self, account: str) -> float:
        """Seconds by which an account may go beyond its part of the turn."""
        now = self._now()
        saved = self._saved.get(account)
        if saved is None:
            saved = self._saved[account] = _Saved(0.0, now)
        saved.seconds = min(_SAVED_MOST, saved.seconds + (now - saved.at) * _SAVES)
        saved.at = now
        return min(saved.seconds, _SAVED_MOST - self._drawn)

    def wait(self, account: str, key: str, go: Go) -> None:
        """`go` is called when the request's turn comes."""
        self._take_turn()
        self._queues.setdefault(account, {}).setdefault(key, deque()).append(go)

    def has_turn(self, account: str) -> bool:
        """Whether what comes of an account is gone into in this turn; otherwise its caller goes on
        with `rest`.
        """
        return account not in self._resting and self._has_left(account)

    def rest(self, account: str, go: Go) -> None:
        """`go` is called when the connection's turn comes to go on; it tells what it `took`."""
        self._take_turn()
        self._resting.setdefault(account, deque()).append(go)

    def took(self, account: str, seconds: float, size: int) -> None:
        """An account had so much of the loop's turn, for so many bytes of what came. Told of all
        that comes while it is `crowded`, and of what is large at any time.
        """
        self._take_turn()
        had = self._had.get(account)
        if had is None:
            had = self._had[account] = _Had()
        had.seconds += seconds
        had.bytes += size
        if self.crowded:
            self.spent(account, seconds)
            if (beyond := min(seconds, had.seconds - self._seconds_most)) > 0:
                beyond = min(beyond, self._spare(account))
                self._saved[account].seconds -= beyond
                self._drawn += beyond

    def spent(self, account: str, seconds: float) -> None:
        """So much time goes on an account, in whatever turn. Told while it is `crowded`."""
        self._want(account).used += seconds

    def look(self) -> None:
        """Called now and then: forgets who has not asked for a while, and has nothing waiting. The
        while is long: who asks seldom finds turns shared, and not all that another began alone.
        """
        since = self._now() - self._remembered
        for account in [one for one, asked in self._seen.items() if asked < since]:
            if account not in self._queues:
                del self._seen[account]
        self._saved = {one: saved for one, saved in self._saved.items() if one in self._seen}
        if len(self._seen) > 1:
            self._crowd()
        else:
            self.crowded = False

    # -- turns ---------------------------------------------------------------------------------

    def _take_turn(self) -> None:
        if not self._turns:
            self._turns = True
            self._soon(self._turn)

    def _turn(self) -> None:
        self._turns = False
        self._begun.clear()
        self._had.clear()
        self._drawn = 0.0
        if self._resting:
            self._go_on()
        if not self._queues:
            return
        due: list[tuple[str, Go]] = []
        now, pause = self._now(), _LONGEST
        for account in tuple(self._queues):
            pause = min(pause, self._take(account, now, due))
        if not pause:
            self._take_turn()
        elif self._queues and not now < self._wakes <= now + pause:
            self._wake(now + pause, max(pause, _SHORTEST))
        for account, go in due:
            began = self._now()
            go()
            self.took(account, self._now() - began, 0)

    def _go_on(self) -> None:
        """Those that rest go on, of each account as many as its part of the turn is enough for. One
        that takes nothing of it is only read from again, and what then comes may be large.
        """
        self._take_turn()
        for account, resting in tuple(self._resting.items()):
            while True:
                resting.popleft()()
                if not resting:
                    del self._resting[account]
                    break
                if account not in self._had or not self._has_left(account):
                    break

    def _has_left(self, account: str) -> bool:
        had = self._had.get(account)
        if had is None:
            return True
        if not self.crowded:
            share = self._alone_share
            return had.seconds < self._seconds_most * share and had.bytes < self._bytes_most * share
        if had.bytes >= self._bytes_most:
            return False
        return had.seconds < self._seconds_most or self._spare(account) > 0.0

    def _wake(self, at: float, seconds: float) -> None:
        self._wakes = at

        def due() -> None:
            if self._wakes == at:  # else there is another, which was sooner
                self._wakes = 0.0
                self._take_turn()

        self._later(seconds, due)

    def _take(self, account: str, now: float, due: list[tuple[str, Go]]) -> float:
        """What of an account begins in this turn; seconds until more of it may."""
        keys = self._queues[account]
        for count in range(1, self._most(account, self._several) + 1):
            if pause := self._pace.wait(account, now):
                return pause
            key = next(iter(keys))
            queue = keys.pop(key)
            due.append((account, queue.popleft()))
            self._begin(account, count)
            if queue:
                keys[key] = queue  # behind the account's other keys
            if not keys:
                del self._queues[account]
                break
        return 0.0

    def _begin(self, account: str, count: int) -> None:
        self._begun[account] = count
        if self.crowded:
            self._want(account).begun += 1

    # -- how late the loop is --------------------------------------------------------------------

    def _crowd(self) -> None:
        if not self.crowded:
            self._take_turn()  # what began while one was alone is of this turn, or was of others
        self.crowded = True
        if not self._looking:
            self._looking = True
            self._adjusted = self._now()
            self._wanted.clear()
            self._look_again()

    def _look_again(self) -> None:
        self._due = self._now() + _LOOK_SECONDS
        self._later(_LOOK_SECONDS, self._look_late)

    def _look_late(self) -> None:
        self._late += max(0.0, self._now() - self._due)
        self._looks += 1
        if self._looks == _LOOKS:
            self._adjust()
        if self.crowded or self._pace:
            self._look_again()
        else:
            self._looking = False

    def _adjust(self) -> None:
        now = self._now()
        for account in self._queues:
            self._want(account).waiting = self._waiting(account)
        late = self._late / _LOOKS
        self._pace.adjust(now, now - self._adjusted, late, self._wanted, self.crowded)
        self._wanted, self._adjusted, self._late, self._looks = {}, now, 0.0, 0

    def _want(self, account: str) -> AccountDemand:
        found = self._wanted.get(account)
        if found is None:
            found = self._wanted[account] = AccountDemand()
        return found

    def _waiting(self, account: str) -> int:
        return sum(map(len, self._queues.get(account, {}).values()))
