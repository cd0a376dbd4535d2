"""What an answer says again: large members that the session has had, in a request or in an answer
before. Pure.

A response of OpenAI's Responses API has its request's instructions and tools in it, so that each
answer of a session has them. Such a member is stored as where it stood, `[index, name, from,
number]`: at this index among the answer's members, in the request (`"f"`) or the answer (`"a"`) of
that exchange. What a provider writes otherwise than the client, as it fills in defaults, it writes
the same each time.

Rules kept here:

* The items of an answer are no such member: they count as the next messages (`items.replies`).
* What comes back is the member that was there, as exact as a request's fields are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from bailee.api import Api
from bailee.json_values import elements
from bailee.vault.known import KnownPieces, Place
from bailee.vault.packing import JSON, digestible

ECHO: Final = "echo"
"""The member of a record that has the list."""
_LARGE: Final = 256  # bytes; each costs a row in the index, once
_ITEMS: Final = "output"


def label(name: str) -> bytes:
    """A member's name, as it stands before its value in digests."""
    written = name.encode("utf-8", "surrogatepass")
    return len(written).to_bytes(4, "big") + written


class EchoedMember(NamedTuple):
    """A large member of an answer: where it stands, and its digests as a request's field and as an
    answer's member.
    """

    place: int
    name: str
    field: bytes
    member: bytes


def large_members(api: Api, answer: JSON, known: KnownPieces) -> list[EchoedMember]:
    """Those that a later answer may say again.

    Raises:
        Unpackable: a value that is not JSON or nested too deeply.
    """
    if api is not Api.RESPONSES or not isinstance(answer, dict):
        return []
    found = []
    for index, (name, value) in enumerate(answer.items()):
        if name == _ITEMS or not isinstance(value, str | list | dict):
            continue
        packed = digestible(value)
        if len(packed) >= _LARGE:
            named = label(name)
            field, member = (known.digest(kind, named, packed) for kind in (b"field", b"reply"))
            found.append(EchoedMember(index, name, field, member))
    return found


def wanted(members: list[EchoedMember]) -> Iterator[bytes]:
    """The digests whose places decide what is stored."""
    for one in members:
        yield from (one.field, one.member)


def without_echoes(
    number: int,
    answer: JSON,
    members: list[EchoedMember],
    known: KnownPieces,
    learned: dict[bytes, Place],
) -> tuple[JSON, list[JSON]]:
    """The answer of exchange `number` as it is stored, and where the rest of it is. `learned` has
    what the exchange's request says, and gets what the answer does.
    """
    assert isinstance(answer, dict) or not members
    echoes: list[JSON] = []
    gone: set[str] = set()
    for one in members:
        source, found = "f", known.places.get(one.field) or learned.get(one.field)
        if found is None:
            source, found = "a", known.places.get(one.member)
        if found is None:
            learned[one.member] = (number, 0)
        else:
            echoes.append([one.place, one.name, source, found[0]])
            gone.add(one.name)
    if not gone:
        return answer, []
    assert isinstance(answer, dict)
    return {name: value for name, value in answer.items() if name not in gone}, echoes


def with_echoes(
    body: Mapping[str, JSON],
    fields: Mapping[int, Mapping[str, JSON]],
    answers: Mapping[int, JSON],
) -> JSON:
    """A record's answer with all its members in their order. `fields`, `answers`: of the session's
    exchanges up to this one.

    Raises:
        KeyError: it refers to an exchange or a member that is not there.
    """
    answer: JSON = body["answer"]
    echoes = body.get(ECHO)
    if not echoes or not isinstance(answer, dict):
        return answer
    named = [*answer.items()]
    for echo in elements(echoes):
        index, name, source, number = elements(echo)
        assert isinstance(index, int)
        assert isinstance(name, str)
        assert isinstance(number, int)
        whole = fields[number] if source == "f" else answers[number]
        assert isinstance(whole, Mapping)
        named.insert(index, (name, whole[name]))
    return dict(named)
