"""Secrets in a text: what our own patterns and betterleaks find, together.

Rules kept here:

* Both look at every text, and what one of them finds is a secret.
* betterleaks is a library in Go: it reads a text up to its first NUL, and its time grows with the
  square of what it finds. So it is given pieces of bounded size, without NUL and each line once;
  where a text holds more than `MOST` secrets, nobody goes on: by `TooManySecrets` the text goes as
  a whole.
* A secret that is broken over lines is found when its beginning is one of `_BEGINNINGS`.
* betterleaks can ask vendors whether a key is valid; here it asks nobody (a test holds that).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import Final, NamedTuple

from bailee.client.scrubbing import OWN
from bailee.training.leaks import leaks_in
from bailee.training.screening import PatternScreen

MOST: Final = 1_000
_SHORTEST: Final = 6
_PIECE: Final = 16 << 10
_OVERLAP: Final = 512
_BEGINNINGS: Final = (
    r"sk-ant-|sk-proj-|sk-svcacct-|gh[pousr]_|github_pat_|glpat-|xox[a-z]-|[rs]k_live_|hf_|npm_|bl_"
    r"|AIza|ya29\.|AKIA|ASIA|eyJ"
)
_BROKEN: Final = re.compile(
    rf"(?<![A-Za-z0-9])(?:{_BEGINNINGS})[A-Za-z0-9_+/=.-]{{0,400}}"
    r"(?:[ \t]{0,8}\\?\r?\n[ \t|>]{0,40}(?=[A-Za-z_+/=-]{0,200}[0-9])[A-Za-z0-9_+/=-]{6,400}"
    r"(?=[\s\"'\\]|$)){1,40}"
)


_ACCESS_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"
)
_PATTERNS: Final = (("broken over lines", _BROKEN), ("AWS access key", _ACCESS_KEY), *OWN)


class SecretValue(NamedTuple):
    """A value that looks like a secret, and the rule that says so."""

    rule: str
    value: str


class TooManySecrets(Exception):
    """A text holds more secrets than anybody has use for."""


def secrets_in(text: str) -> Iterator[SecretValue]:
    """The secrets in a text, the same value perhaps more than once.

    Raises:
        TooManySecrets: there are more than `MOST`.
    """
    seen: set[str] = set()
    for secret in _all(text):
        value = secret.value.strip()
        if len(value) < _SHORTEST or value in seen:
            continue
        if len(seen) == MOST:
            raise TooManySecrets
        seen.add(value)
        yield SecretValue(secret.rule, value)


def _all(text: str) -> Iterator[SecretValue]:
    screen = _screen()
    for place in screen.possible(text):
        rule, pattern = _PATTERNS[place]
        for match in screen.matches(place, text):
            value = match["s"] if "s" in pattern.groupindex else match[0]
            if value:
                yield SecretValue(rule, value)
    yield from by_betterleaks(text)


@cache
def _screen() -> PatternScreen:
    return PatternScreen([pattern for _, pattern in _PATTERNS])


def by_betterleaks(text: str) -> Iterator[SecretValue]:
    """What betterleaks finds."""
    for piece in _pieces(text):
        for leak in leaks_in(piece):
            yield SecretValue(f"betterleaks {leak.rule}", leak.value)


def _pieces(text: str) -> Iterator[str]:
    """The lines of a text, each once, in pieces that overlap where a line is longer than one."""
    lines = [*dict.fromkeys(text.replace("\0", "\n").splitlines())]
    if len(text) <= _PIECE:
        yield "\n".join(lines)
        return
    sizes = [*map(len, lines)]
    first = 0  # line of the piece that is being put together
    for place in [number for number, size in enumerate(sizes) if size > _PIECE]:
        yield from _of_lines(lines[first:place], sizes[first:place])
        line, first = lines[place], place + 1
        for start in range(0, len(line), _PIECE):
            yield line[start : start + _PIECE + _OVERLAP]
    yield from _of_lines(lines[first:], sizes[first:])


def _of_lines(lines: list[str], sizes: list[int]) -> Iterator[str]:
    """Lines, none longer than a piece, in pieces; the last two of one begin the next, if they are
    short.
    """
    ends = [0, *accumulate(sizes)]
    first = last = 0
    while last < len(lines):
        last = max(last + 1, bisect_right(ends, ends[first] + _PIECE) - 1)
        yield "\n".join(lines[first:last])
        carried = max(0, last - 2)
        first = last if ends[last] - ends[carried] > _OVERLAP else carried
