"""The body of a request as its sender meant it: inflated when it came compressed. Pure.

Git compresses what it asks of a fetch. One gzip member, nothing behind it, and no more than a
limit when inflated: a body that grows without end is refused while it grows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

_PIECE: Final = 64 * 1024


class BadBody(ValueError):
    """The body is not what its head says, or too large. The text says which."""


class Inflater:
    """Takes a body in pieces and gives it inflated; `encoding` as the head names it."""

    def __init__(self, encoding: bytes, most: int) -> None:
        if encoding.lower() not in (b"", b"identity", b"gzip", b"x-gzip"):
            raise BadBody("a content coding other than gzip")
        self._inflate = zlib.decompressobj(31) if b"gzip" in encoding.lower() else None
        self._left = most

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bytes that a piece gives, in pieces of a bounded size.

        Raises:
            BadBody: it is not gzip, or over the limit.
        """
        if self._inflate is None:
            yield self._count(data)
            return
        while data:
            if self._inflate.eof:
                raise BadBody("something behind the compressed body")
            try:
                piece = self._inflate.decompress(data, _PIECE)
            except zlib.error:
                raise BadBody("a compressed body that is damaged") from None
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            if piece:
                yield self._count(piece)

    def end(self) -> None:
        """There are no more pieces.

        Raises:
            BadBody: it is not whole.
        """
        if self._inflate is not None and not self._inflate.eof:
            raise BadBody("a compressed body that ends in the middle")

    def _count(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise BadBody("a body over the limit")
        return piece
