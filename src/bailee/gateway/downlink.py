"""The answer's way down: its head, its framing towards this client, pings, and an error at its end.

Rules kept here: what is not complete is never ended as if it were; a ping or an error goes only
where one event has ended and the next has not begun. Pure.
"""

from __future__ import annotations

from typing import Final

from bailee.api import Api
from bailee.errors import BaileeError
from bailee.gateway.answers import LAST_CHUNK, PING, chunk, error_event
from bailee.gateway.http1 import AnswerHead, RequestHead, without
from bailee.gateway.origins import without_origins
from bailee.gateway.uplink import UPSTREAM

_OF_LIMITS: Final = b"anthropic-ratelimit-"
_ANSWERED_BY: Final = frozenset({UPSTREAM})


def without_limits(lines: bytes) -> bytes:
    """An upstream's header lines without what it says of its limits."""
    return b"".join(
        line
        for line in lines.splitlines(keepends=True)
        if not line[: len(_OF_LIMITS)].lower().startswith(_OF_LIMITS)
    )


class Downlink:
    """One answer's way down, owned by its exchange. It gives the bytes that are to be written; it
    knows no connection.

    `answer` is the upstream's head. `live`: the head does not wait for a kept answer's first bytes,
    as that of a document does, which could become a refusal until then. `plain`: these are
    unencoded server-sent events. `began`: anything was given to be written. `closes`: the
    connection ends with this answer. Times are in the loop's seconds.
    """

    __slots__ = (
        "_api",
        "_chunked",
        "_head",
        "_last_sent",
        "_may_close",
        "_tail",
        "answer",
        "began",
        "closes",
        "live",
        "plain",
    )

    def __init__(  # noqa: PLR0917
        self,
        request: RequestHead,
        answer: AnswerHead,
        api: Api,
        closes: bool,
        started: float,
        told: bytes = b"",
        answered_by: bytes = b"",
    ) -> None:
        """`told`: header lines that take the place of what the upstream says of limits: its own
        are the operator's, and these are the person's. `answered_by`: a header line that says which
        upstream it was.
        """
        self.answer = answer
        self._api = api
        self.began = False
        self.live = answer.content_type.startswith(b"text/event-stream")
        self.plain = self.live and answer.content_encoding in (b"", b"identity")
        self.closes = closes
        self._chunked = False
        self._may_close = request.minor == 0  # an answer may end by closing
        self._tail = b"\n\n"
        self._last_sent = started
        framing = b""
        if answer.length is None and not answer.bodiless:
            if request.minor == 1:
                self._chunked = True
                framing = b"Transfer-Encoding: chunked\r\n"
            else:
                self.closes = True
        if self.closes:
            framing += b"Connection: close\r\n"
        kept = answer.kept
        if request.answer_lines:
            kept = without_origins(kept) + request.answer_lines
        if told:
            kept = without_limits(kept) + told
        if answered_by:
            kept = without(kept, _ANSWERED_BY) + answered_by
        self._head = b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (
            answer.status,
            answer.reason,
            kept,
            framing,
        )

    def send_head(self) -> bytes:
        """The head, unless it has gone."""
        self.began = True
        head, self._head = self._head, b""
        return head

    def send(self, payload: bytes, last: bool, now: float) -> bytes:
        """The answer's next bytes; with `last`, its end."""
        if payload and self.plain:
            self._tail = payload if len(payload) >= 4 else (self._tail + payload)[-4:]
            self._last_sent = now
        if self._chunked:
            if payload:
                payload = b"%x\r\n%b\r\n" % (len(payload), payload)
            if last:
                payload += LAST_CHUNK
        if self._head and (payload or last):
            payload = self._head + payload
            self._head = b""
        if payload:
            self.began = True
        return payload

    def ping(self, now: float, after: float) -> bytes:
        """A ping, when nothing was sent for `after` seconds and one can be."""
        if now - self._last_sent > after and self._chunked and self._between_events:
            self._last_sent = now
            return chunk(PING)
        return b""

    def last_word(self, error: BaileeError, request_id: str) -> bytes:
        """The event that says why an answer ends that has begun, where one can be written. Of the
        Responses API it is the last event of a stream (`response.failed`), which is whole with it:
        where the stream breaks off behind it, Codex tells of that and not of the error.
        """
        if self.plain and self._between_events and (self._chunked or self._may_close):
            event = error_event(error, request_id, self._api)
            if not self._chunked:
                return event
            return chunk(event) + (LAST_CHUNK if self._api is Api.RESPONSES else b"")
        return b""

    @property
    def _between_events(self) -> bool:
        return self._tail.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))
