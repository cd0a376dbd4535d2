"""What each account and each key holds of a gateway: requests under way, and bytes in memory.

Pure: it counts and says who is over; the gateway answers.

Rules kept here:

* Bytes are counted as they come, those of an answer a few KiB at a time. What a request says of its
  length takes nothing from anybody.
* An account has at most `requests` under way and holds at most `memory`; a key half of each, so
  that one program does not take all that its account has. Who is over is refused, nobody else.
* A single request is never over a share: one that is larger than the share would never get in.
* When all together hold more than `total`, requests that are still arriving end: those of who holds
  most, the newest first, and only of accounts that hold more than an equal part. Nobody waits for
  bytes of another, so a room full of half-arrived requests does not stand still.
* A request that is complete is finished, whatever its answer takes, up to twice the share: it is
  paid for. So an account holds at most twice `memory`, and a piece.
* An account hands over for writing a little at a time, or one request's alone, so that another's
  record does not stand behind all that it has.
* What waits on disk to be sealed is bounded too, in bytes, in number and in the time that it takes,
  so that what comes in is bounded by what is sealed: an account that has more than `spool`,
  `unsealed` or `sealing` of it, or, when all together have more than `spool_total` or
  `unsealed_total`, more than a little and an equal part of that, gets nothing new in that is
  recorded; others do.
* While what was handed over for writing piles up (`full`), an account that has more than a little
  of it gets nothing new in; others do.

Rows: G1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

# What a held piece costs besides its bytes: its object, and its place in a list.
PIECE: Final = 64
# What an account may have waiting to be written while the writer is behind.
_A_LITTLE: Final = 1 << 20
# What of an account may wait to be sealed, however many wait: about one batch of the sealer.
_A_FEW: Final = 64
# What of an account is handed over to the writer at once.
_AT_ONCE: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """Of each account: `requests` under way, `memory` in bytes, `spool` in bytes, `unsealed`
    exchanges, seconds of `sealing` them. Of all together: `total` bytes of memory, `spool_total`
    bytes on disk, `unsealed_total` exchanges.
    """

    requests: int
    memory: int
    total: int
    spool: int = 1 << 30
    spool_total: int = 2 << 30
    unsealed: int = 5_000
    unsealed_total: int = 10_000
    sealing: int = 120


class Unsealed(NamedTuple):
    """What is on disk and not sealed yet, in bytes and in exchanges: an owner's, and everybody's,
    who are `owners`. Among everybody's bytes are `left`, which an earlier process left: it is not
    known yet whose they are. `own_seconds`: of a processor that the owner's take, about, by what
    theirs took lately.
    """

    # A tuple, since one is made for every request: a frozen dataclass takes three times as long.
    own: int
    all: int
    own_exchanges: int = 0
    all_exchanges: int = 0
    owners: int = 0
    left: int = 0
    own_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Over:
    """Who is over their share: `who` is `account` or `key`; `what` is `requests`, `turns`,
    `memory`, `writing`, `spool`, `unsealed` or `sealing`, or of what is sealed `kept`, `deleted` or
    `disk`; `most` is the share (0: there is no fixed one).
    """

    who: str
    what: str
    most: int


class _Holder:
    """An account or a key. `under_way` of a key stays empty: its account has them, in order."""

    __slots__ = ("bytes", "handed", "name", "requests", "under_way", "writing")

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests = 0
        self.bytes = 0
        self.writing = 0  # of these bytes, those to be written
        self.handed = 0  # of those, the writer's
        self.under_way: dict[Held, None] = {}


class Held:
    """What one request holds. `arriving` until its body is complete. `give_up` is called, at most
    once and while it is arriving, when it has to end for others.
    """

    __slots__ = ("account", "arriving", "bytes", "give_up", "handed", "key", "written")

    def __init__(self, account: _Holder, key: _Holder) -> None:
        self.account = account
        self.key = key
        self.give_up: Callable[[], None] = _nobody
        self.arriving = True
        self.bytes = 0
        self.handed = 0
        self.written = False


def _nobody() -> None:
    """Who has nobody to tell."""


class Shares:
    """The shares of all accounts and keys at one gateway. All methods are called on its event
    loop's thread.
    """

    def __init__(self, limits: ShareLimits) -> None:
        self.limits = limits
        self.held = 0
        self._accounts: dict[str, _Holder] = {}
        self._keys: dict[str, _Holder] = {}
        self._key_requests = max(1, limits.requests // 2)
        self._memory = limits.memory
        self._key_memory = limits.memory // 2
        self._total = limits.total

    @property
    def accounts(self) -> int:
        """How many accounts have a request under way."""
        return len(self._accounts)

    def enter(self, account_id: str, key_id: str, length: int, *, full: bool) -> Held | Over:
        """A request begins; `leave` ends it. `length` is what it says of its body (0: nothing), and
        only tells early that it will be over.
        """
        account = self._accounts.get(account_id) or _Holder(account_id)
        key = self._keys.get(key_id) or _Holder(key_id)
        if account.requests:
            over = self._over(account, key, length, full)
            if over is not None:
                return over
        self._accounts[account_id] = account
        self._keys[key_id] = key
        account.requests += 1
        key.requests += 1
        held = Held(account, key)
        account.under_way[held] = None
        return held

    def _over(self, account: _Holder, key: _Holder, length: int, full: bool) -> Over | None:
        limits = self.limits
        if account.requests >= limits.requests:
            return Over("account", "requests", limits.requests)
        if key.requests >= self._key_requests:
            return Over("key", "requests", self._key_requests)
        if account.bytes + length > limits.memory:
            return Over("account", "memory", limits.memory)
        if key.requests and key.bytes + length > self._key_memory:
            return Over("key", "memory", self._key_memory)
        if full and account.writing > _A_LITTLE:
            return Over("account", "writing", 0)
        if self.held > limits.total and account.bytes > self._equal_part:
            return Over("account", "memory", 0)
        return None

    def spools(self, waits: Unsealed) -> Over | None:
        """Whether an account, of which so much waits, has a request recorded. What is under way
        comes on top of it: `requests`, and at most twice `memory`.
        """
        limits = self.limits
        own, everybodys, own_exchanges, all_exchanges, owners, left, own_seconds = waits
        if own > limits.spool:
            return Over("account", "spool", limits.spool)
        if own_exchanges >= limits.unsealed:
            return Over("account", "unsealed", limits.unsealed)
        if own_seconds > limits.sealing:
            return Over("account", "sealing", limits.sealing)
        if everybodys > limits.spool_total and own > max(
            _A_LITTLE, (limits.spool_total - left) // max(1, owners)
        ):
            return Over("account", "spool", 0)
        if all_exchanges >= limits.unsealed_total and own_exchanges > max(
            _A_FEW, limits.unsealed_total // max(1, owners)
        ):
            return Over("account", "unsealed", 0)
        return None

    def take(self, held: Held, size: int) -> Over | None:
        """A piece of `size` bytes came and is kept in memory. Gives why this request has to end, or
        None; may call `give_up` of others.
        """
        account, key = held.account, held.key
        size += PIECE
        held.bytes += size
        account.bytes += size
        key.bytes += size
        self.held += size
        if key.bytes <= self._key_memory and account.bytes <= self._memory:
            return self._make_room(held) if self.held > self._total else None
        times = 1 if held.arriving else 2
        if account.bytes > self._memory * times and account.requests > 1:
            return Over("account", "memory", self._memory)
        if key.bytes > self._key_memory * times and key.requests > 1:
            return Over("key", "memory", self._key_memory)
        return self._make_room(held) if self.held > self._total else None

    def arrived(self, held: Held) -> None:
        """Its body is complete."""
        held.arriving = False

    def writes(self, held: Held) -> None:
        """What it holds is to be written, and is held until it is."""
        held.written = True
        held.account.writing += held.bytes

    def hands_over(self, held: Held) -> bool:
        """Whether what it holds goes to the writer now. If not, its caller asks again when
        something else of the same account is `written`.
        """
        account = held.account
        if account.handed and account.handed + held.bytes > _AT_ONCE:
            return False
        held.handed = held.bytes + PIECE
        account.handed += held.handed
        return True

    def written(self, held: Held) -> None:
        """What it held is written, or is known not to be, and is not held any more."""
        self._give_back(held)
        held.account.handed -= held.handed
        held.handed = 0

    def leave(self, held: Held) -> None:
        """It is over and holds nothing. Called once."""
        account, key = held.account, held.key
        if held.bytes:
            self._give_back(held)
        held.give_up = _nobody  # who has it is referred to by it
        account.under_way.pop(held, None)
        account.requests -= 1
        key.requests -= 1
        if not account.requests:
            self._accounts.pop(account.name, None)
        if not key.requests:
            self._keys.pop(key.name, None)

    @property
    def _equal_part(self) -> int:
        return self.limits.total // max(1, len(self._accounts))

    def _give_back(self, held: Held) -> None:
        size, held.bytes = held.bytes, 0
        held.account.bytes -= size
        held.key.bytes -= size
        self.held -= size
        if held.written:
            held.written = False
            held.account.writing -= size

    def _make_room(self, mine: Held) -> Over | None:
        """Ends arriving requests until there is room, or there are none that have to."""
        part = self._equal_part
        for account in sorted(self._accounts.values(), key=lambda one: -one.bytes):
            if account.bytes <= part:
                break
            for held in tuple(reversed(account.under_way)):
                if held.arriving and held.bytes:
                    # It holds its bytes for a moment more, until its end is written.
                    self._give_back(held)
                    held.arriving = False
                    if held is mine:
                        return Over("account", "memory", 0)
                    held.give_up()
                if self.held <= self.limits.total or account.bytes <= part:
                    break
            if self.held <= self.limits.total:
                break
        return None
