"""What is done of a row of things that are numbered from 0 and are not done in order. Pure.

All below `next` is, and of what is beyond, what `ahead` has a bit for: bit i stands for number
`next` + i, so that its first is never set. It is as long as the furthest that is done is from the
first that is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done, of things that are numbered from 0. A value: `plus` gives another."""

    next: int = 0
    ahead: int = 0

    @classmethod
    def stored(cls, start: int, ahead: object) -> Progress:
        """From its two parts as they are stored (`ahead_bytes`). What is no bytes says nothing:
        rather is something done twice than never.
        """
        done = int.from_bytes(ahead, "little") if isinstance(ahead, bytes) else 0
        return cls(start, done)._moved_on()

    @property
    def ahead_bytes(self) -> bytes | None:
        """`ahead` as bytes, the least significant first; None when it is nothing."""
        return self.ahead.to_bytes((self.ahead.bit_length() + 7) // 8, "little") or None

    @property
    def count(self) -> int:
        """How many are done."""
        return self.next + self.ahead.bit_count()

    def __contains__(self, number: int) -> bool:
        return number < self.next or bool(self.ahead >> (number - self.next) & 1)

    def missing(self, end: int) -> int:
        """How many below `end` are not done."""
        if end <= self.next:
            return 0
        width = end - self.next
        return width - (self.ahead & ((1 << width) - 1)).bit_count()

    def plus(self, numbers: Iterable[int]) -> Progress:
        """With `numbers` done too."""
        ahead = self.ahead
        for number in numbers:
            if number >= self.next:
                ahead |= 1 << (number - self.next)
        return Progress(self.next, ahead)._moved_on()

    def _moved_on(self) -> Progress:
        ones = (~self.ahead & (self.ahead + 1)).bit_length() - 1  # how many from the first on
        return Progress(self.next + ones, self.ahead >> ones)
