"""A conversation stored as what is new in each exchange. Pure.

A client sends the whole conversation again at every turn. Of an exchange only this is stored:

* a reference to the longest known beginning of its messages: "the first `count` of exchange `n`";
* the messages after that: in full when new, by reference when the session has had them before, as
  they are or with other ids (`cores`);
* the other fields of the request: large ones by reference when unchanged, lists (system, tools)
  entry by entry;
* where the cache marks stood (see `caching`);
* the answer, which also counts as the next messages (`items.replies`), so that sending it back
  costs nothing; without what it says again (`echoes`).

What a session has had is known by digests (BLAKE2b, 128 bits, RFC 7693) keyed with a key that is
derived from the session's DEK: when that is destroyed, they are noise. Beginnings are digested as a
chain, so one look-up tells whether a whole beginning is known.

`rebuilding.Rebuilder` is the inverse: fed with the session's deltas in order, it gives back each
exchange.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from bailee.api import Api
from bailee.items.replies import items_of
from bailee.vault import bounds
from bailee.vault.caching import strip_entries, strip_message
from bailee.vault.cores import LARGE, has_cores, put_together, taken_apart
from bailee.vault.echoes import ECHO, label, large_members, without_echoes
from bailee.vault.echoes import wanted as echoes_wanted
from bailee.vault.known import KnownPieces, Place, TextMatch, Written
from bailee.vault.packing import JSON, digestible

_SMALL = 64  # bytes; a reference to something smaller saves nothing


@dataclass(frozen=True, slots=True)
class Delta:
    """What to store of an exchange, and what the session has had from then on."""

    body: dict[str, JSON]
    learned: dict[bytes, Place]


def digest_key(dek: bytes) -> bytes:
    """The key for a session's digests, from its DEK."""
    return hashlib.blake2b(b"bailee/prefix/1", key=dek, digest_size=32).digest()


def as_message(answer: JSON) -> JSON:
    """The message by which a client would send `answer` back, without marks; None if it has no
    content.
    """
    if isinstance(answer, dict) and "content" in answer:
        message: JSON = {"role": answer.get("role", "assistant"), "content": answer["content"]}
        return strip_message(message)[0]
    return None


def replies(api: Api, answer: JSON) -> list[JSON]:
    """The items by which a client would send `answer` back, without marks."""
    if api is Api.MESSAGES:
        reply = as_message(answer)
        return [] if reply is None else [reply]
    return [strip_message(one)[0] for one in items_of(api, answer)]


def encode(
    number: int,
    fields: dict[str, JSON],
    messages: list[JSON] | None,
    answer: JSON,
    known: KnownPieces,
    *,
    api: Api = Api.MESSAGES,
) -> Delta:
    """Exchange `number` of a session as a delta. `known` is complete, and left as it is.

    Raises:
        Unpackable: a value that is not JSON or nested too deeply.
    """
    return DeltaDraft(fields, messages, answer, known, api=api).delta(number, known)


