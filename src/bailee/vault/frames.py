"""The spool file's format. Pure: bytes in, frames and damage out.

A file is a row of frames and then zeros (it is allocated ahead). A frame is

    "BLF1" | length u32 | sequence u32 | CRC-32 of the 12 bytes before | sealed (length bytes)

big-endian, with `sealed` as in `keyring.wrapping`, bound to the file's name and the sequence, so
that a frame opens only in its place. What is sealed is

    head length u32 | request length u32 | head (packed JSON) | request | answer

Rules kept here:

* Bytes that do not authenticate are never given out.
* Damage in the middle costs what it hit: reading goes on at the next frame that opens.
* The end is where only zeros follow. A last frame that was cut short is *torn*: it was never
  acknowledged. Any other damage is reported with its place.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from bailee.api import Api
from bailee.errors import IntegrityError
from bailee.keyring.wrapping import associated
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from bailee.vault.packing import pack, unpack

MAGIC: Final = b"BLF1"
_HEADER = struct.Struct(">4sIII")
_LENGTHS = struct.Struct(">II")
HEADER_BYTES: Final = _HEADER.size
_ZEROS: Final = bytes(64 << 10)
_API: Final = 15  # its place in the head

Opener = Callable[[int, memoryview], bytes | None]
"""Gives a frame's plaintext from its sequence and sealed bytes, or None if it does not open."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that opened: its place and its plaintext."""

    sequence: int
    offset: int
    end: int
    plain: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes `offset` to `end` hold no frame that opens; `torn` when they are a cut-off last one."""

    offset: int
    end: int
    torn: bool


def frame_data(name: str, sequence: int) -> bytes:
    """What a frame is bound to."""
    return associated("bailee/spool/1", name, sequence)


def header(sequence: int, length: int) -> bytes:
    """The header of a frame with `length` sealed bytes."""
    start = _HEADER.pack(MAGIC, length, sequence, 0)[:12]
    return start + zlib.crc32(start).to_bytes(4, "big")


def scan(content: bytes, opener: Opener, first: int = 0) -> Iterator[Frame | Damage]:
    """Every frame and every damage of a file, in order; or of what follows before its frame
    `first`.
    """
    view = memoryview(content)
    used = used_of(content)
    position, expected = 0, first
    while position < used:
        frame = _frame_at(content, view, position, opener)
        if frame is None:
            found = _next_frame(content, view, position + 1, expected, opener)
            if found is None:
                yield _tail(content, position, used)
                return
            yield Damage(position, found.offset, torn=False)
            frame = found
        elif frame.sequence != expected:
            yield Damage(position, position, torn=False)
        yield frame
        position, expected = frame.end, frame.sequence + 1


def used_of(content: bytes) -> int:
    """How many bytes stand before the zeros at a file's end. Large steps: to look at each byte of a
    file that is all zeros would keep every other thread waiting, 4 ms for each MiB.
    """
    end = len(content)
    while end >= len(_ZEROS) and content[end - len(_ZEROS) : end] == _ZEROS:
        end -= len(_ZEROS)
    start = max(0, end - len(_ZEROS))
    return start + len(content[start:end].rstrip(b"\0"))


def _lengths(content: bytes, position: int) -> tuple[int, int] | None:
    """Sequence and sealed length of the header at `position`, if there is a sound one."""
    if position + HEADER_BYTES > len(content):
        return None
    magic, length, sequence, check = _HEADER.unpack_from(content, position)
    if magic != MAGIC or zlib.crc32(content[position : position + 12]) != check:
        return None
    return sequence, length


def _frame_at(content: bytes, view: memoryview, position: int, opener: Opener) -> Frame | None:
    lengths = _lengths(content, position)
    if lengths is None:
        return None
    sequence, length = lengths
    end = position + HEADER_BYTES + length
    if end > len(content):
        return None
    plain = opener(sequence, view[position + HEADER_BYTES : end])
    return None if plain is None else Frame(sequence, position, end, plain)


def _next_frame(
    content: bytes, view: memoryview, position: int, expected: int, opener: Opener
) -> Frame | None:
    while (position := content.find(MAGIC, position)) >= 0:
        frame = _frame_at(content, view, position, opener)
        if frame is not None and frame.sequence >= expected:
            return frame
        position += 1
    return None


def _tail(content: bytes, position: int, used: int) -> Damage:
    """What to make of a last frame that does not open: cut short, or damaged."""
    lengths = _lengths(content, position)
    if lengths is None:
        return Damage(position, used, torn=used - position < HEADER_BYTES)
    end = position + HEADER_BYTES + lengths[1]
    return Damage(position, max(used, min(end, len(content))), torn=used < end)


def frame_length(content: bytes) -> int | None:
    """How long the frame is that begins here, as far as its header says; None: there is none."""
    lengths = _lengths(content, 0)
    return None if lengths is None else HEADER_BYTES + lengths[1]


def is_cut(content: bytes, position: int) -> bool:
    """Whether a file ends within the frame at `position`. One is made whole before it is written
    to, so it was cut later, and not by a crash.
    """
    lengths = _lengths(content, position)
    length = 0 if lengths is None else lengths[1]
    return position + HEADER_BYTES + length > len(content)


def encode(exchange: CapturedExchange) -> bytes:
    """An exchange as a frame's plaintext."""
    return b"".join(encoded(exchange))


def encoded(exchange: CapturedExchange) -> tuple[bytes, bytes, bytes]:
    """The same in parts: what stands before the bodies, and these, which are not copied. The API is
    said where it is another than the Messages API, so that an older version reads what it can be
    asked to keep.
    """
    head = pack(
        [
            exchange.exchange_id,
            exchange.owner,
            exchange.key_id,
            exchange.plan,
            exchange.channel,
            [exchange.terms.period, exchange.terms.clause, exchange.terms.document],
            exchange.started_at,
            exchange.ended_at,
            str(exchange.outcome),
            exchange.method,
            exchange.target,
            exchange.status,
            [list(pair) for pair in exchange.request_headers],
            [list(pair) for pair in exchange.answer_headers],
            exchange.consent,
            *([] if exchange.api is Api.MESSAGES else [str(exchange.api)]),
        ]
    )
    lengths = _LENGTHS.pack(len(head), len(exchange.request))
    return lengths + head, exchange.request, exchange.answer


def decode(plain: bytes) -> CapturedExchange:
    """The exchange that `encode` was given. One of an older version has no number of a choice, and
    counts as from before any; one that names no API is of the Messages API.

    Raises:
        IntegrityError: it opens, and is no exchange that this version knows.
    """
    try:
        return _decoded(plain)
    except (ValueError, TypeError, LookupError, struct.error) as error:
        raise IntegrityError(
            "a record in the spool opens, and is none that this version can read.",
            hint="one of a newer version is read by that; else restore it from a backup",
        ) from error


def _decoded(plain: bytes) -> CapturedExchange:
    head_length, request_length = _LENGTHS.unpack_from(plain)
    request_at = _LENGTHS.size + head_length
    answer_at = request_at + request_length
    head: Any = unpack(plain[_LENGTHS.size : request_at])
    head[5] = Terms(*head[5])
    head[8] = Outcome(head[8])
    for headers in (12, 13):
        head[headers] = tuple((name, value) for name, value in head[headers])
    if len(head) > _API:
        head[_API] = Api(head[_API])
    fields: Any = (*head[:14], plain[request_at:answer_at], plain[answer_at:], *head[14:])
    return CapturedExchange(*fields)
