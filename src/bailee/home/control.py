"""The control socket: how a command reaches the process that owns a home.

A Unix socket in the home, for its owner's eyes only (mode 0600). One connection carries one
operation: a line of JSON `{"operation": name, "arguments": {...}}`, answered by lines of JSON:
its items, `{"item": ...}` each (most operations have one), then `{"end": true}`, or at any point
`{"error": {"code", "message", "hint"}}`. An answer without its last line is no answer: the server
ended in the middle.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bailee import json_lines
from bailee.errors import BaileeError, InputError, StorageError

Operation = Callable[[str, Mapping[str, object]], Iterator[object] | object]
"""Runs an operation by name; what it gives is one item, or an iterator of items. An asynchronous
iterator's items may be long in coming: others are served meanwhile.
"""

_LONGEST_REQUEST = 1 << 20
_CREDENTIALS = struct.Struct("3i")  # process, user, group: struct ucred, unix(7)


class ControlServer:
    """Serves a home's operations, one after the other: one writer, no interleaving."""

    def __init__(self, path: Path, run: Operation) -> None:
        self._path = path
        self._run = run
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="control")
        self._server: asyncio.Server | None = None
        self._long: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. A socket left by a process that died is replaced."""
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, path=reachable(self._path), limit=_LONGEST_REQUEST
            )
        finally:
            os.umask(before)

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


def answers(path: Path) -> bool:
    """Whether somebody serves at `path`."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(reachable(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def ask(path: Path, operation: str, arguments: Mapping[str, object]) -> Iterator[object]:
    """Ask the server at `path`: gives the operation's items as they come.

    Raises:
        ConnectionRefusedError, FileNotFoundError: nobody serves there.
        BaileeError: what the operation raised.
        InputError: code `configuration`, it is another user's process that serves there.
        StorageError: the server ended before it answered.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(reachable(path))
        if not _is_ours(connection):
            raise InputError(
                f"{path} is served by another user.",
                code="configuration",
                hint="find out who put it there; nothing was sent to it",
            )
        connection.sendall(json_lines.line({"operation": operation, "arguments": dict(arguments)}))
        with connection.makefile("rb") as lines:
            for line in lines:
                answer = json.loads(line)
                if "error" in answer:
                    problem = answer["error"]
                    raise BaileeError(
                        problem["message"], code=problem["code"], hint=problem["hint"]
                    )
                if "end" in answer:
                    return
                yield answer["item"]
    raise StorageError("the server ended before it answered.", hint="run the command again")


def _is_ours(connection: socket.socket) -> bool:
    """Whether our own user's process, or root's, is at the other end (`SO_PEERCRED`, Linux)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(raw)[1] in (os.geteuid(), 0)


def reachable(path: Path) -> str:
    """The path as the kernel takes it: an address of a Unix socket has at most 107 bytes.

    A longer one is reached through the process's own handle on its folder.
    """
    if len(os.fsencode(path)) < 108:
        return str(path)
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)  # kept: the address needs it
    return f"/proc/self/fd/{folder}/{path.name}"
