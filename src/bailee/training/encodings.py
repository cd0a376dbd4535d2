"""A text as it would be read by who decodes it, and a value as it stands in what is encoded. Pure.

Known: base64 (both alphabets, also wrapped over lines), hexadecimal, percent-encoding, the escapes
of JSON and of most programming languages, each within the other up to `DEEPEST`.

Not known, so what is in it is not found: compressed or encrypted data, quoted-printable, a value
put together by a program from parts, other alphabets.
"""

from __future__ import annotations

import binascii
import json
import re
import string
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus, unquote

DEEPEST: Final = 3
_HEAD: Final = 16
LONGEST_RUN: Final = 64 << 10
"""Characters of base64 or hexadecimal that are decoded; a longer run is replaced as a whole."""

_BASE64: Final = re.compile(
    r"(?:[A-Za-z0-9+/_-]{40,100}\r?\n[ \t]{0,8}){1,2000}[A-Za-z0-9+/_-]{2,100}={0,2}"
    r"|(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}={0,2}"
)
_HEX: Final = re.compile(r"(?<![A-Za-z0-9])(?:[0-9a-fA-F]{2}){12,}(?![A-Za-z0-9])")


def _marks(characters: str) -> bytes:
    """A table for `bytes.translate`: which bytes are among these characters."""
    return bytes(_IN if chr(one) in characters else _OUT[0] for one in range(256))


_IN, _OUT = 1, b"\0"
_IN_BASE64: Final = _marks(string.ascii_letters + string.digits + "+/_-")
_IN_HEX: Final = _marks(string.hexdigits)
_SHORTEST_BASE64: Final = bytes([_IN]) * 16
_SHORTEST_HEX: Final = bytes([_IN]) * 24
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([\"'\\/nrtbf]))")
_SIMPLE: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class EncodedRun(NamedTuple):
    """A run of a text that is an encoding as a whole, and what it says; None: too long to look."""

    run: str
    says: str | None


def encoded_runs(text: str) -> Iterator[EncodedRun]:
    """The runs of base64 and hexadecimal in a text that stand for text, or are too long to tell."""
    for pattern, matches in ((_BASE64, _base64_in(text)), (_HEX, _hex_in(text))):
        for match in matches:
            run = match[0]
            if len(run) > LONGEST_RUN:
                yield EncodedRun(run, None)
                continue
            says = _from_hex(run) if pattern is _HEX else _from_base64(run)
            if says is not None:
                yield EncodedRun(run, says)


def _base64_in(text: str) -> Iterator[re.Match[str]]:
    """What `finditer` would give. The pattern is tried where so many characters of the alphabet
    stand in a row, and where a match has ended among such.
    """
    marks = text.encode("ascii", "replace").translate(_IN_BASE64)
    at = 0
    while True:
        if at < len(marks) and at and marks[at] == _IN:
            match = _BASE64.search(text, at)
        else:
            at = marks.find(_SHORTEST_BASE64, at)
            match = None if at < 0 else _BASE64.match(text, at)
        if match is None:
            return
        yield match
        at = match.end()


def _hex_in(text: str) -> Iterator[re.Match[str]]:
    """What `finditer` would give, likewise: a match is all digits that stand in a row."""
    marks = text.encode("ascii", "replace").translate(_IN_HEX)
    at = 0
    while (at := marks.find(_SHORTEST_HEX, at)) >= 0:
        if (match := _HEX.match(text, at)) is not None:
            yield match
        end = marks.find(_OUT, at)
        at = len(marks) if end < 0 else end


def _from_base64(run: str) -> str | None:
    # Most runs are names in code, which their first bytes tell.
    if len(run) > _HEAD and _as_text(_decoded(run[:_HEAD])) is None:
        return None
    plain = "".join(run.split()).rstrip("=")
    return _as_text(_decoded(plain[: len(plain) - (len(plain) % 4 == 1)] + "=="))


def _decoded(plain: str) -> bytes:
    """Characters of either alphabet, decoded; nothing where they are not."""
    try:
        return binascii.a2b_base64(plain.replace("-", "+").replace("_", "/"))
    except (binascii.Error, ValueError):
        return b"\0"


def _from_hex(run: str) -> str | None:
    return _as_text(bytes.fromhex(run))


def _as_text(decoded: bytes) -> str | None:
    """Bytes as text, when they are text; its last character may be cut."""
    try:
        text = decoded.decode()
    except UnicodeDecodeError as error:
        if len(decoded) - error.start > 3 or error.start < 8:
            return None
        text = decoded[: error.start].decode()
    return text if all(one.isprintable() or one in "\r\n\t" for one in text) else None


def readings(text: str) -> Iterator[str]:
    """The text with its escapes and its percent-encoding undone, where it has any."""
    if "\\" in text and _ESCAPE.search(text):
        yield _ESCAPE.sub(_unescaped, text)
    if "%" in text and _PERCENT.search(text):
        yield unquote(text, errors="replace")


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _SIMPLE.get(match[3], match[3])


def spellings(value: str) -> Iterator[str]:
    """How a value may stand in an encoded text, itself first."""
    yield value
    escaped = json.dumps(value)[1:-1]
    plain = json.dumps(value, ensure_ascii=False)[1:-1]
    for one in (escaped, plain, plain.replace("/", "\\/"), json.dumps(plain)[1:-1]):
        yield one
    quoted = quote(value, safe="", errors="replace")
    for one in (quoted, quote(value, errors="replace"), quote_plus(value, errors="replace")):
        yield one
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), one)
