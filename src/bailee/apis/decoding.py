"""Content codings undone in bounded pieces. Pure.

Rules kept here:

* No piece is longer than twice `PIECE`, whatever came: a few bytes may unfold into gigabytes,
  and who asks decides how many pieces to take.
* What is held besides is the coding's window, at most 16 MiB (brotli's largest; zstandard's is
  held to 8 MiB, as RFC 9659 asks), and of zstandard what 256 bytes unfold to, at most 8 MiB.
* Gzip members in a row are one body, up to `bounds.MEMBERS` of them.

Standards: RFC 9110 (8.4), RFC 1950 to 1952, RFC 7932, RFC 8878, RFC 9659.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO, Final, Protocol, cast

import brotli
import zstandard

from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound

PIECE: Final = 64 << 10
_READ: Final = 16 << 10  # bytes given to a coding at once; zlib and zstandard copy what is left
_WINDOW: Final = 8 << 20
# A block of zstandard has four bytes at the least and unfolds to 128 KiB at the most: 8 MiB.
_ZSTANDARD_READ: Final = 256
_CODINGS: Final = 4  # one over another; more is no client's


class Decoder(Protocol):
    """Undoes one content coding as bytes come."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The bytes that `data` completes, in pieces. One who stops taking them stops for good.

        Raises:
            ValueError: `data` is not in that coding.
        """
        ...


def pieces_within(decode: Decoder, data: bytes, most: int) -> Iterator[bytes]:
    """The pieces that `data` completes, of `most` bytes together.

    Raises:
        ValueError: `data` is not in that coding.
        BeyondBound: it unfolds to more, or beyond a bound of the coding's.
    """
    for piece in decode.pieces(data):
        most -= len(piece)
        if most < 0:
            raise BeyondBound(Beyond.DECODED)
        yield piece


class _Zlib:
    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._inner = zlib.decompressobj(bits)
        self._members = 1

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _READ):
            yield from self._some(data[at : at + _READ])

    def _some(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._inner.eof:  # several members in a row are one body
                    self._members += 1
                    if self._members > bounds.MEMBERS:
                        raise BeyondBound(Beyond.DECODED)
                    self._inner = zlib.decompressobj(self._bits)
                piece = self._inner.decompress(data, PIECE)
                if piece:
                    yield piece
                data = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            while not self._inner.eof and (piece := self._inner.decompress(b"", PIECE)):
                yield piece
        except zlib.error as error:
            raise ValueError("not zlib") from error


class _Deflate:
    """`deflate` is zlib, but some send it bare (RFC 9110, 8.4.1.2)."""

    def __init__(self) -> None:
        self._inner: _Zlib | None = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None:
            if not data:
                return
            self._inner = _Zlib(15 if data[0] & 0x0F == 8 else -15)
        yield from self._inner.pieces(data)


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self._inner.process(data, output_buffer_limit=PIECE)
            # That it can take more does not mean that it has given everything.
            while piece or not (self._inner.is_finished() or self._inner.can_accept_more_data()):
                yield piece
                if self._inner.is_finished():
                    return
                piece = self._inner.process(b"", output_buffer_limit=PIECE)
        except brotli.error as error:
            raise ValueError("not brotli") from error


class _Zstandard:
    def __init__(self) -> None:
        self._made: list[bytes] = []
        self._inner = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_writer(
            cast("IO[bytes]", self), write_size=PIECE
        )

    def write(self, piece: bytes) -> int:
        """Takes a piece from the coding, which gives all that a read completes in one call."""
        self._made.append(bytes(piece))
        return len(piece)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZSTANDARD_READ):
            try:
                self._inner.write(data[at : at + _ZSTANDARD_READ])
            except zstandard.ZstdError as error:
                raise ValueError("not zstandard") from error
            made, self._made = self._made, []
            yield from made


def decoder(coding: bytes) -> Decoder | None:
    """A decoder of one content coding, or None when it is not known."""
    if coding in (b"gzip", b"x-gzip"):
        return _Zlib(31)
    if coding == b"deflate":
        return _Deflate()
    if coding == b"br":
        return _Brotli()
    return _Zstandard() if coding == b"zstd" else None


def decoded(body: bytes, codings: str) -> bytes | None:
    """`body` without its content codings (a Content-Encoding value), as far as it goes; None when
    a coding is unknown or the bytes are not in it.

    Raises:
        BeyondBound: they unfold beyond `bounds.DECODED`, at the end or on the way.
    """
    names = [name.strip().lower() for name in codings.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _CODINGS:
        raise BeyondBound(Beyond.DECODED)
    for coding in reversed(names):
        undo = decoder(coding.encode("latin-1", "replace"))
        if undo is None:
            return None
        try:
            body = b"".join(pieces_within(undo, body, bounds.DECODED))
        except BeyondBound:
            raise
        except ValueError:
            return None
    if len(body) > bounds.DECODED:
        raise BeyondBound(Beyond.DECODED)
    return body
