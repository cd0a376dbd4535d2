"""How much of an answer may reach the client before its record is durable.

Pure. The client must not see an answer as complete before it is kept, and must see everything
before that at once. A `AnswerHold` takes the answer's bytes as they come and gives back what may go
on; it says `final` when the last event that matters is in its hands.

Rules kept here:

* Server-sent events (WHATWG HTML 9.2): an event counts for a client at its empty line, so an
  event that may be the last is held from its start, or from where it was recognised.
* Text of the conversation that looks like the last event is not it: a candidate is parsed.
* An encoded stream is decoded only to be looked at; what goes on are the bytes that came. A read
  that unfolds beyond reason is not looked at: the stream is held like a document from there on.
* What a stream costs follows what came, in reads of whatever size: nothing is looked at again.
"""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar, Final, Protocol

import orjson

from bailee.api import Api
from bailee.apis.decoding import Decoder, decoder
from bailee.apis.events import frame_parts
from bailee.gateway.completion_events import ENDS, HoldEvents
from bailee.gateway.server_sent import (
    BOUNDARY,
    LONGEST_BOUNDARY,
    UnfinishedEvent,
    fields,
    last_boundary,
)

# The last event of a Messages API stream is small; an event that has grown past this is not it.
_LONGEST_LAST_EVENT: Final = 64 * 1024
_MARK: Final = b"message_stop"
_EVENT_STREAM: Final = b"application/vnd.amazon.eventstream"
_LONGEST_FRAME: Final = 32 * 1024 * 1024
_LONGEST_LAST_FRAME: Final = 128 * 1024  # its event is in base64
# What one read of an encoded stream may unfold to and still be looked at.
_MOST_DECODED: Final = 4 * 1024 * 1024


class AnswerHold(Protocol):
    """Holds back the end of an answer. The exchange owns it, from the answer's head on, and calls
    it on the gateway's thread. It never changes a byte.
    """

    final: bool

    @property
    def holding(self) -> bool:
        """Whether bytes are held."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes of the answer; gives those that may go to the client now."""
        ...

    def rest(self) -> bytes:
        """What is held, once, when it may go."""
        ...


class HoldLast:
    """For an answer that is one document: the last bytes read are held."""

    __slots__ = ("_held", "final")

    def __init__(self) -> None:
        self.final = False
        self._held = b""

    @property
    def holding(self) -> bool:
        """See `AnswerHold.holding`."""
        return bool(self._held)

    def feed(self, data: bytes) -> bytes:
        """See `AnswerHold.feed`."""
        if not data:  # only the end came
            return b""
        free, self._held = self._held, data
        return free

    def rest(self) -> bytes:
        """See `AnswerHold.rest`."""
        free, self._held = self._held, b""
        return free


class HoldAll:
    """For a stream whose end can't be found, and which its client may have before it closes: all of
    it is held.
    """

    __slots__ = ("_held", "final")

    def __init__(self) -> None:
        self.final = False
        self._held: list[bytes] = []

    @property
    def holding(self) -> bool:
        """See `AnswerHold.holding`."""
        return bool(self._held)

    def feed(self, data: bytes) -> bytes:
        """See `AnswerHold.feed`."""
        self._held.append(data)
        return b""

    def rest(self) -> bytes:
        """See `AnswerHold.rest`."""
        free, self._held = b"".join(self._held), []
        return free


class HoldStop(UnfinishedEvent):
    """For server-sent events: `message_stop` and what follows is held."""

    __slots__ = ("final",)
    longest: ClassVar[int] = _LONGEST_LAST_EVENT
    overlap: ClassVar[int] = len(_MARK)

    def __init__(self) -> None:
        super().__init__()
        self.final = False

    @property
    def holding(self) -> bool:
        """See `AnswerHold.holding`."""
        return self._sent < len(self._event) or bool(self._after)

    def feed(self, data: bytes) -> bytes:
        """See `AnswerHold.feed`."""
        if self.final:
            self._after.append(data)
            return b""
        if not self._event and data.endswith(b"\n\n") and _MARK not in data:
            return data  # whole events, as most reads are
        event, before = self._event, len(self._event)
        event += data
        # In what was there before is no boundary; one that ends in `data` may begin in it.
        fresh = max(0, before - LONGEST_BOUNDARY + 1)
        at = self._mark
        if at < 0:
            at = event.find(_MARK, max(0, before - len(_MARK) + 1))
        start = 0
        while at >= 0:
            # The event that the mark is in begins after the boundary before it.
            if (boundary := last_boundary(event, max(start, fresh), at)) >= 0:
                start = boundary
                self._oversized = False
            end = BOUNDARY.search(event, max(at, fresh))
            if end is None:
                if self._oversized or len(event) - start > _LONGEST_LAST_EVENT:
                    break
                return self._keep(start, at)
            if not self._oversized and is_last_event(bytes(event[start : end.end()])):
                self.final = True
                return self._keep(start, at)
            start = end.end()
            self._oversized = False
            at = event.find(_MARK, start)
        free = data if self._sent == before else bytes(event[self._sent :])
        self._go_on(start, max(start, fresh))
        return free


def is_last_event(event: bytes) -> bool:
    """Whether one whole server-sent event is the Messages API's `message_stop`."""
    name, data = fields(event)
    if name == _MARK:
        return True
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(parsed, dict) and parsed.get("type") == "message_stop"


