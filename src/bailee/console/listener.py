"""The console's listener: uvicorn inside a process that has other things to do too."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from bailee.errors import InputError


def bind(host: str, port: int, what: str = "console") -> socket.socket:
    """A listening socket for the console, or for `what` else has a setting `<what>.listen`.

    Raises:
        InputError: code `configuration`, the address can't be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise InputError(
            f"the {what} can't listen on {host}:{port} ({error.strerror}).",
            code="configuration",
            hint=f"choose another address with --{what}, or port 0 for any free one",
        ) from error


class _Quiet(uvicorn.Server):
    """Leaves the signals to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """Serves an ASGI application on a bound socket, from `start` to `close`."""

    def __init__(self, app: ASGIApp, listening: socket.socket, tls: tuple[Path, Path] | None):
        """`tls` is a certificate chain and its private key, as PEM files."""
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
            ssl_certfile=None if tls is None else str(tls[0]),
            ssl_keyfile=None if tls is None else str(tls[1]),
        )
        self._server = _Quiet(config)
        self._socket = listening
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve; returns when connections are taken."""
        self._task = asyncio.create_task(self._server.serve([self._socket]))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Finish what is under way, then stop."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()
