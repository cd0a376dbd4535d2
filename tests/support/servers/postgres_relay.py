"""A way to a server of PostgreSQL that fails as a network does: what is said never arrives, or its
answer doesn't.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class PostgresRelay:
    """Passes bytes on both ways, as a context. Once it is told to, it cuts the connection over
    which some bytes come next: before they arrive, or when the server answers to them. `cuts`
    counts those. While it is `away`, it refuses every connection.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        assert parts.port is not None
        self._to = ("127.0.0.1", parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.address = urlunsplit(parts._replace(netloc=f"bailee@127.0.0.1:{port}"))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._cut: tuple[bytes, bool] | None = None
        self._away = False
        self.cuts = 0

    def cut(self, at: bytes, *, arrives: bool) -> None:
        """Cut the next connection over which `at` comes; whether it `arrives` before."""
        self._cut = (at, arrives)

    def go_away(self) -> None:
        """Cut every connection, and take none."""
        self._away = True
        self._end_all()

    def come_back(self) -> None:
        """Take connections again."""
        self._away = False

    def __enter__(self) -> Self:
        self._begin(self._take)
        return self

    def __exit__(self, *_: object) -> None:
        self._away = True
        with suppress(OSError):  # wakes who waits in `accept`
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all()
        for thread in self._threads:
            thread.join(20)

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _take(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._away:
                client.close()
                continue
            server = socket.create_connection(self._to)
            with self._lock:
                self._open |= {client, server}
            dropping = threading.Event()
            self._begin(self._there, client, server, dropping)
            self._begin(self._back, client, server, dropping)

    def _there(self, client: socket.socket, server: socket.socket, drop: threading.Event) -> None:
        with suppress(OSError):
            while said := client.recv(1 << 16):
                cut = self._cut
                if cut is not None and cut[0] in said:
                    self._cut = None
                    self.cuts += 1
                    if not cut[1]:
                        break
                    drop.set()
                server.sendall(said)
        self._end(client, server)

    def _back(self, client: socket.socket, server: socket.socket, drop: threading.Event) -> None:
        with suppress(OSError):
            while said := server.recv(1 << 16):
                if drop.is_set():
                    break
                client.sendall(said)
        self._end(client, server)

    def _end(self, *some: socket.socket) -> None:
        for one in some:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        with self._lock:
            self._open -= {*some}

    def _end_all(self) -> None:
        with self._lock:
            some = [*self._open]
        self._end(*some)
