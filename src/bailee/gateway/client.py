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
from typing import Final, Protocol, cast

from bailee.admission import Connections, Over, Rounds
from bailee.api import Api
from bailee.clock import Clock
from bailee.errors import BaileeError, InputError
from bailee.gateway.client_course import BODY, BUSY, HEAD, ClientCourse, Late, Then
from bailee.gateway.exchange import ClientCarrier
from bailee.gateway.failing import request_late, request_too_large
from bailee.gateway.handing_over import HandingOver
from bailee.gateway.http1 import (
    Body,
    LengthBody,
    Malformed,
    RequestHead,
    find_head_end,
    parse_request_head,
)
from bailee.gateway.reading import ReadInTurns
from bailee.gateway.recording import over_share
from bailee.gateway.settings import GatewayLimits
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.upstream import UpstreamPool
from bailee.usage.asking import Governor
from bailee.usage.in_turns import ReadersInTurn

_AHEAD: Final = 64 * 1024


class Surroundings(Protocol):
    """What a client's connection and what is under way on it need of the gateway. Times are in
    the loop's seconds, as of its last tick.
    """

    limits: GatewayLimits
    clock: Clock
    now: float
    elapsed: float
    draining: bool
    closing: bool
    rounds: Rounds
    connections: Connections[ClientConnection]
    clients: set[ClientConnection]
    records: HandingOver
    governor: Governor
    readers: ReadersInTurn

    def handle(self, client: ClientConnection, head: RequestHead) -> None:
        """Decides what happens to a request."""
        ...

    def refuse(
        self, client: ClientConnection, head: RequestHead | None, error: BaileeError
    ) -> None:
        """Answers with an error of our own."""
        ...

    def further(self, channel: str, upstream: str) -> UpstreamPool | None:
        """The connections to one of a channel's upstreams; None: there is none of that name."""
        ...

    def served_unrecorded(self) -> None:
        """Counts an exchange that passes although it is not recorded."""
        ...

    def say(self, summary: ExchangeSummary) -> None:
        """Says that an exchange is over."""
        ...


