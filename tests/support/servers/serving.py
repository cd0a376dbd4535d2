"""Serves a `Service` of a machine on loopback, and keeps what it sent to its client.

The service is the one that a machine's channel would serve; only the stream is another. `to_client`
holds every byte that it wrote, so that a test can search it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from bailee.cloud.ports import Service

T = TypeVar("T")


class _Kept:
    """A writer that keeps what is written."""

    def __init__(self, writer: asyncio.StreamWriter, kept: bytearray) -> None:
        self._writer = writer
        self._kept = kept

    def write(self, data: bytes) -> None:
        self._kept += data
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def write_eof(self) -> None:
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()

    async def wait_closed(self) -> None:
        await self._writer.wait_closed()


class Served:
    """While entered, `service` is served on 127.0.0.1 and `port`, in a loop on its own thread.

    `service` may be replaced while it runs: what connects next gets the new one.
    """

    def __init__(self, service: Service | None = None, *, keep: bool = True) -> None:
        self.service = service
        self.to_client = bytearray()
        self.port = 0
        self._keep = keep
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def do(self, function: Callable[[], Awaitable[T]]) -> T:
        """Carry something out in the loop of the service."""

        async def call() -> T:
            return await function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(timeout=60)

    def idle(self) -> None:
        """Wait until every stream has been served to its end."""

        async def settle() -> None:
            while self._tasks:
                await asyncio.wait(set(self._tasks))

        self.do(settle)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None and self.service is not None
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await self.service(reader, _Kept(writer, self.to_client) if self._keep else writer)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in set(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
