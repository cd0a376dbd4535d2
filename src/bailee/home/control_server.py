"""The server's side of the control socket: see `control` for what is said over it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from bailee import json_lines
from bailee.errors import BaileeError
from bailee.home.control import reachable

Operation = Callable[[str, Mapping[str, object]], Iterator[object] | object]
"""Runs an operation by name; what it gives is one item, or an iterator of items. An asynchronous
iterator's items may be long in coming: others are served meanwhile.
"""

_LONGEST_REQUEST: Final = 1 << 20


async def listen(
    path: Path,
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    longest: int,
) -> asyncio.Server:
    """Serve at a Unix socket that its owner alone may open, lines of at most `longest` bytes. One
    left by a process that died is replaced.
    """
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(serve, path=reachable(path), limit=longest)
    finally:
        os.umask(before)


class ControlServer:
    """Serves a home's operations, one after the other: one writer, no interleaving.

    The server starts and closes it on its event loop, on which requests are read and answered. It
    owns the thread `control`, on which operations run; items that may be long in coming are waited
    for on the loop. It knows no operation, and asks nobody who they are: the socket is its owner's
    alone.
    """

    def __init__(self, path: Path, run: Operation) -> None:
        self._path = path
        self._run = run
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="control")
        self._server: asyncio.Server | None = None
        self._long: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. A socket left by a process that died is replaced."""
        self._server = await listen(self._path, self._serve, _LONGEST_REQUEST)

    async def close(self) -> None:
        """Stop listening; what runs is finished first, but for what would wait for more."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for task in self._long:
            task.cancel()
        await asyncio.get_running_loop().run_in_executor(None, self._worker.shutdown)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            request = json.loads(await reader.readline())
            result = await loop.run_in_executor(self._worker, lambda: _result(self._run, request))
            if isinstance(result, AsyncIterator):
                await self._as_they_come(result, reader, writer)
                return
            items = _lines(result)
            while (line := await loop.run_in_executor(self._worker, next, items, None)) is not None:
                writer.write(line)
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.IncompleteReadError):
            pass  # the command went away, or what came was not one of ours
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _as_they_come(
        self,
        items: AsyncIterator[object],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Send items until there are no more, or who asked is gone, or the server ends."""
        task = asyncio.current_task()
        assert task is not None
        self._long.add(task)
        gone = asyncio.ensure_future(reader.read())

        def leave(_gone: asyncio.Future[bytes]) -> None:
            task.cancel()

        gone.add_done_callback(leave)
        try:
            async for item in items:
                writer.write(json_lines.line({"item": item}))
                await writer.drain()
            writer.write(json_lines.line({"end": True}))
        except BaileeError as error:
            writer.write(_problem(error))
        except asyncio.CancelledError:
            pass  # the command went away, or the server ends
        finally:
            gone.remove_done_callback(leave)
            gone.cancel()
            self._long.discard(task)


def _result(run: Operation, request: Mapping[str, object]) -> object:
    """What an operation gives; an error is given too, to be sent."""
    arguments = request.get("arguments")
    try:
        return run(str(request.get("operation")), arguments if isinstance(arguments, dict) else {})
    except BaileeError as error:
        return error


def _lines(result: object) -> Iterator[bytes]:
    try:
        if isinstance(result, BaileeError):
            raise result
        for item in result if isinstance(result, Iterator) else (result,):
            yield json_lines.line({"item": item})
        yield json_lines.line({"end": True})
    except BaileeError as error:
        yield _problem(error)


def _problem(error: BaileeError) -> bytes:
    return json_lines.line(
        {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    )
