"""Where a message's body ends (RFC 9112, 6 and 7). Pure.

A body is counted, not parsed. Only its chunk sizes are read, because its end must be known.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from bailee.gateway.http1.syntax import FIELD, Malformed

_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
# What the sizes of most events' chunks look like, so that they need not be read.
_USUAL_SIZES: Final = {b"%x" % size: size for size in range(1, 2048)}
_LONGEST_USUAL: Final = 5  # bytes: three digits, CRLF
_LONGEST_SIZE_LINE: Final = 4096
_LONGEST_TRAILERS: Final = 8192


class Body(Protocol):
    """How a message's body is delimited. The connection that reads the message owns it. It counts,
    keeps no payload, and never reads beyond the body.
    """

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Takes bytes off the wire; gives (payload, what belongs to the next message).

        Raises:
            Malformed: the framing is broken.
        """
        ...


class LengthBody:
    """A body of a known number of bytes."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body.feed`."""
        size = len(data)
        if size <= self.left:
            self.left -= size
            self.done = self.left == 0
            return data, b""
        cut = self.left
        self.left = 0
        self.done = True
        return data[:cut], data[cut:]


class UntilClose:
    """A body that ends when its sender closes."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body.feed`."""
        return data, b""


class ChunkedBody:
    """A body in chunks (RFC 9112, 7.1). Extensions and trailers are read over and dropped."""

    __slots__ = ("_before", "_in_trailers", "_left", "_owed", "_trailers", "done")

    def __init__(self) -> None:
        self.done = False
        self._left = 0  # payload bytes of the current chunk still to come
        self._owed = False  # the CRLF after the current chunk is still to come
        self._before = b""  # an unfinished size line
        self._in_trailers = False
        self._trailers = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body.feed`."""
        size = len(data)
        if self._before:
            data = self._before + data
            self._before = b""
            size = len(data)
        elif not (self._left or self._owed or self._in_trailers):
            start = data.find(b"\r\n", 0, _LONGEST_USUAL) + 2
            length = _USUAL_SIZES.get(data[: start - 2], 0) if start > 2 else 0
            # One chunk and no more, as an event mostly comes.
            if length and size == start + length + 2 and data.endswith(b"\r\n"):
                return data[start : size - 2], b""
        at = 0
        payload: list[bytes] = []
        while at < size and not self.done:
            if self._left:
                end = min(size, at + self._left)
                payload.append(data[at:end])
                self._left -= end - at
                at = end
            elif self._owed:
                if data[at : at + 2] == b"\r\n":
                    self._owed = False
                    at += 2
                elif data[at:] == b"\r":
                    break
                else:
                    raise Malformed("a chunk does not end in CRLF")
            elif self._in_trailers:
                end = self._line_end(data, at)
                if end < 0:
                    break
                self.done = end == at + 2
                if not self.done and FIELD.fullmatch(data, at, end) is None:
                    raise Malformed("a trailer is not a field")
                self._trailers += end - at
                if self._trailers > _LONGEST_TRAILERS:
                    raise Malformed("the trailers are too long")
                at = end
            else:
                line = _CHUNK_SIZE.match(data, at)
                if line is None:
                    self._line_end(data, at, complete=False)
                    break
                length, start = int(line[1], 16), line.end()
                end = start + length
                if length and data.startswith(b"\r\n", end):  # the whole chunk is here
                    payload.append(data[start:end])
                    at = end + 2
                    continue
                self._left = length
                self._owed = self._left > 0
                self._in_trailers = not self._owed
                at = start
        if self.done:
            return b"".join(payload), data[at:]
        self._before = data[at:]
        return payload[0] if len(payload) == 1 else b"".join(payload), b""

    @staticmethod
    def _line_end(data: bytes, at: int, *, complete: bool = True) -> int:
        """Where the line at `at` ends, or -1 when its end has not come. A line that is there and
        should have been understood (`complete` false) is malformed.
        """
        end = data.find(b"\n", at)
        if end < 0:
            if len(data) - at > _LONGEST_SIZE_LINE:
                raise Malformed("a chunk's size line is too long")
            return -1
        if not complete or data[end - 1 : end] != b"\r" or end == at:
            raise Malformed("a chunk's size line is not valid")
        return end + 1
