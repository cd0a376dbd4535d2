"""Small inputs that ask for much: what the hostile cases send, and what fuzzing starts from."""

from __future__ import annotations

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
ZEROS = b"0," * 999_999 + b"0"
MANY_MESSAGES = b'{"model":"m","messages":[' + ZEROS + b"]}"
MANY_KEYS = json.dumps({f"k{n}": n for n in range(1_000_000)}).encode()

_UNFOLDING: dict[str, bytes] = {}


def unfolding(coding: str) -> bytes:
    """A gigabyte of one letter (brotli: two), in as few bytes as the coding makes of it."""
    if coding not in _UNFOLDING:
        piece = b"a" * (1 << 20)
        parts = []
        if coding == "br":
            making = brotli.Compressor(quality=9, lgwin=24)
            parts = [making.process(piece) for _ in range(2048)] + [making.finish()]
        elif coding == "zstd":
            packing = zstandard.ZstdCompressor(level=1).compressobj()
            parts = [packing.compress(piece) for _ in range(1024)] + [packing.flush()]
        else:
            zipping = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
            parts = [zipping.compress(piece) for _ in range(1024)] + [zipping.flush()]
        _UNFOLDING[coding] = b"".join(parts)
    return _UNFOLDING[coding]
