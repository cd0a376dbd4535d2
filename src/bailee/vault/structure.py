"""A JSON text counted before it is read, and a long one read in parts. Pure.

A parser makes up to a hundred bytes of memory from each byte, all in one call that no other thread
runs beside. So what a text may become is known first, from its brackets, commas and colons outside
of strings. A text over `WHOLE` bytes is then read in parts: the entries of one list (a request's
messages) some at a time.

Rules kept here:

* What is read is what the parser would have read from the whole text, or both refuse it.
* Nothing here makes more than a few objects for each value, or works longer than a few
  milliseconds in one call on anything but a single string.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound
from bailee.vault.packing import JSON, TooDeep, parse, parse_plain

WHOLE: Final = 1 << 20
"""Bytes of a text that is read in one call."""

_PIECE: Final = 128 << 10
_FIRST: Final = 8 << 10
_STAND_IN: Final = b"the list that bailee reads in parts"
_OPEN: Final = frozenset(b"[{")
_CLOSE: Final = frozenset(b"]}")
_STRUCTURE: Final = re.compile(rb"[\[\]{},:]")
_MARKS: Final = b"[{,:"


@dataclass(slots=True)
class Structure:
    """What a text is made of: `values` and `depth` as in `bounds`. `cuts`: where the list that was
    looked for opens, its commas, and where it closes; empty if there is none, or more than one.
    """

    values: int = 0
    depth: int = 0
    cuts: list[int] = field(default_factory=list)


def most_values(text: bytes) -> int:
    """A number of values that `text` does not exceed: marks within strings count too."""
    return len(text) - len(text.translate(None, _MARKS))


class ReadText(NamedTuple):
    """The value of a JSON text, a number of values that it does not exceed, and whether it is known
    to be plain (`packing.parse_plain`).
    """

    value: JSON
    values: int
    plain: bool = False


def read(text: bytes, name: str | None = None) -> ReadText:
    """A JSON text's value. `name`: the list in a long text's outermost object that is read in
    parts.

    Raises:
        BeyondBound: it has more values than `bounds.VALUES`, or goes deeper than `bounds.DEPTH`.
        ValueError: it is not JSON.
    """
    if len(text) <= WHOLE:
        values = most_values(text)
        if values > bounds.VALUES:
            values = scan(text, name).values
        try:
            value, plain = parse_plain(text)
        except TooDeep as error:
            raise BeyondBound(Beyond.DEPTH) from error
        return ReadText(value, values, plain)
    found = scan(text, name)
    if name is None or not found.cuts or _STAND_IN in text:
        return ReadText(_parse(text), found.values)
    first, last = found.cuts[0], found.cuts[-1]
    whole = _parse(b'%b"%b"%b' % (text[: first + 1], _STAND_IN, text[last:]))
    if not isinstance(whole, dict) or whole.get(name) != [_STAND_IN.decode()]:
        return ReadText(_parse(text), found.values)  # another member of that name came later
    whole[name] = _entries(text, found.cuts)
    return ReadText(whole, found.values)


def drops_members(text: bytes, value: JSON) -> bool:
    """Whether a JSON text says more than its value that was read: an object in it has a key twice,
    of which a reader has the last. The text is within the bounds. Who knows that it is plain need
    not ask: members are counted, in the text and in the value, by colons where that is the same.
    """
    if b"\\u" not in text:  # so that each colon in a string stands there as one
        with contextlib.suppress(TypeError):  # what orjson can't write
            return text.count(b":") != orjson.dumps(value).count(b":")
    return _outside(text, b":") != _members(value)


def _outside(text: bytes, marks: bytes, most: int | None = None) -> int:
    """How many of some marks stand outside of strings; or a number beyond `most` where there are
    more. Of colons there is one for each member of an object.
    """
    count, at, inside = 0, 0, 0
    while at < len(text) and (most is None or count <= most):
        end = safe_end(text, at)
        plain = text[at:end].replace(b"\\\\", b"__").replace(b'\\"', b"__")
        parts = plain.split(b'"')
        outside = b"".join(parts[inside::2])
        count += len(outside) - len(outside.translate(None, marks))
        inside = (inside + len(parts) - 1) % 2
        at = end
    return count


def _members(value: JSON) -> int:
    """How many members the objects of a value have."""
    count = 0
    waiting: list[JSON] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            count += len(one)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return count


def _entries(text: bytes, cuts: list[int]) -> list[JSON]:
    """The entries between the cuts, read some at a time."""
    entries: list[JSON] = []
    start = cuts[0] + 1
    for index in range(1, len(cuts)):
        ends = index == len(cuts) - 1
        if ends or cuts[index + 1] - start > WHOLE:
            part = _parse(b"[%b]" % text[start : cuts[index]])
            assert isinstance(part, list)
            if not part and len(cuts) > 2:  # a comma with nothing behind it
                raise ValueError("not JSON")
            entries += part
            start = cuts[index] + 1
    return entries


def _parse(text: bytes) -> JSON:
    try:
        return parse(text)
    except TooDeep as error:
        raise BeyondBound(Beyond.DEPTH) from error


def scan(text: bytes, name: str | None = None) -> Structure:
    """Counts `text`, which need not be JSON, and finds the list `name` of its outermost object.

    Raises:
        BeyondBound: as `read`.
    """
    reading = _Scan(text, None if name is None else b'"%b"' % name.encode())
    # A mark costs a hundred times what it costs to count it: too many are not looked at one by one,
    # but for the first, which show what is deep as well.
    if most_values(text) > bounds.VALUES and _outside(text, _MARKS, bounds.VALUES) > bounds.VALUES:
        reading.piece(0, safe_end(text[:_FIRST], 0))
        raise BeyondBound(Beyond.VALUES)
    at = 0
    while at < len(text):
        end = safe_end(text, at)
        reading.piece(at, end)
        at = end
    found = reading.found
    if reading.lists != 1 or reading.opened:
        found.cuts = []
    return found


def safe_end(text: bytes, start: int) -> int:
    """Where a piece ends that begins at `start`: no escape is cut at either. All the backslashes
    before it count: a piece may be made of nothing else.
    """
    piece = text[start : start + _PIECE]
    backslashes = len(piece) - len(piece.rstrip(b"\\"))
    return min(len(text), start + len(piece) + backslashes % 2)


class _Scan:
    """Where a scan of one text has come to."""

    def __init__(self, text: bytes, key: bytes | None) -> None:
        self._text = text
        self._key = key
        self._inside = False  # a string
        self._depth = 0
        self.opened = False  # the list that is looked for
        self.lists = 0
        self.found = Structure()

    def piece(self, start: int, end: int) -> None:
        """The bytes from `start` to `end`, at which no escape is cut."""
        plain = self._text[start:end].replace(b"\\\\", b"__").replace(b'\\"', b"__")
        at = start
        inside = not self._inside
        for part in plain.split(b'"'):
            inside = not inside
            if not inside and part:
                self._outside(part, at)
            at += len(part) + 1
        self._inside = inside
        if self.found.values > bounds.VALUES:
            raise BeyondBound(Beyond.VALUES)

    def _outside(self, part: bytes, at: int) -> None:
        if part in (b":", b": "):
            self.found.values += 1
            return
        if len(part) > bounds.VALUES and most_values(part) > bounds.VALUES:
            raise BeyondBound(Beyond.VALUES)
        for mark in _STRUCTURE.finditer(part):
            self._mark(part[mark.start()], at + mark.start())

    def _mark(self, mark: int, at: int) -> None:
        found = self.found
        if mark in _CLOSE:
            self._depth -= 1
            if self.opened and self._depth == 1:
                self.opened = False
                found.cuts.append(at)
            return
        found.values += 1
        if mark in _OPEN:
            if self._depth == 1 and mark == 0x5B and self._is_list(at):
                self.lists += 1
                self.opened = True
                found.cuts = [at]
            self._depth += 1
            if self._depth > found.depth:
                found.depth = self._depth
                if found.depth > bounds.DEPTH:
                    raise BeyondBound(Beyond.DEPTH)
        elif mark == 0x2C and self.opened and self._depth == 2:
            found.cuts.append(at)

    def _is_list(self, at: int) -> bool:
        """Whether the list that opens at `at` is the value of the key that is looked for."""
        if self._key is None:
            return False
        before = self._text[max(0, at - 256) : at].rstrip()
        if not before.endswith(b":"):
            return False
        before = before[:-1].rstrip()
        return before.endswith(self._key) and not before[: -len(self._key)].endswith(b"\\")
