"""The channel's protocol: many streams over one pair of pipes. Pure.

A frame is a kind, a stream, a length and a payload:

    kind: 1 byte   stream: 4 bytes   length: 2 bytes   payload

    OPEN    the payload is the stream's name; the host's streams have even numbers, the guest's odd
    DATA    bytes of the stream, as many as the receiver gave credit for
    CREDIT  four bytes: how many more bytes the receiver takes
    EOF     nothing more will come; a stream has ended when both sides have said so
    RESET   the stream is over at once

Rules kept here, whatever the other side sends:

* A frame holds at most `MOST_PAYLOAD` bytes, so a frame that is not complete is bounded.
* A stream never holds more unread bytes than its window. Sending without credit is a violation.
* Each side may have `Bounds.streams` streams; one more is answered with RESET.
* Answers that the other side does not take are bounded: past `Bounds.answers` it is a violation.
* Streams take turns, a frame each, so that none waits for another to finish.
* Frames of streams that are over are passed over: they were on their way when it ended.

A violation raises `ProtocolError`, and the channel is over.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

MOST_PAYLOAD: Final = 32768
MOST_NAME: Final = 64
_HEAD: Final = struct.Struct("!BIH")
_CREDIT: Final = struct.Struct("!I")
_MOST_CREDIT: Final = 1 << 24


class ProtocolError(Exception):
    """The other side broke the channel's rules. The text says which; it holds none of its bytes."""


class FrameKind(IntEnum):
    """What a frame is."""

    OPEN = 1
    DATA = 2
    CREDIT = 3
    EOF = 4
    RESET = 5


class Side(IntEnum):
    """Which end this is; also the remainder by two of the numbers of the streams it opens."""

    HOST = 0
    GUEST = 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one channel may hold. `window` is the unread bytes of one stream."""

    streams: int = 128
    window: int = 65536
    answers: int = 4096


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The other side opened a stream."""

    stream: int
    name: str


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes came. `Multiplexer.consumed` gives the credit for them back."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """Nothing more will come on this stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Reset:
    """The stream is over, in both directions."""

    stream: int


Event = StreamOpened | Data | StreamEnded | Reset


@dataclass(slots=True)
class _Stream:
    credit: int  # what we may still send
    granted: int  # what the other side may still send
    owed: int = 0  # what was consumed, and not granted again yet
    queue: deque[bytes] = field(default_factory=deque)
    queued: int = 0
    ending: bool = False  # EOF goes out after the queue
    closing: bool = False  # RESET goes out after EOF: what still comes is of no interest
    sent_eof: bool = False
    got_eof: bool = False
    in_turn: bool = False


