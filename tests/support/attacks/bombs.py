"""Small inputs that ask for much: what the hostile cases send, and what fuzzing starts from."""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Callable

import brotli
import zstandard

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
}
MIB = 1 << 20
ZEROS = b"0," * 999_999 + b"0"
MANY_MESSAGES = b'{"model":"m","messages":[' + ZEROS + b"]}"


@functools.cache
def many_keys() -> bytes:
    """An object with a million keys."""
    return json.dumps({f"k{n}": n for n in range(1_000_000)}).encode()


@functools.cache
def unfolding(coding: str) -> bytes:
    """256 MiB of one letter (brotli and zstandard: 512), in as few bytes as the coding makes of
    it.
    """
    piece = b"a" * MIB
    if coding == "br":
        brotling = brotli.Compressor(quality=5, lgwin=24)
        return b"".join([brotling.process(piece) for _ in range(512)]) + bytes(brotling.finish())
    if coding == "zstd":
        packing = zstandard.ZstdCompressor(level=1).compressobj()
        return b"".join([packing.compress(piece) for _ in range(512)]) + packing.flush()
    zipping = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    return b"".join([zipping.compress(piece) for _ in range(256)]) + zipping.flush()
