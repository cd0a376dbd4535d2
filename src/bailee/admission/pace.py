"""How many requests a second an account may begin while the event loop is late.

Pure: it is told how late the loop was and who wanted what; it says who waits, and how long.

The measure is what everybody notices: by how much the loop is late for what is due. It holds for
whatever costs time (a request's work, a flood of small ones, a thread that has the interpreter, a
processor that others use), and nobody has to know beforehand what a request costs.

Rules kept here:

* Nobody is paced while one account alone is there, or while the loop is in time.
* While it is late, who wants more than an equal part of its time begins half as many at each
  adjustment, of what they began lately, and at least one request a second; if there is somebody
  who wants less than half as much. Of some who all want as much nobody is paced: they share what
  there is, and nobody would have anything of it. What an account wants is what it used, and as
  much again for each request of its that waits as one has cost. So whoever is slowed by others is
  not taken for their cause.
* While it is in time again, each pace grows by a tenth; who has nothing waiting has none any more.
* Where all together do not want what the loop has, something else is late: who wants a fifth of
  its time or less is not the cause, nor is one who wants something while the others are silent.
* Nobody is paced below what can't be the cause: requests that take a fifth of the loop's time, and
  of which who comes at any moment finds less than `TARGET` before it. Else what makes the loop late
  from outside (a processor that others use, for minutes) would leave everybody one a second.

Rows: G1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TARGET: Final = 0.0006
"""Seconds that the loop may be late on average."""
_FEWER: Final = 0.5
_MORE: Final = 1.1
_AT_LEAST: Final = 1.0
_LITTLE: Final = 0.2  # of the loop's time
_BUSY: Final = 0.8  # of the loop's time, wanted by all together
_TIMES_OTHERS: Final = 2.0
_AT_ONCE: Final = 2.0  # requests that may begin together


@dataclass(slots=True)
class AccountDemand:
    """What an account wanted since the last adjustment: seconds of the loop that it `used`,
    requests that it `begun`, and how many wait now.
    """

    used: float = 0.0
    begun: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Bucket:
    rate: float  # requests a second
    tokens: float
    at: float


class Pace:
    """The paces of all accounts. All methods are called on the event loop's thread, with `now` in
    its seconds.
    """

    def __init__(self, target: float = TARGET) -> None:
        self._target = target
        self._buckets: dict[str, _Bucket] = {}
        self._costs: dict[str, float] = {}  # seconds that an account's request took lately

    def __bool__(self) -> bool:
        """Whether anybody is paced."""
        return bool(self._buckets)

    def rate(self, account: str) -> float | None:
        """Requests a second that an account may begin; None: as many as come."""
        bucket = self._buckets.get(account)
        return None if bucket is None else bucket.rate

    def wait(self, account: str, now: float) -> float:
        """Seconds until an account's next request may begin. 0.0: it begins now, and is counted."""
        bucket = self._buckets.get(account)
        if bucket is None:
            return 0.0
        gone = now - bucket.at
        bucket.tokens = min(_AT_ONCE, bucket.tokens + gone * bucket.rate)
        bucket.at = now
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return 0.0
        return (1.0 - bucket.tokens) / bucket.rate

    def adjust(
        self,
        now: float,
        seconds: float,
        late: float,
        wanted: Mapping[str, AccountDemand],
        crowded: bool,
    ) -> None:
        """Look back at the last `seconds`, in which the loop was `late` by so much on average and
        these accounts wanted something. `crowded`: whether several are there, if silent just then.
        """
        self._costs = {account: self._cost(account, one) for account, one in wanted.items()}
        if not crowded:
            self._buckets.clear()
        elif late > self._target:
            wants = {
                account: one.used + one.waiting * self._costs[account]
                for account, one in wanted.items()
            }
            everything = sum(wants.values())
            busy = everything > _BUSY * seconds
            if len(wants) == 1 and not busy:
                return
            little = 0.0 if busy else _LITTLE * seconds
            least = min(wants.values()) if len(wants) > 1 else 0.0
            most = max(everything / max(2, len(wants)), _TIMES_OTHERS * least, little)
            for account, want in wants.items():
                if want > most:
                    self._slow(account, wanted[account].begun / seconds, now)
            for account, bucket in self._buckets.items():
                bucket.rate = max(bucket.rate, self._harmless(account))
        elif late < self._target / 2:
            for account in tuple(self._buckets):
                there = wanted.get(account)
                if there is None or not there.waiting:
                    del self._buckets[account]
                else:
                    self._buckets[account].rate *= _MORE

    def _cost(self, account: str, one: AccountDemand) -> float:
        before = self._costs.get(account)
        if not one.begun:
            return before or 0.0
        lately = one.used / one.begun
        return lately if before is None else before + (lately - before) / 4

    def _harmless(self, account: str) -> float:
        """Requests a second that are not the cause. Each takes `cost` seconds: who comes at any
        moment finds `rate * cost ** 2 / 2` of them before it, on average (the residual of a queue).
        """
        cost = self._costs.get(account, 0.0)
        if not cost:
            return _AT_LEAST
        return max(_AT_LEAST, min(_LITTLE / cost, 2 * self._target / cost**2))

    def _slow(self, account: str, lately: float, now: float) -> None:
        bucket = self._buckets.get(account)
        if bucket is None:
            self._buckets[account] = _Bucket(max(_AT_LEAST, lately * _FEWER), 0.0, now)
        else:
            bucket.rate = max(_AT_LEAST, min(bucket.rate, lately) * _FEWER)
