"""The half of a stream that is written to, whoever made it; and both halves of a connection."""

from __future__ import annotations

import asyncio
from typing import Protocol

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Writer(Protocol):
    """The half of a stream that is written to; `asyncio.StreamWriter` is one. Used in its loop."""

    def write(self, data: bytes) -> None:
        """Queue bytes."""

    async def drain(self) -> None:
        """Wait until the other side takes more."""

    def write_eof(self) -> None:
        """Say that nothing more will be written."""

    def close(self) -> None:
        """End both directions."""

    async def wait_closed(self) -> None:
        """Wait until both directions have ended."""
