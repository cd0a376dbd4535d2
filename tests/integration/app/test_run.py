"""What `bailee up` does between its start and its end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from functools import partial
from typing import Any, cast

import pytest

from bailee.app.run import _serve


class Starting:
    """A server whose first sweep succeeds when a test says so."""

    def __init__(self) -> None:
        self.swept = asyncio.Event()
        self.closed = False

    async def __aenter__(self) -> str:
        return "running"

    async def __aexit__(self, *_exception: object) -> None:
        self.closed = True

    async def drain(self) -> None:
        """See `Server`."""


@pytest.mark.row("R5")
@pytest.mark.parametrize("sweeps", [True, False])
def test_ready_is_said_after_the_first_sweep(*, sweeps: bool) -> None:
    """And never, when none succeeds before the server is told to stop. What is there then is not
    looked through for garbage any more.
    """
    said: list[Any] = []
    gc.unfreeze()

    async def run() -> bool:
        server = Starting()
        then = partial(said.append, "then")
        serving = asyncio.create_task(_serve(cast(Any, server), said.append, then, ()))
        await asyncio.sleep(0.1)
        assert [] == said
        if sweeps:
            server.swept.set()
            async with asyncio.timeout(30):
                while not gc.get_freeze_count():
                    await asyncio.sleep(0.01)
        frozen = gc.get_freeze_count()
        gc.unfreeze()
        assert sweeps is (frozen > 0)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 30)
        return server.closed

    assert asyncio.run(run())
    assert (["running", "then"] if sweeps else []) == said
