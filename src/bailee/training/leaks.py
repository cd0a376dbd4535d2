"""Secrets that betterleaks finds, which is asked about the lines alone in which it can find any.

betterleaks has some 460 rules, each with keywords: a rule is tried on a text that has one of its
keywords, and that takes milliseconds for a piece of 16 KiB. Here each rule whose keyword is there
is tried by Hyperscan first, at some hundred times the speed; then betterleaks is given the lines
around what may be a find, and empty lines for the others. It decides: entropy, lists of words, what
must stand near are its own.

Rules kept here:

* What betterleaks would find in the whole piece it is shown, with `_AROUND` characters on both
  sides, in whole lines. A rule that Hyperscan can't take, or whose find has no bounds, has the
  piece shown as a whole.
* The rules are read out of betterleaks's own library, whose text of them has a known digest. Of
  any other version nothing is known, so each piece is shown as a whole: slow, and nothing lost.
* A character is a byte, as in `screening`. In Go's expressions what is not ASCII is no letter, no
  digit and no space, and two characters are written like `k` and `s`.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import threading
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bailee.json_values import JsonObject, elements, members, text, well_formed
from bailee.training.screening import compiled, joined, scanned

if TYPE_CHECKING:
    import hyperscan
    from ahocorasick_rs import BytesAhoCorasick

_AROUND: Final = 200
_FOREIGN: Final = "bailee.training.foreign"
_BEGINNING: Final = b'title = "betterleaks config"'
_SIZE: Final = 618_989
_DIGEST: Final = "8dbbb5510e3070933bbad1a744b0a81aa8422bab7e7444e2d33259470f5a9954"
"""Of the rules of betterleaks 2.0.0 (upstream 2.0.0-rc.4): their bytes and SHA-256."""
_AS_ASCII: Final = {"\u017f": "s", "\u212a": "k"}
_TIMES: Final = re.compile(r"\{(\d+)(,?)(\d*)\}")
_MOST_TIMES: Final = 16
_MOST_TIMES_PLACED: Final = 8
_TOO_LONG: Final = 400


class Leak(NamedTuple):
    """What betterleaks found: its rule and the value."""

    rule: str
    value: str


class LeakRule(NamedTuple):
    """A rule of betterleaks: when it is tried, and what it looks for, in Go's syntax."""

    keywords: tuple[str, ...]
    pattern: str


def leaks_in(piece: str) -> Iterator[Leak]:
    """What betterleaks finds in a piece of a text; see `secret_values` for what a piece is."""
    from betterleaks import scan_string

    shown = worth_showing(piece)
    if shown:
        for finding in scan_string(well_formed(shown)):
            yield Leak(finding.rule_id, finding.match.value)


def worth_showing(piece: str) -> str:
    """What of a piece betterleaks has to see: its lines, some of them empty; "": nothing."""
    rules = _known_rules()
    return piece if rules is None else rules.narrowed(piece)


