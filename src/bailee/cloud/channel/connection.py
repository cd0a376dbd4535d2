"""One end of a channel, on a file descriptor that does not block: a socket, or a serial port.

Streams are an `asyncio.StreamReader` and a writer that behaves as `asyncio.StreamWriter` does.
Credit is given back while a reader's buffer is short, so what a stream holds is bounded by the
reader's limit and the window (see `frames`), and all of them by their number.

Whatever goes wrong on the channel ends the channel: every stream is reset, every service that
serves one is cancelled, and `ended` says why. Nothing is raised anywhere else.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from bailee.cloud.channel.frames import (
    Bounds,
    Data,
    Event,
    Multiplexer,
    ProtocolError,
    Side,
    StreamEnded,
    StreamOpened,
)

_PIECE: Final = 65536
_LINE: Final = 65536  # the longest line that a reader looks for
_HIGH_WATER: Final = 131072  # queued bytes of a stream past which `drain` waits


class StreamWriter:
    """The writing half of a stream."""

    def __init__(self, connection: ChannelConnection, stream: int) -> None:
        self._connection = connection
        self._stream = stream
        self._changed = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        self._connection.multiplexer.send(self._stream, data)
        self._connection.flush_soon()

    async def drain(self) -> None:
        """Wait until the other side takes more.

        Raises:
            ConnectionResetError: the stream is over.
        """
        while self._connection.multiplexer.queued(self._stream) > _HIGH_WATER:
            await self._wait()
        if not self._connection.multiplexer.knows(self._stream):
            raise ConnectionResetError("the stream is over")

    def write_eof(self) -> None:
        """Say that nothing more will be written."""
        self._connection.multiplexer.end(self._stream)
        self._connection.flush_soon()

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def close(self) -> None:
        """Send what is queued, then end both directions."""
        self._connection.close_stream(self._stream)

    def is_closing(self) -> bool:
        """Whether the stream is over."""
        return not self._connection.multiplexer.knows(self._stream)

    def abort(self) -> None:
        """End both directions at once; what is queued is dropped."""
        self._connection.reset_stream(self._stream)

    async def wait_closed(self) -> None:
        """Wait until both directions have ended."""
        while self._connection.multiplexer.knows(self._stream):
            await self._wait()

    def changed(self) -> None:
        """Wake who waits for this stream."""
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class _Flow(asyncio.ReadTransport):
    """What a reader asks to pause and to go on: credit is kept back in between."""

    def __init__(self, connection: ChannelConnection, stream: int) -> None:
        super().__init__()
        self._connection = connection
        self._stream = stream
        self._paused = False
        self._kept = 0

    def came(self, count: int) -> None:
        self._kept += count
        if not self._paused:
            self._give()

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._give()

    def _give(self) -> None:
        if self._kept:
            self._connection.consumed(self._stream, self._kept)
            self._kept = 0


class _Half:
    """A stream as the connection keeps it."""

    def __init__(self, connection: ChannelConnection, stream: int) -> None:
        self.reader = asyncio.StreamReader(limit=_LINE)
        self.flow = _Flow(connection, stream)
        self.reader.set_transport(self.flow)
        self.writer = StreamWriter(connection, stream)
        self.got_eof = False


Serve = Callable[[asyncio.StreamReader, StreamWriter], Awaitable[None]]
Accept = Callable[[str], Serve | None]
"""Who serves a stream that the other side opens by this name; None: nobody, it is reset."""


class ChannelConnection:
    """One end of a channel. It takes the descriptor and closes it."""

    def __init__(
        self, descriptor: int, side: Side, accept: Accept, bounds: Bounds | None = None
    ) -> None:
        self._bounds = bounds or Bounds()
        self.multiplexer: Final = Multiplexer(side, self._bounds)
        self.moved = 0  # bytes of frames in both directions, so that silence can be seen
        self._descriptor = descriptor
        self._accept = accept
        self._loop = asyncio.get_running_loop()
        self.ended: Final[asyncio.Future[str]] = self._loop.create_future()
        self._halves: dict[int, _Half] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._output = b""
        self._flushing = False
        self._blocked = False
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._readable)

    def open(self, name: str) -> tuple[asyncio.StreamReader, StreamWriter]:
        """Open a stream.

        Raises:
            ConnectionError: the channel is over, or has as many streams as it may have.
        """
        if self.ended.done():
            raise ConnectionResetError("the channel is over")
        stream = self.multiplexer.open(name)
        if stream is None:
            raise ConnectionRefusedError("the channel has no room for another stream")
        half = self._halves[stream] = _Half(self, stream)
        self.flush_soon()
        return half.reader, half.writer

    async def close(self, reason: str = "closed") -> None:
        """End the channel and wait for what served its streams."""
        self._end(reason)
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # For the streams

    def consumed(self, stream: int, count: int) -> None:
        """Give credit back."""
        self._guarded(lambda: self.multiplexer.consumed(stream, count))

    def close_stream(self, stream: int) -> None:
        """End a stream once what is queued is sent."""
        self._guarded(lambda: self.multiplexer.close(stream))

    def reset_stream(self, stream: int) -> None:
        """End a stream at once."""
        self._guarded(lambda: self.multiplexer.reset(stream))
        self._over(stream, None)

    def flush_soon(self) -> None:
        """Send what there is, at the end of this turn of the loop."""
        if not self._flushing and not self._blocked and not self.ended.done():
            self._flushing = True
            self._loop.call_soon(self._flush)

    # From the descriptor

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._end("lost")
            return
        if not data:
            self._end("lost")
            return
        self.moved += len(data)
        self._guarded(lambda: self._events(data))

    def _events(self, data: bytes) -> None:
        for event in self.multiplexer.receive(data):
            if self.ended.done():
                return  # what came before broke a rule in its consequence
            self._event(event)
        self.flush_soon()

    def _event(self, event: Event) -> None:
        if isinstance(event, StreamOpened):
            self._opened(event)
            return
        half = self._halves.get(event.stream)
        if half is None:
            return
        if isinstance(event, Data):
            half.reader.feed_data(event.data)
            half.flow.came(len(event.data))
        elif isinstance(event, StreamEnded):
            half.got_eof = True
            half.reader.feed_eof()
            if not self.multiplexer.knows(event.stream):
                self._over(event.stream, half)
        else:
            self._over(event.stream, half, ConnectionResetError("the stream was reset"))

    def _opened(self, event: StreamOpened) -> None:
        serve = self._accept(event.name) if len(self._tasks) < self._bounds.streams else None
        if serve is None:
            self.multiplexer.reset(event.stream)
            return
        half = self._halves[event.stream] = _Half(self, event.stream)
        task = self._loop.create_task(self._serve(serve, half, event.stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, serve: Serve, half: _Half, stream: int) -> None:
        try:
            await serve(half.reader, half.writer)
        except (ConnectionError, EOFError, asyncio.IncompleteReadError):
            self.reset_stream(stream)
        except BaseException:
            self.reset_stream(stream)
            raise
        else:
            half.writer.close()

    def _flush(self) -> None:
        self._flushing = False
        if self.ended.done():
            return
        try:
            while self._output or self.multiplexer.has_output:
                if not self._output:
                    self._output = self.multiplexer.output()
                sent = os.write(self._descriptor, self._output)
                self.moved += sent
                self._output = self._output[sent:]
        except (BlockingIOError, InterruptedError):
            self._blocked = True
            self._loop.add_writer(self._descriptor, self._writable)
        except OSError:
            self._end("lost")
        for stream, half in list(self._halves.items()):
            if not self.multiplexer.knows(stream):
                self._over(stream, half)
            else:
                half.writer.changed()

    def _writable(self) -> None:
        self._loop.remove_writer(self._descriptor)
        self._blocked = False
        self._flush()

    # Within

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except ProtocolError as error:
            self._end(f"broke the channel's rules: {error}")
        else:
            self.flush_soon()

    def _over(
        self, stream: int, half: _Half | None, error: ConnectionResetError | None = None
    ) -> None:
        half = half or self._halves.get(stream)
        if half is None:
            return
        self._halves.pop(stream, None)
        if error is not None and not half.got_eof:
            half.reader.set_exception(error)
        else:
            half.reader.feed_eof()
        half.writer.changed()

    def _end(self, reason: str) -> None:
        if self.ended.done():
            return
        self.ended.set_result(reason)
        self._loop.remove_reader(self._descriptor)
        with suppress(ValueError):
            self._loop.remove_writer(self._descriptor)
        os.close(self._descriptor)
        for stream, half in list(self._halves.items()):
            with suppress(ProtocolError):
                self.multiplexer.reset(stream)
            self._over(stream, half, ConnectionResetError("the channel is over"))
        for task in self._tasks:
            task.cancel()
