"""Personal data in a text, by its form: addresses, numbers, names in paths. Pure.

What has a check digit is checked (IBAN, cards). Addresses of the network that are nobody's
(private, loopback, documentation) are left. Names of people have no form: see `naming`.

Every pattern takes time in proportion to the text: what may repeat has a bound.

Standards: RFC 5322 (addresses, in part), E.164, ISO 13616, ISO/IEC 7812.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from bailee.outbound.addresses import why_not_public
from bailee.training.screening import PatternScreen

EMAIL: Final = "EMAIL"
PHONE: Final = "PHONE"
IBAN: Final = "IBAN"
CARD: Final = "CARD"
IP: Final = "IP"
USER: Final = "USER"

_LOCAL: Final = re.compile(r"[\w.+-]{1,64}\Z")
_DOMAIN: Final = re.compile(r"@(?:[\w-]{1,63}\.){1,6}[^\W\d_]{2,24}(?![\w-])")
_NOT_PEOPLE: Final = frozenset({"git", "hg", "noreply", "no-reply", "root"})
_PHONES: Final = (
    re.compile(r"(?<![\w+.,/=-])\+[1-9](?:[ ().-]{0,2}\d){7,14}(?![\w])"),
    re.compile(r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])"),
    re.compile(r"(?<![\w.+-])1[3-9]\d{9}(?![\w.-])"),
    re.compile(
        r"(?i)(?:\b(?:tel|phone)|电话|手机|\b(?:mobile|mobil|telefon|fax|cell))[^\d\n+]{0,8}"
        r"(?P<s>\+?\(?\d(?:[ ()/.-]{0,2}\d){6,14})(?!\w)"
    ),
)
_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"
)
_CARD: Final = re.compile(r"(?<![\w.-])[2-6]\d(?:[ -]?\d){11,17}(?![\w-])")
_BRANDS: Final = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6(?:011|4|5|2)|35")
_IPV4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w])(?!\.\d)")
_IPV6: Final = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:{1,2}){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_PATH: Final = re.compile(
    r"(?:/home/|/Users/|[A-Za-z]:\\{1,4}Users\\{1,4})(?P<s>[^/\\\s\"'<>:;,)\]]{2,64})"
)
_NOBODY: Final = frozenset(
    {
        *(
            "user",
            "users",
            "username",
            "root",
            "ubuntu",
            "runner",
            "vscode",
            "node",
            "app",
            "admin",
        ),
        *("Shared", "Public", "git", "work", "you", "me", "name", "..", "agent", "code", "dev"),
    }
)


class PersonalValue(NamedTuple):
    """A value and its kind. `before`: it is masked only where this stands before it."""

    kind: str
    value: str
    before: str = ""


_PATTERNS: Final = (_DOMAIN, _PATH, _IBAN, _CARD, _IPV4, _IPV6, *_PHONES)


def personal_in(text: str) -> Iterator[PersonalValue]:
    """What is personal in a text, the same value perhaps more than once."""
    possible = {_PATTERNS[place]: place for place in _screen().possible(text)}
    if _DOMAIN in possible:
        yield from _emails(text)
    if _PATH in possible:
        yield from _users(text)
    if possible:
        yield from _numbers(text, possible)


@cache
def _screen() -> PatternScreen:
    return PatternScreen(_PATTERNS)


def _users(text: str) -> Iterator[PersonalValue]:
    for match in _PATH.finditer(text):
        if match["s"] not in _NOBODY and not match["s"].startswith(("$", "{", "[", "*")):
            yield PersonalValue(USER, match["s"], match[0][: -len(match["s"])])


def _emails(text: str) -> Iterator[PersonalValue]:
    for match in _DOMAIN.finditer(text):
        local = _LOCAL.search(text[max(0, match.start() - 64) : match.start()])
        if local is not None and local[0] not in _NOT_PEOPLE:
            yield PersonalValue(EMAIL, local[0].lstrip(".-+") + match[0])


def _numbers(text: str, possible: Mapping[re.Pattern[str], int]) -> Iterator[PersonalValue]:
    from stdnum import iban, luhn

    def found(pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        if pattern not in possible:
            return iter(())
        if pattern is _CARD:  # to place it takes Hyperscan a second to prepare
            return pattern.finditer(text)
        return _screen().matches(possible[pattern], text)

    for match in found(_IBAN):
        # What follows may look as if it belonged to it.
        for end in range(len(match[0]), 14, -1):
            if iban.is_valid(match[0][:end].rstrip()):
                yield PersonalValue(IBAN, match[0][:end].rstrip())
                break
    for match in found(_CARD):
        digits = re.sub(r"\D", "", match[0])
        if _BRANDS.match(digits) and luhn.is_valid(digits):
            yield PersonalValue(CARD, match[0])
    for match in (*found(_IPV4), *found(_IPV6)):
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        if why_not_public(address) is None:
            yield PersonalValue(IP, match[0])
    for pattern in _PHONES:
        for match in found(pattern):
            yield PersonalValue(PHONE, match["s"] if "s" in pattern.groupindex else match[0])
