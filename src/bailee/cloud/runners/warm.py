"""Machines started ahead, so that a session has one at once.

Rules kept here:

* A machine that waits belongs to nobody: no token, no repository, no task was ever in it, and what
  its programs connect to ends at once.
* It is given to one session and never comes back.
* It waits for a few minutes at most: its longest time counts from its start.

Rows: C1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

from bailee.cloud.ports import GUEST_PORTS, End, Machine, MachineLimits, Machines, Service
from bailee.errors import BaileeError
from bailee.outbound.streams import Writer

_AGE_SECONDS: Final = 300.0
_AGAIN_SECONDS: Final = 30.0


class WarmMachines:
    """`Machines` that keeps `keep` of them started. Use it as an asynchronous context."""

    def __init__(
        self, machines: Machines, limits: MachineLimits, keep: int, *, age: float = _AGE_SECONDS
    ) -> None:
        self._machines = machines
        self._limits = limits
        self._keep = keep
        self._age = age
        self._waiting: deque[_Waiting] = deque()
        self._wanted = asyncio.Event()
        self._filling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> WarmMachines:
        self._filling = asyncio.create_task(self._fill())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._filling is not None
        self._filling.cancel()
        await asyncio.gather(self._filling, return_exceptions=True)
        left = [one.machine for one in self._waiting]
        self._waiting.clear()
        await asyncio.gather(*(machine.destroy(End.STOPPED) for machine in left))

    @property
    def waiting(self) -> int:
        """How many are ready."""
        return len(self._waiting)

    async def start(
        self, session: str, services: Mapping[str, Service], limits: MachineLimits
    ) -> Machine:
        """See `ports.Machines.start`: one that waits, if it is like what is asked for."""
        while self._waiting and limits == self._limits and set(services) == set(GUEST_PORTS):
            one = self._waiting.popleft()
            self._wanted.set()
            if not one.machine.ended.done():
                one.services = services
                return one.machine
        return await self._machines.start(session, services, limits)

    async def _fill(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wanted.clear()
            now = loop.time()
            for one in [one for one in self._waiting if now - one.since > self._age]:
                self._waiting.remove(one)
                await one.machine.destroy(End.IDLE)
            pause = self._age / 4
            try:
                while len(self._waiting) < self._keep:
                    await self._one_more()
            except BaileeError:
                pause = _AGAIN_SECONDS  # a session that needs one will say what is missing
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            except TimeoutError:
                pass

    async def _one_more(self) -> None:
        one = _Waiting(asyncio.get_running_loop().time())
        services = {name: one.serving(name) for name in GUEST_PORTS}
        one.machine = await self._machines.start("", services, self._limits)
        self._waiting.append(one)


class _Waiting:
    """A machine that waits, and what its streams lead to once it is given away."""

    machine: Machine

    def __init__(self, since: float) -> None:
        self.since = since
        self.services: Mapping[str, Service] = {}

    def serving(self, name: str) -> Service:
        """The service of this name, whatever it is by then."""

        async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
            service = self.services.get(name)
            if service is None:
                writer.close()
            else:
                await service(reader, writer)

        return serve
