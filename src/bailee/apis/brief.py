"""A JSON text with most of its long strings left out, for who asks what a request names. Pure.

To read a string of 32 MiB is one call, beside which no other thread runs for 0.15 s. Here it is
read piece by piece, and then not again.

Rules kept here:

* What is left out was read by the parser as a string. So a text that is no JSON stays none, and one
  that is keeps its members, its entries, and every value that is not a long string.
* Of a long string some bytes at both ends of each piece are kept. No escape is cut, and no letter's
  bytes; of two escapes that are one letter, one may be left out.

Rows: G1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bailee.vault.packing import parse
from bailee.vault.structure import safe_end

_LONG: Final = 32 << 10
_EDGE: Final = 16
_CONTINUES: Final = range(0x80, 0xC0)  # bytes within a letter of UTF-8
_DIGITS: Final = 5  # of a \\uXXXX, from its u on, are cut at the most


def brief(text: bytes) -> bytes:
    """`text`, with what is long in its strings left out; as it is where nothing is.

    Raises:
        ValueError: it is not JSON.
    """
    kept: list[bytes] = []
    done = 0
    for start, end in _long_stretches(text):
        first, last = _uncut(text, start, start + _EDGE), _uncut(text, start, end - _EDGE)
        parse(b'"%b"' % text[first:last])
        kept.append(text[done:first])
        done = last
    return b"".join((*kept, text[done:])) if done else text


def _long_stretches(text: bytes) -> Iterator[tuple[int, int]]:
    """Where the text is within a string for long, piece by piece. None begins in an escape."""
    at = inside = 0
    while at < len(text):
        end = safe_end(text, at)
        parts = text[at:end].replace(b"\\\\", b"__").replace(b'\\"', b"__").split(b'"')
        if max(map(len, parts)) >= _LONG:
            place = at
            for number, part in enumerate(parts):
                if (number + inside) % 2 and len(part) >= _LONG:
                    yield place, place + len(part)
                place += len(part) + 1
        inside = (inside + len(parts) - 1) % 2
        at = end


def _uncut(text: bytes, start: int, at: int) -> int:
    """`at`, or a little before, where neither an escape nor a letter is cut; nor is one at `start`,
    which is in the same string.
    """
    for _ in range(3):
        at -= text[at] in _CONTINUES
    at -= _is_escaped(text, start, at)
    for back in range(1, _DIGITS + 1):
        if text[at - back] == ord("u") and _is_escaped(text, start, at - back):
            return at - back - 1
    return at


def _is_escaped(text: bytes, start: int, at: int) -> bool:
    before = text[start:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1
