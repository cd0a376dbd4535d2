"""A Debian package's file, read here: an archive of ar(5) with two of tar(5) in it, deb(5).

To have `dpkg-deb` take one apart is six processes, and an image has six hundred packages. What apt
has downloaded it has checked: a file is one of the archive's, to the byte.
"""

from __future__ import annotations

import gzip
import io
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Literal, cast

from bailee.errors import StorageError

_MAGIC: Final = b"!<arch>\n"
_HEAD: Final = 60  # bytes before each member: 16 of its name, 10 of its size from the 48th on

Part = Literal["control", "data"]


def part(package: Path, name: Part) -> IO[bytes]:
    """One of a package's two archives of tar, unpacked as it is read.

    Raises:
        OSError: the file can't be read.
        StorageError: it is no package, or has this part in a form that Debian's archive has not.
    """
    for member, content in _members(package):
        if member == f"{name}.tar":
            return content
        if member == f"{name}.tar.xz":
            return lzma.LZMAFile(content)
        if member == f"{name}.tar.gz":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=content))
        if member == f"{name}.tar.zst":
            import zstandard

            return zstandard.ZstdDecompressor().stream_reader(content)
    raise _damaged(package)


def _members(package: Path) -> Iterator[tuple[str, io.BytesIO]]:
    """What an archive of ar holds, in order."""
    with package.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise _damaged(package)
        while head := file.read(_HEAD):
            if len(head) < _HEAD or not (digits := head[48:58].rstrip()).isdigit():
                raise _damaged(package)
            size = int(digits)
            content = file.read(size)
            if len(content) < size:
                raise _damaged(package)
            yield head[:16].rstrip(b" /").decode("ascii", "replace"), io.BytesIO(content)
            file.seek(size % 2, io.SEEK_CUR)


def _damaged(package: Path) -> StorageError:
    return StorageError(
        f"{package.name} can't be read as a Debian package.",
        hint="remove it, and build again: it is downloaded anew",
    )
