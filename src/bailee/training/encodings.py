"""A text as it would be read by who decodes it, and a value as it stands in what is encoded. Pure.

Known: base64 (both alphabets, also wrapped over lines), hexadecimal, percent-encoding, the escapes
of JSON and of most programming languages, each within the other up to `DEEPEST`.

Not known, so what is in it is not found: compressed or encrypted data, quoted-printable, a value
put together by a program from parts, other alphabets.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus, unquote

DEEPEST: Final = 3
LONGEST_RUN: Final = 64 << 10
"""Characters of base64 or hexadecimal that are decoded; a longer run is replaced as a whole."""

_BASE64: Final = re.compile(
    r"(?:[A-Za-z0-9+/_-]{40,100}\r?\n[ \t]{0,8}){1,2000}[A-Za-z0-9+/_-]{2,100}={0,2}"
    r"|(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}={0,2}"
)
_HEX: Final = re.compile(r"(?<![A-Za-z0-9])(?:[0-9a-fA-F]{2}){12,}(?![A-Za-z0-9])")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([\"'\\/nrtbf]))")
_SIMPLE: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class EncodedRun(NamedTuple):
    """A run of a text that is an encoding as a whole, and what it says; None: too long to look."""

    run: str
    says: str | None


def encoded_runs(text: str) -> Iterator[EncodedRun]:
    """The runs of base64 and hexadecimal in a text that stand for text, or are too long to tell."""
    for pattern in (_BASE64, _HEX):
        for match in pattern.finditer(text):
            run = match[0]
            if len(run) > LONGEST_RUN:
                yield EncodedRun(run, None)
                continue
            says = _from_hex(run) if pattern is _HEX else _from_base64(run)
            if says is not None:
                yield EncodedRun(run, says)


def _from_base64(run: str) -> str | None:
    plain = re.sub(r"\s", "", run).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(plain[: len(plain) - (len(plain) % 4 == 1)] + "==")
    except (binascii.Error, ValueError):
        return None
    return _as_text(decoded)


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
