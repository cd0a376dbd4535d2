"""Connections to an upstream, kept open between requests.

Rules kept here:

* One exchange at a time on a connection. It goes back to the pool only when both messages ended
  where their framing says and nothing came after.
* A pooled connection is closed before its upstream is likely to (`Keep-Alive: timeout`), and is
  taken only if nothing has come over it: an end, a reset or an answer that nobody asked for is
  found before the first byte of a request is written.
* Certificates are checked.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import time
from typing import Final, Protocol, cast

from bailee.admission import Rounds
from bailee.errors import UpstreamError
from bailee.gateway.credentials import split_url
from bailee.gateway.exchange import Carrier
from bailee.gateway.http1 import (
    Body,
    Malformed,
    UntilClose,
    find_head_end,
    parse_answer_head,
)
from bailee.gateway.reading import ReadInTurns
from bailee.gateway.settings import GatewayLimits, Upstream
from bailee.gateway.tunnel import tunnel
from bailee.gateway.uplink import Addressee

_MAX_INFORMATIONAL: Final = 16
_MARGIN: Final = 1.0  # seconds for a request to arrive before the upstream closes


class UpstreamConnection(ReadInTurns):
    """One connection, and the reading of answers from it. The pool owns it between requests; a
    carrier has it for one, of `account`. It tells the exchange what comes and never decides what
    that means.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_informational",
        "_keep_alive",
        "_poll",
        "_pool",
        "_time",
        "account",
        "carrier",
        "heard",
        "idle_until",
        "keep",
    )

    def __init__(self, pool: UpstreamPool) -> None:
        super().__init__(pool.time.rounds)
        self._pool = pool
        self._time = pool.time
        self._body: Body | None = None
        self._buffer = b""
        self._informational = 0
        self._keep_alive = False
        self.carrier: Carrier | None = None
        self.account = ""  # of the present request, or the last
        self.heard = False  # whether anything of an answer to the present request has come
        self.keep = pool.limits.upstream_keep_alive  # how long it may be idle, in seconds
        self.idle_until = 0.0  # in the loop's seconds
        self._poll = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast(asyncio.Transport, transport)
        if (sock := transport.get_extra_info("socket")) is not None:
            self._poll.register(sock.fileno(), select.POLLIN)

    @property
    def quiet(self) -> bool:
        """Whether it is open and nothing has come that was not read. The loop may not have been
        told yet; the kernel knows. Under TLS that may be a message of its own: it is no loss to
        leave such a connection.
        """
        return not self.transport.is_closing() and not self._poll.poll(0)

    def _whose(self) -> str:
        return self.account

    def _rest(self, account: str) -> None:
        if self.carrier is not None:  # who has been served is not made to wait
            super()._rest(account)

    def _received(self, data: bytes) -> None:
        carrier = self.carrier
        if carrier is None:  # nobody asked
            self.transport.abort()
            return
        exchange = carrier.exchange
        self.heard = True
        exchange.waiting.heard = now = self._time.now
        try:
            body = self._body
            began = body is None
            if body is None:
                head_and_rest = self._head(carrier, data)
                if head_and_rest is None:
                    return
                body, data = head_and_rest
            payload, surplus = body.feed(data)
        except Malformed as malformed:
            exchange.upstream_failed(
                UpstreamError(f"The upstream's answer: {malformed}.", code="upstream_protocol")
            )
        else:
            if surplus:
                self._keep_alive = False
            if payload or began or body.done:
                exchange.answer_data(payload, body.done, now)
        carrier.carry()

    def _head(self, carrier: Carrier, data: bytes) -> tuple[Body, bytes] | None:
        exchange = carrier.exchange
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
            carrier.carry()
        self._body = body = head.body()
        self._keep_alive = head.keep_alive and head.delimited
        if head.idle is not None:
            self.keep = min(self._pool.limits.upstream_keep_alive, head.idle - _MARGIN)
        carrier.answered()
        exchange.answer_head(head)
        return body, data

    def release(self) -> None:
        """The exchange has its answer: the connection waits for another, or closes."""
        carrier, self.carrier = self.carrier, None
        self._body = None
        self._informational = 0
        whole = carrier is not None and carrier.exchange.uplink.whole
        if self._keep_alive and self.keep > 0 and whole:
            self._pool.give_back(self)
        else:
            self.transport.close()

    def eof_received(self) -> None:
        """See `asyncio.Protocol`: the transport closes by itself, under TLS not at once."""
        self._pool.forget(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._aside is not None:
            self._received(self._aside)
        carrier = self.carrier
        if carrier is None:
            self._pool.forget(self)
            return
        if exc is None and isinstance(self._body, UntilClose):
            carrier.exchange.answer_data(b"", True, self._time.now)
        else:
            self.carrier = None
            error = _closed(exc, began=self._body is not None)
            carrier.exchange.upstream_lost(error, heard=self.heard)
        carrier.carry()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._full(True)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._full(False)

    def _full(self, full: bool) -> None:
        if self.carrier is not None:
            self.carrier.exchange.uplink.fill(full)
            self.carrier.carry()

    def drop(self) -> None:
        """Ends the connection at once: the exchange no longer wants its answer."""
        self.carrier = None
        self._aside = None
        self.transport.abort()


class Time(Protocol):
    """What the loop's time is, as of the gateway's last tick, and whose turn."""

    now: float
    rounds: Rounds


class UpstreamPool:
    """The connections to one upstream, those that wait for a request. The gateway owns it; all on
    its loop's thread. It never lends one to two at once, and reads no answer.
    """

    def __init__(
        self, upstream: Upstream, limits: GatewayLimits, time: Time, *, one_of_several: bool = False
    ) -> None:
        tls, self.host, self.port, base = split_url(upstream.url)
        self.limits = limits
        self.time = time
        self.credential = credential = upstream.credential
        name = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if tls else 80
        self.authority = name if self.port == default else f"{name}:{self.port}"
        self.origin = f"{'https' if tls else 'http'}://{self.authority}"
        self.addressee = Addressee(
            base.encode("ascii"),
            f"Host: {self.authority}\r\n".encode("ascii"),
            credential.fixed,
            credential.needs_body,
            credential.replaces,
            upstream.name,
            one_of_several,
        )
        self._context = upstream.way_out.tls() if tls else None
        self._proxy = upstream.way_out.proxy(upstream.url)
        self._idle: list[UpstreamConnection] = []

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """An open connection that waits for a request, the one used last, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.quiet:
                return connection
            connection.transport.abort()
        return None

    async def connect(self) -> UpstreamConnection:
        """A new connection.

        Raises:
            UpstreamError: it could not be made in time.
        """
        try:
            async with asyncio.timeout(self.limits.upstream_connect):
                return await self._connect()
        except TimeoutError:
            way = "" if self._proxy is None else ", or the proxy on the way to it did not,"
            raise UpstreamError(
                f"The upstream did not accept the connection{way} in time.", code="upstream_timeout"
            ) from None
        except ssl.SSLError as error:
            raise _no_tls(error) from None
        except (OSError, UnicodeError):  # the second of a name that no resolver takes
            raise UpstreamError("The upstream can't be reached.") from None

    async def _connect(self) -> UpstreamConnection:
        if self._proxy is not None and self._context is not None:
            return await tunnel(
                self._proxy,
                self.host,
                self.port,
                outer=self._context,
                inner=self._context,
                protocol=UpstreamConnection(self),
            )
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: UpstreamConnection(self),
            self.host,
            self.port,
            ssl=self._context,
            server_hostname=self.host if self._context is not None else None,
        )
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """Takes back a connection whose exchange is over."""
        if len(self._idle) >= self.limits.idle_upstreams or connection.transport.is_closing():
            connection.transport.close()
            return
        connection.heard = False
        connection.idle_until = time.monotonic() + connection.keep  # which is the loop's time
        connection.resume()
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection has closed."""
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self, now: float) -> None:
        """Closes what was idle for too long. `now` in the loop's seconds."""
        late = [connection for connection in self._idle if now > connection.idle_until]
        for connection in late:
            self._idle.remove(connection)
            connection.transport.close()

    def close(self) -> None:
        """Closes what is idle."""
        for connection in self._idle:
            connection.transport.close()
        self._idle.clear()


def _closed(exc: Exception | None, *, began: bool) -> UpstreamError:
    """A connection that ended before its answer did."""
    if isinstance(exc, ssl.SSLError):
        return _no_tls(exc)
    if began:
        return UpstreamError("The upstream closed before its answer ended.", code="upstream_closed")
    return UpstreamError(
        "The upstream closed before it answered; it may have acted on the request.",
        code="upstream_closed",
        hint="sending it again is your choice: it may be answered, and paid for, a second time",
    )


def _no_tls(error: ssl.SSLError) -> UpstreamError:
    reason = str(error.reason or "")
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        hint = (
            "it may want a client certificate: whoever runs this gateway sets upstream.client_cert"
        )
    elif "VERIFY" in reason:
        hint = (
            "if it, or a proxy that opens TLS, has a certificate of a private CA, name its CA file"
        )
        hint += " in upstream.ca_file"
    else:
        hint = "whoever runs this gateway: check the upstream's address and its certificate"
    return UpstreamError(
        f"TLS with the upstream failed ({reason or 'no reason given'}).", hint=hint
    )
