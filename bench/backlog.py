"""What waits to be sealed while new sessions come at a constant rate, and what waits for it.

    python -m bench.backlog [SECONDS]        (default 60, twice)

A home as a server opens it, with the workbench in a process of its own. First a burst says how many
new sessions a second are sealed on this machine, at this moment, when nothing comes meanwhile. Then
twice as many come, which says how many are sealed while more come than can be; and then 0.8 of
those. Each is a session of its own, spread over twenty accounts, each let in as the gateway does
it: by `Shares.spools`. Beside it the first page of all sessions is listed every second, and at
the end of each a sweep runs. The bound is set low, so that it is reached within a minute; in the
end what was acknowledged is counted in the index.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

from bailee import config
from bailee.accounts import OPERATOR
from bailee.admission.shares import ShareLimits, Shares
from bailee.app.wiring import ServerWiring
from bailee.errors import StorageError
from bailee.gateway.taking_apart import COMMAND
from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.operations.table import perform
from bailee.policy.facts import Facts
from bailee.vault.batch import DATA_CLASS
from bailee.vault.exchange import CapturedExchange, Terms
from bailee.vault.workbench_process import WorkbenchProcess
from bench.exchanges import captured
from bench.result import Line

SECONDS = 60.0
ACCOUNTS = 20
BURST = 1_500
BOUND = 1_500
_TICK = 0.02
_WORDS = "some words of an ordinary question " * 10


@dataclass
class _Came:
    """What came at one rate. `waiting`: exchanges that were not sealed, each second; `listed`:
    seconds that a page of a list took.
    """

    acknowledged: int = 0
    refused: int = 0
    failed: int = 0
    waiting: list[int] = field(default_factory=list)
    listed: list[float] = field(default_factory=list)
    swept: float = 0.0
    seconds: float = 0.0


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop on a thread of its own, as a server has one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Coming:
    """New sessions, at a rate, on the loop, until it is told to end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        node: Node,
        owners: list[str],
        terms: Terms,
        rate: float,
    ) -> None:
        self.came = _Came()
        self._loop = loop
        self._node, self._owners, self._terms, self._rate = node, owners, terms, rate
        limits = ShareLimits(64, 1 << 30, 1 << 30, unsealed=BOUND, unsealed_total=BOUND)
        self._shares = Shares(limits)
        self._ended = threading.Event()

    def __enter__(self) -> _Came:
        self._coming = asyncio.run_coroutine_threadsafe(self._come(), self._loop)
        return self.came

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._coming.result()

    async def _come(self) -> None:
        began, number = time.monotonic(), 0
        under_way: set[asyncio.Future[StorageError | None]] = set()
        while not self._ended.is_set():
            due = int((time.monotonic() - began) * self._rate)
            for one in range(number, due):
                owner = self._owners[one % ACCOUNTS]
                spool = self._node.vault.spool
                if self._shares.spools(spool.unsealed(owner)) is not None:
                    self.came.refused += 1
                    continue
                future: asyncio.Future[StorageError | None] = self._loop.create_future()
                under_way.add(future)
                future.add_done_callback(under_way.discard)
                future.add_done_callback(self._ends)
                spool.submit(exchange(owner, self._terms), future.set_result)
            number = due
            await asyncio.sleep(_TICK)
        await asyncio.gather(*under_way)
        self.came.seconds = time.monotonic() - began

    def _ends(self, future: asyncio.Future[StorageError | None]) -> None:
        if future.result() is None:
            self.came.acknowledged += 1
        else:
            self.came.failed += 1


def main(seconds: float = SECONDS) -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        home = Home(Path(folder) / "home")
        home.make()
        settings = config.load(home.settings_file, {}, {})
        wiring = ServerWiring(home, settings=settings, bench=partial(WorkbenchProcess, COMMAND))
        with _loop() as loop, HomeLock(home), Node.over(wiring) as node:
            return _measure(loop, node, seconds)


