"""A conversation stored as what is new in each exchange. Pure.

A client sends the whole conversation again at every turn. Of an exchange only this is stored:

* a reference to the longest known beginning of its messages: "the first `count` of exchange `n`";
* the messages after that: in full when new, by reference when the session has had them before;
* the other fields of the request: large ones by reference when unchanged, lists (system, tools)
  entry by entry;
* where the cache marks stood (see `caching`);
* the answer, which also counts as the next messages (`items.replies`), so that sending it back
  costs nothing; without what it says again (`echoes`).

What a session has had is known by digests (BLAKE2b, 128 bits, RFC 7693) keyed with a key that is
derived from the session's DEK: when that is destroyed, they are noise. Beginnings are digested as a
chain, so one look-up tells whether a whole beginning is known.

`Rebuilder` is the inverse: fed with the session's deltas in order, it gives back each request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bailee.api import Api
from bailee.items.replies import items_of
from bailee.vault import bounds
from bailee.vault.caching import (
    Mark,
    mark_entries,
    mark_message,
    strip_entries,
    strip_message,
)
from bailee.vault.echoes import ECHO, label, large_members, with_echoes, without_echoes
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
                items.append({"m": messages[index]})
            else:
                items.append({"r": list(place)})
        body["items"] = items
        for index in range(count + 1, len(chain)):
            if chain[index] not in known.places:
                learned[chain[index]] = (number, index)
        for index in range(len(messages), len(digests)):
            if digests[index] not in known.places:
                learned.setdefault(digests[index], (number, index))

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


@dataclass(frozen=True, slots=True)
class _Node:
    base: Place | None
    tail: list[JSON]


class Messages:
    """The messages of a rebuilt request, put together when they are asked for: a session's requests
    share almost all of theirs. It belongs to its `Rebuilder`'s thread, and keeps that alive.
    """

    __slots__ = ("_marks", "_rebuilder", "_where", "count")

    def __init__(
        self,
        rebuilder: Rebuilder,
        where: tuple[Place | None, list[JSON]],
        marks: dict[int, list[Mark]],
    ) -> None:
        self._rebuilder = rebuilder
        self._where = where
        self._marks = marks
        base, tail = where
        self.count = (base[1] if base else 0) + len(tail)

    @property
    def base(self) -> Place | None:
        """The exchange that has the first of them in its own deltas, and how many those are."""
        return self._where[0]

    @property
    def tail(self) -> list[JSON]:
        """Those after `base`, without marks. They must not be changed."""
        return self._where[1]

    @property
    def marks(self) -> dict[int, list[Mark]]:
        """Where cache marks stood, by message. They must not be changed."""
        return self._marks

    def all(self) -> list[JSON]:
        """All of them, in a list of their own. They share parts and must not be changed."""
        base, tail = self._where
        messages = [*self._rebuilder.first(base), *tail]
        for index, marks in self._marks.items():
            messages[index] = mark_message(messages[index], marks)
        return messages


class Rebuilder:
    """Gives back requests from a session's deltas, fed in order of their numbers.

    Whoever shows a session makes one, for one thread. To feed it costs what the delta is long, and
    it holds what the deltas hold. What it gives shares parts with what it keeps: it must not be
    changed.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, _Node] = {}
        self._fields: dict[int, dict[str, JSON]] = {}
        self._answers: dict[int, JSON] = {}

    def answer(self, number: int) -> JSON:
        """The answer of an exchange that was added, as it came."""
        return self._answers[number]

    def add(self, number: int, body: dict[str, Any]) -> tuple[dict[str, JSON], Messages | None]:
        """Fields and messages of exchange `number`, as the client sent them.

        Raises:
            KeyError, IndexError: it refers to an exchange that was not added, or to what that has
                not.
        """
        plain = {entry[0]: self._field(entry) for entry in body["fields"]}
        self._fields[number] = plain
        by_field: dict[str, list[Mark]] = {}
        by_message: dict[int, list[Mark]] = {}
        for owner, where, mark in body["marks"]:
            if isinstance(owner, str):
                by_field.setdefault(owner, []).append((where, mark))
            else:
                by_message.setdefault(owner, []).append((where, mark))
        marked = plain | {
            name: mark_entries(plain[name], marks) for name, marks in by_field.items()
        }
        answer = self._answers[number] = with_echoes(body, self._fields, self._answers)
        if "items" not in body:
            return marked, None
        base = self._base(body["base"])
        items = body["items"]
        tail = [
            item["m"] if "m" in item else self._message(number, base, items, *item["r"])
            for item in items
        ]
        back = replies(Api(body.get("api", Api.MESSAGES)), answer)
        self._nodes[number] = _Node(base, [*tail, *back] if back else tail)
        return marked, Messages(self, (base, tail), by_message)

    def first(self, base: Place | None) -> list[JSON]:
        """The first messages of an exchange, its answer counted as its last ones."""
        parts: list[list[JSON]] = []
        while base is not None:
            node = self._nodes[base[0]]
            before = node.base[1] if node.base else 0
            parts.append(node.tail[: base[1] - before])
            base = node.base
        return [message for part in reversed(parts) for message in part]

    def _base(self, named: list[int] | None) -> Place | None:
        """The exchange that itself has the last of the first messages that are named."""
        if not named:
            return None
        source, count = named
        node = self._nodes[source]
        while node.base is not None and count <= node.base[1]:
            source = node.base[0]
            node = self._nodes[source]
        if count > (node.base[1] if node.base else 0) + len(node.tail):
            raise IndexError(count)
        return source, count

    def _message(
        self, number: int, base: Place | None, items: list[Any], source: int, index: int
    ) -> JSON:
        if source == number:  # the same message twice in one request
            found: JSON = items[index - (base[1] if base else 0)]["m"]
            return found
        node = self._nodes[source]
        while node.base is not None and index < node.base[1]:
            node = self._nodes[node.base[0]]
        return node.tail[index - (node.base[1] if node.base else 0)]

    def _field(self, entry: list[Any]) -> JSON:
        name, kind, value = entry
        if kind == "v":
            plain: JSON = value
            return plain
        if kind == "s":
            return self._fields[value][name]
        items: list[JSON] = []
        for item in value:
            if "v" in item:
                items.append(item["v"])
            else:
                source, index = item["r"]
                kept = self._fields[source][name]
                assert isinstance(kept, list)
                items.append(kept[index])
        return items
