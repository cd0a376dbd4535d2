"""A stored record: what an exchange left, compressed and then sealed under its session's key. Pure.

What is compressed is

    body length u32 | raw request length + 1, or 0, u32 | raw answer there? u8 | body | raw bytes

big-endian; the body is packed JSON, the raw bytes are request and answer. zstd, RFC 8878. Schema
version 1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import zstandard

from bailee.errors import IntegrityError
from bailee.keyring.wrapping import associated, seal, unseal
from bailee.vault.packing import JSON, pack, unpack

SCHEMA: Final = 1
_LENGTHS = struct.Struct(">IIB")
_LEVEL = 3
_LARGEST = 1 << 31


@dataclass(frozen=True, slots=True)
class Record:
    """A delta with the exchange's particulars, and the bytes that could not be interpreted."""

    body: dict[str, Any]
    raw_request: bytes | None = None
    raw_answer: bytes | None = None


def subject_of(session_id: str) -> str:
    """The keyring subject of a session."""
    return f"session:{session_id}"


def compress(body: dict[str, JSON], raw_request: bytes | None, raw_answer: bytes | None) -> bytes:
    """A record's bytes, compressed.

    Raises:
        Unpackable: `body` is not JSON or nested too deeply.
    """
    packed = pack(body)
    request = b"" if raw_request is None else raw_request
    answer = b"" if raw_answer is None else raw_answer
    kept = 0 if raw_request is None else len(request) + 1
    lengths = _LENGTHS.pack(len(packed), kept, raw_answer is not None)
    return zstandard.compress(b"".join((lengths, packed, request, answer)), _LEVEL)


def decompress(compressed: bytes) -> Record:
    """What `compress` was given."""
    content = zstandard.decompress(compressed, max_output_size=_LARGEST)
    body_length, kept, has_answer = _LENGTHS.unpack_from(content)
    request_at = _LENGTHS.size + body_length
    answer_at = request_at + max(0, kept - 1)
    body = unpack(content[_LENGTHS.size : request_at])
    assert isinstance(body, dict)
    return Record(
        body,
        content[request_at:answer_at] if kept else None,
        content[answer_at:] if has_answer else None,
    )


def _data(session_id: str, record_id: str, data_class: str) -> bytes:
    return associated("bailee/record/1", subject_of(session_id), record_id, data_class, SCHEMA)


def seal_record(
    compressed: bytes, key: bytes, *, session_id: str, record_id: str, data_class: str, nonce: bytes
) -> bytes:
    """The ciphertext of a record, bound to its place."""
    return seal(key, compressed, _data(session_id, record_id, data_class), nonce)


def open_record(
    sealed: bytes, key: bytes, *, session_id: str, record_id: str, data_class: str
) -> Record:
    """The record that was sealed.

    Raises:
        IntegrityError: the bytes are not those of this record.
    """
    data = _data(session_id, record_id, data_class)
    compressed = unseal(key, sealed, data, f"a record of session {session_id}")
    try:
        return decompress(compressed)
    except (zstandard.ZstdError, ValueError, struct.error, AssertionError) as error:
        raise IntegrityError(
            f"a record of session {session_id} has a form this version does not know.",
            code="schema",
            hint="use the version of bailee that wrote it, or newer",
        ) from error
