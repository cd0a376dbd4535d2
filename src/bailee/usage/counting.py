"""Counts what passes the gateway, in memory, and has it written a few times a minute.

Rules kept here:

* The gateway's loop only adds up. Who a key speaks for, how long a count lives and what it cost are
  found out when it is written, on a thread of its own.
* Memory is bounded: `_MOST` different sums, and of an account `_MOST_MODELS` models an hour; what
  is beyond is counted as the model `other`.
* What was not written is written the next time, as the same batch: whatever became of it before, it
  counts once. A kill costs what was counted in the last `SECONDS` seconds, and since writing last
  failed; an orderly end none.
* A model's name is what a client wrote, and may be anything. Of a key of zero retention only a
  name of the price table is written; any other is counted as `other`.
* What a client repeats of a request that was refused is counted once in a minute.

Rows: O2.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from bailee.apis.batch_results import BatchUse, ResultsOfModel
from bailee.apis.metering import Metered
from bailee.apis.using import Tokens
from bailee.errors import BaileeError
from bailee.lasting import Lasting
from bailee.usage.batches import BATCHES, SHARE
from bailee.usage.counts import HOUR, CountedUse, UsageCounts
from bailee.usage.models import model_of
from bailee.usage.prices import PriceTable

SECONDS: Final = 2.0
_MOST: Final = 20_000
_MOST_MODELS: Final = 100
_OTHER: Final = "other"
_MOST_BATCHES: Final = 1_000  # whose results wait to be counted
_AT_ONCE: Final = 1_000
"""Sums of a batch: all who write wait while it is written."""
_AGAIN: Final = 60  # seconds in which a refusal that is repeated is one
_MOST_REFUSED: Final = 10_000


class UseOf(NamedTuple):
    """An exchange that is over, as it is counted. `at` in Unix seconds; `own`: on the client's own
    credential; `failed`: it ended with an error; `aborted`: before its end.
    """

    at: float
    account: str
    key_id: str
    client: str
    channel: str
    upstream: str
    own: bool
    seconds: float
    failed: bool
    aborted: bool
    metered: Metered | None


class KeyHolder(NamedTuple):
    """Whose a key is, and until when what it uses is counted, if it is. `team`: within the
    organisation, at the time of writing. `keeps`: whether what its client wrote may be.
    """

    person: str
    organisation: str
    team: str
    keeps: bool
    until: Callable[[datetime], datetime | None]


@dataclass(slots=True)
class _Sum:
    requests: int = 0
    errors: int = 0
    refused: int = 0
    aborted: int = 0
    estimated: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    thinking: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    metered: int = 0


_Alike = tuple[int, str, str, str, str, str, str, bool]
"""Hour, account, key, client, model, channel, upstream, own."""


class UsageCounting:
    """Counts for one gateway, from `start` to `stop`. Its server owns it; `add` and `refused` are
    called on the gateway's loop, `settle` from any thread. It never learns what was said.
    """

    def __init__(
        self,
        counts: UsageCounts,
        prices: PriceTable,
        holder: Callable[[str, str], KeyHolder | None],
        from_unix: Callable[[float], datetime],
        on_results: Callable[[UseOf, Sequence[ResultsOfModel]], None] = lambda _use, _new: None,
    ) -> None:
        """`holder`: by account and key, whose use it is; None: the account is not there.
        `on_results` is told what of a batch was counted that was not before.
        """
        self._counts = counts
        self._prices = prices
        self._holder = holder
        self._from_unix = from_unix
        self._on_results = on_results
        self._lock = threading.Lock()  # whenever `_sums` and what bounds them are read or changed
        self._sums: dict[_Alike, _Sum] = {}
        self._writing = threading.Lock()  # of the next two
        self._batches: deque[tuple[int, list[tuple[_Alike, _Sum]]]] = deque()
        self._number = 0  # of the last of them
        self._models: dict[tuple[int, str], set[str]] = {}
        self._refused: dict[tuple[str, str], float] = {}
        self._results: deque[tuple[UseOf, BatchUse]] = deque(maxlen=_MOST_BATCHES)
        self._stopping = threading.Event()
        self.thread = Lasting("counting", self._run)

    def start(self) -> None:
        """Write what is counted from now on."""
        self.thread.start()

    def stop(self) -> None:
        """Write what is left, and stop."""
        self._stopping.set()
        self.thread.join()
        self.settle()

    def add(self, use: UseOf) -> None:
        """Count an exchange that is over. It only adds up."""
        metered = use.metered
        with self._lock:
            one = self._sum(use, "" if metered is None else metered.model)
            one.requests += 1
            one.errors += use.failed
            one.aborted += use.aborted
            one.seconds += use.seconds
            one.slowest = max(one.slowest, use.seconds)
            if metered is not None:
                tokens = metered.tokens
                one.metered += 1
                one.estimated += metered.estimated
                one.input += tokens.input
                one.output += tokens.output
                one.cache_read += tokens.cache_read
                one.cache_write_5m += tokens.cache_write_5m
                one.cache_write_1h += tokens.cache_write_1h
                one.thinking += tokens.thinking

    def refused(self, use: UseOf, why: str) -> None:
        """Count a request that went nowhere, `why` by a code: once, however often it is repeated
        within a minute.
        """
        with self._lock:
            known = (use.key_id, why)
            before = self._refused.get(known)
            if before is not None and use.at - before < _AGAIN:
                return
            if len(self._refused) >= _MOST_REFUSED:
                self._refused.clear()
            self._refused[known] = use.at
            one = self._sum(use, "")
            one.requests += 1
            one.refused += 1

    def add_results(self, use: UseOf, batch: BatchUse) -> None:
        """Count what the results of a batch say, which `use` fetched."""
        with self._lock:
            self._results.append((use, batch))

    def _sum(self, use: UseOf, model: str) -> _Sum:
        hour = int(use.at) // HOUR * HOUR
        where = (use.channel, use.upstream, use.own)
        alike = (hour, use.account, use.key_id, use.client, model, *where)
        one = self._sums.get(alike)
        if one is None:
            model = self._bounded(hour, use.account, model)
            alike = (hour, use.account, use.key_id, use.client, model, *where)
            if len(self._sums) >= _MOST:
                alike = (hour, use.account, "", _OTHER, _OTHER, *where)
            one = self._sums.setdefault(alike, _Sum())
        return one

    def _bounded(self, hour: int, account: str, model: str) -> str:
        known = self._models.get((hour, account))
        if known is None:
            if len(self._models) > _MOST:
                self._models.clear()
            known = self._models[hour, account] = set()
        if model in known:
            return model
        if len(known) >= _MOST_MODELS:
            return _OTHER
        known.add(model)
        return model

    def write(self) -> None:
        """Make durable what was counted.

        Raises:
            StorageError: it can't be written; nothing is lost, call again.
        """
        with self._writing:
            self._write_batches()  # of which one may have failed before
            with self._lock:
                sums, self._sums = [*self._sums.items()], {}
            for at in range(0, len(sums), _AT_ONCE):
                self._number += 1
                self._batches.append((self._number, sums[at : at + _AT_ONCE]))
            self._write_batches()
            while self._results:
                self._write_results(*self._results[0])
                self._results.popleft()

    def _write_results(self, use: UseOf, batch: BatchUse) -> None:
        hour = int(use.at) // HOUR * HOUR
        holder = self._holder(use.account, use.key_id)
        until = None if holder is None else holder.until(self._from_unix(hour))
        if holder is None or until is None:
            return

        def counted(one: ResultsOfModel) -> CountedUse:
            cost = None if use.own else self._prices.cost(one.model, one.tokens, SHARE)
            answers = one.requests - one.errors
            amounts = (
                one.requests, one.errors, 0, 0, one.estimated,
                answers if cost is None and not use.own and one.model else 0,
                *one.tokens, cost or 0, 0,
            )  # fmt: skip
            return CountedUse(
                hour,
                use.account,
                holder.person,
                holder.organisation,
                holder.team,
                use.key_id,
                use.client,
                self._named(self._bounded(hour, use.account, one.model), holder),
                use.channel + BATCHES,
                use.upstream,
                use.own,
                int(until.timestamp()),
                amounts,
                0,
            )

        new = self._counts.add_results(batch, until, counted)
        if not use.own:
            self._on_results(use, new)

    def _write_batches(self) -> None:
        while self._batches:
            number, sums = self._batches[0]
            self._counts.add([one for of in sums for one in self._row(*of)], number)
            self._batches.popleft()

    def _row(self, alike: _Alike, found: _Sum) -> list[CountedUse]:
        hour, account, key_id, client, model, channel, upstream, own = alike
        holder = self._holder(account, key_id)
        until = None if holder is None else holder.until(self._from_unix(hour))
        if holder is None or until is None:
            return []
        tokens = Tokens(
            found.input,
            found.output,
            found.cache_read,
            found.cache_write_5m,
            found.cache_write_1h,
            found.thinking,
        )
        cost = None if own else self._prices.cost(model, tokens)
        unpriced = found.metered if cost is None and not own else 0
        amounts = (
            found.requests, found.errors, found.refused, found.aborted, found.estimated,
            unpriced, *tokens, cost or 0, int(found.seconds * 1000),
        )  # fmt: skip
        return [
            CountedUse(
                hour,
                account,
                holder.person,
                holder.organisation,
                holder.team,
                key_id,
                client,
                self._named(model, holder),
                channel,
                upstream,
                own,
                int(until.timestamp()),
                amounts,
                int(found.slowest * 1000),
            )
        ]

    def _named(self, model: str, holder: KeyHolder) -> str:
        if not holder.keeps and model and self._prices.of(model) is None:
            return _OTHER
        return model_of(model)

    def settle(self) -> None:
        """The same, for whoever asks what there is; what can't be written waits."""
        with contextlib.suppress(BaileeError):
            self.write()

    def _run(self) -> None:
        while not self._stopping.wait(SECONDS):
            self.settle()
        self.settle()
