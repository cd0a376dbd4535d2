"""One client's connection to the console or the ingest: uvicorn's, held to times and sizes.

Rules kept here:

* A head has a time in which it is to be there, counted from the connection's beginning or from its
  own first byte, and a size. A body has a time, too. A client that is late is cut off.
* Who takes nothing of an answer for a while is cut off: an answer that nobody takes is held by
  nobody. Who takes it slowly gets all of it.
* A body that the application did not want is not read on for long: the answer goes out, then the
  connection ends.
* What two readers could understand differently is refused with 400 (`framing`), before anything of
  it is served; fields after a body too.

How many connections there may be is `listener`'s matter, which is told of the end of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from bailee.admission.requests import tell_of_admission
from bailee.console.framing import is_padded, is_plain

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


_NOT_PLAIN: Final = "Ambiguous HTTP request."


class _NotPlainError(Exception):
    """What the parser is told to stop with; the client reads a 400."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds, and `head_bytes`: how large its head may be.

    `handshake`: for TLS; `head`: for a request's head; `body`: for its body, whoever sends it (a
    route may give less); `reading`: without taking anything of an answer; `linger`: between an
    answer and the end, while the client still sends.
    """

    handshake: float = 10.0
    head: float = 15.0
    body: float = 90.0
    reading: float = 30.0
    linger: float = 2.0
    head_bytes: int = 65_536


class ConsoleConnection(HttpToolsProtocol):
    """Made by `Listener` for each accepted socket; all on its event loop's thread.

    `admitted` is called when a request's credential is good, `waits` at the end of each request,
    `ended` once, when the connection is there no more.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        *,
        patience: Patience,
        admitted: Callable[[], None],
        waits: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        super().__init__(config, state, {})
        self._patience = patience
        self._admitted = admitted
        self._waits = waits
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._unread = 0
        self._in_head = True
        self._in_body = False
        self._head_bytes = 0
        self._came = 0  # since the head, what belongs to no body included
        self._body_bytes = 0

    # -- the transport ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client is there, its TLS handshake done."""
        super().connection_made(transport)
        self._within(self._patience.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop()
        self._stop_reading()
        super().connection_lost(exc)
        self._ended()

    def data_received(self, data: bytes) -> None:
        """What the client sent."""
        if self._in_head:
            if self._head_bytes == 0 and self._timer is None:
                self._within(self._patience.head)
            self._head_bytes += len(data)
        if self._in_body:
            self._came += len(data)
        super().data_received(data)
        if self._in_body and is_padded(self._came, self._body_bytes):
            self.send_400_response(_NOT_PLAIN)
        if self._in_head and self._head_bytes > self._patience.head_bytes:
            self.transport.write(_TOO_LARGE)
            self._end()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """It has read."""
        self._stop_reading()
        super().resume_writing()

    # -- the request -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        tell_of_admission(cast("dict[str, object]", self.scope), self._admitted)

    def send_400_response(self, msg: str) -> None:
        """It can't be read any further. Into an answer that has begun nothing else is written."""
        cycle = self.cycle
        begun = cycle is not None and cycle.response_started
        if begun and (self._in_body or not cycle.response_complete):
            self._end()
        else:
            super().send_400_response(msg)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field; one that comes after the body is none."""
        if self._in_body:
            raise _NotPlainError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        if not is_plain(self.parser.get_http_version(), self.url, self.headers):
            raise _NotPlainError
        self._in_head, self._in_body, self._head_bytes = False, True, 0
        self._came = self._body_bytes = 0
        self._within(self._patience.body)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is there."""
        self._in_body = False
        self._in_head = True  # the next byte begins another head
        self._stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The request is answered."""
        self._waits()
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch()
        elif self._in_body and self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self._within(self._patience.linger)

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        self._end()

    # -- time ------------------------------------------------------------------------------------

    def _within(self, seconds: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self._end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """End in order, as long as the client takes what is left."""
        self._stop()
        self.transport.close()
        self._watch()

    def _watch(self) -> None:
        """See to it that what waits to be taken gets less."""
        self._stop_reading()
        self._unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self._patience.reading, self._look)

    def _look(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread:
            self._watch()
        else:
            self.transport.abort()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
