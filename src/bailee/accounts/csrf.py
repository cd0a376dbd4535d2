"""Tokens that show that a form came from a page of ours. Pure: the random bytes are an argument.

A token is a nonce and an HMAC of it, keyed with the visitor's cookie: a page elsewhere can send the
cookie along but can't read it, and so can't make a token. Each page has its own nonce, so that a
compressed page does not give a token away piece by piece (BREACH). Before signing in, any random
cookie does.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

NONCE_BYTES: Final = 16
_PURPOSE: Final = b"bailee/csrf/1\x00"


def token(cookie: str, nonce: bytes) -> str:
    """A token for the visitor with this cookie, out of `NONCE_BYTES` random bytes."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"{NONCE_BYTES} random bytes make a token, not {len(nonce)}")
    return nonce.hex() + _mark(cookie, nonce)


def is_good(cookie: str | None, presented: str | None) -> bool:
    """Whether the token was made for the visitor with this cookie."""
    if not cookie or not presented or len(presented) != 2 * NONCE_BYTES + 64:
        return False
    try:
        nonce = bytes.fromhex(presented[: 2 * NONCE_BYTES])
    except ValueError:
        return False
    given = presented[2 * NONCE_BYTES :].encode("utf-8", "surrogatepass")
    return hmac.compare_digest(_mark(cookie, nonce).encode(), given)


def _mark(cookie: str, nonce: bytes) -> str:
    key = hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).digest()
    return hmac.new(key, _PURPOSE + nonce, "sha256").hexdigest()
