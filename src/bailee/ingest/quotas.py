"""How much one sender may send: bytes and requests, each a bucket that refills. Pure.

A sender is a key or an address, held in memory alone. The number of senders is bounded: the one
that was quiet longest is forgotten, which gives it a full bucket again. Keys and addresses
are counted in tables of their own, so that a crowd of addresses can't push out those with a key.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` on the long run, `burst` at once."""

    per_second: float
    burst: float


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


@dataclass(slots=True)
class Quota:
    """Buckets by sender, at most `most` of them. Who admits owns it, and calls it on one thread: it
    has no lock.
    """

    rate: Rate
    most: int = 10_000
    buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def take(self, sender: str, amount: float, now: float) -> int:
        """Take `amount` at `now` (seconds): 0 when there was room, else the seconds to wait.

        An amount over the burst is let through when the bucket is full, so that what is allowed
        in size is never refused for good.
        """
        bucket = self.buckets.pop(sender, None)
        if bucket is None:
            bucket = _Bucket(self.rate.burst, now)
        self.buckets[sender] = bucket
        if len(self.buckets) > self.most:
            self.buckets.popitem(last=False)
        passed = max(0.0, now - bucket.at)
        bucket.left = min(self.rate.burst, bucket.left + passed * self.rate.per_second)
        bucket.at = now
        wanted = min(amount, self.rate.burst)
        if bucket.left >= wanted:
            bucket.left -= amount
            return 0
        return max(1, math.ceil((wanted - bucket.left) / self.rate.per_second))

    def charge(self, sender: str, amount: float) -> None:
        """Take `amount` whether there is room or not: who had more than was known beforehand waits
        afterwards.
        """
        bucket = self.buckets.get(sender)
        if bucket is not None:
            bucket.left -= amount
