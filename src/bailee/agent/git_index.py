"""Whether an index names only files that git itself would put there. Pure.

Git looks at a name when it takes a file into the index, not when it writes the files of an index
out: one that somebody else wrote can have `git checkout .` write `.git/hooks/pre-commit`.

Rules kept here:

* A name is parts between slashes: none empty, `.` or `..`, nor anything that some file system takes
  for `.git`.
* Nothing lies below a name that is a link or a submodule.
* What can't be read to its end is refused.

Standard: gitformat-index(5), versions 2 to 4, with 20 or 32 bytes of an object's name.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterator
from typing import Final, Protocol

_HEAD: Final = 12
_LEAST: Final = 40  # bytes of an entry, at the least
_EXTENDED: Final = 0x4000
_LENGTH: Final = 0xFFF
_PLACES: Final = frozenset({0o120000, 0o160000})  # links and submodules: nothing lies below
_KIND: Final = 0o170000
_FOLDER: Final = 0o040000  # a folder of a sparse index
# As case, blanks and dots at the end, streams and short names of other file systems have it too.
_REFUSED: Final = re.compile(
    rb"(?:\A|[/\0])(?:\.{0,2}|(?i:\.git|git~\d+)[ .]*(?:[:\\][^/\0]*)?)(?=[/\0]|\Z)"
)


class _Hash(Protocol):
    def digest(self) -> bytes: ...


# Of each kind of repository: how long an object's name is, and how it is made.
_HASHES: Final[dict[int, Callable[[bytes], _Hash]]] = {20: hashlib.sha1, 32: hashlib.sha256}


def is_fine(content: bytes) -> bool:
    """Whether an index, or the shared part of one, names only what it may."""
    sizes = [size for size, hashing in _HASHES.items() if _ends_with(content, size, hashing)]
    try:
        return bool(sizes) and all(_names_only_files(content, size) for size in sizes)
    except (IndexError, ValueError, struct.error):
        return False


def _ends_with(content: bytes, size: int, hashing: Callable[[bytes], _Hash]) -> bool:
    """Whether git would take the end for the hash of what is before it: only one that is, or zeros,
    which stand for none. So git and this module can't read it differently.
    """
    last = content[-size:]
    return last == bytes(size) or last == hashing(content[:-size]).digest()


def _names_only_files(content: bytes, size: int) -> bool:
    version, number = (int.from_bytes(content[at : at + 4]) for at in (4, 8))
    if content[:4] != b"DIRC" or version not in (2, 3, 4) or number > len(content) // _LEAST:
        return False
    names, places, end = list[bytes](), set[bytes](), _HEAD
    for entry, kind, after in _entries(content, version, number, size):
        end = after
        name = entry.removesuffix(b"/") if kind == _FOLDER else entry
        if name:  # one without is changed by a split index: its name is in the shared part
            names.append(name)
        if kind in _PLACES:
            places.add(name)
    if b"" in places or not _is_closed(content, end, size):
        return False
    if names and _REFUSED.search(b"\0".join(names)):
        return False
    return not places or not any(_lies_below(name, places) for name in names)


def _entries(
    content: bytes, version: int, number: int, size: int
) -> Iterator[tuple[bytes, int, int]]:
    """The name and the kind of each entry, and where the next begins."""
    at, before = _HEAD, b""
    fixed = struct.Struct(f">24xI{12 + size}xH")
    for _ in range(number):
        mode, flags = fixed.unpack_from(content, at)
        start = at + fixed.size + (2 if flags & _EXTENDED else 0)
        kept = b""
        if version == 4:
            cut, start = _number(content, start)
            if cut > len(before):
                raise ValueError
            kept = before[: len(before) - cut]
        end = content.index(b"\0", start)
        name = kept + content[start:end]
        # Git goes by the length in the flags; where that says another, it would read other names.
        if flags & _LENGTH != min(len(name), _LENGTH):
            raise ValueError
        # Entries of the older versions are filled up to a multiple of eight bytes.
        at = end + 1 if version == 4 else at + ((end - at) // 8 + 1) * 8
        before = name
        yield name, mode & _KIND, at


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A number of any length, as git's packs have offsets, and where it ends."""
    value = content[at] & 127
    while content[at] & 128:
        at += 1
        value = ((value + 1) << 7) | (content[at] & 127)
        if value > len(content):
            raise ValueError
    return value, at + 1


def _is_closed(content: bytes, at: int, size: int) -> bool:
    """Whether extensions, each with its length, lead from here to the hash at the end."""
    last = len(content) - size
    while at < last:
        at += 8 + int.from_bytes(content[at + 4 : at + 8])
    return at == last


def _lies_below(name: bytes, places: set[bytes]) -> bool:
    while b"/" in name:
        name = name.rpartition(b"/")[0]
        if name in places:
            return True
    return False
