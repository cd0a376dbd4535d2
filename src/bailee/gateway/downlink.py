"""The answer's way down: its head, its framing towards this client, pings, and an error at its end.

Rules kept here: what is not complete is never ended as if it were; a ping or an error goes only
where one event has ended and the next has not begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bailee.errors import BaileeError
from bailee.gateway.answers import LAST_CHUNK, PING, chunk, error_event
from bailee.gateway.http1 import AnswerHead, RequestHead
from bailee.gateway.origins import without_origins

if TYPE_CHECKING:
    from bailee.gateway.client import ClientConnection


class Downlink:
    """See the module. `answer` is the upstream's head. `live`: the head does not wait for a kept
    answer's first bytes, as that of a document does, which could become a refusal until then.
    `plain`: these are unencoded server-sent events. `began`: anything was written to the client.
    `cut`: the answer's end never comes.

    Times are in the loop's seconds.
    """

    __slots__ = (
        "_chunked",
        "_client",
        "_head",
        "_last_sent",
        "_may_close",
        "_tail",
        "answer",
        "began",
        "cut",
        "live",
        "plain",
    )

    def __init__(
        self,
        client: ClientConnection,
        request: RequestHead,
        answer: AnswerHead,
        *,
        request_done: bool,
        started: float,
    ) -> None:
        self.answer = answer
        self.began = False
        self.cut = False
        self.live = answer.content_type.startswith(b"text/event-stream")
        self.plain = self.live and answer.content_encoding in (b"", b"identity")
        self._client = client
        self._chunked = False
        self._may_close = request.minor == 0  # an answer may end by closing
        self._tail = b"\n\n"
        self._last_sent = started
        framing = b""
        close = client.closes
        if answer.length is None and not answer.bodiless:
            if request.minor == 1:
                self._chunked = True
                framing = b"Transfer-Encoding: chunked\r\n"
            else:
                close = True
        if close or not request_done:
            client.closes = True
            framing += b"Connection: close\r\n"
        self._head = b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (
            answer.status,
            answer.reason,
            answer.kept
            if not request.answer_lines
            else without_origins(answer.kept) + request.answer_lines,
            framing,
        )

    def send_head(self) -> None:
        """Writes the head, unless it has gone."""
        if self._head:
            self.began = True
            self._client.write(self._head)
            self._head = b""

    def send(self, payload: bytes, last: bool, now: float) -> None:
        """Writes to the client; with `last`, the answer's end."""
        if payload and self.plain:
            self._tail = payload if len(payload) >= 4 else (self._tail + payload)[-4:]
            self._last_sent = now
        if self._chunked:
            if payload:
                payload = b"%x\r\n%b\r\n" % (len(payload), payload)
            if last and not self.cut:
                payload += LAST_CHUNK
        if self._head and (payload or last):
            payload = self._head + payload
            self._head = b""
        if payload:
            self.began = True
            self._client.write(payload)

    def ping(self, now: float, after: float) -> None:
        """Writes a ping when nothing was sent for `after` seconds and one can be written."""
        if now - self._last_sent > after and self._chunked and self._between_events:
            self._last_sent = now
            self._client.write(chunk(PING))

    def end_with(self, error: BaileeError, request_id: str) -> None:
        """Ends an answer that has begun: with an event that says why, where one can be written."""
        says = self.plain and self._between_events and (self._chunked or self._may_close)
        if says:
            event = error_event(error, request_id)
            self._client.write(chunk(event) if self._chunked else event)
        self._client.close_unfinished(flush=says)

    @property
    def _between_events(self) -> bool:
        return self._tail.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))
