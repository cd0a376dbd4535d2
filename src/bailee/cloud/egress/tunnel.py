"""What goes through a CONNECT: TLS whose server name is the host that was asked for, untouched.

Rules kept here:

* Nothing of the client's goes out before its first message was read and found in order.
* A name that is not the host, or none, ends the tunnel with TLS's own alert, so that the client
  says something of the kind.
* Bytes pass as they are, no faster than the other side takes them; each is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from bailee.cloud.egress.attempts import Attempt, idle, stopped
from bailee.cloud.egress.budgets import Budgets
from bailee.outbound.forward_proxy import NotServed, check_name, read_hello
from bailee.outbound.hosts import Host
from bailee.outbound.streams import Writer

_PIECE: Final = 256 * 1024


async def first_message(
    reader: asyncio.StreamReader,
    writer: Writer,
    data: bytes,
    host: Host,
    attempt: Attempt,
    *,
    without_name: bool,
) -> bytes:
    """The bytes up to and with TLS's first message, which names `host`. `data` came already.

    Raises:
        Stopped: it is not TLS, or names another host, or none and `without_name` is not set.
    """
    try:
        data, hello = await read_hello(reader, data)
        attempt.ech = hello.ech
        check_name(hello, host, without_name=without_name)
    except NotServed as refusal:
        with contextlib.suppress(OSError):
            writer.write(refusal.alert)
        raise stopped(refusal) from None
    return data


async def carry_both_ways(
    client: tuple[asyncio.StreamReader, Writer],
    upstream: tuple[asyncio.StreamReader, Writer],
    first: bytes,
    attempt: Attempt,
    budgets: Budgets,
) -> None:
    """Pass `first` on, then everything, until both directions have ended.

    Raises:
        Stopped: a budget ended it.
    """
    loop = asyncio.get_running_loop()

    async def pump(
        source: asyncio.StreamReader, sink: Writer, carried: Callable[[int], None]
    ) -> None:
        while data := await source.read(_PIECE):
            carried(len(data))
            sink.write(data)
            await sink.drain()
            timer.reschedule(loop.time() + budgets.idle)
        sink.write_eof()

    try:
        async with asyncio.timeout(budgets.idle) as timer:
            attempt.carry(sent=len(first))
            upstream[1].write(first)
            tasks = [
                asyncio.create_task(
                    pump(client[0], upstream[1], lambda count: attempt.carry(sent=count))
                ),
                asyncio.create_task(
                    pump(upstream[0], client[1], lambda count: attempt.carry(received=count))
                ),
            ]
            try:
                await asyncio.gather(*tasks)
            except OSError:
                pass  # one end went away: so does the other
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    except TimeoutError:
        raise idle(budgets) from None
