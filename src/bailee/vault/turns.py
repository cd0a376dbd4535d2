"""Whose exchange is sealed next: what waits of each owner, in fair order. Pure.

Start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996). Each owner has a virtual time, which
what is taken of theirs moves on by what it costs: its bytes, and a fixed cost; or the time of a
processor that it took, where that was more. The owner with the least goes next.

Rules kept here:

* An owner's own are taken in the order in which they came, what an earlier process left of them
  before what has come since. What was left is read file by file, and large ones have files of
  their own: so the two lanes are merged, by when each ended, and each stays in its own order.
* What a frame takes is known when it is done: two kilobytes can be a million values. Until then it
  counts as what its owner's took lately, and what it really took is charged then. Of the latest
  whose took long that is remembered when nothing of theirs waits.
* Who comes new begins at the present least; who comes again does, too, but not before what they
  had has been paid for. So nothing is saved up by being silent, and nothing won by coming in bits.
* While somebody waits, no other has more taken than them by more than one frame of each, but for
  `take_oldest`.

Rows: G1.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush, merge
from itertools import count
from math import ceil
from typing import Final, TypeAlias

from bailee.vault.spool_writing import Kept, is_large

FRAME: Final = 16 << 10
"""What a frame costs besides its bytes: to seal a small one takes about as long as so many."""

SECOND: Final = 16 << 20
"""What a second of a processor costs: a small frame takes about a millisecond."""

_LONG: Final = 16 * FRAME  # what takes more is remembered
_REMEMBERED: Final = 1_000  # owners of such

Numbered: TypeAlias = "tuple[int, Kept]"


def cost(kept: Kept) -> int:
    """What a frame costs at least, in bytes."""
    return kept.length + FRAME


@dataclass(slots=True, eq=False)
class Owned:
    """What waits of an owner. `count`, `bytes`: with what is taken and not done; `left`, `waiting`:
    what of it is not taken, of an earlier process and of this one; `cost` of both. `added`, `done`:
    how many ever, since the owner came; who waits for their own may hold on to this beyond the
    last. `lately`: what a frame of theirs cost.
    """

    owner: str
    virtual: int
    left: deque[Numbered] = field(default_factory=deque)
    waiting: deque[Numbered] = field(default_factory=deque)
    cost: int = 0
    bytes: int = 0
    added: int = 0
    done: int = 0
    lately: int = 0
    entry: int = -1  # which of the heap's is good
    merged: bool = True  # whether the lanes of `left` are

    @property
    def count(self) -> int:
        """How many wait."""
        return self.added - self.done

    @property
    def untaken(self) -> int:
        """How many are not taken."""
        return len(self.left) + len(self.waiting)

    @property
    def next(self) -> deque[Numbered]:
        """Where the first that is not taken is the first."""
        if not self.merged:
            self._merge()
        return self.left or self.waiting

    def _merge(self) -> None:
        lanes: tuple[list[Numbered], list[Numbered]] = ([], [])
        for one in self.left:
            lanes[is_large(one[1].file)].append(one)
        if all(lanes):
            self.left = deque(merge(*lanes, key=lambda one: one[1].ended))
        self.merged = True

    @property
    def ahead(self) -> int:
        """What all that is not taken costs, as far as is known."""
        return max(self.cost, self.lately * self.untaken)

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
        self._long: OrderedDict[str, int] = OrderedDict()  # what theirs cost, of who has nothing

    def put(self, number: int, kept: Kept, *, left: bool = False) -> None:
        """A frame has come; `number` only grows. `left`: an earlier process left it."""
        one = self.owned.get(kept.owner)
        if one is None:
            one = self.owned[kept.owner] = Owned(kept.owner, self._paid.pop(kept.owner, 0))
            one.lately = self._long.pop(kept.owner, 0)
        one.added += 1
        one.bytes += kept.length
        one.cost += cost(kept)
        (one.left if left else one.waiting).append((number, kept))
        one.merged = one.merged and not left
        if one.untaken == 1:
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
        some = [one for one in self.owned.values() if one.untaken]
        if not some:
            return lambda: None
        oldest = min(some, key=lambda one: one.next[0][0])
        return lambda: self._take_of(oldest) if oldest.untaken else None

    def done(self, kept: Kept) -> None:
        """A frame that was taken is done; those of an owner are, in the order they were taken."""
        self._charged.pop(kept.place, None)
        one = self.owned[kept.owner]
        one.done += 1
        one.bytes -= kept.length
        if one.count == 0:
            del self.owned[one.owner]
            if one.virtual > self._now:
                self._paid[one.owner] = one.virtual
                heappush(self._paying, (one.virtual, one.owner))
            if one.lately > _LONG:
                self._long[one.owner] = one.lately
                if len(self._long) > _REMEMBERED:
                    self._long.popitem(last=False)
        self._forget_paid()

    def took(self, kept: Kept, seconds: float) -> None:
        """A frame that was taken took so much of a processor. Told once of each, before it is done,
        if at all.
        """
        one = self.owned.get(kept.owner)
        if one is None:
            return
        real = max(cost(kept), round(seconds * SECOND))
        more = real - self._charged.get(kept.place, real)
        one.virtual += more
        one.lately += (real - one.lately) // 4
        if more and one.untaken:
            self._enter(one)

    def beyond(self, kept: Kept) -> int:
        """What a frame that is taken was charged beyond its bytes, as one that takes long."""
        return self._charged[kept.place] - cost(kept)

    def put_back(self, taken: Sequence[Numbered]) -> None:
        """Frames that were taken, and were not begun: they come first again of whose they are."""
        for number, kept in reversed(taken):
            one = self.owned[kept.owner]
            one.virtual -= self._charged.pop(kept.place)
            one.cost += cost(kept)
            one.left.appendleft((number, kept))  # before all: it was
            self._enter(one)
            self._now = min(self._now, one.virtual)

    def before(self, owner: str) -> int:
        """About how many frames are taken until all that now waits of an owner is, theirs too."""
        mine = self.owned.get(owner)
        if mine is None or not mine.untaken:
            return 0
        end = mine.virtual + mine.ahead
        found = 0
        for one in self.owned.values():
            some = one.untaken
            if one is not mine and some and one.virtual < end:
                some = min(some, ceil((end - one.virtual) * some / one.ahead))
                found += some
        return found + mine.untaken

    def _take_of(self, one: Owned) -> Numbered:
        number, kept = one.next.popleft()
        self._charged[kept.place] = charged = one.expected(kept)
        one.virtual += charged
        one.cost -= cost(kept)
        if one.untaken:
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
