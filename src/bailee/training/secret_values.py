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
from collections.abc import Iterator
from typing import Final, NamedTuple

from bailee.client.scrubbing import by_own_patterns

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
    for match in _BROKEN.finditer(text):
        yield SecretValue("broken over lines", match[0])
    for match in _ACCESS_KEY.finditer(text):
        yield SecretValue("AWS access key", match[0])
    for kind, value in by_own_patterns(text):
        yield SecretValue(kind, value)
    yield from by_betterleaks(text)


def by_betterleaks(text: str) -> Iterator[SecretValue]:
    """What betterleaks finds."""
    from betterleaks import scan_string

    for piece in _pieces(text):
        for finding in scan_string(piece):
            yield SecretValue(f"betterleaks {finding.rule_id}", finding.match.value)


def _pieces(text: str) -> Iterator[str]:
    """The lines of a text, each once, in pieces that overlap where a line is longer than one."""
    lines = dict.fromkeys(text.replace("\0", "\n").splitlines())
    held: list[str] = []
    size = 0
    for line in lines:
        if size + len(line) > _PIECE and held:
            yield "\n".join(held)
            held, size = held[-2:], sum(map(len, held[-2:]))
            if size > _OVERLAP:
                held, size = [], 0
        if len(line) > _PIECE:
            for start in range(0, len(line), _PIECE):
                yield line[start : start + _PIECE + _OVERLAP]
        else:
            held.append(line)
            size += len(line) + 1
    if held:
        yield "\n".join(held)
