"""A connection that we open: what breaks it is told to whoever reads, and left for nobody else."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest
import uvloop

from bailee.outbound.streams import open_connection

pytestmark = pytest.mark.row("C3")


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_broke_it_is_told_to_whoever_reads(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """And `wait_closed` has nothing to raise, so that nothing stands in a log if nobody calls it:
    asyncio writes there whatever its own protocol keeps for that. So it is on uvloop, which cloud
    sessions run on.
    """
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_broken())


async def _broken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        reader, writer = await open_connection("127.0.0.1", listening.getsockname()[1])
        there, _ = listening.accept()
        # Closed with nothing waited for: the other side is reset.
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.close()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
    writer.close()
    await writer.wait_closed()
    with pytest.raises(ConnectionResetError):
        await writer.drain()
