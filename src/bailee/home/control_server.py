"""The server's side of the control socket: see `control` for what is said over it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from bailee import json_lines
from bailee.errors import BaileeError, InputError
from bailee.home.control import reachable

Operation = Callable[[str, Mapping[str, object]], Iterator[object] | object]
"""Runs an operation by name; what it gives is one item, or an iterator of items. An asynchronous
iterator's items may be long in coming: others are served meanwhile.
"""

_LONGEST_REQUEST: Final = 1 << 20


def _untold(_error: BaseException) -> None:
    pass


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
    alone. Whoever asks is answered, whatever they asked: what is no request, or comes to a defect
    of ours, with an error. `defect` is told of the latter.
    """

    def __init__(
        self, path: Path, run: Operation, defect: Callable[[BaseException], None] = _untold
    ) -> None:
        self._path = path
        self._run = run
        self._defect = defect
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
            request = await _request(reader)
            result = await loop.run_in_executor(self._worker, lambda: self._result(request))
            if isinstance(result, AsyncIterator):
                await self._as_they_come(result, reader, writer)
                return
            items = self._lines(result)
            while (line := await loop.run_in_executor(self._worker, next, items, None)) is not None:
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            pass  # the command went away
        except InputError as error:
            writer.write(_problem(error))
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _result(self, request: Mapping[str, object]) -> object:
        """What an operation gives; an error is given too, to be sent."""
        arguments = request.get("arguments")
        name = str(request.get("operation"))
        try:
            return self._run(name, arguments if isinstance(arguments, dict) else {})
        except Exception as error:
            return self._known(error)

    def _lines(self, result: object) -> Iterator[bytes]:
        try:
            if isinstance(result, BaileeError):
                raise result
            for item in result if isinstance(result, Iterator) else (result,):
                yield json_lines.line({"item": item})
            yield json_lines.line({"end": True})
        except Exception as error:
            yield _problem(self._known(error))

    def _known(self, error: Exception) -> BaileeError:
        """An error as it may be said: of a defect nothing, since its words may hold content."""
        if isinstance(error, BaileeError):
            return error
        place = traceback.extract_tb(error.__traceback__)[-1]
        sys.stderr.write(f"control: {type(error).__name__}, {place.filename}:{place.lineno}\n")
        self._defect(error)
        return BaileeError("this is a defect of bailee.", code="internal")

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
        except Exception as error:
            writer.write(_problem(self._known(error)))
        except asyncio.CancelledError:
            pass  # the command went away, or the server ends
        finally:
            gone.remove_done_callback(leave)
            gone.cancel()
            self._long.discard(task)


async def _request(reader: asyncio.StreamReader) -> Mapping[str, object]:
    """What is asked for.

    Raises:
        InputError: it is none.
    """
    try:
        request = json.loads(await reader.readline())
    except (ValueError, RecursionError):  # the first also of a line that is too long
        request = None
    if not isinstance(request, dict):
        raise InputError("what came over the control socket is no request.")
    return request


def _problem(error: BaileeError) -> bytes:
    return json_lines.line(
        {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    )
