"""The half of a stream that is written to, whoever made it; both halves of a connection, and how
one is opened.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
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


class _StreamsProtocol(asyncio.StreamReaderProtocol):
    """What broke a connection is for whoever reads from it or writes to it. asyncio keeps it for
    `wait_closed` besides; where nobody calls that, it stands in the log as an error that nobody
    took, whenever the collector of garbage comes to it.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._read_by = weakref.ref(reader)

    def connection_lost(self, exc: Exception | None) -> None:
        reader = self._read_by()
        if exc is not None and reader is not None:
            reader.set_exception(exc)
        super().connection_lost(None)


async def open_connection(
    host: str,
    port: int,
    *,
    limit: int = 64 * 1024,
    tls: ssl.SSLContext | None = None,
    name: str | None = None,
    happy_eyeballs_delay: float | None = None,
) -> Ends:
    """As `asyncio.open_connection`; `wait_closed` of the writer raises nothing. `limit`, in bytes,
    is the reader's; `name`: whose certificate it must be, if not that of `host`.
    `happy_eyeballs_delay`: on asyncio's own loop alone; uvloop's knows no such thing.

    Raises:
        OSError: it can't be reached, or TLS failed.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit)

    def made() -> _StreamsProtocol:
        return _StreamsProtocol(reader)

    if happy_eyeballs_delay is None:
        opened = loop.create_connection(made, host, port, ssl=tls, server_hostname=name)
    else:
        opened = loop.create_connection(
            made,
            host,
            port,
            ssl=tls,
            server_hostname=name,
            happy_eyeballs_delay=happy_eyeballs_delay,
        )
    transport, protocol = await opened
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
