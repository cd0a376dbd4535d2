"""The listener of the console and of the ingest: uvicorn inside a process that has more to do.

Rules kept here:

* A connection counts from the moment in which it is accepted, its TLS handshake included; how many
  there may be, in all and from one address, and who makes room says `admission.connections`.
* When the process runs out of descriptors, who has waited longest makes room; those who still knock
  wait outside. Nothing that is accepted stays without a time by which it is to be used
  (`connection`).
* Whose request it is, and whether by TLS, is the socket's word, or that of a proxy that the
  operator trusts (`admission.addresses`). The application sees it as the ASGI scope's `client` and
  `scheme`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from bailee.admission import ConnectionLimits, Connections
from bailee.admission.addresses import PROXIED, TrustedProxies
from bailee.console.connection import ConsoleConnection, Patience
from bailee.errors import InputError

_NO_ROOM: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_CLOSED: Final = frozenset((errno.EBADF, errno.EINVAL, errno.ENOTSOCK))
_PAUSE: Final = 0.2
_LIMITS: Final = ConnectionLimits.of(256, 64)
_NO_PROXIES: Final = TrustedProxies()
_PATIENCE: Final = Patience()


def bind(host: str, port: int, what: str = "console") -> socket.socket:
    """A listening socket for the console, or for `what` else has a setting `<what>.listen`.

    Raises:
        InputError: code `configuration`, the address can't be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise InputError(
            f"the {what} can't listen on {host}:{port} ({error.strerror}).",
            code="configuration",
            hint=f"choose another address with --{what}, or port 0 for any free one",
        ) from error
    made.setblocking(False)
    return made


class _Accepted:
    """A socket that was accepted, and what became of it."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.transport: asyncio.Transport | None = None

    def cut(self) -> None:
        """End it at once: during the handshake, too."""
        if self.transport is not None:
            self.transport.abort()
        else:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class _Server(uvicorn.Server):
    """Leaves the signals to whoever runs the process, and accepting to the listener, which owns
    it.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        self.servers = []
        self.started = True


class Listener:
    """Serves an ASGI application on a bound socket, from `start` to `close`.

    The server makes one for the console and one for the ingest, a witness one. It owns the socket,
    the connections that it accepted and uvicorn's server, all on one event loop. It reads no
    request: `connection` does, and the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        tls: tuple[Path, Path] | None,
        *,
        limits: ConnectionLimits = _LIMITS,
        proxies: TrustedProxies = _NO_PROXIES,
        patience: Patience = _PATIENCE,
    ) -> None:
        """`tls` is a certificate chain and its private key, as PEM files."""
        self._config = uvicorn.Config(
            _addressed(app, proxies),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
            ssl_certfile=None if tls is None else str(tls[0]),
            ssl_keyfile=None if tls is None else str(tls[1]),
        )
        self.connections: Final[Connections[_Accepted]] = Connections(
            limits, trusted=proxies.trusts
        )
        self._server = _Server(self._config)
        self._socket = listening
        self._patience = patience
        self._tasks: list[asyncio.Task[None]] = []
        self._meeting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Serve; returns when connections are taken."""
        self._config.load()
        self._socket.setblocking(False)
        self._tasks = [
            asyncio.create_task(self._server.serve([self._socket])),
            asyncio.create_task(self._accept()),
        ]

    async def close(self) -> None:
        """Finish what is under way, then stop."""
        self._server.should_exit = True
        if self._tasks:
            serving, accepting = self._tasks
            for task in (accepting, *self._meeting):
                task.cancel()
            await asyncio.gather(accepting, *self._meeting, return_exceptions=True)
            await serving
        self._socket.close()

    # -- accepting -------------------------------------------------------------------------------

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(self._socket)
            except OSError as error:
                if error.errno in _CLOSED:
                    return
                if error.errno in _NO_ROOM:
                    self._cut(self.connections.give_up_one())
                    await asyncio.sleep(_PAUSE)
                continue  # otherwise it went away before it was accepted
            accepted = _Accepted(sock)
            gives_way = self.connections.opened(accepted, str(peer[0]))
            if gives_way is accepted:
                sock.close()
                continue
            self._cut(gives_way)
            task = loop.create_task(self._meet(accepted))
            self._meeting.add(task)
            task.add_done_callback(self._meeting.discard)

    async def _meet(self, accepted: _Accepted) -> None:
        """Make a connection of a socket. With TLS this takes as long as the client's handshake."""
        secure = self._config.ssl
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: ConsoleConnection(
                    self._config,
                    self._server.server_state,
                    patience=self._patience,
                    admitted=lambda: self.connections.admitted(accepted),
                    waits=lambda: self.connections.waits(accepted),
                    ended=lambda: self.connections.closed(accepted),
                ),
                accepted.socket,
                ssl=secure,
                ssl_handshake_timeout=self._patience.handshake if secure else None,
                ssl_shutdown_timeout=self._patience.linger if secure else None,
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError):  # TimeoutError is an OSError
            self.connections.closed(accepted)
            accepted.socket.close()
            return
        accepted.transport = transport

    def _cut(self, accepted: _Accepted | None) -> None:
        if accepted is not None:
            accepted.cut()


def _addressed(app: ASGIApp, proxies: TrustedProxies) -> ASGIApp:
    """The application, which sees whose request it is."""

    async def addressed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            peer = scope["client"] or ("", 0)
            client = proxies.client(peer[0], scope["headers"], secure=scope["scheme"] == "https")
            if client.proxied:
                scope[PROXIED] = True
                scope["client"] = (client.address, 0)
                scope["scheme"] = "https" if client.secure else "http"
        await app(scope, receive, send)

    return addressed