class ClientConnection(ReadInTurns):
    """One connection of a client's, on the loop's thread. It reads requests, has the gateway decide
    on each, and tells the exchange under way what comes. It never decides what passes.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_course",
        "_gateway",
        "_pumping",
        "_scanned",
        "account",
        "api",
        "arriving",
        "carrier",
        "closes",
        "gone",
    )

    def __init__(self, gateway: Surroundings) -> None:
        super().__init__(gateway.rounds)
        self._gateway = gateway
        self._course = ClientCourse(gateway.limits, gateway.now)
        self._buffer = b""
        self._body: Body | None = None
        self._scanned = 0  # bytes of the buffer in which no head ends
        self._pumping = False
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.carrier: ClientCarrier | None = None  # of what is under way
        self.api = Api.MESSAGES  # of the last request: the shape of errors
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

    def _whose(self) -> str:
        return self.account

    def _goes_on(self, size: int) -> bool:
        body = self._body
        return isinstance(body, LengthBody) and body.left > size and self._course.state is BODY

    def _reads_on(self) -> None:
        self._course.heard = self._gateway.now

    def _received(self, data: bytes) -> None:
        course = self._course
        course.heard = now = self._gateway.now
        state = course.state
        if state is HEAD:
            if self._buffer:
                self._scanned = len(self._buffer)
                data = self._buffer + data
            else:
                course.begins(now)
            self._buffer = data
            if course.full:
                self._wait_ahead()
            else:
                self._pump()
        elif state is BUSY or course.waits:
            self._buffer += data
            self._wait_ahead()
        elif state is BODY:
            self._body_data(data)

    def _wait_ahead(self) -> None:
        """Reads no further ahead than a bound."""
        if len(self._buffer) > _AHEAD:
            self.pause("ahead")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See `asyncio.Protocol`."""
        self.gone = True
        self._aside = None
        self._gateway.clients.discard(self)
        self._gateway.connections.closed(self)
        self._lost()

    def _lost(self) -> None:
        """Tells who is under way that the client has gone."""
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            carrier.exchange.client_lost()
            carrier.carry()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`. Under TLS the transport closes by itself, when all is sent."""
        self._aside = None
        self._do(self._course.ended())
        return self.transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._course.filled()
        self._tell_full(True)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        then = self._course.taken(self.transport.get_write_buffer_size())
        if not self._tell_full(False):
            self._do(then)

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
            course = self._course
            while course.state is HEAD and self._buffer and not (self.gone or course.full):
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
        elif data == b"\r":  # the rest of such an empty line is still to come
            return False
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
        gateway = self._gateway
        self.closes = not head.keep_alive or gateway.draining or gateway.closing
        self._body = head.body() if head.has_body else None
        self._course.request(body=head.has_body)
        self._gateway.handle(self, head)
        return True

    def wait_turn(self) -> None:
        """The request is begun, or answered, at a later turn. What comes until then is kept."""
        self._course.waits = True

    def begin(self, carrier: ClientCarrier) -> None:
        """The request's exchange begins. Head and what there is of the body go on in one write."""
        self.carrier = carrier
        carrier.exchange.begin()
        if self._course.state is not BODY:
            carrier.exchange.request_data(b"", True, self._gateway.now)
            carrier.carry()
            return
        rest, self._buffer = self._buffer, b""
        if self._why:
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
        course = self._course
        course.body_size += len(payload)
        if carrier is not None and course.body_size > carrier.exchange.max_body:
            self._body_failed(request_too_large(carrier.exchange.max_body))
            return
        if body.done:
            self._body = None
            course.whole()
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
        then = self._course.rejected()
        self._gateway.refuse(self, head, error)
        self._do(then)

    # -- for the exchange and the gateway --------------------------------------------------------

    def turn(self) -> bool:
        """The turn of a request that waited has come. False when its client has gone, or was turned
        away.
        """
        waited, self._course.waits = self._course.waits, False
        return waited and not self.gone

    def write(self, data: bytes) -> None:
        """Writes unless the client has gone."""
        if not self.gone:
            self.transport.write(data)

    def finished(self) -> None:
        """The answer is complete."""
        self.carrier = None
        gateway = self._gateway
        last = self.closes or gateway.draining or gateway.closing
        self._do(self._course.answered(last=last))

    def _do(self, then: Then) -> None:
        """Does what follows."""
        if not self.gone:
            _DOES[then](self)

    def _stay(self) -> None:
        pass

    def _next(self) -> None:
        """Waits for the next request, or takes it."""
        self._course.begins(self._gateway.now)
        self._gateway.connections.waits(self)
        if self._why:
            self.resume()
        if self._buffer:
            self._pump()

    def close_unfinished(self, *, flush: bool) -> None:
        """Ends the connection so that the client can't take the answer for complete."""
        self.carrier = None
        if not self.gone:
            self._do(self._course.broke_off(said=flush))

    def _reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        self.gone = True  # the transport says so only later
        self._lost()

    def give_up(self) -> None:
        """Ends a connection that waits, to make room for another's."""
        if self.gone:
            return
        self.gone = True
        self._course.given_up()
        if self.arriving is None:
            self.transport.abort()
        else:
            with contextlib.suppress(OSError):  # ends a handshake too
                self.arriving.shutdown(socket.SHUT_RDWR)

    def _close_when_sent(self) -> None:
        """Closes once the client has taken what was written."""
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
        self._course.sends(self._gateway.now, self.transport.get_write_buffer_size())

    def _linger(self) -> None:
        self._wait_to_send()
        self._body = None
        self._buffer = b""
        self.resume()
        if not self.gone and self.transport.can_write_eof():
            self.transport.write_eof()

    def tick(self, now: float) -> None:
        """Looks at what is late. `now` in the loop's seconds."""
        course, carrier = self._course, self.carrier
        if carrier is not None:
            late = course.body_late(now, self._gateway.elapsed, paused=bool(self._why))
            carrier.exchange.tick(now, body_late=late)
            carrier.carry()
            return
        unsent = self.transport.get_write_buffer_size() if course.unsent_matters else 0
        found = course.late(now, unsent, began=bool(self._buffer))
        if found is Late.ABORT:
            self.transport.abort()
        elif found is Late.CLOSE:
            self._close()
        elif found is Late.TURN_AWAY:
            course.waits = False
            self._reject(over_share(Over("account", "turns", 0)))
        elif found is Late.REJECT:
            self._reject(request_late())

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self.carrier is None and not self._course.waits


_DOES: Final = (
    ClientConnection._stay,
    ClientConnection._next,
    ClientConnection._wait_to_send,
    ClientConnection._linger,
    ClientConnection._close_when_sent,
    ClientConnection._close,
    ClientConnection._reset,
)
"""What is done, in the order of `Then`."""
