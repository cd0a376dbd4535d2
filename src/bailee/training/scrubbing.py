"""A row without secrets and personal data: found in every text of it, masked in every place.

Rules kept here:

* Blocks are looked at and masked; `messages` and `tools` are made of them anew. So both forms of a
  row say the same, and JSON text stays JSON.
* The same value has the same mask within a row (`[EMAIL_1]`), and no mask says anything of another
  row. Which values there were is nowhere afterwards: counts are by rule.
* After masking, a text is read once more as decoders read it. Where a value is still there, the
  words around it go; where that does not help, the whole text.
* Names of blocks' own members are no content. In a tool's arguments every name and number is.

Not found: a value that is broken up by a program, or split over two blocks; the second half of a
secret whose beginning is in another line and of no known form; what `encodings` does not know.

Rows: T7.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from bailee.json_values import Json, JsonObject, elements, members
from bailee.training.dataset import MaskCount, Row
from bailee.training.encodings import readings, spellings
from bailee.training.finding import SECRET, Finder, ToMask, TooManySecrets, as_masks
from bailee.training.pieces import FREE, as_json
from bailee.training.rows import as_messages, declared_tools

WHOLE_TEXT: Final = "[TEXT_WITH_SECRETS]"
_TOO_MANY: Final = "more than 1,000 secrets in a text"
_GIVEN_RULE: Final = "password or key"
_STILL_THERE: Final = "whole text, encoded"
_ENCODED_WORD: Final = re.compile(r"[^\s]*[%\\][^\s]*")
_KIND_OF_BLOCK: Final = re.compile(r"[a-z_]{1,60}(?:_\d{8})?\Z")
_SENSITIVE: Final = re.compile(
    r"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|authorization|credential)s?\Z"
)
_MEMBER: Final = re.compile(r"[A-Za-z_]{1,40}\Z")
_LONG_NUMBER: Final = 8
_MOST_IN_A_TABLE: Final = 64 << 10  # characters


class _Mask(NamedTuple):
    """What stands for a value: what stood before it, and the mask."""

    before: str
    mask: str
    rule: str


Replacing: TypeAlias = Callable[[str, Counter[str]], str]
"""Masks a text, and counts by rule."""


def masked(row: Row, finder: Finder | None = None) -> tuple[Row, Counter[str]]:
    """The row with masks, and how many places each rule has masked."""
    blocks = members(json.loads(row.blocks))
    masks = _Masks()
    whole: set[str] = set()
    finder = Finder() if finder is None else finder
    for text in dict.fromkeys(_texts(blocks)):
        try:
            for one in finder.find(text):
                masks.add(one)
        except TooManySecrets:
            whole.add(text)
    for value in dict.fromkeys(_given(blocks)):
        for one in as_masks(_GIVEN_RULE, value):
            masks.add(one)
    clean, counts = _cleaned(blocks, masks, whole)
    made = replace(
        row,
        messages=as_messages(clean.get("system"), elements(clean.get("messages"))),
        tools=declared_tools(clean.get("tools")),
        blocks=as_json(clean),
        masked=tuple(MaskCount(rule, counts[rule]) for rule in sorted(counts)),
    )
    return made, counts


class _Masks:
    """Which value has which mask, while a row is looked at."""

    def __init__(self) -> None:
        self._masks: dict[tuple[str, str], str] = {}
        self._numbers: Counter[str] = Counter()
        self._anywhere: dict[str, _Mask] = {}
        self._alone: dict[str, _Mask] = {}

    def add(self, one: ToMask) -> None:
        """A value to be masked; of the same text, what came first holds."""
        mask = self.mask(one)
        held = self._alone if one.alone else self._anywhere
        for spelled in spellings(one.before + one.value):
            start = next((each for each in spellings(one.before) if spelled.startswith(each)), "")
            held.setdefault(spelled, _Mask(start, mask, one.rule))

    def mask(self, one: ToMask) -> str:
        """The mask of a value."""
        key = one.kind, _same(one)
        if key not in self._masks:
            self._numbers[one.kind] += 1
            self._masks[key] = f"[{one.kind}_{self._numbers[one.kind]}]"
        return self._masks[key]

    def replacing(self) -> Replacing:
        """A function that masks a text, and counts by rule."""
        anywhere = _replacing(self._anywhere, alone=False)
        alone = _replacing(self._alone, alone=True)
        return lambda text, counts: alone(anywhere(text, counts), counts)


def _replacing(masks: dict[str, _Mask], *, alone: bool) -> Replacing:
    if not masks:
        return lambda text, _counts: text
    from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

    # What it makes of few values by itself is a table of a row for each character: of a megabyte
    # of base64 in all its spellings, gigabytes.
    large = sum(map(len, masks)) > _MOST_IN_A_TABLE
    how = Implementation.NoncontiguousNFA if large else None
    automaton = AhoCorasick(list(masks), MatchKind.LeftmostLongest, implementation=how)
    values = list(masks.values())

    def replaced(text: str, counts: Counter[str]) -> str:
        made: list[str] = []
        last = 0
        for which, start, end in automaton.find_matches_as_indexes(text):
            if alone and not _stands_alone(text, start, end):
                continue
            made += (text[last:start], values[which].before, values[which].mask)
            counts[values[which].rule] += 1
            last = end
        return "".join([*made, text[last:]]) if made else text

    return replaced


def _same(one: ToMask) -> str:
    """What is the same for two spellings of one value."""
    if one.kind == "EMAIL":
        return one.value.lower()
    if one.kind in ("PHONE", "CARD", "IBAN"):
        return re.sub(r"[^0-9A-Za-z]", "", one.value)
    return one.value


def _stands_alone(text: str, start: int, end: int) -> bool:
    first, last = text[start], text[end - 1]
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (first.isalnum() and before.isalnum()) and not (last.isalnum() and after.isalnum())


def _texts(value: Json, *, free: bool = False) -> Iterator[str]:
    """Every text of a JSON value that may hold something, names and long numbers among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, free=free)
    elif isinstance(value, dict):
        for name, one in value.items():
            if free or not _MEMBER.match(name):
                yield name
            yield from _texts(one, free=free or name in FREE)
    elif number := _long_number(value):
        yield number


