"""What a gateway of its own reserves and counts, without sockets: `gateway_process.py HOME NOW`.

It is beside the process that has the home, and does what each line on its standard input says; of
each it says what came of it, in one line:

* `governs PERSON`: whether they have to be admitted.
* `load PERSON`: admit from twenty connections at once, and settle, until nothing goes on; how many.
* `hold PERSON`: admit until one is refused, and settle none; how many.
* `one PERSON`: admit one; `on`, or with what it is refused.
* `free`: settle all that is held, and wait until it is.
* `later HOURS`: by its clock it is so much later.
* `write`: write what is counted; `used`, or why not yet.
* `use ACCOUNT KEY N`: count so many requests, and write them; `used`, or why not yet.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from bailee.api import Api
from bailee.apis.metering import Metered
from bailee.apis.using import Tokens
from bailee.app.using import UsageMetering, home_beside
from bailee.errors import BaileeError
from bailee.home import Home
from bailee.node.reader import HomeReader
from bailee.testing.clock import FakeClock
from bailee.usage.asking import UsageAsker, WholeRequest
from bailee.usage.client_shapes import LimitRefusal
from bailee.usage.counting import UseOf

BODY = b'{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[]}'
USED = Metered(Tokens(7, 13, 0, 0, 0, 0), "claude-sonnet-4-5", estimated=False)
CONNECTIONS = 20


class OwnGateway:
    """One, and the ids of what it holds."""

    def __init__(self, home: str, now: str) -> None:
        self.clock = FakeClock(datetime.fromisoformat(now))
        self.reader = HomeReader(Home(Path(home)), clock=self.clock)
        self.metering = UsageMetering(home_beside(self.reader))
        self.metering.start()
        self.held: list[str] = []
        self.why = ""
        self._number = 0

    async def admit(self, person: str) -> str | None:
        """Its id, if it goes on; else `why` is the refusal's code."""
        self._number += 1
        name = f"{os.getpid()}-{self._number}"
        asker = UsageAsker(f"key_{person}", person, "", "pro")
        request = WholeRequest(name, asker, Api.MESSAGES, "/v1/messages", BODY, "", own=False)
        found = await self.metering.governing.admit(request)
        if isinstance(found, LimitRefusal):
            self.metering.governing.settle(name, None)
            self.why = found.error.code
            return None
        return name

    async def load(self, person: str) -> int:
        """Until each connection was refused so often that all is used."""
        return sum(await asyncio.gather(*(self._connection(person) for _ in range(CONNECTIONS))))

    async def _connection(self, person: str) -> int:
        admitted = refused = 0
        while refused < 5:
            name = await self.admit(person)
            if name is None:
                refused += 1
                await asyncio.sleep(0.05)  # for what is under way to be settled
                continue
            admitted += 1
            await asyncio.sleep(0.001)  # the upstream's time
            self.metering.governing.settle(name, USED)
        return admitted

    async def hold(self, person: str) -> int:
        """Until one is refused."""
        before = len(self.held)
        while (name := await self.admit(person)) is not None:
            self.held.append(name)
        return len(self.held) - before

    def use(self, account: str, key: str, requests: int) -> str:
        """Count, and write."""
        at = self.clock().timestamp()
        for _ in range(requests):
            self.metering.counting.add(
                UseOf(at, account, key, "claude-code", "api", "up", False, 0.1, False, False, USED)
            )
        return self.write()

    def write(self) -> str:
        """Write what is counted."""
        try:
            self.metering.counting.write()
        except BaileeError as error:
            return f"later: {error.code}"
        return "used"

    async def said(self, line: str) -> object:
        """What it does."""
        what, *values = line.split()
        governing = self.metering.governing
        if what == "governs":
            return governing.governs(UsageAsker(f"key_{values[0]}", values[0], "", "pro"))
        if what == "load":
            return await self.load(values[0])
        if what == "hold":
            return await self.hold(values[0])
        if what == "one":
            name = await self.admit(values[0])
            self.held += [] if name is None else [name]
            return self.why if name is None else "on"
        if what == "free":
            for name in self.held:
                governing.settle(name, USED)
            self.held.clear()
            last = await self.admit("last")  # who has a limit, and is asked for behind the others
            assert last is not None
            governing.settle(last, None)
            return "freed"
        if what == "later":
            self.clock.advance(timedelta(hours=int(values[0])))
            return "so"
        if what == "write":
            return self.write()
        return self.use(values[0], values[1], int(values[2]))


async def main(home: str, now: str) -> None:
    """See the module."""
    gateway = OwnGateway(home, now)
    print("there", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await gateway.said(line), flush=True)
    gateway.metering.stop()
    gateway.reader.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