def exchange(owner: str, terms: Terms) -> CapturedExchange:
    """A small one that begins a session."""
    now = time.time()
    asked = f'{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"{_WORDS}"}}]}}'
    answered = (
        f'{{"type":"message","role":"assistant","content":[{{"type":"text","text":"{_WORDS}"}}]}}'
    )
    return captured(uuid4().hex, owner, terms, now, str(uuid4()), asked.encode(), answered.encode())


def _measure(loop: asyncio.AbstractEventLoop, node: Node, seconds: float) -> list[Line]:
    facts = Facts("pro", "api", "refused", zero_retention=False, partner_programme=False)
    terms = node.policy.terms(DATA_CLASS, facts)
    assert terms is not None
    owners = [
        node.accounts.create(plan="pro", name=f"person {n}")[0].account_id for n in range(ACCOUNTS)
    ]
    burst, kept = _burst(loop, node, owners, terms)
    found = [_say("new sessions sealed, in a burst", f"{burst:,.0f}/s", "")]
    came = _at(node, _Coming(loop, node, owners, terms, 2 * burst), seconds)
    sealed = (came.acknowledged - came.waiting[-1]) / came.seconds
    found += _lines(f"at twice that, {2 * burst:,.0f}/s", came)
    found.append(_say("of these sealed, while they came", f"{sealed:,.0f}/s", ""))
    kept += came.acknowledged
    node.vault.flush()
    came = _at(node, _Coming(loop, node, owners, terms, 0.8 * sealed), seconds)
    found += _lines(f"at 0.8 of that, {0.8 * sealed:,.0f}/s", came)
    kept += came.acknowledged
    node.vault.flush()
    there = node.vault.count(node.clock())
    found.append(_say("acknowledged, and in the index in the end", f"{kept:,}, {there:,}", ""))
    assert kept == there
    return found


def _burst(
    loop: asyncio.AbstractEventLoop, node: Node, owners: list[str], terms: Terms
) -> tuple[float, int]:
    """How many a second are sealed, when that is all there is to do; and how many that were."""
    _wait(loop, node, [exchange(owners[n % ACCOUNTS], terms) for n in range(50)])  # warm
    some = [exchange(owners[n % ACCOUNTS], terms) for n in range(BURST)]
    began = time.monotonic()
    _wait(loop, node, some)
    return BURST / (time.monotonic() - began), BURST + 50


def _wait(loop: asyncio.AbstractEventLoop, node: Node, some: list[CapturedExchange]) -> None:
    async def submit() -> None:
        for one in some:
            node.vault.spool.submit(one, lambda _: None)

    asyncio.run_coroutine_threadsafe(submit(), loop).result()
    node.vault.flush()


def _at(node: Node, coming: _Coming, seconds: float) -> _Came:
    ends = time.monotonic() + seconds
    with coming as came:
        while time.monotonic() < ends:
            began = time.monotonic()
            perform(node, "sessions.list", {"limit": 100}, by=OPERATOR)
            came.listed.append(time.monotonic() - began)
            came.waiting.append(node.vault.spool.unsealed("").all_exchanges)
            time.sleep(max(0.0, 1 - came.listed[-1]))
        began = time.monotonic()
        swept = node.sweep(node.clock())
        came.swept = time.monotonic() - began
        assert not swept.failures, swept.failures
    assert not came.failed
    return came


def _lines(where: str, came: _Came) -> list[Line]:
    half = len(came.waiting) // 2
    first, then = (statistics.median(some) for some in (came.waiting[:half], came.waiting[half:]))
    listed = statistics.median(came.listed)
    return [
        _say(
            f"waiting to be sealed, {where}, p50",
            f"{first:,.0f} in the first half, {then:,.0f} in the second",
            f"{max(came.waiting):,} at most, bound {BOUND:,}",
        ),
        _say(f"refused {where}", f"{came.refused:,} of {came.refused + came.acknowledged:,}", ""),
        _say(
            f"a page of a list {where}, p50",
            f"{listed * 1e3:.0f} ms",
            f"{max(came.listed):.2f} s at most",
        ),
        _say(f"a sweep {where}", f"{came.swept:.2f} s", ""),
    ]


def _say(what: str, result: str, against: str) -> Line:
    print(f"{what:<56} {result:>36}   {against}", flush=True)
    return what, result, against


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
