"""Calls to an organisation's provider, bounded in time, size and number.

Rules kept here:

* A visit to a provider has one deadline for all that it asks, from the first look-up to the last
  byte. When it is over its sockets are shut down: a provider that sends a byte now and then can't
  hold a thread. (Looking up a host's name is the system's, with the system's own limits.)
* An answer has a largest size, unpacked.
* Of one provider so many visits are under way at once; who comes next is told that it is slow.
* No answer leads elsewhere (redirects are the callers' to refuse).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from bailee.errors import UpstreamError
from bailee.outbound.calls import unsigned

SECONDS: Final = 10.0
_LARGEST: Final = 1 << 20
_AT_ONCE: Final = 4
_PIECE: Final = 1 << 16


class _Visit:
    """The sockets of one visit, which `end` shuts down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.over = False

    def holds(self, sock: socket.socket) -> None:
        """Remember it by a descriptor of our own: TLS takes the socket's away from it."""
        with self._lock:
            self._sockets.append(sock.dup())
        if self.over:
            self.end()

    def end(self) -> None:
        """Shut down what is open, now and from now on."""
        self.over = True
        with self._lock:
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the descriptors back."""
        with self._lock:
            for sock in self._sockets:
                sock.close()
            self._sockets.clear()


_VISIT: Final[ContextVar[_Visit]] = ContextVar("provider visit")


class Visits:
    """The visits to providers that are under way."""

    def __init__(self, at_once: int = _AT_ONCE, seconds: float = SECONDS) -> None:
        """`at_once`: to one provider; `seconds`: for all of a visit."""
        self._at_once = at_once
        self._seconds = seconds
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextlib.contextmanager
    def to(self, provider: str) -> Iterator[None]:
        """A visit to a provider: what is asked inside, through `mount`ed sessions, ends in time.

        Raises:
            UpstreamError: `upstream_timeout`, too many wait for it, or its time was over.
        """
        with self._lock:
            if self._under_way[provider] >= self._at_once:
                raise _slow()
            self._under_way[provider] += 1
        visit = _Visit()
        timer = threading.Timer(self._seconds, visit.end)
        timer.daemon = True
        timer.start()
        token = _VISIT.set(visit)
        try:
            yield
        except UpstreamError as error:
            raise (_slow() if visit.over else error) from error
        finally:
            _VISIT.reset(token)
            timer.cancel()
            visit.close()
            with self._lock:
                self._under_way[provider] -= 1
                if not self._under_way[provider]:
                    del self._under_way[provider]


def mount(session: requests.Session) -> None:
    """Have a session's calls keep to the rules, and sign in nowhere by ~/.netrc."""
    session.auth = unsigned
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Bounded())


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _held(super()._new_conn())


class _Secure(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _held(super()._new_conn())


def _held(sock: socket.socket) -> socket.socket:
    visit = _VISIT.get(None)
    if visit is not None:
        visit.holds(sock)
    return sock


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


_POOLS: Final = {"http": _PlainPool, "https": _SecurePool}


class _Bounded(HTTPAdapter):
    """Connections that belong to the visit; answers up to a size."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: Any, **more: Any) -> requests.Response:  # type: ignore[override]
        """Send it, and read the answer as far as its largest size."""
        response = super().send(request, **{**more, "stream": True})
        content = bytearray()
        for piece in response.iter_content(_PIECE):
            content += piece
            if len(content) > _LARGEST:
                response.close()
                raise requests.ConnectionError("the answer is too large")
        visit = _VISIT.get(None)
        if visit is not None and visit.over:  # what a shut-down socket leaves can look whole
            raise requests.Timeout("the visit's time is over")
        response._content = bytes(content)  # where requests itself puts it
        return response


def _slow() -> UpstreamError:
    return UpstreamError(
        "the organisation's provider is slow.",
        code="upstream_timeout",
        hint="try again in a minute",
    )
