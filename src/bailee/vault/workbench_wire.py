"""What goes between the sealer and a workbench in a process of its own. Pure.

A message is

    header length u32 | pieces' count u32 | each piece's length u64 | header | pieces

big-endian; the header is packed JSON, the pieces are bytes: bodies, keys, digests, what was packed.
Both ends are of one version of bailee, and nothing of it is ever stored.

Rules kept here: what comes from the process is data and never code, and its lengths are checked
before anything is taken: the process reads what strangers sent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from bailee.api import Api
from bailee.vault.conversations import Links
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from bailee.vault.known import Place
from bailee.vault.packing import JSON, pack
from bailee.vault.workbench import Apart, How, Missing, Packed, PackingOrder, Places

START: Final = struct.Struct(">II")
_LENGTH: Final = 8
_DIGEST: Final = 16
_OF_ONE: Final = 4  # pieces of what is told of an exchange
_MOST_PIECES: Final = 1 << 16
_MOST_BYTES: Final = 1 << 30
_LONGEST: Final = 86_400.0  # seconds that taking one apart may be said to have taken


class Misformed(ValueError):
    """Not a message of this version."""


def message(header: JSON, pieces: Sequence[bytes] = ()) -> list[bytes]:
    """A message, in parts that are sent one after the other."""
    packed = pack(header)
    lengths = b"".join(len(piece).to_bytes(_LENGTH, "big") for piece in pieces)
    return [START.pack(len(packed), len(pieces)) + lengths + packed, *pieces]


def lengths_of(start: bytes) -> tuple[int, int]:
    """After `START`: bytes of the header, and of what says how long the pieces are.

    Raises:
        Misformed: they are too many.
    """
    header, count = START.unpack(start)
    if header > _MOST_BYTES or count > _MOST_PIECES:
        raise Misformed
    return header, count * _LENGTH


def pieces_of(lengths: bytes) -> list[int]:
    """The pieces' lengths.

    Raises:
        Misformed: they are too long.
    """
    found = [
        int.from_bytes(lengths[at : at + _LENGTH], "big") for at in range(0, len(lengths), _LENGTH)
    ]
    if sum(found) > _MOST_BYTES:
        raise Misformed
    return found


# -- what is asked --------------------------------------------------------------------------------


def take_apart(exchanges: Iterable[CapturedExchange], how: How) -> list[bytes]:
    """The question of `Bench.take_apart`."""
    told: list[JSON] = []
    bodies: list[bytes] = []
    for one in exchanges:
        told.append(
            [
                *(one.exchange_id, one.owner, one.key_id, one.plan, one.channel, None),
                *(one.started_at, one.ended_at, str(one.outcome), one.method, one.target),
                one.status,
                [list(pair) for pair in one.request_headers],
                [list(pair) for pair in one.answer_headers],
                *(None, None, one.consent, str(one.api)),
            ]
        )
        bodies += (one.request, one.answer)
    return message({"how": str(how), "exchanges": told}, bodies)


def exchanges_in(header: Any, pieces: Sequence[bytes]) -> tuple[list[CapturedExchange], How]:
    """What `take_apart` was asked. The terms are not there: nobody needs them to take it apart."""
    found: list[CapturedExchange] = []
    for number, told in enumerate(header["exchanges"]):
        one = CapturedExchange(*told)
        found.append(
            one._replace(
                terms=Terms("P0D", "", ""),
                outcome=Outcome(one.outcome),
                request_headers=tuple((name, value) for name, value in one.request_headers),
                answer_headers=tuple((name, value) for name, value in one.answer_headers),
                request=pieces[2 * number],
                answer=pieces[2 * number + 1],
                api=Api(one.api),
            )
        )
    return found, How(header["how"])


def packing(
    asks: Sequence[PackingOrder], places: Places | None, gone: Iterable[str]
) -> list[bytes]:
    """The question of `Bench.pack`, and the sessions that are to be forgotten."""
    told: list[JSON] = [[ask.place, ask.session, ask.number, ask.new] for ask in asks]
    pieces = [ask.key for ask in asks]
    known: list[JSON] | None = None
    if places is not None:
        known = []
        for session, found in places.items():
            known.append([session, _places(found)])
            pieces.append(b"".join(found))
    return message({"asks": told, "places": known, "gone": list(gone)}, pieces)


def asks_in(
    header: Any, pieces: Sequence[bytes]
) -> tuple[list[PackingOrder], dict[str, dict[bytes, Place]] | None, list[str]]:
    """What `pack` was asked."""
    asks = [
        PackingOrder(place, session, number, pieces[index], new)
        for index, (place, session, number, new) in enumerate(header["asks"])
    ]
    places: dict[str, dict[bytes, Place]] | None = None
    if header["places"] is not None:
        places = {
            session: _placed(pieces[len(asks) + index], found)
            for index, (session, found) in enumerate(header["places"])
        }
    return asks, places, header["gone"]


# -- what is answered -----------------------------------------------------------------------------


def told_apart(found: Iterable[Apart]) -> list[bytes]:
    """The answer to `take_apart`."""
    told: list[JSON] = []
    digests: list[bytes] = []
    for one in found:
        told.append([one.client_session, dict(one.usage), one.values, one.size, one.seconds])
        links = one.links
        digests += (b"".join(links.continues), b"".join(links.leaves), b"".join(links.names))
        digests.append(b"".join(one.beginnings))
    return message({"apart": told}, digests)


def apart_in(header: JSON, pieces: Sequence[bytes]) -> list[Apart]:
    """What came of `take_apart`.

    Raises:
        Misformed: nothing that it answers.
    """
    found: list[Apart] = []
    apart = _listed(header, "apart")
    if len(pieces) != _OF_ONE * len(apart):
        raise Misformed
    parts = [pieces[at::_OF_ONE] for at in range(_OF_ONE)]
    for told, continues, leaves, names, begins in zip(apart, *parts, strict=True):
        if not isinstance(told, list):
            raise Misformed
        session, usage, values, size, seconds = told
        if not (session is None or isinstance(session, str)) or not isinstance(usage, dict):
            raise Misformed
        found.append(
            Apart(
                session,
                Links(*(tuple(_digests(some)) for some in (continues, leaves, names))),
                tuple(_digests(begins)),
                {name: _whole(count) for name, count in usage.items()},
                _whole(values),
                _whole(size),
                _seconds(seconds),
            )
        )
    return found


def told_packed(found: Sequence[Packed] | Missing) -> list[bytes]:
    """The answer to `pack`."""
    if isinstance(found, Missing):
        return message({"missing": list(found.sessions)})
    pieces: list[bytes] = []
    for one in found:
        pieces += (one.compressed, b"".join(one.learned))
    told: list[JSON] = [[_places(one.learned), one.seconds] for one in found]
    return message({"packed": told}, pieces)


def packed_in(header: JSON, pieces: Sequence[bytes]) -> list[Packed] | Missing:
    """What came of `pack`.

    Raises:
        Misformed: nothing that it answers.
    """
    if isinstance(header, dict) and "missing" in header:
        return Missing(tuple(str(session) for session in _listed(header, "missing")))
    packed = _listed(header, "packed")
    if len(pieces) != 2 * len(packed):
        raise Misformed
    answers: list[Packed] = []
    for compressed, learned, told in zip(pieces[::2], pieces[1::2], packed, strict=True):
        if not isinstance(told, list):
            raise Misformed
        places, seconds = told
        answers.append(Packed(compressed, _placed(learned, places), _seconds(seconds)))
    return answers


def _places(found: Mapping[bytes, Place]) -> list[JSON]:
    return [part for place in found.values() for part in place]


def _placed(digests: bytes, places: JSON) -> dict[bytes, Place]:
    found = list(_digests(digests))
    if not isinstance(places, list) or len(places) != 2 * len(found):
        raise Misformed
    parts = [part for part in places if isinstance(part, int)]
    if len(parts) != len(places):
        raise Misformed
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return dict(zip(found, pairs, strict=True))


def _listed(header: JSON, name: str) -> list[JSON]:
    found = header.get(name) if isinstance(header, dict) else None
    if not isinstance(found, list):
        raise Misformed
    return found


def _whole(number: JSON) -> int:
    if not isinstance(number, int):
        raise Misformed
    return number


def _seconds(number: JSON) -> float:
    if not isinstance(number, float) or not 0.0 <= number <= _LONGEST:
        raise Misformed
    return number


def _digests(joined: bytes) -> Iterable[bytes]:
    if len(joined) % _DIGEST:
        raise Misformed
    return [joined[at : at + _DIGEST] for at in range(0, len(joined), _DIGEST)]
