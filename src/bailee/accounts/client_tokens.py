"""The tokens of clients that are signed in: how one is made, read, and what its use leads to. Pure.

An access token is `bl_<id>_<end><proof>`: the id of the key as which the client is known, when it
ends (Unix seconds, eight hexadecimal digits), and 160 bits of a keyed digest of both. So the
gateway takes it wherever it takes a key, and finds out without asking anybody. A refresh token is
`blr_<id>_<number><proof>`, likewise: the number tells the one that is good from those before it.
Neither is kept anywhere; the key of the digests is the keyring's.

Rules kept here:

* An access token lasts an hour. What clients do with one that lasts five minutes or less is ask
  for another before each request.
* A refresh token is good once. Who shows one again that has been used ends the sign-in, since two
  have it now. There is one exception: the last one, within a minute, gives again what it gave, for
  an answer that was lost on its way.
* A sign-in that was not renewed for a month is over, and each after three.

Standards: RFC 6749; RFC 9700, 4.14.2 (rotation, and what reuse means).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

LASTS: Final = timedelta(hours=1)
AGAIN: Final = timedelta(minutes=1)
IDLE: Final = timedelta(days=30)
ABSOLUTE: Final = timedelta(days=90)
_PROOF_BYTES: Final = 20
_REFRESH: Final = re.compile(r"blr_([0-9a-f]{10})_([0-9a-f]{8})([0-9a-f]{40})")

Prove = Callable[[str, str, str], bytes]
"""A keyed digest (32 bytes) of a kind and two texts: `identifiers.index`."""


class RefreshToken(NamedTuple):
    """A refresh token that is genuine: of which key, and its number."""

    key_id: str
    number: int


class RefreshUse(Enum):
    """What the use of a genuine refresh token leads to."""

    RENEW = "renew"
    AGAIN = "again"  # what it gave before
    REUSED = "reused"
    LAPSED = "lapsed"


def access_token(prove: Prove, key_id: str, end: datetime) -> str:
    """An access token of a key (`key_…`), good before `end`."""
    until = f"{int(end.timestamp()):08x}"
    return f"bl_{_name(key_id)}_{until}{_proof(prove, 'access token', key_id, until)}"


def is_good(prove: Prove, key_id: str, presented: bytes, now: datetime) -> bool:
    """Whether what was presented (in the form of a key) is an access token of this key, and good.
    Everything is compared in constant time, then the end.
    """
    until = presented[14:22].decode("ascii", "replace")
    proof = _proof(prove, "access token", key_id, until).encode()
    if not hmac.compare_digest(proof, presented[22:]):
        return False
    return now.timestamp() < int(until, 16)


def refresh_token(prove: Prove, key_id: str, number: int) -> str:
    """The refresh token of a key with this number."""
    numbered = f"{number:08x}"
    return f"blr_{_name(key_id)}_{numbered}{_proof(prove, 'refresh token', key_id, numbered)}"


def read_refresh_token(prove: Prove, presented: str) -> RefreshToken | None:
    """What a refresh token says, if it was made here."""
    found = _REFRESH.fullmatch(presented)
    if found is None:
        return None
    key_id, number, proof = f"key_{found[1]}", found[2], found[3]
    if not hmac.compare_digest(proof, _proof(prove, "refresh token", key_id, number)):
        return None
    return RefreshToken(key_id, int(number, 16))


def use_of(
    number: int, *, good: int, created: datetime, renewed: datetime, now: datetime
) -> RefreshUse:
    """What the use of refresh token `number` leads to, where `good` is the one that is good since
    `renewed`.
    """
    if number == good:
        lapsed = now - renewed > IDLE or now - created > ABSOLUTE
        return RefreshUse.LAPSED if lapsed else RefreshUse.RENEW
    since = now - renewed
    if number == good - 1 and timedelta(0) <= since <= AGAIN:
        return RefreshUse.AGAIN
    return RefreshUse.REUSED


def _name(key_id: str) -> str:
    return key_id.removeprefix("key_")


def _proof(prove: Prove, kind: str, key_id: str, said: str) -> str:
    return prove(kind, key_id, said)[:_PROOF_BYTES].hex()
