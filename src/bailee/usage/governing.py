"""Whether a request may go on, by limits and lists of models, and what it used in the end.

The gateway asks on its loop whether a caller is governed at all, which is a look into memory: who
has neither a limit nor a list is served as if there were none. Of the others, the request is held
until it is there whole, and is reserved for on a thread of its own, many in one transaction.

Rules kept here:

* Nothing of a request goes upstream before it is admitted.
* Nobody waits for another's long request to be read: these are read before, in turns (`in_turns`).
* A limit or list that was set through this process holds for the next request; one that another
  process set, within `_LOOK` seconds. Who has another team is counted anew as a member.
* Teams, limits and lists are gone by only while this process alone can have changed them, or while
  they were confirmed within the bound (`db.versions`), told by no clock that can be set. A look
  waits for nobody who writes.
* While they are not, or the store is away, the policy's document says what happens
  (`on_limits_unknown`): to everybody, since nobody knows who has a limit.
* What policy documents say of an organisation's use holds beside all that is set
  (`document_bounds`).
* A batch is made where all its models may be asked, and for who has anything left of each limit on
  money and tokens. Nothing is reserved: it is used later, and held against them when it is counted.
* What a request used is settled even if its client has gone; what can't be settled now is kept and
  settled with the next.

Rows: O2.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from bailee.apis.batch_results import ResultsOfModel
from bailee.apis.metering import Metered
from bailee.clock import Clock, Ticks, ticks
from bailee.db.versions import Confirmation
from bailee.errors import BaileeError, StorageError
from bailee.lasting import Lasting
from bailee.usage.asked import AskedOf, asked_of
from bailee.usage.asking import UsageAsker, WholeRequest
from bailee.usage.batch_requests import AskedLater, asked_later, makes_batch
from bailee.usage.batches import SHARE
from bailee.usage.client_shapes import LimitRefusal, refusal, store_away, warning_lines
from bailee.usage.document_bounds import UNBOUNDED, UseBounds
from bailee.usage.in_turns import AT_ONCE, ReadersInTurn
from bailee.usage.limits import OF_MEMBERS, Subject, UsageLimit, WantedUse
from bailee.usage.model_refusals import not_left, not_listed
from bailee.usage.prices import Price, PriceTable
from bailee.usage.reserving import (
    AskLeft,
    Charge,
    Reserved,
    ReserveUse,
    Settle,
    UsageReservations,
    Work,
)

_LOOK: Final = 2.0
_AT_ONCE: Final = 100
_MOST_UNSETTLED: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: WholeRequest
    asks: AskedOf | None  # of a long one, which was read before
    answer: Callable[[bytes | LimitRefusal], None]


class Teams(Protocol):
    """Says who is in which team: a home's people. `version` grows when that changes."""

    version: int

    def teams(self) -> Mapping[tuple[str, str], str]:
        """The team of everybody who has one, by organisation and person. Raises: StorageError."""
        ...


