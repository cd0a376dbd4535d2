"""Where server-sent events begin and end, what one says, and one that is held back. Pure.

Standard: WHATWG HTML 9.2. A line ends in LF, CR or CRLF; an event at its empty line.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

BOUNDARY: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
LONGEST_BOUNDARY: Final = 4
_LINE: Final = re.compile(rb"\r\n|\n|\r")


def last_boundary(data: bytearray, start: int, end: int) -> int:
    """Where the event that `data[:end]` ends in begins, or -1 when no boundary is in between."""
    at = data.rfind(b"\n\n", start, end)
    found = at + 2 if at >= 0 else -1
    if data.find(b"\r", max(start, found), end) >= 0:
        for boundary in BOUNDARY.finditer(data, max(start, found), end):
            found = boundary.end()
    return found


def fields(event: bytes) -> tuple[bytes, bytes]:
    """The name and the data of one whole event."""
    name, data = b"", []
    for line in _LINE.split(event):
        field, colon, value = line.partition(b":")
        value = value.removeprefix(b" ") if colon else b""
        if field == b"event":
            name = value
        elif field == b"data":
            data.append(value)
    return name, b"\n".join(data)


class UnfinishedEvent:
    """The event at the end of what came of a stream, as far as it came, and what of it went on.
    Who holds back a stream's end is one; they look for the end in it. It never changes a byte.

    `longest`: bytes, from which on it is too long to be looked at; of such a one it has the last
    `overlap` bytes.
    """

    __slots__ = ("_after", "_event", "_mark", "_oversized", "_sent")
    longest: ClassVar[int] = 0
    overlap: ClassVar[int] = 0

    def __init__(self) -> None:
        self._after: list[bytes] = []  # what came behind the last event
        self._event = bytearray()
        self._sent = 0  # how many bytes of it went on
        self._mark = -1  # where what may make it the last event stands in it
        self._oversized = False

    def rest(self) -> bytes:
        """What is held, once, when it may go."""
        free = b"".join([self._event[self._sent :], *self._after])
        self._sent, self._after = len(self._event), []
        return free

    def _keep(self, start: int, mark: int) -> bytes:
        """Frees what is before the event at `start`; what of it went already can't be held."""
        if self._event.startswith(b"\n", start):  # the other half of a CRLF that was cut in two
            start += 1
        cut = max(self._sent, start)
        free = bytes(self._event[self._sent : cut])
        del self._event[:start]
        self._sent, self._mark = cut - start, max(0, mark - start)
        return free

    def _go_on(self, start: int, fresh: int) -> None:
        """All went on: remembers the event that is unfinished, which begins at `start`, or behind
        a boundary after `fresh`.
        """
        if (cut := last_boundary(self._event, fresh, len(self._event))) >= 0:
            start = cut
            self._oversized = False
        del self._event[:start]
        if len(self._event) > self.longest:
            self._oversized = True
        if self._oversized:
            del self._event[: -self.overlap]
        self._sent, self._mark = len(self._event), -1
