"""A client's connection: reads requests one at a time and hands them to exchanges.

Rules kept here: requests on a connection are answered in order, one at a time, and what a client
sends ahead is read only up to a bound; a request that is refused before its end is read over for
a moment, so that the client sees the answer and not a reset.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, cast

from bailee.errors import InputError
from bailee.gateway.http1 import Body, Malformed, RequestHead, find_head_end, parse_request_head

if TYPE_CHECKING:
    from bailee.gateway.exchange import Exchange
    from bailee.gateway.server import Gateway

_AHEAD: Final = 64 * 1024


class State(IntEnum):
    """Where a connection is."""

    HEAD = 0  # waits for a request's head
    BODY = 1  # reads a request's body
    BUSY = 2  # the request is there; its answer is not complete
    LINGER = 3  # answered and closing; what still comes is read over


_HEAD, _BODY, _BUSY, _LINGER = State


class ClientConnection(asyncio.Protocol):
    """See the module."""

    __slots__ = (
        "_body",
        "_body_size",
        "_buffer",
        "_gateway",
        "_heard",
        "_paused",
        "_pumping",
        "_since",
        "_state",
        "closes",
        "exchange",
        "gone",
        "transport",
    )

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._state = _HEAD
        self._buffer = b""
        self._body: Body | None = None
        self._body_size = 0
        self._paused: set[str] = set()
        self._pumping = False
        self._since = self._heard = gateway.now
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.exchange: Exchange | None = None
        self.closes = False  # whether the connection ends with the present answer
        self.gone = False

    # -- asyncio.Protocol ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast(asyncio.Transport, transport)
        self._gateway.clients.add(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._heard = self._gateway.now
        state = self._state
        if state is _HEAD:
            if self._buffer:
                data = self._buffer + data
            else:
                self._since = self._heard
            self._buffer = data
            self._pump()
        elif state is _BODY:
            self._body_data(data)
        elif state is _BUSY:
            self._buffer += data
            if len(self._buffer) > _AHEAD:
                self.pause("ahead")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See `asyncio.Protocol`."""
        self.gone = True
        self._gateway.clients.discard(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.client_lost()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if self.exchange is not None:
            self.exchange.client_full(True)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if self.exchange is not None:
            self.exchange.client_full(False)

    # -- requests ------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Takes requests from what came, until one must be waited for."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._state is _HEAD and self._buffer and not self.gone:
                if not self._take_head():
                    break
        finally:
            self._pumping = False

    def _take_head(self) -> bool:
        data = self._buffer
        limit = self._gateway.limits.max_head
        if data.startswith(b"\r\n"):  # RFC 9112, 2.2
            data = self._buffer = data[2:]
        try:
            end = find_head_end(data)
            if end > limit or (end < 0 and len(data) > limit):
                self._reject(
                    InputError("The request's head is too large.", code="headers_too_large")
                )
                return False
            if end < 0:
                return False
            head = parse_request_head(data[:end])
        except Malformed as malformed:
            self._reject(InputError(f"The request is not valid HTTP: {malformed}."))
            return False
        self._buffer = b""
        self.closes = not head.keep_alive or self._gateway.closing
        rest = data[end:]
        if head.has_body:
            self._state = _BODY
            self._body = head.body()
            self._body_size = 0
            self._gateway.handle(self, head)
            # Head and what came of the body go on in one write.
            if self._state is _BODY:
                if rest:
                    self._body_data(rest)
                elif self.exchange is not None:
                    self.exchange.request_data(b"", False)
        else:
            self._state = _BUSY
            self._body = None
            self._buffer = rest
            self._gateway.handle(self, head)
            if self.exchange is not None:
                self.exchange.request_data(b"", True)
        return True

    def _body_data(self, data: bytes) -> None:
        body, exchange = self._body, self.exchange
        if body is None:
            return
        try:
            payload, surplus = body.feed(data)
        except Malformed as malformed:
            self.closes = True
            if exchange is not None:
                exchange.client_failed(
                    InputError(f"The request's body is not valid HTTP: {malformed}.")
                )
            return
        self._body_size += len(payload)
        if exchange is not None and self._body_size > exchange.max_body:
            self.closes = True
            exchange.client_failed(too_large(exchange.max_body))
            return
        if body.done:
            self._body = None
            self._state = _BUSY
            self._buffer = surplus
        if exchange is not None:
            exchange.request_data(payload, body.done)
        elif body.done:  # answered before its body was read
            self.finished()

    def _reject(self, error: InputError, head: RequestHead | None = None) -> None:
        """Answers what can't be read on from."""
        self.closes = True
        self._state = _LINGER
        self._gateway.refuse(self, head, error)
        self._linger()

    # -- for the exchange and the gateway --------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Writes unless the client has gone."""
        if not self.gone:
            self.transport.write(data)

    def pause(self, why: str) -> None:
        """Stops reading until every `why` is resumed."""
        if not self._paused and not self.gone:
            self.transport.pause_reading()
        self._paused.add(why)

    def resume(self, why: str) -> None:
        """Takes back a `pause`."""
        if why in self._paused:
            self._paused.discard(why)
            self._heard = self._gateway.now
            if not self._paused and not self.gone:
                self.transport.resume_reading()

    def finished(self) -> None:
        """The answer is complete."""
        self.exchange = None
        if self.gone:
            return
        if self._body is not None and self._state is _BODY:
            # The rest of a request that was answered early is read over, then the connection ends.
            self._state = _LINGER
            self._linger()
        elif self.closes or self._gateway.closing:
            self._state = _LINGER
            self.transport.close()
        else:
            self._state = _HEAD
            self._since = self._gateway.now
            if self._paused:
                for why in tuple(self._paused):
                    self.resume(why)
            if self._buffer:
                self._pump()

    def close_unfinished(self, *, flush: bool) -> None:
        """Ends the connection so that the client can't take the answer for complete."""
        self.exchange = None
        self._state = _LINGER
        if self.gone:
            return
        if flush:
            self.transport.close()
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            # A reset, since for an answer that ends with its connection a close means its end.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        self.gone = True  # the transport says so only later

    def _linger(self) -> None:
        self._since = self._gateway.now
        self._body = None
        self._buffer = b""
        for why in tuple(self._paused):
            self.resume(why)
        if not self.gone and self.transport.can_write_eof():
            self.transport.write_eof()

    def silent_for(self, now: float) -> float:
        """Seconds since anything came while it was read from."""
        return 0.0 if self._paused else now - self._heard

    def tick(self, now: float) -> None:
        """Looks at what is late. `now` in the loop's seconds."""
        limits = self._gateway.limits
        if self.exchange is not None:
            self.exchange.tick(now)
        elif self._state is _LINGER:
            if now - self._since > limits.linger:
                self.transport.abort()
        elif self._state is _HEAD and self._buffer:
            if now - self._since > limits.client_head:
                self._reject(
                    InputError("The request did not arrive in time.", code="request_timeout")
                )
        elif now - self._since > limits.keep_alive:
            self.transport.close()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self.exchange is None


def too_large(limit: int) -> InputError:
    """A request over the limit, in bytes."""
    return InputError(
        f"The request is over the limit of {limit // (1024 * 1024)} MiB.",
        code="request_too_large",
        hint="the operator sets the limit: gateway.max_request_mb; for uploads with a credential "
        "of the client's own, gateway.max_upload_mb",
    )
