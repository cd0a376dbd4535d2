"""Whether a write-ahead log of SQLite's lost what came after a damaged place in it. Pure.

SQLite reads a log up to the first frame whose checksum is wrong, and forgets the rest without a
word: that is how it drops what a crash cut short. A crash can only do so to the last transaction,
since each is synced before the next one begins. So a frame of this log (its salts say so) that
comes after a whole transaction behind the wrong one is there because something was damaged.

Follows https://sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_HEADER: Final = 32
_FRAME: Final = 24
_BIG: Final = 0x377F0683
_LITTLE: Final = 0x377F0682
_WORD: Final = 0xFFFFFFFF


def lost_more_than_a_crash_can(log: bytes) -> bool:
    """Whether transactions that were durable are behind a damaged place of `log`, a `-wal` file."""
    if len(log) < _HEADER + _FRAME:
        return False
    magic, _, page, _, *salts = struct.unpack(">6I", log[:24])
    order = {_BIG: ">", _LITTLE: "<"}.get(magic)
    so_far = (0, 0) if order is None else _sum(log[:24], (0, 0), order)
    if order is None or so_far != struct.unpack(">2I", log[24:32]):
        return any(log[_HEADER:])
    waiting = False  # for the end of the transaction in which the wrong frame is
    wrong = False
    for at in _frames(len(log), page):
        frame = log[at : at + _FRAME + page]
        commits, ours = frame[4:8] != bytes(4), list(struct.unpack(">2I", frame[8:16])) == salts
        if not wrong:
            so_far = _sum(frame[_FRAME:], _sum(frame[:8], so_far, order), order)
            if ours and so_far == struct.unpack(">2I", frame[16:24]):
                continue
            wrong = waiting = True
        elif ours and not waiting:
            return True
        if ours and commits:
            waiting = False
    return False


def _frames(length: int, page: int) -> Iterator[int]:
    size = _FRAME + page
    return iter(range(_HEADER, length - size + 1, size))


def _sum(content: bytes, start: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = start
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & _WORD
        two = (two + odd + one) & _WORD
    return one, two
