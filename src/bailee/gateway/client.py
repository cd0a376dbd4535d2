"""A client's connection: reads requests one at a time and hands them to exchanges.

Rules kept here: requests on a connection are answered in order, one at a time, and what a client
sends ahead is read only up to a bound; a request that is refused before its end is read over for
a moment, so that the client sees the answer and not a reset; a body comes at a least rate; what was
written is on its way until the client took it, however slowly, and only who takes nothing is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Final, Protocol, cast

from bailee.admission import Connections, Held, Over, Rounds
from bailee.clock import Clock
from bailee.errors import BaileeError, InputError, StorageError
from bailee.gateway.exchange import Carrier
from bailee.gateway.http1 import Body, Malformed, RequestHead, find_head_end, parse_request_head
from bailee.gateway.recording import over_share
from bailee.gateway.settings import GatewayLimits
from bailee.gateway.summary import ExchangeSummary
from bailee.vault.exchange import CapturedExchange

_AHEAD: Final = 64 * 1024


class ConnectionState(IntEnum):
    """Where a connection is."""

    HEAD = 0  # waits for a request's head
    BODY = 1  # reads a request's body
    BUSY = 2  # the request is there; its answer is not complete
    LINGER = 3  # answered and closing; what still comes is read over
    CLOSING = 4  # answered; closes when the client has taken what was written


_HEAD, _BODY, _BUSY, _LINGER, _CLOSING = ConnectionState


class Surroundings(Protocol):
    """What a client's connection and what is under way on it need of the gateway. Times are in
    the loop's seconds, as of its last tick.
    """

    limits: GatewayLimits
    clock: Clock
    now: float
    elapsed: float
    closing: bool
    rounds: Rounds
    connections: Connections[ClientConnection]
    clients: set[ClientConnection]

    def handle(self, client: ClientConnection, head: RequestHead) -> None:
        """Decides what happens to a request."""
        ...

    def refuse(
        self, client: ClientConnection, head: RequestHead | None, error: BaileeError
    ) -> None:
        """Answers with an error of our own."""
        ...

    def submit(
        self,
        capture: Callable[[], CapturedExchange],
        done: Callable[[StorageError | None], None],
        held: Held,
    ) -> None:
        """Has a record made and hands it over, and counts it until `recorded`. `capture` may be
        called on another thread.
        """
        ...

    def recorded(self, held: Held) -> None:
        """A record that was handed over is done."""
        ...

    def served_unrecorded(self) -> None:
        """Counts an exchange that passes although it is not recorded."""
        ...

    def say(self, summary: ExchangeSummary) -> None:
        """Says that an exchange is over."""
        ...


class ClientConnection(asyncio.Protocol):
    """One connection of a client's, on the loop's thread. It reads requests, has the gateway decide
    on each, and tells the exchange under way what comes. It never decides what passes.
    """

    __slots__ = (
        "_body",
        "_body_size",
        "_buffer",
        "_full",
        "_gateway",
        "_heard",
        "_paused",
        "_pumping",
        "_reading",
        "_scanned",
        "_since",
        "_state",
        "_unsent",
        "_until",
        "_waits",
        "account",
        "arriving",
        "carrier",
        "closes",
        "gone",
        "transport",
    )

    def __init__(self, gateway: Surroundings) -> None:
        self._gateway = gateway
        self._state = _HEAD
        self._buffer = b""
        self._body: Body | None = None
        self._body_size = 0
        self._reading = 0.0  # seconds in which the body was waited for
        self._scanned = 0  # bytes of the buffer in which no head ends
        self._waits = False  # for the turn of the request whose head was read
        self._full = False  # what was written is not taken as fast as it came
        self._unsent = self._until = 0.0  # bytes that a client is waited for to take, and how long
        self._paused: set[str] = set()
        self._pumping = False
        self._since = self._heard = gateway.now
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.carrier: Carrier | None = None  # of what is under way
        self.account = ""  # of the last request; the empty name while nobody is known
        self.closes = False  # whether the connection ends with the present answer
        self.gone = False
        self.arriving: socket.socket | None = None  # until `connection_made`

    # -- asyncio.Protocol ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast(asyncio.Transport, transport)
        self.arriving = None
        if self.gone:  # given up before
            self.transport.abort()
        else:
            self._gateway.clients.add(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        rounds = self._gateway.rounds
        if not rounds.crowded:
            self._received(data)
            return
        began = time.perf_counter()
        self._received(data)
        account = self.account
        rounds.spent(account, time.perf_counter() - began)
        if not rounds.reads_on(account, len(data)):
            self.pause("round")
            rounds.rest(account, self._read_on)

    def _read_on(self) -> None:
        self.resume("round")

    def _received(self, data: bytes) -> None:
        self._heard = self._gateway.now
        state = self._state
        if state is _HEAD:
            if self._buffer:
                self._scanned = len(self._buffer)
                data = self._buffer + data
            else:
                self._since = self._heard
            self._buffer = data
            if self._full:
                self._wait_ahead()
            else:
                self._pump()
        elif state is _BUSY or self._waits:
            self._buffer += data
            self._wait_ahead()
        elif state is _BODY:
            self._body_data(data)

    def _wait_ahead(self) -> None:
        """Reads no further ahead than a bound."""
        if len(self._buffer) > _AHEAD:
            self.pause("ahead")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See `asyncio.Protocol`."""
        self.gone = True
        self._gateway.clients.discard(self)
        self._gateway.connections.closed(self)
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            carrier.exchange.client_lost()
            carrier.carry()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._full = True
        self._tell_full(True)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._full = False
        if self._tell_full(False):
            return
        if self._state is _HEAD:
            self._next()
        elif self._state is _CLOSING and not self.transport.get_write_buffer_size():
            self._close()

    def _tell_full(self, full: bool) -> bool:
        """Whether there is somebody to tell."""
        carrier = self.carrier
        if carrier is None:
            return False
        carrier.exchange.client_full(full, self._gateway.now)
        carrier.carry()
        return True

    # -- requests ------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Takes requests from what came, until one must be waited for."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._state is _HEAD and self._buffer and not (self.gone or self._full):
                if not self._take_head():
                    break
        finally:
            self._pumping = False

    def _take_head(self) -> bool:
        data = self._buffer
        limit = self._gateway.limits.max_head
        scanned, self._scanned = self._scanned, 0
        if data.startswith(b"\r\n"):  # RFC 9112, 2.2
            data = self._buffer = data[2:]
            scanned = 0
        try:
            end = find_head_end(data, scanned)
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
        self._buffer = data[end:]
        self.closes = not head.keep_alive or self._gateway.closing
        if head.has_body:
            self._state = _BODY
            self._body = head.body()
            self._body_size = 0
            self._reading = 0.0
        else:
            self._state = _BUSY
            self._body = None
        self._gateway.handle(self, head)
        return True

    def wait_turn(self) -> None:
        """The request is begun, or answered, at a later turn. What comes until then is kept."""
        self._waits = True

    def begin(self, carrier: Carrier) -> None:
        """The request's exchange begins. Head and what there is of the body go on in one write."""
        self.carrier = carrier
        carrier.exchange.begin()
        if self._state is not _BODY:
            carrier.exchange.request_data(b"", True, self._gateway.now)
            carrier.carry()
            return
        rest, self._buffer = self._buffer, b""
        self.resume("ahead")
        self._body_data(rest)

    def _body_data(self, data: bytes) -> None:
        body, carrier = self._body, self.carrier
        if body is None:
            return
        try:
            payload, surplus = body.feed(data)
        except Malformed as malformed:
            self._body_failed(InputError(f"The request's body is not valid HTTP: {malformed}."))
            return
        self._body_size += len(payload)
        if carrier is not None and self._body_size > carrier.exchange.max_body:
            self._body_failed(too_large(carrier.exchange.max_body))
            return
        if body.done:
            self._body = None
            self._state = _BUSY
            self._buffer = surplus
        if carrier is not None:
            carrier.exchange.request_data(payload, body.done, self._gateway.now)
            carrier.carry()
        elif body.done:  # answered before its body was read
            self.finished()

    def _body_failed(self, error: InputError) -> None:
        self.closes = True
        if self.carrier is not None:
            self.carrier.exchange.client_failed(error)
            self.carrier.carry()

    def _reject(self, error: InputError, head: RequestHead | None = None) -> None:
        """Answers what can't be read on from."""
        self.closes = True
        self._state = _LINGER
        self._gateway.refuse(self, head, error)
        self._linger()

    # -- for the exchange and the gateway --------------------------------------------------------

    def turn(self) -> bool:
        """The turn of a request that waited has come. False when its client has gone, or was turned
        away.
        """
        waited, self._waits = self._waits, False
        return waited and not self.gone

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
        self.carrier = None
        if self.gone:
            return
        if self._body is not None and self._state is _BODY:
            # The rest of a request that was answered early is read over, then the connection ends.
            self._state = _LINGER
            self._linger()
        elif self.closes or self._gateway.closing:
            self._close_when_sent()
        else:
            self._state = _HEAD
            if self._full:
                self._wait_to_send()  # for what was written; then for the next request
            else:
                self._next()

    def _next(self) -> None:
        """Waits for the next request, or takes it."""
        self._since = self._gateway.now
        self._gateway.connections.waits(self)
        if self._paused:
            for why in tuple(self._paused):
                self.resume(why)
        if self._buffer:
            self._pump()

    def close_unfinished(self, *, flush: bool) -> None:
        """Ends the connection so that the client can't take the answer for complete."""
        self.carrier = None
        if self.gone:
            return
        if flush:
            self._close_when_sent()
            return
        self._state = _LINGER
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            # A reset, since for an answer that ends with its connection a close means its end.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        self.gone = True  # the transport says so only later

    def give_up(self) -> None:
        """Ends a connection that waits, to make room for another's."""
        if self.gone:
            return
        self.gone = True
        self._state = _LINGER
        if self.arriving is None:
            self.transport.abort()
        else:
            with contextlib.suppress(OSError):  # ends a handshake too
                self.arriving.shutdown(socket.SHUT_RDWR)

    def _close_when_sent(self) -> None:
        """Closes once the client has taken what was written."""
        self._state = _CLOSING
        if self.transport.get_write_buffer_size():
            self._wait_to_send()
            self.transport.set_write_buffer_limits(0)  # `resume_writing` comes when all is sent
        else:
            self._close()

    def _close(self) -> None:
        """Closes; over TLS that takes an answer of the client's, for which it may be given up."""
        self._gateway.connections.waits(self)
        self.transport.close()

    def _wait_to_send(self) -> None:
        now, limits = self._gateway.now, self._gateway.limits
        self._since = now
        self._unsent = size = self.transport.get_write_buffer_size()
        self._until = now + limits.client_stalled + size / limits.body_rate

    def _sending(self, now: float) -> bool:
        """Whether something is still on its way to the client. One that takes nothing for too
        long, or too little in all, is given up.
        """
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._unsent, self._since = unsent, now
        elif unsent and (now - self._since > self._gateway.limits.client_stalled):
            self.transport.abort()
        if unsent and now > self._until:
            self.transport.abort()
        return unsent > 0

    def _linger(self) -> None:
        self._wait_to_send()
        self._body = None
        self._buffer = b""
        for why in tuple(self._paused):
            self.resume(why)
        if not self.gone and self.transport.can_write_eof():
            self.transport.write_eof()

    def _body_late(self, now: float) -> bool:
        """Whether the body comes too slowly. Time in which it was not read does not count."""
        if self._paused:
            return False
        limits, reading = self._gateway.limits, self._reading
        return (
            now - self._heard > limits.client_body_idle
            or reading > limits.body_total
            or self._body_size < (reading - limits.body_grace) * limits.body_rate
        )

    def tick(self, now: float) -> None:
        """Looks at what is late. `now` in the loop's seconds."""
        limits = self._gateway.limits
        state = self._state
        carrier = self.carrier
        if carrier is not None:
            if state is _BODY and not self._paused:
                self._reading += self._gateway.elapsed
            carrier.exchange.tick(now, body_late=self._body_late(now))
            carrier.carry()
        elif state is _CLOSING:
            if not self._sending(now):
                self._close()
        elif state is _LINGER:
            if not self._sending(now) and now - self._since > limits.linger:
                self.transport.abort()
        elif self._waits:
            if now - self._since > limits.turn:
                self._waits = False
                self._reject(over_share(Over("account", "turns", 0)))
        elif self._full:
            self._sending(now)
        elif state is _HEAD and self._buffer:
            if now - self._since > limits.client_head:
                self._reject(
                    InputError("The request did not arrive in time.", code="request_timeout")
                )
        elif now - self._since > limits.keep_alive:
            self.transport.close()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self.carrier is None


def too_large(limit: int) -> InputError:
    """A request over the limit, in bytes."""
    return InputError(
        f"The request is over the limit of {limit // (1024 * 1024)} MiB.",
        code="request_too_large",
        hint="the operator sets the limit: gateway.max_request_mb; for uploads with a credential "
        "of the client's own, gateway.max_upload_mb",
    )
