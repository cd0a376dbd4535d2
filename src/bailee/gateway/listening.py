"""The gateway's listening sockets: every connection is counted as it is accepted.

Rules kept here:

* A connection counts from its accept, so that a TLS handshake under way does too. Who has to make
  room, or is turned away, is `admission.Connections`' to say; here it is closed.
* A TLS handshake has its time.
* When the process has no descriptor left, accepting pauses for a moment and one who waits makes
  room. It neither spins nor ends.
* A client's address is the socket's. Who connects through a proxy has the proxy's.

Rows: G1.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import stat
from pathlib import Path
from typing import Final

from bailee.gateway.client import ClientConnection, Surroundings

_log = logging.getLogger("bailee.gateway")
BACKLOG: Final = 1024
_AT_ONCE: Final = 64  # accepted before the loop does something else
_PAUSE: Final = 0.1


class Listening:
    """Accepts the connections of one listening socket for `gateway`, from `start` to `close`, on
    the loop's thread. It owns the socket.
    """

    def __init__(
        self, gateway: Surroundings, listening: socket.socket, context: ssl.SSLContext | None = None
    ) -> None:
        self.socket = listening
        self._gateway = gateway
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._welcoming: dict[ClientConnection, asyncio.Task[None]] = {}
        self._resuming: asyncio.TimerHandle | None = None
        self._said = -60.0

    def start(self) -> None:
        """Listens."""
        self.socket.setblocking(False)
        self._loop.add_reader(self.socket.fileno(), self._accept)

    def close(self) -> None:
        """Listens no more. What was accepted goes on; a TLS handshake does not."""
        for client in self._welcoming:
            client.give_up()
        if self.socket.fileno() < 0:
            return
        if self._resuming is not None:
            self._resuming.cancel()
        self._loop.remove_reader(self.socket.fileno())
        self.socket.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, address = self.socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # gone before it was accepted
            except OSError as error:
                self._pause(error)
                return
            self._admit(sock, address[0] if isinstance(address, tuple) else "")

    def _admit(self, sock: socket.socket, address: str) -> None:
        client = ClientConnection(self._gateway)
        give_up = self._gateway.connections.opened(client, address)
        if give_up is client:
            sock.close()
            return
        if give_up is not None:
            give_up.give_up()
        sock.setblocking(False)
        client.arriving = sock
        self._welcoming[client] = task = self._loop.create_task(self._welcome(client, sock))

        def welcomed(_task: asyncio.Task[None]) -> None:
            del self._welcoming[client]
            if client.arriving is not None:  # no handshake, or not in time, or there was no room
                self._gateway.connections.closed(client)
                sock.close()

        task.add_done_callback(welcomed)

    async def _welcome(self, client: ClientConnection, sock: socket.socket) -> None:
        limits, tls = self._gateway.limits, self._context is not None
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(
                lambda: client,
                sock,
                ssl=self._context,
                ssl_handshake_timeout=limits.tls_handshake if tls else None,
                # Closing sends what is left first, and a slow client takes its time over that.
                ssl_shutdown_timeout=limits.client_stalled if tls else None,
            )

    def _pause(self, error: OSError) -> None:
        """There is no descriptor or no memory for another connection."""
        now = self._loop.time()
        if now - self._said >= 60:
            self._said = now
            _log.error("connections can't be accepted for a moment: %s", error.strerror)
        give_up = self._gateway.connections.give_up_one()
        if give_up is not None:
            give_up.give_up()
        self._loop.remove_reader(self.socket.fileno())
        self._resuming = self._loop.call_later(_PAUSE, self.start)


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at every address that `host` stands for; with `port` 0, all at the one
    that was free at the first.

    Raises:
        OSError: an address can't be had.
    """
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    made: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for family, _, _, _, address in dict.fromkeys(found):
            at = (str(address[0]), port or (made[0].getsockname()[1] if made else 0))
            made.append(socket.create_server(at, family=family, backlog=BACKLOG))
            stack.callback(made[-1].close)
        stack.pop_all()
    return made


def bind_local(path: str) -> socket.socket:
    """A socket that listens at a path, for this user's programs.

    Raises:
        OSError: it can't be made there.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(Path(path).stat().st_mode):
                Path(path).unlink()  # of a process that is gone: the home is ours
        made.bind(path)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made
