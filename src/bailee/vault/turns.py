"""Whose exchange is sealed next: what waits of each owner, in fair order. Pure.

Start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996). Each owner has a virtual time, which
what is taken of theirs moves on by what it costs: its bytes, and a fixed cost; or the time of a
processor that it took, where that was more. The owner with the least goes next.

Rules kept here:

* An owner's own are taken in the order in which they came.
* What a frame takes is known when it is done: two kilobytes can be a million values. Until then it
  counts as what its owner's took lately, and what it really took is charged then.
* Who comes new begins at the present least; who comes again does, too, but not before what they
  had has been paid for. So nothing is saved up by being silent, and nothing won by coming in bits.
* While somebody waits, no other has more taken than them by more than one frame of each, but for
  `take_oldest`.

Rows: G1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import ceil
from typing import Final, TypeAlias

from bailee.vault.spool_writing import Kept

FRAME: Final = 16 << 10
"""What a frame costs besides its bytes: to seal a small one takes about as long as so many."""

SECOND: Final = 16 << 20
"""What a second of a processor costs: a small frame takes about a millisecond."""

Numbered: TypeAlias = "tuple[int, Kept]"


def cost(kept: Kept) -> int:
    """What a frame costs at least, in bytes."""
    return kept.length + FRAME


def _place(kept: Kept) -> tuple[str, int]:
    return kept.file, kept.sequence


@dataclass(slots=True, eq=False)
class Owned:
    """What waits of an owner. `count`, `bytes`: with what is taken and not done; `waiting`: not
    taken, `cost` of that. `added`, `done`: how many ever, since the owner came; who waits for
    their own may hold on to this beyond the last. `lately`: what a frame of theirs cost.
    """

    owner: str
    virtual: int
    waiting: deque[Numbered] = field(default_factory=deque)
    cost: int = 0
    bytes: int = 0
    added: int = 0
    done: int = 0
    lately: int = 0
    entry: int = -1  # which of the heap's is good

    @property
    def count(self) -> int:
        """How many wait."""
        return self.added - self.done

    @property
    def ahead(self) -> int:
        """What all that is not taken costs, as far as is known."""
        return max(self.cost, self.lately * len(self.waiting))

    def expected(self, kept: Kept) -> int:
        """What a frame costs, as far as is known before."""
        return max(cost(kept), self.lately)


class SealingTurns:
    """What waits of each owner, and whose turn is next. A frame is put, then taken, then done. The
    queue owns it, and changes it inside its own lock alone. It holds no file, and drops nothing.
    """

    def __init__(self) -> None:
        self.owned: dict[str, Owned] = {}
        self._heap: list[tuple[int, int, Owned]] = []  # by virtual time; some are stale
        self._entries = count()
        self._now = 0  # the virtual time of what was taken last
        self._charged: dict[tuple[str, int], int] = {}  # for each frame that is taken
        self._paid: dict[str, int] = {}  # of who has nothing here, up to when that is paid for
        self._paying: list[tuple[int, str]] = []  # the same, by time

    def put(self, number: int, kept: Kept) -> None:
        """A frame has come; `number` only grows."""
        one = self.owned.get(kept.owner)
        if one is None:
            one = self.owned[kept.owner] = Owned(kept.owner, self._paid.pop(kept.owner, 0))
        one.added += 1
        one.bytes += kept.length
        one.cost += cost(kept)
        one.waiting.append((number, kept))
        if len(one.waiting) == 1:
            one.virtual = max(one.virtual, self._now)
            self._enter(one)

    def take(self) -> Numbered | None:
        """The next frame, whose turn it is."""
        while self._heap:
            virtual, entry, one = heappop(self._heap)
            if entry == one.entry:
                self._now = virtual
                return self._take_of(one)
        return None

    def take_oldest(self) -> Callable[[], Numbered | None]:
        """What takes the frames of the owner whose first one has waited longest, one by one."""
        some = [one for one in self.owned.values() if one.waiting]
        if not some:
            return lambda: None
        oldest = min(some, key=lambda one: one.waiting[0][0])
        return lambda: self._take_of(oldest) if oldest.waiting else None

    def done(self, kept: Kept) -> None:
        """A frame that was taken is done; those of an owner are, in the order they were taken."""
        self._charged.pop(_place(kept), None)
        one = self.owned[kept.owner]
        one.done += 1
        one.bytes -= kept.length
        if one.count == 0:
            del self.owned[one.owner]
            if one.virtual > self._now:
                self._paid[one.owner] = one.virtual
                heappush(self._paying, (one.virtual, one.owner))
        self._forget_paid()

    def took(self, kept: Kept, seconds: float) -> None:
        """A frame that was taken took so much of a processor. Told once of each, before it is done,
        if at all.
        """
        one = self.owned.get(kept.owner)
        if one is None:
            return
        real = max(cost(kept), round(seconds * SECOND))
        more = real - self._charged.get(_place(kept), real)
        one.virtual += more
        one.lately += (real - one.lately) // 4
        if more and one.waiting:
            self._enter(one)

    def beyond(self, kept: Kept) -> int:
        """What a frame that is taken was charged beyond its bytes, as one that takes long."""
        return self._charged[_place(kept)] - cost(kept)

    def put_back(self, taken: Sequence[Numbered]) -> None:
        """Frames that were taken, and were not begun: they come first again of whose they are."""
        for number, kept in reversed(taken):
            one = self.owned[kept.owner]
            one.virtual -= self._charged.pop(_place(kept))
            one.cost += cost(kept)
            one.waiting.appendleft((number, kept))
            self._enter(one)
            self._now = min(self._now, one.virtual)

    def before(self, owner: str) -> int:
        """About how many frames are taken until all that now waits of an owner is, theirs too."""
        mine = self.owned.get(owner)
        if mine is None or not mine.waiting:
            return 0
        end = mine.virtual + mine.ahead
        found = 0
        for one in self.owned.values():
            some = len(one.waiting)
            if one is not mine and some and one.virtual < end:
                some = min(some, ceil((end - one.virtual) * some / one.ahead))
                found += some
        return found + len(mine.waiting)

    def _take_of(self, one: Owned) -> Numbered:
        number, kept = one.waiting.popleft()
        self._charged[_place(kept)] = charged = one.expected(kept)
        one.virtual += charged
        one.cost -= cost(kept)
        if one.waiting:
            self._enter(one)
        else:
            one.entry = -1
        return number, kept

    def _enter(self, one: Owned) -> None:
        one.entry = next(self._entries)
        heappush(self._heap, (one.virtual, one.entry, one))

    def _forget_paid(self) -> None:
        if not self.owned:  # nobody to be before
            self._paid.clear()
            self._paying.clear()
        while self._paying and self._paying[0][0] <= self._now:
            virtual, owner = heappop(self._paying)
            if self._paid.get(owner) == virtual:
                del self._paid[owner]
