"""Reads the commits of a pack as it passes (gitformat-pack), to see whether a push only adds. Pure.

A push to a branch that exists adds when the commit that was its tip is an ancestor of the new one.
The server may be asked to refuse otherwise, but not by whoever pushes; so it is seen here, from the
commits in the pack: git sends those between the two.

Rules kept here:

* Nothing is kept but each commit's parents, and commits' texts while they may serve as bases of
  deltas, up to a limit.
* What inflates beyond measure is refused while it does.
* When in doubt, no: a commit that can't be read (its base is not in the pack) does not show that
  the push adds. Where the way leaves the pack, the server knows the rest (`ways_back.py`).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable
from typing import Final

_COMMIT: Final = 1
_OFFSET_DELTA: Final = 6
_NAME_DELTA: Final = 7
_STEP: Final = 4096
_PIECE: Final = 64 * 1024
_LONGEST_COMMIT: Final = 1 << 20
_MOST_KEPT: Final = 64 << 20
_MOST_COMMITS: Final = 1_000_000
# What a pack may inflate to: so much in any case, and beyond it so many times its own size.
_ALLOWANCE: Final = 256 << 20
_TIMES: Final = 64
# Parents stand right behind the tree and nowhere else: a line like theirs further down is text.
_NAME: Final = rb"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_HEAD: Final = re.compile(rb"tree %b\n((?:parent %b\n)*)" % (_NAME, _NAME))


class NotAPack(ValueError):
    """The bytes are no pack."""


class PackReader:
    """Takes a pack in pieces; `adds` says what its commits show. `name_bytes`: 20 or 32."""

    def __init__(self, name_bytes: int = 20) -> None:
        self._hash = hashlib.sha1 if name_bytes == 20 else hashlib.sha256
        self._name_bytes = name_bytes
        self._data = bytearray()
        self._offset = 0  # of the first byte of _data in the pack
        self._left: int | None = None  # objects, once the header was read
        self._trailing = 0
        self._kind = 0
        self._size = 0
        self._start = 0
        self._base: bytes | None = None
        self._inflate: zlib._Decompress | None = None
        self._text: bytearray | None = None
        self._inflated = 0
        self._inflated_in_all = 0
        self._parents: dict[str, tuple[str, ...]] = {}
        self._at: dict[int, bytes] = {}
        self._by_name: dict[str, bytes] = {}
        self._kept = 0

    def feed(self, data: bytes) -> None:
        """More of the pack.

        Raises:
            NotAPack: it is none.
        """
        self._data += data
        while self._step():
            pass

    def end(self) -> None:
        """There is no more.

        Raises:
            NotAPack: it is not whole.
        """
        if self._left != 0 or self._trailing != self._name_bytes:
            raise NotAPack("a pack that ends in the middle")

    def adds(self, old: str, *starts: str) -> bool:
        """Whether the pack's commits lead from one of `starts` back to `old`."""
        return old in self._reached(starts)

    def beyond(self, start: str) -> list[str]:
        """The commits at which the way back from `start` leaves the pack, in order."""
        return sorted(self._reached([start]) - self._parents.keys())

    def _reached(self, starts: Iterable[str]) -> set[str]:
        seen: set[str] = set()
        waiting = list(starts)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(self._parents.get(name, ()))
        return seen

    # -- inside ----------------------------------------------------------------------------------

    def _take(self, count: int) -> None:
        del self._data[:count]
        self._offset += count

    def _step(self) -> bool:
        """Read on; whether there may be more to read."""
        if self._left is None:
            return self._header()
        if self._inflate is not None:
            return self._inflating()
        if self._left == 0:
            self._trailing += len(self._data)
            if self._trailing > self._name_bytes:
                raise NotAPack("something behind the pack")
            self._take(len(self._data))
            return False
        return self._object()

    def _header(self) -> bool:
        if len(self._data) < 12:
            return False
        if self._data[:4] != b"PACK" or int.from_bytes(self._data[4:8], "big") not in (2, 3):
            raise NotAPack("no pack, or one of an unknown version")
        self._left = int.from_bytes(self._data[8:12], "big")
        self._take(12)
        return True

    def _object(self) -> bool:
        """The header of an object; False until it is whole."""
        data, at = self._data, 0
        if not data:
            return False
        byte = data[0]
        kind, size, shift = (byte >> 4) & 7, byte & 15, 4
        while byte & 0x80:
            at += 1
            if at >= len(data):
                return self._too_long(at)
            byte = data[at]
            size |= (byte & 0x7F) << shift
            shift += 7
        at += 1
        base: bytes | None = None
        if kind == _OFFSET_DELTA:
            if at >= len(data):
                return False
            byte = data[at]
            back = byte & 0x7F
            while byte & 0x80:
                at += 1
                if at >= len(data):
                    return self._too_long(at)
                byte = data[at]
                back = ((back + 1) << 7) | (byte & 0x7F)
            at += 1
            base = self._at.get(self._offset - back)
        elif kind == _NAME_DELTA:
            if len(data) < at + self._name_bytes:
                return False
            base = self._by_name.get(bytes(data[at : at + self._name_bytes]).hex())
            at += self._name_bytes
        elif kind in (0, 5):
            raise NotAPack("an object of no kind")
        self._kind, self._size, self._start, self._base = kind, size, self._offset, base
        wanted = (kind == _COMMIT or base is not None) and size <= _LONGEST_COMMIT
        self._text = bytearray() if wanted else None
        self._inflate, self._inflated = zlib.decompressobj(), 0
        self._take(at)
        return True

    def _too_long(self, at: int) -> bool:
        if at > 32:
            raise NotAPack("a number without an end")
        return False

    def _inflating(self) -> bool:
        """A step of an object's content; what it inflates to is dropped unless it is wanted."""
        assert self._inflate is not None
        if not self._data:
            return False
        given = bytes(self._data[:_STEP])
        try:
            piece = self._inflate.decompress(given, _PIECE)
        except zlib.error:
            raise NotAPack("an object that is damaged") from None
        self._inflated += len(piece)
        if self._inflated > self._size:
            raise NotAPack("an object larger than it says")
        self._inflated_in_all += len(piece)
        if self._inflated_in_all > _ALLOWANCE + _TIMES * self._offset:
            raise NotAPack("a pack that inflates beyond measure")
        if self._text is not None:
            self._text += piece
        left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        self._take(len(given) - len(left))
        if self._inflate.eof:
            if self._inflated != self._size:
                raise NotAPack("an object smaller than it says")
            self._inflate = None
            assert self._left is not None
            self._left -= 1
            if self._text is not None:
                self._commit(bytes(self._text))
        return True

    def _commit(self, text: bytes) -> None:
        if self._base is not None:
            text = _patched(self._base, text)
        if len(self._parents) >= _MOST_COMMITS:
            raise NotAPack("too many commits")
        name = self._hash(b"commit %d\0%b" % (len(text), text)).hexdigest()
        head = _HEAD.match(text)
        lines = head[1].decode().split("\n")[:-1] if head else []
        self._parents[name] = tuple(line.removeprefix("parent ") for line in lines)
        if self._kept + len(text) <= _MOST_KEPT:
            self._kept += len(text)
            self._at[self._start] = self._by_name[name] = text


def _patched(base: bytes, delta: bytes) -> bytes:
    """What a delta makes of its base."""

    def number(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = delta[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                return value, at

    try:
        before, at = number(0)
        after, at = number(at)
        if before != len(base) or after > _LONGEST_COMMIT:
            raise NotAPack("a delta of another base")
        out = bytearray()
        while at < len(delta):
            op = delta[at]
            at += 1
            if op & 0x80:
                place = length = 0
                for bit in range(4):
                    if op & (1 << bit):
                        place |= delta[at] << (8 * bit)
                        at += 1
                for bit in range(3):
                    if op & (1 << (4 + bit)):
                        length |= delta[at] << (8 * bit)
                        at += 1
                length = length or 0x10000
                if place + length > len(base):
                    raise NotAPack("a delta beyond its base")
                out += base[place : place + length]
            elif op:
                out += delta[at : at + op]
                at += op
            else:
                raise NotAPack("a delta that is none")
            if len(out) > after:
                break
    except IndexError:
        raise NotAPack("a delta that ends in the middle") from None
    if len(out) != after:
        raise NotAPack("a delta of another size")
    return bytes(out)
