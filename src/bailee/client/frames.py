r"""The format of a local transcript: an append-only file of sealed records. Pure.

```
file    b"BLT1\n" frame*
frame   length (4, big-endian, of what is sealed) · time (8, milliseconds since 1970) · sealed
```

Rules kept here:

* A frame's associated data are session, number and time: a frame that is changed, moved, left
  out in the middle or taken from another session does not open.
* A file that ends within a frame was being written to when something died: what is whole counts,
  and the rest is cut off before the next record.
* Times are outside of the seal, so that what is past its time is found without the key.

Rows: R3.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Final

from bailee.records import dataclass

MAGIC: Final = b"BLT1\n"
HEAD: Final = struct.Struct(">IQ")
LARGEST: Final = 256 * 1024 * 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RecordFrame:
    """Where one record lies. `start` and `length` are of what is sealed."""

    number: int
    at: datetime
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole frames of a file, and where they end. `sound`: it is such a file at all."""

    frames: tuple[RecordFrame, ...]
    end: int
    sound: bool


def head(length: int, at: datetime) -> bytes:
    """What stands before a sealed record."""
    return HEAD.pack(length, milliseconds(at))


def about(session: str, number: int, at: datetime) -> bytes:
    """The associated data of a record."""
    return f"bailee local transcript\0{session}\0{number}\0{milliseconds(at)}".encode()


def milliseconds(at: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def moment(count: int) -> datetime:
    """The moment of `milliseconds`; one beyond all calendars is the last there is."""
    try:
        return _EPOCH + timedelta(milliseconds=count)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def layout(content: bytes | memoryview) -> Layout:
    """The frames of a file's bytes. Total: any bytes have a layout."""
    if bytes(content[: len(MAGIC)]) != MAGIC:
        # A file that died with part of its first bytes holds nothing.
        torn = MAGIC.startswith(bytes(content))
        return Layout((), 0, torn)
    frames: list[RecordFrame] = []
    place = len(MAGIC)
    while place + HEAD.size <= len(content):
        length, at = HEAD.unpack_from(content, place)
        start = place + HEAD.size
        if length > LARGEST or start + length > len(content):
            break
        frames.append(RecordFrame(len(frames), moment(at), start, length))
        place = start + length
    return Layout(tuple(frames), place, True)
