"""A stored record: what an exchange left, compressed (`compressing`) and then sealed under its
session's key. Pure. Schema version 1.
"""

from __future__ import annotations

import struct
from typing import Final

import zstandard

from bailee.errors import IntegrityError
from bailee.keyring.wrapping import associated, seal, unseal
from bailee.vault.compressing import ExchangeRecord, decompress

SCHEMA: Final = 1


def subject_of(session_id: str) -> str:
    """The keyring subject of a session."""
    return f"session:{session_id}"


def _data(session_id: str, record_id: str, data_class: str) -> bytes:
    return associated("bailee/record/1", subject_of(session_id), record_id, data_class, SCHEMA)


def seal_record(
    compressed: bytes, key: bytes, *, session_id: str, record_id: str, data_class: str, nonce: bytes
) -> bytes:
    """The ciphertext of a record, bound to its place."""
    return seal(key, compressed, _data(session_id, record_id, data_class), nonce)


def open_within(
    sealed: bytes, key: bytes, *, session_id: str, record_id: str, data_class: str, most: int
) -> ExchangeRecord | None:
    """The record that was sealed, if it is `most` so many bytes long when unpacked. Errors as in
    `open_record`.
    """
    data = _data(session_id, record_id, data_class)
    compressed = unseal(key, sealed, data, f"a record of session {session_id}")
    try:
        size = zstandard.frame_content_size(compressed)
    except zstandard.ZstdError:
        size = 0  # no form that is known: said when it is unpacked
    return None if size > most else _unpacked(compressed, session_id)


def open_record(
    sealed: bytes, key: bytes, *, session_id: str, record_id: str, data_class: str
) -> ExchangeRecord:
    """The record that was sealed.

    Raises:
        IntegrityError: the bytes are not those of this record.
    """
    data = _data(session_id, record_id, data_class)
    return _unpacked(unseal(key, sealed, data, f"a record of session {session_id}"), session_id)


def _unpacked(compressed: bytes, session_id: str) -> ExchangeRecord:
    try:
        return decompress(compressed)
    except (zstandard.ZstdError, ValueError, struct.error, AssertionError) as error:
        raise IntegrityError(
            f"a record of session {session_id} has a form this version does not know.",
            code="schema",
            hint="use the version of bailee that wrote it, or newer",
        ) from error
