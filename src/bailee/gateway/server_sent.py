"""Where server-sent events begin and end, and what one says. Pure.

Standard: WHATWG HTML 9.2. A line ends in LF, CR or CRLF; an event at its empty line.
"""

from __future__ import annotations

import re
from typing import Final

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