class Governing:
    """Admits and settles for one gateway, from `start` to `stop`. Its server owns it; `governs`,
    `admit` and `settle` are called on the gateway's loop. It keeps no body longer than it is asked.
    """

    def __init__(
        self,
        store: UsageReservations,
        prices: PriceTable,
        clock: Clock,
        teams: Teams,
        *,
        serves_unknown: Callable[[str], bool],
        bounds_on: Callable[[str], UseBounds] = lambda _: UNBOUNDED,
        ask_at: Callable[[UsageLimit], str] = lambda _: "",
        is_alone: Callable[[], bool] = lambda: True,
        confirmation: Confirmation | None = None,
        ticks: Ticks = ticks,
    ) -> None:
        """`serves_unknown`: whether a request of this organisation's (empty: of none) goes on when
        its limits can't be told. `bounds_on`: what documents say of an organisation's use; it
        raises StorageError where that can't be told. `ask_at`: where people ask for more than a
        limit; empty: nowhere. `is_alone`: whether no other process can have set anything; a look
        into memory. Else `confirmation` holds, by `ticks`.
        """
        self._store = store
        self._prices = prices
        self._clock = clock
        self._of_teams = teams
        self._serves_unknown = serves_unknown
        self._bounds_on = bounds_on
        self._ask_at = ask_at
        self._queue: queue.SimpleQueue[_Waiting | Settle | Charge | None] = queue.SimpleQueue()
        self._reserved: dict[str, str] = {}  # the loop's alone: ids, and the model asked
        self._readers = ReadersInTurn()  # the loop's alone
        self._unsettled: deque[Settle] = deque(maxlen=_MOST_UNSETTLED)
        self._charges: deque[Charge] = deque(maxlen=_MOST_UNSETTLED)
        # Replaced as a whole by the thread.
        self._limited: frozenset[Subject] = frozenset()
        self._lists: Mapping[tuple[str, str], tuple[str, ...]] = {}
        self._teams: Mapping[tuple[str, str], str] = {}
        self._governed: dict[UsageAsker, bool] = {}  # what the loop found by these, which fills it
        self._seen = (-1, -1)
        self._is_alone = is_alone
        self._ticks = ticks
        self.confirmation = Confirmation(ticks) if confirmation is None else confirmation
        self._looking = threading.Lock()  # while what there is is read
        self._stopping = threading.Event()
        self.threads = [Lasting("limits", self._run), Lasting("limits read", self._keep_looking)]

    def start(self) -> None:
        """Read what there is, and begin.

        Raises:
            StorageError: it can't be read.
        """
        self._look()
        for one in self.threads:
            one.start()

    def stop(self) -> None:
        """Settle what is left, and stop."""
        self._queue.put(None)
        self._stopping.set()
        for one in self.threads:
            one.join()

    # -- on the gateway's loop -------------------------------------------------------------------

    def governs(self, asker: UsageAsker) -> bool:
        """Whether a request of theirs has to be admitted."""
        if self._version != self._seen or self._is_unknown():
            return True
        if asker.organisation and self._is_bounded(asker.organisation):
            return True
        # Before what it is found by: it is replaced after that.
        governed = self._governed
        if not (self._limited or self._lists):
            return False
        found = governed.get(asker)
        if found is None:
            theirs = self.in_team(asker)
            found = governed[asker] = not self._limited.isdisjoint(theirs.subjects) or any(
                one in self._lists for one in theirs.lists
            )
        return found

    def in_team(self, asker: UsageAsker) -> UsageAsker:
        """The same, with their team. From any thread; a look into memory."""
        team = self._teams.get((asker.organisation, asker.person))
        return asker if team is None else asker._replace(team=team)

    @property
    def _version(self) -> tuple[int, int]:
        return self._store.version, self._of_teams.version

    async def admit(self, request: WholeRequest) -> bytes | LimitRefusal:
        """Whether it may go on: the header lines that its answer gets, or why not."""
        if self._is_unknown():
            return self._without(request.asker.organisation)
        loop = asyncio.get_running_loop()
        asks = None
        if request.codings or len(request.body) > AT_ONCE:
            asks = await self._readers.run(request.asker.account, partial(_asked, request))
        told: asyncio.Future[bytes | LimitRefusal] = loop.create_future()

        def answer(found: bytes | LimitRefusal) -> None:
            loop.call_soon_threadsafe(_tell, told, found)

        self._reserved[request.request_id] = ""
        self._queue.put(_Waiting(request, asks, answer))
        return await told

    def _is_bounded(self, organisation: str) -> bool:
        """Whether documents say anything of its use, or it can't be told."""
        try:
            return bool(self._bounds_on(organisation))
        except StorageError:
            return True

    def _is_unknown(self) -> bool:
        """Whether nobody can tell whose limits there are."""
        return self.confirmation.is_stale and not self._is_alone()

    def _without(self, organisation: str) -> bytes | LimitRefusal:
        return b"" if self._serves_unknown(organisation) else store_away()

    def settle(self, request_id: str, metered: Metered | None) -> None:
        """A request is over, whatever became of it. One that was never admitted is none of ours."""
        if self._reserved.pop(request_id, None) is None:
            return
        if metered is None:
            self._queue.put(Settle(request_id, 0, 0))
            return
        price = self._prices.of(metered.model) or self._prices.dearest
        money = 0 if price is None else price.cost(metered.tokens)
        self._queue.put(Settle(request_id, metered.tokens.whole, money))

    def charge(self, asker: UsageAsker, used: Sequence[ResultsOfModel]) -> None:
        """Hold against who asks what a batch used, which was not reserved. From any thread."""
        money = 0
        for one in used:
            price = self._prices.of(one.model) or self._prices.dearest
            money += 0 if price is None else price.cost(one.tokens, SHARE)
        tokens = sum(one.tokens.whole for one in used)
        if tokens or money:
            asker = self.in_team(asker)
            bounds = self._bounds_on(asker.organisation).limits
            self._queue.put(Charge(asker.subjects, tokens, money, bounds))

    # -- on its thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        going = True
        while going:
            taken = self._take()
            going = None not in taken
            self._unsettled.extend(one for one in taken if isinstance(one, Settle))
            self._charges.extend(one for one in taken if isinstance(one, Charge))
            waiting = [one for one in taken if isinstance(one, _Waiting)]
            try:
                self._work(waiting)
            except BaseException:
                for one in waiting:
                    one.answer(store_away())
                raise

    def _take(self) -> list[_Waiting | Settle | Charge | None]:
        try:
            taken = [self._queue.get(timeout=_LOOK)]
        except queue.Empty:
            return []
        while len(taken) < _AT_ONCE:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken

    def _work(self, waiting: Sequence[_Waiting]) -> None:
        try:
            if self._version != self._seen:
                self._look()
            if self._is_unknown():
                raise store_away().error
            self._decide(waiting)
        except BaileeError:
            for one in waiting:
                one.answer(self._without(one.request.asker.organisation))

    def _keep_looking(self) -> None:
        while not self._stopping.wait(_LOOK):
            with suppress(BaileeError):  # which is not confirmed then
                self._look()

    def _look(self) -> None:
        with self._looking:
            asked = self._ticks()
            self._read()
            self.confirmation.note(asked)

    def _read(self) -> None:
        version = self._version
        limits, lists = self._store.limits(), self._store.lists()
        teams = self._of_teams.teams()
        if any(one.subject.scope in OF_MEMBERS for one in limits) and self._seen >= (0, 0):
            moved = {who for who, _ in {*teams.items()} ^ {*self._teams.items()}}
            if moved:
                self._store.moved(moved)
        self._teams = teams
        self._limited = frozenset(one.subject for one in limits)
        self._lists = {(one.scope, one.subject): one.models for one in lists}
        self._governed = {}
        self._seen = version

    def _decide(self, waiting: Sequence[_Waiting]) -> None:
        now = self._clock()
        reserves: list[Work] = []
        admitted: list[_Waiting] = []
        for one in waiting:
            request = one.request
            of = one.asks or _asked(request)
            asker = self.in_team(request.asker)
            bounds = self._bounds_on(asker.organisation)
            refused = not_listed(asker.lists, self._lists, of) or not_left(bounds.models, of)
            if refused is not None:
                one.answer(refused)
            elif request.own or not (bounds.limits or not self._limited.isdisjoint(asker.subjects)):
                one.answer(b"")
            else:
                admitted.append(one)
                reserves.append(self._wanted(request.request_id, asker, of, bounds.limits))
        # Who has gone already is settled behind their reservation.
        new = {one.request.request_id for one in admitted}
        before: list[Work] = [s for s in self._unsettled if s.request_id not in new]
        after = [one for one in self._unsettled if one.request_id in new]
        asked = [*self._charges, *before, *reserves, *after]
        if not asked:
            if self._reserved:
                self._store.stay()
            return
        found = self._store.work(asked, now)
        self._unsettled.clear()
        self._charges.clear()
        for one in admitted:
            one.answer(self._told(found[one.request.request_id]))

    def _told(self, found: Reserved) -> bytes | LimitRefusal:
        if found.over is not None:
            return refusal(found.over, self._clock(), self._ask_at(found.over.standing.limit))
        return warning_lines(found.standings)

    def _wanted(
        self, request_id: str, asker: UsageAsker, of: AskedOf, bounds: Sequence[UsageLimit]
    ) -> ReserveUse | AskLeft:
        if isinstance(of, AskedLater):
            return AskLeft(request_id, asker.subjects, bounds)
        return ReserveUse(request_id, asker.subjects, self._most(of), bounds)

    def _most(self, of: AskedOf) -> WantedUse:
        price: Price | None = self._prices.of(of.models[0]) if of.models else None
        price = price or self._prices.dearest
        return WantedUse(of.into + of.out, 0 if price is None else price.at_most(of.into, of.out))


def _asked(request: WholeRequest) -> AskedOf:
    if makes_batch(request.target):
        return asked_later(request.target, request.body, request.codings)
    return asked_of(request.api, request.target, request.body, request.codings)


def _tell(told: asyncio.Future[bytes | LimitRefusal], found: bytes | LimitRefusal) -> None:
    if not told.done():
        told.set_result(found)