def _long_number(value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        written = str(value)[:100] if value < 10**100 else ""
        return written if len(written) >= _LONG_NUMBER else ""
    return ""


def _given(value: Json, *, free: bool = False) -> Iterator[str]:
    """The values of members whose name says that they are secret."""
    if isinstance(value, list):
        for one in value:
            yield from _given(one, free=free)
    elif isinstance(value, dict):
        for name, one in value.items():
            if free and isinstance(one, str) and _is_given(name, one):
                yield one
            else:
                yield from _given(one, free=free or name in FREE)


def _is_given(name: str, value: str) -> bool:
    """Whether a member is named as a secret, and its value not a mask or a variable."""
    named = len(value) >= 6 and _SENSITIVE.search(name) is not None
    return named and not value.startswith(("$", "[", "<", "{"))


def _cleaned(blocks: JsonObject, masks: _Masks, whole: set[str]) -> tuple[JsonObject, Counter[str]]:
    counts: Counter[str] = Counter()
    replacing = masks.replacing()

    def clean(text: str) -> str:
        if text in whole:
            counts[_TOO_MANY] += 1
            return WHOLE_TEXT
        made = replacing(text, counts)
        return _without_rest(made, replacing, counts)

    def named(name: str, free: bool) -> str:
        return clean(name) if free or not _MEMBER.match(name) else name

    def within(value: Json, free: bool, name: str = "") -> Json:
        if isinstance(value, str):
            kept = not free and name in ("type", "role") and _KIND_OF_BLOCK.match(value)
            if free and _is_given(name, value):
                counts[_GIVEN_RULE] += 1
                return masks.mask(ToMask(SECRET, _GIVEN_RULE, value))
            return value if kept else clean(value)
        if isinstance(value, list):
            return [within(one, free) for one in value]
        if isinstance(value, dict):
            return {
                clean(inner) if free or not _MEMBER.match(inner) else inner: within(
                    one, free or inner in FREE, inner
                )
                for inner, one in value.items()
            }
        number = _long_number(value)
        if number and (made := clean(number)) != number:
            return made
        return value

    return members(within(blocks, False)), counts


def _without_rest(text: str, replacing: Replacing, counts: Counter[str]) -> str:
    """A masked text without what its decoder would still read of the same values."""
    if not _left(text, replacing):
        return text

    def word(match: re.Match[str]) -> str:
        if not _left(match[0], replacing):
            return match[0]
        counts[_STILL_THERE] += 1
        return WHOLE_TEXT

    made = _ENCODED_WORD.sub(word, text)
    if not _left(made, replacing):
        return made
    counts[_STILL_THERE] += 1
    return WHOLE_TEXT


def _left(text: str, replacing: Replacing) -> bool:
    return any(replacing(reading, Counter()) != reading for reading in readings(text))
