"""A reader and a writer as a transport, and a transport as a reader and a writer.

A machine's channel, and a connection by somebody else's proxy, come as a pair of streams; the
engine is one protocol over transports. Neither direction copies or keeps more than a piece.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, cast

from bailee.outbound.streams import Ends, Writer

_PIECE: Final = 256 * 1024
_HIGH_WATER: Final = 64 * 1024


class StreamTransport(asyncio.Transport):
    """Drives a protocol from a reader and a writer, while `run` is awaited; in their loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._undrained = 0
        self._draining: asyncio.Task[None] | None = None
        self._protocol: asyncio.Protocol | None = None

    async def run(self, protocol: asyncio.Protocol) -> None:
        """Give the protocol what comes, until it closes, or the stream breaks or is cancelled. One
        that was set before stays.
        """
        if self._protocol is None:
            self._protocol = protocol
            protocol.connection_made(self)
        pump = self._loop.create_task(self._pump())
        error: Exception | None = None
        try:
            await self._closed
        except OSError as broken:
            error = broken
        finally:
            if not self._closed.done():
                self._closed.cancel()
            others = [task for task in (pump, self._draining) if task is not None]
            for task in others:
                task.cancel()
            with contextlib.suppress(OSError):
                self._writer.close()
            self._protocol.connection_lost(error)
            await asyncio.gather(*others, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _pump(self) -> None:
        try:
            await self._may_read.wait()
            while data := await self._reader.read(_PIECE):
                assert self._protocol is not None
                self._protocol.data_received(data)
                await self._may_read.wait()
            assert self._protocol is not None
            if not self._protocol.eof_received():
                self.close()
        except Exception as error:
            if not self._closed.done():
                self._closed.set_exception(error)

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError as error:
            if not self._closed.done():
                self._closed.set_exception(error)
            return
        finally:
            self._undrained, self._draining = 0, None
        if self._protocol is not None:
            self._protocol.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.WriteTransport`."""
        if self._closed.done():
            return
        self._writer.write(bytes(data))
        self._undrained += len(data)
        if self._undrained > _HIGH_WATER and self._draining is None:
            assert self._protocol is not None
            self._protocol.pause_writing()
            self._draining = self._loop.create_task(self._drain())

    def write_eof(self) -> None:
        """See `asyncio.WriteTransport`."""
        if not self._closed.done():
            with contextlib.suppress(OSError):
                self._writer.write_eof()

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Bytes that were not waited for yet."""
        return self._undrained

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._may_read.set()

    def close(self) -> None:
        """Send what is queued, then end both directions."""
        if not self._closed.done():
            self._closed.set_result(None)

    def abort(self) -> None:
        """The same: what is queued is the writer's."""
        self.close()

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closed.done()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See `asyncio.BaseTransport`."""
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See `asyncio.BaseTransport`."""
        assert self._protocol is not None
        return self._protocol

    def get_extra_info(self, name: str, default: object = None) -> object:  # noqa: ARG002
        """It has none."""
        return default


def streams_of(transport: asyncio.Transport, data: bytes, *, ended: bool = False) -> Ends:
    """A transport as a reader and a writer, from now on. `data` came already; `ended`: so did the
    end.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_PIECE, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if data:
        reader.feed_data(data)
    if ended:
        reader.feed_eof()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