def _stand_ins(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    run = error.object[error.start : error.end]
    return "".join(_AS_ASCII.get(one, "\x01") for one in run), error.end


codecs.register_error(_FOREIGN, _stand_ins)


class KnownRules:
    """The rules of betterleaks. One for each process, used on any thread, one at a time. A rule is
    compiled when its keyword is seen first.
    """

    def __init__(self, rules: Sequence[LeakRule]) -> None:
        from ahocorasick_rs import BytesAhoCorasick

        self.rules = rules
        self._lock = threading.Lock()
        self._of: dict[str, list[int]] = {}
        for number, rule in enumerate(rules):
            for keyword in rule.keywords:
                self._of.setdefault(keyword, []).append(number)
        self._keywords = list(self._of)
        self._seen: BytesAhoCorasick = BytesAhoCorasick([one.encode() for one in self._keywords])
        self._scanners: dict[int, _Scanner] = {}

    def narrowed(self, piece: str) -> str:
        """See `worth_showing`."""
        raw = piece.encode("ascii", _FOREIGN)
        with self._lock:
            spans: list[tuple[int, int]] = []
            for number in sorted(self._tried(raw)):
                found = self._scanner(number).spans(raw)
                if found is None:
                    return piece
                spans += found
        return _lines_around(piece, spans)

    def _tried(self, raw: bytes) -> set[int]:
        """The rules whose keywords are there."""
        found = self._seen.find_matches_as_indexes(raw.lower(), overlapping=True)
        words = {which for which, *_ in found}
        return {number for word in words for number in self._of[self._keywords[word]]}

    def _scanner(self, number: int) -> _Scanner:
        if number not in self._scanners:
            self._scanners[number] = _Scanner(self.rules[number].pattern)
        return self._scanners[number]


class _Scanner:
    """Tells where one rule can match. `KnownRules` owns it, and calls it with its lock. Where it
    can is looked for when it can at all, by an automaton that takes longer to make.
    """

    def __init__(self, pattern: str) -> None:
        import hyperscan

        self._pattern = pattern
        self._whether = _compiled(pattern, _MOST_TIMES, hyperscan.HS_FLAG_SINGLEMATCH)
        self._where: hyperscan.Database | None = None

    def spans(self, raw: bytes) -> list[tuple[int, int]] | None:
        """From where to where it can match; None: anywhere."""
        import hyperscan

        if self._whether is not None and not scanned(self._whether, raw):
            return []
        if len(self._pattern) > _TOO_LONG:
            return None
        if self._where is None:
            flag = hyperscan.HS_FLAG_SOM_LEFTMOST
            self._where = _compiled(self._pattern, _MOST_TIMES_PLACED, flag)
        if self._where is None:
            return None
        return [(one.start, one.end) for one in scanned(self._where, raw)]


def _compiled(pattern: str, most: int, flag: int) -> hyperscan.Database | None:
    """A rule for Hyperscan: what repeats more than so often may do so without end. None: it is
    still too large.
    """
    import hyperscan

    def wider(found: re.Match[str]) -> str:
        least, comma, greatest = int(found[1]), found[2], int(found[3] or found[1])
        if greatest <= most and (found[3] or not comma):
            return found[0]
        return f"{{{min(least, most)},}}"

    try:
        return compiled([(_TIMES.sub(wider, pattern), flag)])
    except hyperscan.error:
        return None


def _lines_around(piece: str, spans: list[tuple[int, int]]) -> str:
    """The lines of a piece in which these spans lie, and some around them; the others empty."""
    shown: list[str] = []
    at = 0
    for start, end in joined(spans, apart=2 * _AROUND):
        first = max(at, piece.rfind("\n", 0, max(0, start - _AROUND)) + 1)
        last = piece.find("\n", min(end + _AROUND, len(piece)))
        last = len(piece) if last < 0 else last
        shown += ("\n" * piece.count("\n", at, first), piece[first:last])
        at = max(at, last)
    return "".join(shown)


@cache
def _known_rules() -> KnownRules | None:
    """The rules of the betterleaks that is installed."""
    import betterleaks

    folder = Path(betterleaks.__file__).parent
    libraries = (one for one in folder.glob("libbetterleaks.*") if one.suffix != ".h")
    found = (rules_of(one.read_bytes()) for one in libraries)
    return next((one for one in found if one is not None), None)


def rules_of(library: bytes) -> KnownRules | None:
    """The rules that lie in a library of betterleaks; None: it is another than is known."""
    start = library.find(_BEGINNING)
    written = library[max(start, 0) :][:_SIZE]
    if hashlib.sha256(written).hexdigest() != _DIGEST:
        return None
    return KnownRules([*_read(tomllib.loads(written.decode()))])


def _read(written: JsonObject) -> Iterator[LeakRule]:
    """The rules that look at content; those of a file's name find nothing in a text without one.
    Nor does one whose finds are not reported and that no other needs.
    """
    rules = [members(one) for one in elements(written.get("rules"))]
    needed = {
        text(part.get("id"))
        for rule in rules
        for part in map(members, elements(rule.get("components")))
        if not part.get("optional")
    }
    for rule in rules:
        unused = rule.get("skipReport") and text(rule.get("id")) not in needed
        if "regex" in rule and "path" not in rule and not unused:
            keywords = tuple(text(word).lower() for word in elements(rule.get("keywords")))
            yield LeakRule(keywords, text(rule["regex"]))
