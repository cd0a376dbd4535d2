"""Work that waits for somebody else's server."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bailee.console.outside import Outside
from bailee.errors import UpstreamError


def test_who_waits_is_told_in_time_and_who_finds_no_thread_at_once() -> None:
    """Both get the same word; when the other server has answered there is room again."""
    release = threading.Event()
    outside = Outside(threads=2, seconds=0.2)

    async def all_of_it() -> tuple[list[object], int]:
        slow = [outside.run(release.wait) for _ in range(3)]
        told = await asyncio.gather(*slow, return_exceptions=True)
        release.set()
        while True:
            try:
                return list(told), await outside.run(lambda: 7)
            except UpstreamError:  # until the two have ended
                await asyncio.sleep(0.01)

    told, after = asyncio.run(all_of_it())

    assert ["upstream_timeout"] * 3 == [getattr(one, "code", one) for one in told]
    assert 7 == after


def test_what_the_work_raises_is_raised() -> None:
    """As it would be without a thread between."""

    def work() -> int:
        raise KeyError("quince")

    with pytest.raises(KeyError, match="quince"):
        asyncio.run(Outside().run(work))