class HoldFrames:
    """For Bedrock's binary event stream: the last event's frame and what follows is held.

    A frame is: total length, length of headers, CRC (4 bytes each), headers, payload, CRC. An
    unfinished frame is of no use to a client, so it goes on in one piece, unless it is too long to
    be the last.
    """

    __slots__ = ("_after", "_at", "_data", "_lost", "_passing", "_stopped", "final")

    def __init__(self) -> None:
        self.final = False
        self._data = bytearray()
        self._at = 0  # where the first frame in it begins that was not looked at
        self._stopped = False  # what it begins with is the stop, whose usage is still to come
        self._after: list[bytes] = []  # what came behind the last event
        self._passing = 0  # bytes to come of a frame that is too long to be the last
        self._lost = False  # the framing is not understood; everything passes

    @property
    def holding(self) -> bool:
        """See `AnswerHold.holding`."""
        return bool(self._data)

    def feed(self, data: bytes) -> bytes:
        """See `AnswerHold.feed`."""
        if self._lost:
            return data
        if self.final:
            self._after.append(data)
            return b""
        passed, data = data[: self._passing], data[self._passing :]
        self._passing -= len(passed)
        return passed + self._frames(data) if data else passed

    def _frames(self, data: bytes) -> bytes:
        joined = self._data
        joined += data
        at, cut = self._at, 0 if self._stopped else -1
        while not self.final and len(joined) - at >= 12:
            total = int.from_bytes(joined[at : at + 4], "big")
            long = total > _LONGEST_LAST_FRAME
            if not 16 <= total <= _LONGEST_FRAME or (cut >= 0 and (long or at > _LONGEST_FRAME)):
                self._lost = True
                return self.rest()
            if long:
                here = min(total, len(joined) - at)
                self._passing = total - here
                at += here
                continue
            if len(joined) - at < total:
                break
            kind = frame_kind(bytes(joined[at : at + total]))
            if kind in ("message_stop", "messageStop", "metadata"):
                cut = at if cut < 0 else cut
                # Converse sends its usage after the stop: that is its last event.
                self.final = kind != "messageStop"
            at += total
        self._stopped = cut >= 0
        if cut < 0:
            cut = at
        free = bytes(joined[:cut])
        del joined[:cut]
        self._at = at - cut
        return free

    def rest(self) -> bytes:
        """See `AnswerHold.rest`."""
        free = b"".join([self._data, *self._after])
        self._data, self._after = bytearray(), []
        self._at, self._stopped = 0, False
        return free


def frame_kind(frame: bytes) -> str:
    """What a frame carries: a Messages API event's type, or a Converse event's."""
    headers, payload = frame_parts(frame)
    kind = headers.get(":event-type", "")
    if kind != "chunk":
        return kind
    event = frame_event(payload)
    found = event.get("type") if isinstance(event, dict) else None
    return found if isinstance(found, str) else kind


def frame_event(payload: bytes) -> object:
    """The JSON inside a `chunk` frame's base64 `bytes`, or None."""
    try:
        return orjson.loads(base64.b64decode(orjson.loads(payload)["bytes"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, binascii.Error, ValueError):
        return None


class HoldDecoded:
    """For an encoded stream: looks at it decoded, and holds the encoded read in which the end is
    recognised. A stream that can't be looked at is held like a document from there on; one whose
    end a client may have before it closes, to its end.
    """

    __slots__ = ("_blind", "_decoder", "_held", "_inner", "final")

    def __init__(self, inner: AnswerHold, decode: Decoder) -> None:
        self.final = False
        self._inner = inner
        self._decoder: Decoder | None = decode
        self._blind = False  # all that comes is held
        self._held: list[bytes] = []

    @property
    def holding(self) -> bool:
        """See `AnswerHold.holding`."""
        return bool(self._held)

    def feed(self, data: bytes) -> bytes:
        """See `AnswerHold.feed`."""
        if self.final or self._blind:
            self._held.append(data)
            return b""
        if not data:  # only the end came
            return b""
        if self._decoder is None or not self._look(data):
            # Not what it says it is.
            self._decoder = None
            if isinstance(self._inner, HoldEvents):
                self._blind = True
                self._held.append(data)
                return b""
            free, self._held = b"".join(self._held), [data]
            return free
        self._held.append(data)
        self.final = self._inner.final
        if self._inner.holding:
            return b""
        return self.rest()

    def _look(self, data: bytes) -> bool:
        """Shows the inner hold what `data` completes; False when that is too much, or nothing."""
        assert self._decoder is not None
        left = _MOST_DECODED
        try:
            for piece in self._decoder.pieces(data):
                left -= len(piece)
                if left < 0:
                    return False
                if not self._inner.final:
                    self._inner.feed(piece)
                    if isinstance(self._inner, HoldEvents):
                        self._inner.forget()
        except ValueError:
            return False
        return True

    def rest(self) -> bytes:
        """See `AnswerHold.rest`."""
        free, self._held = b"".join(self._held), []
        return free


def hold_for(content_type: bytes, content_encoding: bytes, api: Api = Api.MESSAGES) -> AnswerHold:
    """How the end of an answer of this type (lower-case field values) in this API is held."""
    kind = content_type.partition(b";")[0].strip()
    inner: AnswerHold
    if kind == b"text/event-stream":
        end = ENDS.get(api)
        inner = HoldStop() if end is None else HoldEvents(end)
    elif kind == _EVENT_STREAM:
        inner = HoldFrames()
    else:
        return HoldLast()
    if content_encoding in (b"", b"identity"):
        return inner
    decode = decoder(content_encoding)
    if decode is None:
        return HoldAll() if isinstance(inner, HoldEvents) else HoldLast()
    return HoldDecoded(inner, decode)
