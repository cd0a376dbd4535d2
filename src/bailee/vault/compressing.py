"""A stored record's form: what an exchange left, packed and compressed. Pure. `record` seals it.

    body length u32 | raw request length + 1, or 0, u32 | raw answer there? u8 | body | raw bytes

big-endian; the body is packed JSON, the raw bytes are request and answer. zstd, RFC 8878.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import zstandard

from bailee.vault.packing import JSON, pack, unpack

_LENGTHS = struct.Struct(">IIB")
_LEVEL: Final = 3
_LARGEST: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """A delta with the exchange's particulars, and the bytes that could not be interpreted."""

    body: dict[str, Any]
    raw_request: bytes | None = None
    raw_answer: bytes | None = None


def compressor() -> zstandard.ZstdCompressor:
    """What compresses records, one at a time: to make it takes as long as a small record does."""
    return zstandard.ZstdCompressor(level=_LEVEL)


def compress(
    body: dict[str, JSON],
    raw_request: bytes | None,
    raw_answer: bytes | None,
    by: zstandard.ZstdCompressor | None = None,
) -> bytes:
    """A record's bytes, compressed `by` what the caller has for it.

    Raises:
        Unpackable: `body` is not JSON or nested too deeply.
    """
    packed = pack(body)
    request = b"" if raw_request is None else raw_request
    answer = b"" if raw_answer is None else raw_answer
    kept = 0 if raw_request is None else len(request) + 1
    lengths = _LENGTHS.pack(len(packed), kept, raw_answer is not None)
    return (by or compressor()).compress(b"".join((lengths, packed, request, answer)))


def decompress(compressed: bytes) -> ExchangeRecord:
    """What `compress` was given.

    Raises:
        zstandard.ZstdError, ValueError, struct.error, AssertionError: it has another form.
    """
    content = zstandard.decompress(compressed, max_output_size=_LARGEST)
    body_length, kept, has_answer = _LENGTHS.unpack_from(content)
    request_at = _LENGTHS.size + body_length
    answer_at = request_at + max(0, kept - 1)
    body = unpack(content[_LENGTHS.size : request_at])
    assert isinstance(body, dict)
    return ExchangeRecord(
        body,
        content[request_at:answer_at] if kept else None,
        content[answer_at:] if has_answer else None,
    )
