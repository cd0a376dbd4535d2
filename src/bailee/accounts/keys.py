"""API keys: how one is made, read and compared. Pure: the random bytes are an argument.

A key is `bl_<id>_<secret>`: ten hexadecimal digits that name it and forty-eight that prove it
(192 bits). What is stored is the SHA-256 of the whole: with that much chance in it, a slow hash
would protect nothing more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

RANDOM_BYTES = 5 + 24
_LENGTH = len("bl_") + 10 + 1 + 48


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: its id, the key itself (shown once), and the digest to store."""

    key_id: str
    key: str
    digest: bytes


def mint(random: bytes) -> NewKey:
    """Make a key out of `RANDOM_BYTES` random bytes."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes make a key, not {len(random)}")
    name, secret = random[:5].hex(), random[5:].hex()
    key = f"bl_{name}_{secret}"
    return NewKey(f"key_{name}", key, digest(key.encode()))


def key_id(presented: bytes) -> str | None:
    """The id that a presented key names, or None when it has not the form of a key."""
    if len(presented) != _LENGTH or presented[:3] != b"bl_" or presented[13:14] != b"_":
        return None
    return "key_" + presented[3:13].decode("ascii", "replace")


def digest(presented: bytes) -> bytes:
    """What is stored of a key, and compared in constant time."""
    return hashlib.sha256(presented).digest()
