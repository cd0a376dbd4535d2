"""JSON values as bytes and back, without losing anything. Pure.

orjson where it is exact; the standard library's `json` for what orjson can't express: integers over
64 bits, lone surrogates, infinities, NaN. The first byte of what is packed says which it was.
"""

from __future__ import annotations

import json
from typing import TypeAlias

import orjson

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

# Nineteen digits in a row, looked for as fast as bytes can be searched.
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_MAYBE_OVER_64_BITS = b"0" * 19
_PIECE = 256 << 10  # bytes that are looked at in one call


class Unpackable(ValueError):
    """A value that no JSON text gives back: nested too deeply, or not JSON."""


class TooDeep(ValueError):
    """A text that is nested more deeply than it can be read."""


def pack(value: JSON) -> bytes:
    r"""`value` as bytes.

    Raises:
        Unpackable: it can't be given back as it is.

    >>> unpack(pack({"big": 2**80, "half": "\ud800", "one": 1.0})) == {
    ...     "big": 2**80, "half": "\ud800", "one": 1.0}
    True
    """
    try:
        packed = orjson.dumps(value)
        if b"null" not in packed or orjson.loads(packed) == value:
            return b"o" + packed  # orjson writes NaN and infinities as null: the one loss it has
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        return b"j" + json.dumps(value, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unpackable(type(error).__name__) from error


def unpack(packed: bytes) -> JSON:
    """What `pack` was given.

    Raises:
        ValueError: not something that `pack` made.
    """
    kind, text = packed[:1], memoryview(packed)[1:]
    if kind == b"o":
        value: JSON = orjson.loads(text)
        return value
    if kind == b"j":
        value = json.loads(bytes(text))
        return value
    raise ValueError("not a packed value")


def digestible(value: JSON, *, plain: bool = False) -> bytes:
    """Bytes that are the same for the same value, whatever the order of its keys. `plain`: it was
    read from a plain text (`parse_plain`), so that it has no number which orjson can't write.

    Raises:
        Unpackable: nested too deeply, or not JSON.
    """
    try:
        packed = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if plain or b"null" not in packed or orjson.loads(packed) == value:
            return b"o" + packed
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        return b"j" + json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unpackable(type(error).__name__) from error


def parse(text: bytes) -> JSON:
    """A JSON text from outside as a value, integers over 64 bits exact.

    Raises:
        TooDeep: nested too deeply.
        ValueError: not JSON.
    """
    value: JSON
    if not _maybe_over_64_bits(text):
        try:
            value = orjson.loads(text)
            return value
        except ValueError:
            pass  # stricter than the standard library: lone surrogates, numbers out of range
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise TooDeep("nested too deeply") from error
    return value


def parse_plain(text: bytes) -> tuple[JSON, bool]:
    """What `parse` gives of a text, and whether the text is plain: the same bytes are written anew
    of its value. Then no number in it was too long, and no object has a key twice.

    Raises:
        TooDeep: nested too deeply.
        ValueError: not JSON.
    """
    try:
        value: JSON = orjson.loads(text)
        if orjson.dumps(value) == text:
            return value, True
    except (TypeError, ValueError, RecursionError):
        pass
    return parse(text), False


def _maybe_over_64_bits(text: bytes) -> bool:
    overlap = len(_MAYBE_OVER_64_BITS) - 1
    return any(
        _MAYBE_OVER_64_BITS in text[max(0, at - overlap) : at + _PIECE].translate(_DIGITS_ALIKE)
        for at in range(0, len(text), _PIECE)
    )
