"""Where in a session a message was said before, as the index has it: with a check of it.

What goes on with a session refers to such a place, and is put together from what lies there. A
place that is not what was written would put somebody's words together with others. So each has a
check, which is keyed by the session's own key and goes with it: of its digest, its exchange and its
position. The row of an exchange has all places that its session has had from it on, one after the
other:

    digest 16 bytes | check u32 | position u32

big-endian, the check never 0. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from bailee.vault.known import Place

_DIGEST: Final = 16
_NUMBER: Final = 4
_PLACE: Final = _DIGEST + 2 * _NUMBER
_CHECKS: Final = (1 << 31) - 1


class ToldPlaces(NamedTuple):
    """What an exchange's row tells: the places that are what was written. `whole`: all of them are;
    `right`: the row without the others.
    """

    places: dict[bytes, Place]
    whole: bool
    right: bytes


def stored(key: bytes, learned: Mapping[bytes, Place]) -> bytes | None:
    """Places, all of one exchange's, as its row has them; None: there are none. `key`: the
    session's for digests.
    """
    parts = [
        digest + _check(key, digest, place) + place[1].to_bytes(_NUMBER)
        for digest, place in learned.items()
    ]
    return b"".join(parts) or None


def told(key: bytes, exchange: int, row: object) -> ToldPlaces:
    """What the row of an exchange tells. It may be anything."""
    if row is None:
        return ToldPlaces({}, whole=True, right=b"")
    found: dict[bytes, Place] = {}
    right = []
    whole = isinstance(row, bytes)
    for at in range(0, len(row) if isinstance(row, bytes) else 0, _PLACE):
        one = row[at : at + _PLACE]  # type: ignore[index]
        digest, check = one[:_DIGEST], one[_DIGEST:-_NUMBER]
        place = (exchange, int.from_bytes(one[-_NUMBER:]))
        if len(one) == _PLACE and check == _check(key, digest, place):
            found[digest] = place
            right.append(one)
        else:
            whole = False
    return ToldPlaces(found, whole, b"".join(right))


def _check(key: bytes, digest: bytes, place: Place) -> bytes:
    of = digest + f"/{place[0]}/{place[1]}".encode()
    made = hashlib.blake2b(of, digest_size=_NUMBER, key=key, person=b"place").digest()
    return max(1, int.from_bytes(made) & _CHECKS).to_bytes(_NUMBER)
