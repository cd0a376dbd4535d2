"""The end of an answer of OpenAI's and Google's APIs, held back until its record is durable. Pure.

What counts as an end, for the clients that were seen (docs/adr/0121):

* Responses: the event `response.completed`, `.incomplete`, `.failed` or `.cancelled`. A client is
  done at it, and does not wait for the stream to close.
* Chat Completions: the first chunk in which a choice has a `finish_reason`. What follows, usage
  and the other choices of the answer, is held with it; the last is `[DONE]`, or the stream closes.
* generateContent: the first chunk with a `finishReason`, or the reason why a prompt was blocked;
  from there to where the stream closes, since usage may follow.

Rules kept here:

* Only what stands in an event's own name or members is an end. Inside a JSON text a quotation mark
  is escaped, so the words of the end in what a model says are not found, or found not to be it.
* The last event repeats the whole answer and its instructions: it is held however long it is, up to
  what can be kept of an exchange. What is too long to be looked at is held to the stream's end.
* What a stream costs follows what came, in reads of whatever size: nothing is looked at again.

Standard: WHATWG HTML 9.2 (server-sent events).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import orjson

from bailee.api import Api
from bailee.gateway.server_sent import (
    BOUNDARY,
    LONGEST_BOUNDARY,
    UnfinishedEvent,
    fields,
    last_boundary,
)

_SPACE: Final = rb"(?:\s|data:)*"  # a value may be cut into several data lines
_OVERLAP: Final = 256  # what of a mark may stand before a read
# An unfinished event in which nothing looks like an end is kept up to here, to be looked at whole.
_LONGEST_UNMARKED: Final = 1024 * 1024
_LONGEST_MARKED: Final = 16 * 1024 * 1024
_DONE: Final = re.compile(rb"(?:^|[\r\n])data:[ ]?\[DONE\][ \t]*(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_DONE_OVERLAP: Final = 64


@dataclass(frozen=True, slots=True)
class EndOfAnswer:
    """How an API's answers end. `mark`: what stands in every such event. `ends`: whether an event
    that has the mark, by its name and its data as JSON, is one. `last`: nothing that matters
    follows it. `done`: what matters ends with `[DONE]`.
    """

    mark: re.Pattern[bytes]
    ends: Callable[[bytes, object], bool]
    last: bool = False
    done: bool = False


def _responses(name: bytes, data: object) -> bool:
    said = data.get("type") if isinstance(data, dict) else None
    return name in _RESPONSE_NAMES or (isinstance(said, str) and said.encode() in _RESPONSE_NAMES)


def _chat(_name: bytes, data: object) -> bool:
    choices = data.get("choices") if isinstance(data, dict) else None
    return isinstance(choices, list) and any(
        isinstance(one, dict) and bool(one.get("finish_reason")) for one in choices
    )


def _gemini(_name: bytes, data: object) -> bool:
    if isinstance(data, dict) and isinstance(data.get("response"), dict):
        data = data["response"]  # as Code Assist wraps it
    if not isinstance(data, dict):
        return False
    candidates, blocked = data.get("candidates"), data.get("promptFeedback")
    return (isinstance(blocked, dict) and bool(blocked.get("blockReason"))) or (
        isinstance(candidates, list)
        and any(isinstance(one, dict) and bool(one.get("finishReason")) for one in candidates)
    )


_RESPONSE_ENDS: Final = rb"response\.(?:completed|incomplete|failed|cancelled)"
_RESPONSE_NAMES: Final = frozenset(
    f"response.{how}".encode() for how in ("completed", "incomplete", "failed", "cancelled")
)
ENDS: Final = {
    Api.RESPONSES: EndOfAnswer(
        re.compile(rb"event:[ ]?" + _RESPONSE_ENDS + rb'|"type"' + _SPACE + rb":" + _SPACE + rb'"'
                   + _RESPONSE_ENDS + rb'"'),
        _responses,
        last=True,
    ),
    Api.CHAT: EndOfAnswer(
        re.compile(rb'"finish_reason"(?!\s*:\s*null)'), _chat, done=True
    ),
    Api.GEMINI: EndOfAnswer(re.compile(rb'"(?:finishReason|blockReason)"(?!\s*:\s*null)'), _gemini),
}  # fmt: skip


class HoldEvents(UnfinishedEvent):
    """For server-sent events of an API whose end `end` knows: the event that ends the answer, and
    what follows, is held. The exchange owns it and calls it on the gateway's thread. It never
    changes a byte.
    """

    __slots__ = ("_done_tail", "_end", "_ending", "final")
    longest: ClassVar[int] = _LONGEST_UNMARKED
    overlap: ClassVar[int] = _OVERLAP

    def __init__(self, end: EndOfAnswer) -> None:
        super().__init__()
        self.final = False
        self._end = end
        self._ending = False  # the end was recognised: all that comes is held
        self._done_tail = b""  # of what came behind it, the last bytes

    @property
    def holding(self) -> bool:
        """See `AnswerHold.holding`."""
        return self._ending or self._sent < len(self._event)

    def feed(self, data: bytes) -> bytes:
        """See `AnswerHold.feed`."""
        if self._ending:
            self._after.append(data)
            self._look_for_done(data)
            return b""
        find = self._end.mark.search
        if not self._event and data.endswith(b"\n\n") and find(data) is None:
            return data  # whole events, as most reads are
        event, before = self._event, len(self._event)
        event += data
        # In what was there before is no boundary; one that ends in `data` may begin in it.
        fresh = max(0, before - LONGEST_BOUNDARY + 1)
        at = self._mark if self._mark >= 0 else self._find(max(0, before - _OVERLAP))
        start = 0
        while at >= 0:
            # The event that the mark is in begins after the boundary before it.
            if (boundary := last_boundary(event, max(start, fresh), at)) >= 0:
                start = boundary
                self._oversized = False
            close = BOUNDARY.search(event, max(at, fresh))
            if self._oversized or (close is None and len(event) - start > _LONGEST_MARKED):
                return self._recognised(start, bytes(event[at:]))  # too long to be looked at
            if close is None:
                return self._keep(start, at)
            if self._is_end(bytes(event[start : close.end()])):
                self.final = self._end.last
                return self._recognised(start, b"\n" + bytes(event[close.end() :]))
            start = close.end()
            at = self._find(start)
        free = data if self._sent == before else bytes(event[self._sent :])
        self._go_on(start, max(start, fresh))
        return free

    def forget(self) -> None:
        """Lets go of what is held, for who holds the same bytes in another coding."""
        if self._ending:
            self._event, self._sent, self._after = bytearray(), 0, []

    def _find(self, start: int) -> int:
        found = self._end.mark.search(self._event, start)
        return -1 if found is None else found.start()

    def _is_end(self, event: bytes) -> bool:
        name, data = fields(event)
        try:
            parsed: object = orjson.loads(data)
        except orjson.JSONDecodeError:
            parsed = None
        return self._end.ends(name, parsed)

    def _recognised(self, start: int, follows: bytes) -> bytes:
        """The event at `start` is the end, or could be; `follows` is what came behind it."""
        self._ending = True
        self._look_for_done(follows)
        return self._keep(start, start)

    def _look_for_done(self, data: bytes) -> None:
        """Whether `[DONE]` has come."""
        if self.final or not self._end.done:
            return
        tail = self._done_tail + data
        self.final = _DONE.search(tail) is not None
        self._done_tail = tail[-_DONE_OVERLAP:]
