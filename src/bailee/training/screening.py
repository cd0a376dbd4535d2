"""Which of many patterns can match a text at all, told for all of them in one pass by Hyperscan.

Theory of operation: a text is written with one byte for each character, such that what a class of
Python's `re` means (a digit, a space, a letter, whatever is written like `k`) is an ASCII byte that
means the same. Of each pattern there is a *sketch*, which matches wherever the pattern does, and
elsewhere too: it has no look-around, and what may repeat so often may repeat without end. Hyperscan
looks for all sketches at once, at some hundred times the speed of `re`. A pattern whose sketch is
not found is not asked; every other is, over the whole text. So the answer is that of the patterns.

Rules kept here:

* A sketch may say too much and never too little (a test compares both over texts of chance).
* The patterns of the house alone are sketched: without look-around that has groups in it, and
  without a class that leaves out letters.
"""

from __future__ import annotations

import codecs
import re
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import hyperscan

_SKETCHED: Final = "bailee.training.sketched"
_WORD, _SIGN, _SPACE, _DIGIT = "z", "\x01", " ", "0"
_FOLDED: Final = {"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"}
"""What `re` takes for an ASCII letter where case does not matter."""
_SPACES: Final = bytes.maketrans(b"\x0b\x0c\x1c\x1d\x1e\x1f", b"      ")

_LOOK_AROUND: Final = re.compile(r"\(\?<?[=!](?:\[(?:\\.|[^\]\\])*\]|\\.|[^()\[\]\\])*\)")
_ESCAPED_OR_BOUNDARY: Final = re.compile(r"(\\b)|\\.", re.DOTALL)
_MANY_TIMES: Final = re.compile(r"\{(\d+),\d{2,}\}")
_MOST_TIMES: Final = 16


class _Characters(dict[int, str]):
    """For `str.translate`: what stands for a character."""

    def __missing__(self, code: int) -> str:
        one = chr(code)
        if code < 128:
            found = one
        elif one in _FOLDED:
            found = _FOLDED[one]
        elif one.isdecimal():
            found = _DIGIT
        elif one.isspace():
            found = _SPACE
        else:
            found = _WORD if one.isalnum() else _SIGN
        self[code] = found
        return found


_CHARACTERS: Final = _Characters()


def _stand_ins(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    return error.object[error.start : error.end].translate(_CHARACTERS), error.end


codecs.register_error(_SKETCHED, _stand_ins)


def written(text: str) -> bytes:
    """A text with one byte for each character, as sketches read it."""
    return text.encode("ascii", _SKETCHED).translate(_SPACES)


def sketch(pattern: re.Pattern[str]) -> str:
    """A pattern in Hyperscan's syntax that matches wherever this one does."""
    made = _LOOK_AROUND.sub("", pattern.pattern)
    made = _ESCAPED_OR_BOUNDARY.sub(lambda one: "" if one[1] else one[0], made)
    made = re.sub(r"\(\?P<\w+>", "(?:", made)
    made = re.sub(r"\(\?P=\w+\)", "['\"]?", made)
    made = _MANY_TIMES.sub(lambda one: f"{{{min(int(one[1]), _MOST_TIMES)},}}", made)
    return made.translate(_CHARACTERS)


class PatternScreen:
    """Patterns that are looked for together. Made once for each list of patterns, used on any
    thread, one at a time. It keeps nothing of a text.
    """

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        import hyperscan

        self._patterns = patterns
        self._lock = threading.Lock()
        self._whether = compiled(
            [(sketch(one), _flags(one) | hyperscan.HS_FLAG_SINGLEMATCH) for one in patterns]
        )
        self._where: dict[int, hyperscan.Database] = {}

    def possible(self, text: str) -> list[int]:
        """The places, in the list, of the patterns that can match somewhere in a text."""
        with self._lock:
            return sorted({one.which for one in scanned(self._whether, written(text))})

    def matches(self, place: int, text: str) -> Iterator[re.Match[str]]:
        """What `finditer` of a pattern would give, which is tried where its sketch is found, and
        nowhere else. Of use for a pattern whose sketch begins with some letters.
        """
        pattern, after = self._patterns[place], 0
        for first, last in self._spans(place, text):
            at = max(first, after)
            while at < last:
                match = pattern.match(text, at)
                at += 1
                if match is not None:
                    yield match
                    at = after = match.end()

    def _spans(self, place: int, text: str) -> list[tuple[int, int]]:
        import hyperscan

        with self._lock:
            if place not in self._where:
                flag = hyperscan.HS_FLAG_SOM_LEFTMOST
                pattern = self._patterns[place]
                self._where[place] = compiled([(sketch(pattern), _flags(pattern) | flag)])
            return joined(
                [(one.start, one.end) for one in scanned(self._where[place], written(text))]
            )


class SketchHit(NamedTuple):
    """Which sketch was found, and from where to where; `start` is 0 if that was not asked for."""

    which: int
    start: int
    end: int


def compiled(sketches: Sequence[tuple[str, int]]) -> hyperscan.Database:
    """What looks for some sketches, each with flags of Hyperscan.

    Raises:
        hyperscan.error: one of them is too large.
    """
    import hyperscan

    made = hyperscan.Database()
    made.compile(
        expressions=[one.encode() for one, _ in sketches],
        ids=list(range(len(sketches))),
        elements=len(sketches),
        flags=[int(flags) for _, flags in sketches],
    )
    return made


def scanned(scanner: hyperscan.Database, raw: bytes) -> list[SketchHit]:
    """All that is found in a text."""
    found: list[SketchHit] = []

    def note(which: int, start: int, end: int, _flags: int, _context: object) -> None:
        found.append(SketchHit(which, start, end))

    scanner.scan(raw, match_event_handler=note)
    return found


def joined(spans: Sequence[tuple[int, int]], apart: int = 0) -> list[tuple[int, int]]:
    """Spans in order, those in one that overlap or lie no further apart than this."""
    made: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if made and start - apart <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((start, end))
    return made


def _flags(pattern: re.Pattern[str]) -> int:
    import hyperscan

    flags = 0
    if pattern.flags & re.IGNORECASE:
        flags |= hyperscan.HS_FLAG_CASELESS
    if pattern.flags & re.DOTALL:
        flags |= hyperscan.HS_FLAG_DOTALL
    return flags
