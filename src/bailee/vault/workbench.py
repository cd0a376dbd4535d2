"""Where exchanges are taken apart and packed: what of sealing costs processor time.

The sealer asks twice for each batch. `take_apart` says of each exchange what it takes to find its
session; `pack` then gives what is to be stored of it, as soon as the places of what the session
has had are known. In between, what was taken apart stays here.

`Workbench` does it in the process that asks; `workbench_process` has one in a process of its own.

Rules kept here:

* No key comes here that opens anything: digest keys are derived, and what is packed is sealed by
  who asked.
* An exchange that can't be taken apart, for whatever reason, is kept as its raw bytes.
* What is asked for together has at most `bounds.BATCH_VALUES` JSON values and `bounds.BATCH_SIZE`
  bytes, unless it is one exchange; one more may be held, which is the first of the next. Nor does
  it take much longer than `LONG`: others' wait behind it.
* Not thread-safe, but for `forget`: used by the sealer's thread.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeAlias

from bailee.api import Api
from bailee.vault import bounds
from bailee.vault.bounds import Beyond
from bailee.vault.compressing import compress, compressor
from bailee.vault.conversations import Links, beginnings, links
from bailee.vault.delta import Delta, DeltaDraft
from bailee.vault.exchange import CapturedExchange
from bailee.vault.interpreted import Interpreted
from bailee.vault.known import KnownPieces, Place
from bailee.vault.listing import MESSAGES
from bailee.vault.packing import JSON, Unpackable

Interpret: TypeAlias = Callable[[CapturedExchange], Interpreted]
Places: TypeAlias = "Mapping[str, Mapping[bytes, Place]]"
"""By session: what it has had, and where."""

USAGE: Final = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
_MOST: Final = (1 << 63) - 1
_KNOWN_PLACES: Final = 200_000
LONG: Final = 0.25
"""Seconds of a processor after which no further exchange is taken apart together with others."""
_A_SESSION: Final = 10  # places that a session counts for by itself


class How(StrEnum):
    """How an exchange is taken apart."""

    WHOLE = "whole"
    RAW = "raw"  # not at all: the bytes that came
    ENDED = "ended"  # likewise, since taking it apart ended a process


class DigestKeys(NamedTuple):
    """Keys of 32 bytes: by which `conversations` are told apart, and `tombstones` known."""

    conversations: bytes
    tombstones: bytes


@dataclass(frozen=True, slots=True)
class Apart:
    """What it takes to find an exchange's session. `links`, `beginnings`: see `conversations`.
    `seconds`: of a processor that it took.
    """

    client_session: str | None
    links: Links
    beginnings: tuple[bytes, ...]
    usage: dict[str, int]
    values: int
    size: int
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class PackingOrder:
    """What to pack: an exchange, by its place in what was last taken apart, as exchange `number` of
    a session. `key`: the session's digest key; `new`: the session has had nothing yet.
    """

    place: int
    session: str
    number: int
    key: bytes
    new: bool


@dataclass(frozen=True, slots=True)
class Packed:
    """What to store of an exchange, compressed, and what its session has had from then on.
    `seconds`: of a processor that it took.
    """

    compressed: bytes
    learned: dict[bytes, Place]
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Missing:
    """Sessions whose places have to be looked up first."""

    sessions: tuple[str, ...]


class _LeftOver(NamedTuple):
    """What was taken apart, and was one too many: as an exchange's meaning, in so many seconds."""

    exchange: str
    how: How
    meaning: Interpreted
    seconds: float


