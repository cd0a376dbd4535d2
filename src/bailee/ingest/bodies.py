"""A request's body, unpacked within bounds. Pure.

Rules kept here:

* Nothing is unpacked beyond `most` bytes: a bomb costs what a large body may cost, no more.
* One encoding, by its registered name; a chain of encodings, rest behind the end, or a body cut
  short is refused. A gzip body may have several members; `deflate` is taken without its wrapping
  too, since many send it so.

Standards: RFC 9110 (8.4), RFC 1952, RFC 1950, RFC 7932, RFC 8878.
"""

from __future__ import annotations

import zlib
from typing import Final

import brotli
import zstandard

from bailee.errors import InputError

ENCODINGS: Final = ("gzip", "deflate", "br", "zstd", "identity")
MOST_OBJECTS: Final = 400_000
_PIECE = 1 << 16
_MEMBERS: Final = 1000
_WINDOW = 1 << 23
# A block of zstandard has four bytes at the least and unfolds to 128 KiB at the most: 8 MiB.
_ZSTD_READ = 1 << 8


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """The body without its encoding ("" is identity).

    Raises:
        InputError: it is not of that encoding, the encoding is unknown, or it is too large.
    """
    name = encoding.strip().lower()
    try:
        if name in ("", "identity"):
            plain = body
        elif name in ("gzip", "x-gzip"):
            plain = _gzip(body, most)
        elif name == "deflate":
            plain = _zlib(body, 15 if _is_wrapped(body) else -15, most)
        elif name == "br":
            plain = _brotli(body, most)
        elif name == "zstd":
            plain = _zstd(body, most)
        else:
            raise InputError(
                "the body's encoding is not known here.",
                hint=f"use one of {', '.join(ENCODINGS)}",
            )
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        raise InputError("the body does not have the encoding that it names.") from error
    if len(plain) > most:
        raise InputError(
            f"the body is over {most} bytes when unpacked.",
            code="request_too_large",
            hint="send smaller batches",
        )
    return plain


def check_objects(body: bytes) -> None:
    """Refuse a JSON body that would be far more objects than bytes: each costs a hundred times its
    brace. Counted without reading; braces within texts count too.

    Raises:
        InputError: code `request_too_large`.
    """
    if body.count(b"{") + body.count(b"[") > MOST_OBJECTS:
        raise InputError(
            f"the body has over {MOST_OBJECTS} objects and lists.",
            code="request_too_large",
            hint="send smaller batches",
        )


def _gzip(body: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    left = most
    for _ in range(_MEMBERS):
        machine = zlib.decompressobj(31)
        parts.append(machine.decompress(body, left + 1))
        left -= len(parts[-1])
        body = machine.unused_data
        if left < 0 or (machine.eof and not body):
            return b"".join(parts)
        if not machine.eof:
            break
    raise EOFError


def _is_wrapped(body: bytes) -> bool:
    """Whether it begins as RFC 1950 says."""
    return len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _zlib(body: bytes, bits: int, most: int) -> bytes:
    machine = zlib.decompressobj(bits)
    plain = machine.decompress(body, most + 1)
    if len(plain) <= most and (not machine.eof or machine.unused_data):
        raise EOFError
    return plain


def _brotli(body: bytes, most: int) -> bytes:
    machine = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    given = body
    while size <= most:
        part = machine.process(given, output_buffer_limit=_PIECE)
        given = b""
        parts.append(part)
        size += len(part)
        if machine.is_finished():
            break
        # That it can take more does not mean that it has given everything.
        if not part and machine.can_accept_more_data():
            raise EOFError
    return b"".join(parts)


def _zstd(body: bytes, most: int) -> bytes:
    machine = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    parts: list[bytes] = []
    size = 0
    for at in range(0, len(body), _ZSTD_READ):
        if machine.eof:
            raise EOFError
        part = machine.decompress(body[at : at + _ZSTD_READ])
        parts.append(part)
        size += len(part)
        if size > most:
            break
    if size <= most and (not machine.eof or machine.unused_data):
        raise EOFError
    return b"".join(parts)
