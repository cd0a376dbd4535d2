"""Where in a session a message was said before, as the index has it: with a check of it.

What goes on with a session refers to such a place, and is put together from what lies there. A
place that is not what was written would put somebody's words together with others. So its position
is stored with 31 bits above it, which are keyed by the session's own key and go with it: of its
digest, its exchange and its position. Pure.
"""

from __future__ import annotations

import hashlib
from typing import Final

from bailee.vault.known import Place

_POSITIONS: Final = 1 << 32
_CHECKS: Final = (1 << 31) - 1


def stored(key: bytes, digest: bytes, place: Place) -> int:
    """A place's position, with the check above it. `key`: the session's for digests."""
    return _check(key, digest, place) * _POSITIONS + place[1]


def told(key: bytes, digest: bytes, exchange: object, position: object) -> Place | None:
    """The place that a row tells; None: it is not what was written."""
    if not isinstance(exchange, int) or not isinstance(position, int) or position < 0:
        return None
    check, plain = divmod(position, _POSITIONS)
    place = (exchange, plain)
    return place if check == _check(key, digest, place) else None


def _check(key: bytes, digest: bytes, place: Place) -> int:
    of = digest + f"/{place[0]}/{place[1]}".encode()
    made = hashlib.blake2b(of, digest_size=4, key=key, person=b"place").digest()
    return max(1, int.from_bytes(made) & _CHECKS)