class DeltaDraft:
    """An exchange on its way to a delta, so that who has the session's places on disk can look up
    those that matter: `wanted` says which, `delta` decides. A workbench owns it, between its two
    calls.

    What it makes takes a digest for each message, field and entry of a list; of entries there are
    at most `bounds.ENTRIES`.
    """

    def __init__(
        self,
        fields: dict[str, JSON],
        messages: list[JSON] | None,
        answer: JSON,
        known: KnownPieces,
        *,
        api: Api = Api.MESSAGES,
        written: Written | None = None,
    ) -> None:
        """Of what is `written`, messages known to begin it are passed over. Raises: Unpackable."""
        self._replies = replies(api, answer)
        self._answer = answer
        self._marks: list[JSON] = []
        self._messages: list[JSON] | None = None if messages is None else []
        self._digests: list[bytes] = []
        self._has_cores = has_cores(api)
        self._cores: dict[int, bytes] = {}  # of a message that is not known: its core's digest
        self._chain: list[bytes] = []
        self._plain = written is not None
        self._begun = 0  # so many messages, and their digests, are passed over
        if messages is not None:
            self._take_messages(messages, known, written)
        self._entries_left = bounds.ENTRIES
        self._fields = [self._field(name, value, known) for name, value in fields.items()]
        self._large = large_members(api, answer, known)

    def wanted(self) -> Iterator[bytes]:
        """The digests whose places decide what is stored."""
        yield from self._digests[self._begun :]
        yield from self._chain[self._begun :]
        yield from self._cores.values()
        for one in self._fields:
            if one.whole is not None:
                yield one.whole
            yield from (digest for digest in one.entries or () if digest is not None)
        yield from echoes_wanted(self._large)

    def delta(self, number: int, known: KnownPieces) -> Delta:
        """The delta, as exchange `number`. `known` has the places of all that was wanted and that
        the session has had.
        """
        learned: dict[bytes, Place] = {}
        body: dict[str, JSON] = {"answer": None}
        if self._messages is not None:
            self._encode_messages(number, self._messages, known, learned, body)
        body["fields"] = [_encode_field(number, one, known, learned) for one in self._fields]
        body["marks"] = self._marks
        body["answer"], echoes = without_echoes(number, self._answer, self._large, known, learned)
        if echoes:
            body[ECHO] = echoes
        return Delta(body, learned)

    def _take_messages(
        self, messages: list[JSON], known: KnownPieces, written: Written | None
    ) -> None:
        assert self._messages is not None
        match = None if written is None else TextMatch(known, written)
        begun = None if match is None else match.begun()
        if begun is None:
            self._chain.append(known.digest(b"prefix"))
        else:
            self._begun = begun.messages
            self._messages += messages[: begun.messages]
            self._digests += [b""] * begun.messages
            self._chain += [*self._digests, begun.chain]
        lengths: list[int] = []
        marked = False
        for index, message in enumerate((*messages[self._begun :], *self._replies), self._begun):
            stripped, found = strip_message(message)
            packed = digestible(stripped, plain=self._plain and index < len(messages))
            if index < len(messages):
                self._messages.append(stripped)
                self._marks += [[index, where, mark] for where, mark in found]  # type: ignore[list-item]
                marked = marked or bool(found)
                if not marked:
                    lengths.append(len(packed) - 1)
            self._digests.append(known.digest(b"message", packed))
            if self._has_cores and len(packed) >= LARGE and self._digests[-1] not in known.places:
                core, _ = taken_apart(stripped)
                self._cores[index] = known.digest(b"core", digestible(core))
            self._chain.append(known.digest(b"prefix", self._chain[-1], self._digests[-1]))
        if match is not None:
            count = self._begun + len(lengths)
            match.note(count, self._chain[count], lengths)

    def _encode_messages(
        self,
        number: int,
        messages: list[JSON],
        known: KnownPieces,
        learned: dict[bytes, Place],
        body: dict[str, JSON],
    ) -> None:
        chain, digests = self._chain, self._digests
        count = len(messages)
        while count and chain[count] not in known.places:
            count -= 1
        body["base"] = [known.places[chain[count]][0], count] if count else None
        items: list[JSON] = []
        for index in range(count, len(messages)):
            place = known.places.get(digests[index]) or learned.get(digests[index])
            if place is None:
                learned[digests[index]] = (number, index)
                items.append(self._item(index, messages[index], known))
            else:
                items.append({"r": list(place)})
        body["items"] = items
        for index in range(count + 1, len(chain)):
            if chain[index] not in known.places:
                learned[chain[index]] = (number, index)
        for index in range(len(messages), len(digests)):
            if digests[index] not in known.places:
                learned.setdefault(digests[index], (number, index))
        for index, core in self._cores.items():
            if core not in known.places and learned.get(digests[index]) == (number, index):
                learned.setdefault(core, (number, index))

    def _item(self, index: int, message: JSON, known: KnownPieces) -> JSON:
        """A message that the session has not had: in full, or as what it says otherwise than one
        that it has had.
        """
        place = known.places.get(self._cores.get(index, b""))
        if place is not None:
            core, rest = taken_apart(message)
            if digestible(put_together(core, rest)) == digestible(message):
                return {"c": list(place), "e": rest}
        return {"m": message}

    def _field(self, name: str, value: JSON, known: KnownPieces) -> _Field:
        named = label(name)
        if isinstance(value, list):
            value, found = strip_entries(value)
            self._marks += [[name, where, mark] for where, mark in found]  # type: ignore[list-item]
        packed = digestible(value, plain=self._plain)
        if len(packed) < _SMALL:
            return _Field(name, value)
        whole = known.digest(b"field", named, packed)
        entries: list[bytes | None] | None = None
        if (
            isinstance(value, list)
            and whole not in known.places
            and len(value) <= self._entries_left
        ):
            self._entries_left -= len(value)
            entries = []
            for entry in value:
                packed = digestible(entry, plain=self._plain)
                small = len(packed) < _SMALL
                entries.append(None if small else known.digest(b"entry", named, packed))
        return _Field(name, value, whole, entries)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field without its marks. `whole`: its digest, None when it is small. `entries`: the digest
    of each of a list's entries, None for a small one; None when the list is taken in one piece.
    """

    name: str
    value: JSON
    whole: bytes | None = None
    entries: list[bytes | None] | None = None


def _encode_field(
    number: int, one: _Field, known: KnownPieces, learned: dict[bytes, Place]
) -> JSON:
    if one.whole is None:
        return [one.name, "v", one.value]
    if one.whole in known.places:
        return [one.name, "s", known.places[one.whole][0]]
    learned[one.whole] = (number, 0)
    if one.entries is None or not isinstance(one.value, list):
        return [one.name, "v", one.value]
    entries: list[JSON] = []
    for index, (entry, digest) in enumerate(zip(one.value, one.entries, strict=True)):
        place = known.places.get(digest) if digest is not None else None
        if place is not None:
            entries.append({"r": list(place)})
        else:
            entries.append({"v": entry})
            if digest is not None:
                learned[digest] = (number, index)
    return [one.name, "l", entries]