class Multiplexer:
    """One side of a channel: bytes in, events out; actions in, bytes out."""

    def __init__(self, side: Side, bounds: Bounds | None = None) -> None:
        self._side = side
        self._bounds = bounds or Bounds()
        self._next = int(side) or 2
        self._streams: dict[int, _Stream] = {}
        self._input = bytearray()
        self._answers: deque[bytes] = deque()
        self._turns: deque[int] = deque()

    @property
    def streams(self) -> int:
        """How many streams there are."""
        return len(self._streams)

    @property
    def has_output(self) -> bool:
        """Whether `output` would give anything."""
        return bool(self._answers or self._turns)

    def queued(self, stream: int) -> int:
        """Bytes of a stream that wait to be sent."""
        known = self._streams.get(stream)
        return 0 if known is None else known.queued

    def knows(self, stream: int) -> bool:
        """Whether a stream is not over."""
        return stream in self._streams

    # What comes in

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take bytes of the other side, and give what they mean.

        Raises:
            ProtocolError: they break the rules. What came before in the same bytes was given.
        """
        self._input += data
        place = 0
        try:
            while len(self._input) - place >= _HEAD.size:
                kind, stream, length = _HEAD.unpack_from(self._input, place)
                if length > MOST_PAYLOAD:
                    raise ProtocolError(f"a frame of {length} bytes")
                end = place + _HEAD.size + length
                if len(self._input) < end:
                    break
                payload = bytes(self._input[place + _HEAD.size : end])
                place = end
                if (event := self._frame(kind, stream, payload)) is not None:
                    yield event
        finally:
            del self._input[:place]

    def _frame(self, kind: int, stream: int, payload: bytes) -> Event | None:
        if kind == FrameKind.OPEN:
            return self._opened(stream, payload)
        if kind not in (FrameKind.DATA, FrameKind.CREDIT, FrameKind.EOF, FrameKind.RESET):
            raise ProtocolError(f"a frame of the unknown kind {kind}")
        known = self._streams.get(stream)
        if known is None:
            return None
        if kind == FrameKind.DATA:
            if known.got_eof:
                raise ProtocolError("data after the end of a stream")
            if len(payload) > known.granted:
                raise ProtocolError("data without credit")
            known.granted -= len(payload)
            return Data(stream, payload) if payload else None
        if kind == FrameKind.CREDIT:
            self._credited(stream, known, payload)
            return None
        if payload:
            raise ProtocolError(f"a frame of kind {kind} with a payload")
        if kind == FrameKind.RESET:
            self._forget(stream)
            return Reset(stream)
        if known.got_eof:
            raise ProtocolError("a second end of a stream")
        known.got_eof = True
        self._forget_if_over(stream, known)
        return StreamEnded(stream)

    def _opened(self, stream: int, payload: bytes) -> Event | None:
        if stream % 2 == self._side % 2:
            raise ProtocolError("a stream with a number of this side")
        if stream in self._streams:
            raise ProtocolError("a stream that is open was opened")
        if not 0 < len(payload) <= MOST_NAME:
            raise ProtocolError("a stream's name of a wrong length")
        if not payload.isascii():
            raise ProtocolError("a stream's name that is not ASCII")
        if self._opened_by(1 - self._side) >= self._bounds.streams:
            self._answer(FrameKind.RESET, stream)
            return None
        self._add(stream)
        return StreamOpened(stream, payload.decode("ascii"))

    def _credited(self, stream: int, known: _Stream, payload: bytes) -> None:
        if len(payload) != _CREDIT.size:
            raise ProtocolError("a credit of a wrong length")
        (more,) = _CREDIT.unpack(payload)
        known.credit += more
        if known.credit > _MOST_CREDIT:
            raise ProtocolError("a credit past all bounds")
        self._take_turn(stream, known)

    # What goes out

    def open(self, name: str) -> int | None:
        """Open a stream and give its number; None when there are as many as there may be."""
        if self._opened_by(self._side) >= self._bounds.streams:
            return None
        stream = self._next
        self._next = self._next + 2 if self._next < 0xFFFF_FFF0 else int(self._side) or 2
        self._add(stream)
        self._answer(FrameKind.OPEN, stream, name.encode("ascii"))
        return stream

    def send(self, stream: int, data: bytes) -> None:
        """Queue bytes. On a stream that is over they go nowhere."""
        known = self._streams.get(stream)
        if known is None or known.ending or not data:
            return
        known.queue.append(bytes(data))
        known.queued += len(data)
        self._take_turn(stream, known)

    def end(self, stream: int) -> None:
        """Say, after all that is queued, that nothing more will come."""
        known = self._streams.get(stream)
        if known is not None and not known.ending:
            known.ending = True
            self._take_turn(stream, known)

    def close(self, stream: int) -> None:
        """End a stream in both directions, after all that is queued."""
        if (known := self._streams.get(stream)) is not None:
            known.closing = True
            if known.sent_eof:
                self.reset(stream)
            else:
                self.end(stream)

    def reset(self, stream: int) -> None:
        """End a stream at once; what is queued is dropped."""
        if stream in self._streams:
            self._forget(stream)
            self._answer(FrameKind.RESET, stream)

    def consumed(self, stream: int, count: int) -> None:
        """Say that the receiver has room again for `count` bytes of those that came."""
        known = self._streams.get(stream)
        if known is None or known.got_eof:
            return
        known.owed += count
        if known.owed * 2 >= self._bounds.window or known.granted == 0:
            known.granted += known.owed
            self._answer(FrameKind.CREDIT, stream, _CREDIT.pack(known.owed))
            known.owed = 0

    def output(self, most: int = 65536) -> bytes:
        """Frames to send now, about `most` bytes of them: answers first, then a frame for each
        stream in turn.
        """
        out = bytearray()
        while self._answers and len(out) < most:
            out += self._answers.popleft()
        while self._turns and not self._answers and len(out) < most:
            stream = self._turns.popleft()
            known = self._streams[stream]
            known.in_turn = False
            if known.queue and known.credit:
                piece = _take(known.queue, min(known.credit, MOST_PAYLOAD))
                known.queued -= len(piece)
                known.credit -= len(piece)
                out += _HEAD.pack(FrameKind.DATA, stream, len(piece)) + piece
            if known.ending and not known.queue and not known.sent_eof:
                known.sent_eof = True
                out += _HEAD.pack(FrameKind.EOF, stream, 0)
            if known.sent_eof and known.closing and not known.got_eof:
                out += _HEAD.pack(FrameKind.RESET, stream, 0)
                self._forget(stream)
                continue
            self._take_turn(stream, known)
            self._forget_if_over(stream, known)
        return bytes(out)

    # Within

    def _opened_by(self, side: int) -> int:
        """How many streams of a side there are: neither side can use up the other's."""
        return sum(stream % 2 == side for stream in self._streams)

    def _add(self, stream: int) -> None:
        window = self._bounds.window
        self._streams[stream] = _Stream(credit=window, granted=window)

    def _take_turn(self, stream: int, known: _Stream) -> None:
        wants = (known.queue and known.credit) or (
            known.ending and not known.queue and not known.sent_eof
        )
        if wants and not known.in_turn:
            known.in_turn = True
            self._turns.append(stream)

    def _forget_if_over(self, stream: int, known: _Stream) -> None:
        if known.got_eof and known.sent_eof:
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        known = self._streams.pop(stream)
        if known.in_turn:
            self._turns.remove(stream)

    def _answer(self, kind: FrameKind, stream: int, payload: bytes = b"") -> None:
        if len(self._answers) >= self._bounds.answers:
            raise ProtocolError("answers that are not taken")
        self._answers.append(_HEAD.pack(kind, stream, len(payload)) + payload)


def _take(queue: deque[bytes], most: int) -> bytes:
    """The next bytes of a queue of pieces, at most `most`."""
    piece = queue.popleft()
    if len(piece) > most:
        queue.appendleft(piece[most:])
        return piece[:most]
    if len(piece) == most or not queue:
        return piece
    out = bytearray(piece)
    while queue and len(out) < most:
        piece = queue.popleft()
        room = most - len(out)
        if len(piece) > room:
            queue.appendleft(piece[room:])
        out += piece[:room]
    return bytes(out)
