"""The words of a text, as they are looked for. Pure.

A text and what is asked for go through the same reading, so that they meet:

* letters by NFKC and case-folded (Unicode Standard Annex 15; Core Specification, section 3.13);
* of Chinese, Japanese and Korean, which put no spaces, each character and each two that stand
  together;
* of a name in a program (`getUserName`, `max_retries`) the whole and its parts. Asked for is what
  it is made of, so that each way to write it finds the others.

Rules kept here:

* What it costs is linear in what is read, and that is bounded: of a word its first 64 characters,
  of a text as many characters, and of words as many, as the caller says.
* Nothing of what is asked for is a pattern: no character means anything but itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize

LONGEST: Final = 64
"""Characters of a word that count."""
_PIECE: Final = 256  # characters that are normalised at once: marks in a row cost their square
_WITHOUT_SPACES: Final = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(rf"[{_WITHOUT_SPACES}]+|[^\W{_WITHOUT_SPACES}]+")
_SPACELESS: Final = re.compile(rf"[{_WITHOUT_SPACES}]")
_PIECES: Final = re.compile(rf"\S{{1,{_PIECE}}}")
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+")


@dataclass(frozen=True, slots=True)
class FoundWords:
    """Words of texts; `whole`: these are all there are."""

    words: frozenset[str]
    whole: bool


def words_of(texts: Iterable[str], *, most_text: int, most_words: int) -> FoundWords:
    """The words of texts, of the first first, within so many characters and words."""
    found: set[str] = set()
    left = most_text
    for text in texts:
        if left <= 0 or len(found) >= most_words:
            return FoundWords(frozenset(found), whole=False)
        read = text[:left]
        for run in dict.fromkeys(_runs(read)):
            found.update(_forms(run))
            if len(found) >= most_words:
                return FoundWords(frozenset(sorted(found)[:most_words]), whole=False)
        if len(read) < len(text):
            return FoundWords(frozenset(found), whole=False)
        left -= len(read)
    return FoundWords(frozenset(found), whole=True)


def asked_words(asked: str) -> tuple[str, ...]:
    """What has to be among a text's words for it to have what is asked for, each once. None: there
    is no word of two letters in it.
    """
    found: dict[str, None] = {}
    for run in _runs(asked):
        if _SPACELESS.match(run):
            pairs = [run[at : at + 2] for at in range(len(run) - 1)] or [run]
            found |= dict.fromkeys(pair.casefold() for pair in pairs)
            continue
        parts = [one.casefold() for one in _parts(run[:LONGEST])]
        found |= dict.fromkeys(one for one in parts if len(one) > 1)
        if not any(len(one) > 1 for one in parts) and len(run) > 1:
            found[run[:LONGEST].casefold()] = None
    return tuple(found)


def places(text: str, wanted: Iterable[str]) -> Iterator[int]:
    """Where in a text words stand, by their beginning, as far as they are written as they are asked
    for, but for case.
    """
    folded = text.lower()
    if len(folded) != len(text):  # a letter whose small form is longer: places would be shifted
        folded = text
    for one in wanted:
        at = folded.find(one)
        if at >= 0:
            yield at


def _runs(text: str) -> list[str]:
    if not text.isascii():
        text = " ".join(normalize("NFKC", piece) for piece in _PIECES.findall(text))
    found: list[str] = _RUN.findall(text)
    return found


def _parts(run: str) -> list[str]:
    return _PART.findall(run) if run.isascii() else [one for one in run.split("_") if one]


def _forms(run: str) -> Iterator[str]:
    """What a run of letters is found by."""
    if _SPACELESS.match(run):
        yield from run
        yield from (run[at : at + 2] for at in range(len(run) - 1))
        return
    run = run[:LONGEST]
    whole = run.casefold()
    if len(whole) > 1:
        yield whole
    if run != whole or not run.isalpha():
        yield from (one for part in _parts(run) if len(one := part.casefold()) > 1)
