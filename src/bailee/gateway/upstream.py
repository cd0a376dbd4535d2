"""Connections to an upstream, kept open between requests.

Rules kept here: one exchange at a time on a connection; a connection goes back to the pool only
when both messages ended where their framing says and nothing came after; certificates are checked.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

from bailee.errors import UpstreamError
from bailee.gateway.credentials import split_url
from bailee.gateway.http1 import Body, Malformed, UntilClose, find_head_end, parse_answer_head
from bailee.gateway.settings import Limits, Upstream
from bailee.gateway.tls import upstream_context

if TYPE_CHECKING:
    from bailee.gateway.exchange import Exchange

_MAX_INFORMATIONAL = 16


class UpstreamConnection(asyncio.Protocol):
    """The upstream's side of an exchange: reads answers, tells the exchange."""

    __slots__ = (
        "_body",
        "_buffer",
        "_informational",
        "_keep_alive",
        "_pool",
        "exchange",
        "heard",
        "idle_since",
        "transport",
        "used",
    )

    def __init__(self, pool: UpstreamPool) -> None:
        self._pool = pool
        self._body: Body | None = None
        self._buffer = b""
        self._informational = 0
        self._keep_alive = False
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.exchange: Exchange | None = None
        self.heard = False  # whether anything of an answer to the present request has come
        self.used = False  # whether a request went over this connection before
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        exchange = self.exchange
        if exchange is None:  # nobody asked
            self.transport.abort()
            return
        self.heard = True
        exchange.heard = exchange.gateway.now
        try:
            body = self._body
            began = body is None
            if body is None:
                head_and_rest = self._head(exchange, data)
                if head_and_rest is None:
                    return
                body, data = head_and_rest
            payload, surplus = body.feed(data)
        except Malformed as malformed:
            exchange.upstream_failed(
                UpstreamError(f"The upstream's answer: {malformed}.", code="upstream_protocol")
            )
            return
        if body.done:
            self._release(exchange, bool(surplus))
            exchange.answer_data(payload, True)
        elif payload or began:
            exchange.answer_data(payload, False)

    def _head(self, exchange: Exchange, data: bytes) -> tuple[Body, bytes] | None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        while True:
            end = find_head_end(data)
            if end < 0 or end > self._pool.limits.max_head:
                if len(data) > self._pool.limits.max_head:
                    raise Malformed("its head is too long")
                self._buffer = data
                return None
            head = parse_answer_head(data[:end], exchange.head.method)
            data = data[end:]
            if head.status >= 200:
                break
            self._informational += 1
            if head.status == 101 or self._informational > _MAX_INFORMATIONAL:
                raise Malformed("an informational answer that was not asked for")
            exchange.informational(head)
        self._body = body = head.body()
        self._keep_alive = head.keep_alive and head.delimited
        exchange.answer_head(head)
        # The exchange may have refused the answer.
        return (body, data) if self.exchange is exchange else None

    def _release(self, exchange: Exchange, surplus: bool) -> None:
        self.exchange = None
        exchange.uplink.connection = None
        self._body = None
        self._informational = 0
        if self._keep_alive and exchange.request_done and not surplus:
            self._pool.give_back(self)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            self._pool.forget(self)
            return
        exchange.uplink.connection = None
        if exc is None and isinstance(self._body, UntilClose):
            exchange.answer_data(b"", True)
        else:
            exchange.upstream_lost(self)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if self.exchange is not None:
            self.exchange.uplink.fill(True)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if self.exchange is not None:
            self.exchange.uplink.fill(False)

    def drop(self) -> None:
        """Ends the connection at once: the exchange no longer wants its answer."""
        self.exchange = None
        self.transport.abort()


class UpstreamPool:
    """The connections to one upstream."""

    def __init__(self, upstream: Upstream, limits: Limits) -> None:
        tls, self.host, self.port, base = split_url(upstream.url)
        self.limits = limits
        self.credential = upstream.credential
        self.base = base.encode("ascii")
        name = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if tls else 80
        self.authority = name if self.port == default else f"{name}:{self.port}"
        self.origin = f"{'https' if tls else 'http'}://{self.authority}"
        self.host_line = f"Host: {self.authority}\r\n".encode("ascii")
        self._context = upstream_context(upstream.ca_file, upstream.client_cert) if tls else None
        self._idle: list[UpstreamConnection] = []

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """An open connection that waits for a request, the one used last, or None."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """A new connection.

        Raises:
            UpstreamError: it could not be made in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.upstream_connect):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self),
                    self.host,
                    self.port,
                    ssl=self._context,
                    server_hostname=self.host if self._context is not None else None,
                )
        except TimeoutError:
            raise UpstreamError(
                "The upstream did not accept the connection in time.", code="upstream_timeout"
            ) from None
        except ssl.SSLError as error:
            raise UpstreamError(
                f"TLS with the upstream failed ({error.reason}).",
                hint="if it has a certificate of a private CA, name its CA file",
            ) from None
        except OSError:
            raise UpstreamError("The upstream can't be reached.") from None
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """Takes back a connection whose exchange is over."""
        if len(self._idle) >= self.limits.idle_upstreams or connection.transport.is_closing():
            connection.transport.close()
            return
        connection.heard = False
        connection.idle_since = asyncio.get_running_loop().time()
        connection.transport.resume_reading()
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection has closed."""
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self, now: float) -> None:
        """Closes what was idle for too long. `now` in the loop's seconds."""
        while self._idle and now - self._idle[0].idle_since > self.limits.upstream_keep_alive:
            self._idle.pop(0).transport.close()

    def close(self) -> None:
        """Closes what is idle."""
        for connection in self._idle:
            connection.transport.close()
        self._idle.clear()
