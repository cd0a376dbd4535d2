"""Whose request is read beside the loop next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from bailee.usage.in_turns import ReadersInTurn

pytestmark = pytest.mark.row("G1")


class Reads:
    """Notes who is read, in order; the first waits until it may end."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.most = 0
        self.gate = threading.Event()
        self._now = 0

    def of(self, who: str) -> Callable[[], str]:
        """Reads one of theirs."""

        def read() -> str:
            self._now += 1
            self.most = max(self.most, self._now)
            if not self.order:
                self.gate.wait(20)
            self.order.append(who)
            self._now -= 1
            return who

        return read


def test_an_account_with_many_stands_before_nobody() -> None:
    """Behind one that is being read, another account's comes next, and each after it in turn."""

    async def work() -> None:
        readers, reads = ReadersInTurn(), Reads()
        asked = [asyncio.create_task(readers.run("a", reads.of("a"))) for _ in range(4)]
        asked += [asyncio.create_task(readers.run(who, reads.of(who))) for who in "bbc"]
        await asyncio.sleep(0)
        reads.gate.set()
        assert ["a"] * 4 + ["b", "b", "c"] == await asyncio.gather(*asked)
        assert ["a", "a", "b", "c", "a", "b", "a"] == reads.order
        assert 1 == reads.most

    asyncio.run(work())


def test_who_goes_away_keeps_nobody_waiting() -> None:
    """While it is being read, and while it waits; and what breaks is told to who asked."""

    async def work() -> None:
        readers, reads = ReadersInTurn(), Reads()
        first = asyncio.create_task(readers.run("a", reads.of("a")))
        gone = asyncio.create_task(readers.run("b", reads.of("b")))
        broken = asyncio.create_task(readers.run("c", lambda: str(1 // 0)))
        last = asyncio.create_task(readers.run("d", reads.of("d")))
        await asyncio.sleep(0)
        first.cancel()
        gone.cancel()
        await asyncio.sleep(0)
        assert [] == reads.order  # a thread that reads is not stopped, and is still the only one
        reads.gate.set()
        with pytest.raises(ZeroDivisionError):
            await broken
        assert "d" == await last
        assert (["a", "d"], 1) == (reads.order, reads.most)

    asyncio.run(work())
