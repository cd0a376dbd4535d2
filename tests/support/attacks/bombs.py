"""Small inputs that ask for much: what the hostile cases send, and what fuzzing starts from."""

from __future__ import annotations

import functools
import gzip
import json
import struct
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
    return zipped(piece, 256, coding)


def zipped(piece: bytes, times: int, coding: str) -> bytes:
    """A piece so many times, in gzip or deflate. It is packed once: each of the others is the same
    block again, which looks back at none before it.
    """
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packing.compress(piece) + packing.flush(zlib.Z_FULL_FLUSH)
    blocks, end, check = block * times, packing.flush(), zlib.crc32(b"")
    if coding == "gzip":
        for _ in range(times):
            check = zlib.crc32(piece, check)
        ending = struct.pack("<2I", check, len(piece) * times & 0xFFFFFFFF)
        return b"\x1f\x8b\x08" + bytes(5) + b"\x02\xff" + blocks + end + ending
    check = zlib.adler32(b"")
    for _ in range(times):
        check = zlib.adler32(piece, check)
    return b"\x78\xda" + blocks + end + struct.pack(">I", check)
