"""Coupling two streams: what comes from one goes to the other, both ways."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from bailee.outbound.streams import Writer

_PIECE: Final = 64 << 10


async def couple(
    reader: asyncio.StreamReader, writer: Writer, there: asyncio.StreamReader, back: Writer
) -> None:
    """Carry bytes both ways until both ways have ended; a way that breaks ends the other."""
    ways = [
        asyncio.ensure_future(_carry(reader, back)),
        asyncio.ensure_future(_carry(there, writer)),
    ]
    try:
        await asyncio.gather(*ways)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        for way in ways:
            way.cancel()
        for end in (writer, back):
            end.close()
        for end in (writer, back):
            with suppress(OSError):
                await end.wait_closed()


async def _carry(source: asyncio.StreamReader, target: Writer) -> None:
    while data := await source.read(_PIECE):
        target.write(data)
        await target.drain()
    target.write_eof()