class Bench(Protocol):
    """What the sealer asks of a workbench, on its own thread; `forget` is for any. It commits
    nothing, and has no key that opens anything.
    """

    def take_apart(self, exchanges: Sequence[CapturedExchange], how: How) -> list[Apart]:
        """Take exchanges apart: the first of them, at least one, as many as may be held at once.
        What was held before is dropped.
        """
        ...

    def pack(
        self, asks: Sequence[PackingOrder], places: Places | None = None
    ) -> list[Packed] | Missing:
        """Pack what was taken apart. Without `places` it may ask for them; then nothing is packed,
        and the same is asked again with them. What is not among them is stored as new.
        """
        ...

    def forget(self, sessions: Iterable[str]) -> None:
        """Drop what is held of sessions. From any thread; done before anything is packed."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Workbench:
    """A workbench in this process. It owns what was taken apart and not packed, and what it knows
    of the latest sessions. What `forget` names, on whichever thread, is dropped before the next
    packing.
    """

    def __init__(self, interpret: Interpret, keys: DigestKeys) -> None:
        self._interpret = interpret
        self._keys = keys
        self._compressor = compressor()
        self._held: list[tuple[CapturedExchange, Interpreted]] = []
        self._left_over: _LeftOver | None = None
        self._known: OrderedDict[str, KnownPieces] = OrderedDict()
        self._next: dict[str, int] = {}  # of each: the number of its next exchange
        self._sizes: dict[str, int] = {}
        self._size = 0
        self._drafts: dict[int, DeltaDraft | None] = {}
        self._gone: set[str] = set()
        # Held whenever `_gone` is read or changed; the rest is one thread's.
        self._lock = threading.Lock()

    def take_apart(self, exchanges: Sequence[CapturedExchange], how: How) -> list[Apart]:
        """See `Bench`."""
        self._drop()
        found: list[Apart] = []
        values = size = 0
        spent = 0.0
        for exchange in exchanges:
            if spent > LONG:
                break
            meaning, seconds = self._over(exchange, how) or self._meaning_timed(exchange, how)
            spent += seconds
            values += meaning.values
            size += meaning.size
            if found and (values > bounds.BATCH_VALUES or size > bounds.BATCH_SIZE):
                self._left_over = _LeftOver(exchange.exchange_id, how, meaning, seconds)
                break
            self._held.append((exchange, meaning))
            found.append(self._apart(exchange, meaning, seconds))
        return found

    def pack(
        self, asks: Sequence[PackingOrder], places: Places | None = None
    ) -> list[Packed] | Missing:
        """See `Bench`."""
        self._forget_gone()
        if places is None:
            self._forget_overtaken(asks)
            missing = self._missing(asks)
            if missing.sessions:
                return missing
        for session, found in (places or {}).items():
            if (known := self._known.get(session)) is not None:
                known.places |= found
                known.complete = True
        packed = [self._timed(ask) for ask in asks]
        self._drop()
        self._limit_known({ask.session for ask in asks})
        return packed

    def forget(self, sessions: Iterable[str]) -> None:
        """See `Bench`."""
        with self._lock:
            self._gone.update(sessions)

    def close(self) -> None:
        """See `Bench`."""
        self._drop()

    # -- taking apart ----------------------------------------------------------------------------

    def _over(self, exchange: CapturedExchange, how: How) -> tuple[Interpreted, float] | None:
        """What was one too many the last time, if it is this one."""
        over, self._left_over = self._left_over, None
        if over is None or (over.exchange, over.how) != (exchange.exchange_id, how):
            return None
        return over.meaning, over.seconds

    def _meaning_timed(self, exchange: CapturedExchange, how: How) -> tuple[Interpreted, float]:
        began = time.thread_time()
        meaning = self._meaning(exchange, how)
        return meaning, time.thread_time() - began

    def _meaning(self, exchange: CapturedExchange, how: How) -> Interpreted:
        if how is How.WHOLE:
            try:
                return self._interpret(exchange)
            except Exception:  # whatever a client or upstream sent must not be lost
                how = How.RAW
        beyond = Beyond.ENDED if how is How.ENDED else None
        return Interpreted(
            api=exchange.api,
            raw_request=exchange.request,
            raw_answer=exchange.answer,
            beyond=beyond,
        )

    def _apart(self, exchange: CapturedExchange, meaning: Interpreted, seconds: float) -> Apart:
        began, owner = time.thread_time(), exchange.owner
        return Apart(
            meaning.client_session,
            links(self._keys.conversations, owner, meaning),
            beginnings(self._keys.tombstones, owner, meaning.messages, meaning.api),
            {
                name: count
                for name in USAGE
                if isinstance(count := meaning.usage.get(name), int) and 0 <= count <= _MOST
            },
            meaning.values,
            meaning.size,
            seconds + time.thread_time() - began,
        )

    # -- packing ---------------------------------------------------------------------------------

    def _missing(self, asks: Sequence[PackingOrder]) -> Missing:
        missing: dict[str, None] = {}
        for ask in asks:
            known = self._known_of(ask)
            draft = None if known.complete else self._draft(ask, known)
            if draft is not None and any(one not in known.places for one in draft.wanted()):
                missing[ask.session] = None
        return Missing(tuple(missing))

    def _known_of(self, ask: PackingOrder) -> KnownPieces:
        known = self._known.get(ask.session)
        if known is None:
            known = self._known[ask.session] = KnownPieces(ask.key, complete=ask.new)
        self._known.move_to_end(ask.session)
        return known

    def _draft(self, ask: PackingOrder, known: KnownPieces) -> DeltaDraft | None:
        """None: it can't be packed as what it means."""
        if ask.place not in self._drafts:
            meaning = self._held[ask.place][1]
            try:
                draft = DeltaDraft(
                    meaning.fields,
                    meaning.messages,
                    meaning.answer,
                    known,
                    api=meaning.api,
                    written=meaning.written,
                )
            except Unpackable:
                draft = None
            self._drafts[ask.place] = draft
        return self._drafts[ask.place]

    def _timed(self, ask: PackingOrder) -> Packed:
        began = time.thread_time()
        return replace(self._packed(ask), seconds=time.thread_time() - began)

    def _packed(self, ask: PackingOrder) -> Packed:
        exchange, meaning = self._held[ask.place]
        self._next[ask.session] = ask.number + 1
        known = self._known_of(ask)
        draft = self._draft(ask, known)
        head = _head(exchange, meaning, ask.number)
        try:
            if draft is None:
                raise Unpackable
            delta: Delta = draft.delta(ask.number, known)
            compressed = compress(
                {**head, **delta.body}, meaning.raw_request, meaning.raw_answer, self._compressor
            )
        except Unpackable:
            plain: dict[str, JSON] = {"answer": None, "fields": [], "marks": []}
            head |= {"error": None, "usage": {}, "beyond": str(Beyond.DEPTH)}
            whole = compress({**head, **plain}, exchange.request, exchange.answer, self._compressor)
            return Packed(whole, {})
        known.places |= delta.learned
        return Packed(compressed, delta.learned)

    # -- what is held ----------------------------------------------------------------------------

    def _drop(self) -> None:
        self._held.clear()
        self._drafts.clear()

    def _forget_gone(self) -> None:
        with self._lock:
            gone, self._gone = self._gone, set()
        for session in gone:
            self._forget(session)

    def _forget_overtaken(self, asks: Sequence[PackingOrder]) -> None:
        """Forget sessions that another process has added to."""
        first: dict[str, int] = {}
        for ask in asks:
            first.setdefault(ask.session, ask.number)
        for session, number in first.items():
            if self._next.get(session, number) != number:
                self._forget(session)

    def _forget(self, session: str) -> None:
        self._known.pop(session, None)
        self._next.pop(session, None)
        self._size -= self._sizes.pop(session, 0)

    def _limit_known(self, changed: Iterable[str]) -> None:
        for session in changed:
            size = len(self._known[session].places) + _A_SESSION
            self._size += size - self._sizes.get(session, 0)
            self._sizes[session] = size
        while self._size > _KNOWN_PLACES:
            self._forget(next(iter(self._known)))


def _head(exchange: CapturedExchange, meaning: Interpreted, number: int) -> dict[str, JSON]:
    head: dict[str, JSON] = {
        "number": number,
        "exchange_id": exchange.exchange_id,
        "agent": meaning.agent,
        "method": exchange.method,
        "target": exchange.target,
        "request_headers": [list(pair) for pair in exchange.request_headers],
        "answer_headers": [list(pair) for pair in exchange.answer_headers],
        "error": meaning.error,
        "usage": dict(meaning.usage),
    }
    if meaning.api is not Api.MESSAGES:
        head["api"] = str(meaning.api)
    said: dict[str, JSON] = {
        "at": meaning.at if meaning.at != MESSAGES else None,
        "parent": meaning.parent,
        "title": meaning.title,
        "after": meaning.after,
        "response": meaning.response,
        "elsewhere": list(meaning.elsewhere),
    }
    head |= {name: value for name, value in said.items() if value}
    if meaning.beyond is not None:
        head["beyond"] = str(meaning.beyond)
    return head
