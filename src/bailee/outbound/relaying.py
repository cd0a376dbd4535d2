"""Bytes from one connection to another and back, until the far side has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

_PIECE: Final = 64 * 1024

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _uncounted(_count: int) -> None:
    pass


async def relay(
    near: Ends,
    far: Ends,
    *,
    sent: Callable[[int], None] = _uncounted,
    received: Callable[[int], None] = _uncounted,
) -> None:
    """Pass all bytes both ways, no faster than either side takes them; over when the far side has
    ended. `sent` and `received` are told how many bytes each piece has. Closes neither end.
    """
    there = asyncio.create_task(_copy(near[0], far[1], sent))
    try:
        await _copy(far[0], near[1], received)
    finally:
        there.cancel()
        await asyncio.gather(there, return_exceptions=True)


async def _copy(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, counted: Callable[[int], None]
) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_PIECE):
            counted(len(data))
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
