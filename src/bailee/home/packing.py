"""What lies in compressed files, as streams: gzip, bzip2, xz and zip, by their first bytes.

Rules kept here:

* Nothing is unpacked to the disk, and of a stream no more than a piece is in memory.
* A file that unpacks to more than `MOST` is not read to its end: that is an error like damage.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

MOST: Final = 64 << 30
UNREADABLE: Final = (
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError,
    NotImplementedError,
)  # fmt: skip
"""What is raised by what is damaged, under a password, packed in another way, or too much."""

_KINDS: Final = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
}


def kind_of(path: Path) -> str | None:
    """How a file is compressed; None: it is not, or not in a way that is known.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        begins = file.read(8)
    return next((kind for mark, kind in _KINDS.items() if begins.startswith(mark)), None)


def contents(path: Path, kind: str) -> Iterator[IO[bytes]]:
    """Each stream that lies in a file, to be read before the next.

    Raises:
        UNREADABLE: here, or while one is read.
    """
    bound = _Bound()
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            for one in archive.infolist():
                with archive.open(one) as member:
                    yield bound.of(member)
        return
    if kind == "zstd":
        raise NotImplementedError("zstd")
    unpack = {"gzip": gzip.GzipFile, "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}[kind]
    with unpack(path) as file:
        yield bound.of(cast("IO[bytes]", file))


class _Bound:
    """Counts what is read of all streams of one file, for whoever reads that."""

    def __init__(self) -> None:
        self._left = MOST

    def of(self, stream: IO[bytes]) -> IO[bytes]:
        return cast("IO[bytes]", _Counted(stream, self))

    def take(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise RuntimeError("too much")
        return piece


class _Counted:
    """A stream that is read within a bound. It does nothing but `read`."""

    def __init__(self, stream: IO[bytes], bound: _Bound) -> None:
        self._stream = stream
        self._bound = bound

    def read(self, size: int) -> bytes:
        """As a file does."""
        return self._bound.take(self._stream.read(size))
