"""A way to a server of TCP's that a test can cut, so that nothing passes and nobody is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class Way:
    """Passes on what comes to `port` of 127.0.0.1, to another port there, and back. As a context.

    While it is cut, connections stay open and new ones are taken, as where a network swallows
    everything; what was on the way arrives once it is not.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._passes = threading.Event()
        self._passes.set()
        self._ending = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def cut(self) -> None:
        """Nothing passes from now on."""
        self._passes.clear()

    def heal(self) -> None:
        """Everything passes again."""
        self._passes.set()

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._passes.set()
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _begin(self, act: Callable[..., None], *given: socket.socket) -> None:
        thread = threading.Thread(target=act, args=given)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ending:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(here)
            try:
                there = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                here.close()
                continue
            self._sockets.append(there)
            self._begin(self._pass, here, there)
            self._begin(self._pass, there, here)

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while some := one.recv(1 << 16):
                self._passes.wait()
                other.sendall(some)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)
