"""A conversation stored as what is new in each exchange. Pure.

A client sends the whole conversation again at every turn. Of an exchange only this is stored:

* a reference to the longest known beginning of its messages: "the first `count` of exchange `n`";
* the messages after that: in full when new, by reference when the session has had them before;
* the other fields of the request: large ones by reference when unchanged, lists (system, tools)
  entry by entry;
* where the cache marks stood (see `caching`);
* the answer, which also counts as the next message, so that sending it back costs nothing.

What a session has had is known by digests (BLAKE2b, 128 bits, RFC 7693) keyed with a key that is
derived from the session's DEK: when that is destroyed, they are noise. Beginnings are digested as a
chain, so one look-up tells whether a whole beginning is known.

`Rebuilder` is the inverse: fed with the session's deltas in order, it gives back each request.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bailee.vault.caching import (
    Mark,
    mark_entries,
    mark_message,
    strip_entries,
    strip_message,
)
from bailee.vault.packing import JSON, digestible

Place: TypeAlias = "tuple[int, int]"
"""An exchange's number in its session, and a position in it."""

_DIGEST_BYTES = 16
_SMALL = 64  # bytes; a reference to something smaller saves nothing


@dataclass(slots=True)
class Known:
    """What a session has had: digest → place, under the session's own digest key."""

    key: bytes
    places: dict[bytes, Place] = field(default_factory=dict)

    def digest(self, kind: bytes, *parts: bytes) -> bytes:
        """The keyed digest of `parts`, for one kind of thing."""
        state = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=self.key, person=kind)
        for part in parts:
            state.update(part)
        return state.digest()


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


def encode(
    number: int,
    fields: dict[str, JSON],
    messages: list[JSON] | None,
    answer: JSON,
    known: Known,
) -> Delta:
    """Exchange `number` of a session as a delta. `known` is left as it is.

    Raises:
        Unpackable: a value that is not JSON or nested too deeply.
    """
    learned: dict[bytes, Place] = {}
    body: dict[str, JSON] = {"answer": answer}
    marks: list[JSON] = []
    if messages is not None:
        _encode_messages(number, messages, answer, known, learned=learned, body=body, marks=marks)
    body["fields"] = [
        _encode_field(number, name, value, known, learned=learned, marks=marks)
        for name, value in fields.items()
    ]
    body["marks"] = marks
    return Delta(body, learned)


def _encode_messages(
    number: int,
    messages: list[JSON],
    answer: JSON,
    known: Known,
    *,
    learned: dict[bytes, Place],
    body: dict[str, JSON],
    marks: list[JSON],
) -> None:
    plain: list[JSON] = []
    digests: list[bytes] = []
    chain = [known.digest(b"prefix")]
    reply = as_message(answer)
    for index, message in enumerate([*messages, reply] if reply is not None else messages):
        stripped, found = strip_message(message)
        if index < len(messages):
            plain.append(stripped)
            marks += [[index, where, mark] for where, mark in found]  # type: ignore[list-item]
        digests.append(known.digest(b"message", digestible(stripped)))
        chain.append(known.digest(b"prefix", chain[-1], digests[-1]))
    count = len(messages)
    while count and chain[count] not in known.places:
        count -= 1
    body["base"] = [known.places[chain[count]][0], count] if count else None
    items: list[JSON] = []
    for index in range(count, len(messages)):
        place = known.places.get(digests[index]) or learned.get(digests[index])
        if place is None:
            learned[digests[index]] = (number, index)
            items.append({"m": plain[index]})
        else:
            items.append({"r": list(place)})
    body["items"] = items
    for index in range(count + 1, len(chain)):
        if chain[index] not in known.places:
            learned[chain[index]] = (number, index)
    if reply is not None and digests[-1] not in known.places:
        learned.setdefault(digests[-1], (number, len(messages)))


def _encode_field(
    number: int,
    name: str,
    value: JSON,
    known: Known,
    *,
    learned: dict[bytes, Place],
    marks: list[JSON],
) -> JSON:
    label = name.encode("utf-8", "surrogatepass")
    label = len(label).to_bytes(4, "big") + label
    if isinstance(value, list):
        value, found = strip_entries(value)
        marks += [[name, where, mark] for where, mark in found]  # type: ignore[list-item]
    packed = digestible(value)
    if len(packed) < _SMALL:
        return [name, "v", value]
    whole = known.digest(b"field", label, packed)
    if whole in known.places:
        return [name, "s", known.places[whole][0]]
    learned[whole] = (number, 0)
    if not isinstance(value, list):
        return [name, "v", value]
    entries: list[JSON] = []
    for index, entry in enumerate(value):
        packed = digestible(entry)
        digest = known.digest(b"entry", label, packed)
        place = known.places.get(digest)
        if place is not None and len(packed) >= _SMALL:
            entries.append({"r": list(place)})
        else:
            entries.append({"v": entry})
            if len(packed) >= _SMALL:
                learned[digest] = (number, index)
    return [name, "l", entries]


@dataclass(frozen=True, slots=True)
class _Node:
    base: Place | None
    tail: list[JSON]


class Rebuilder:
    """Gives back requests from a session's deltas, fed in order of their numbers.

    What it gives shares parts with what it keeps: it must not be changed.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, _Node] = {}
        self._fields: dict[int, dict[str, JSON]] = {}

    def add(self, number: int, body: dict[str, Any]) -> tuple[dict[str, JSON], list[JSON] | None]:
        """Fields and messages of exchange `number`, as the client sent them.

        Raises:
            KeyError: it refers to an exchange that was not added.
        """
        plain = {entry[0]: self._field(entry) for entry in body["fields"]}
        self._fields[number] = plain
        marked = dict(plain)
        by_message: dict[int, list[Mark]] = {}
        for owner, where, mark in body["marks"]:
            if isinstance(owner, str):
                marked[owner] = mark_entries(marked[owner], [(where, mark)])
            else:
                by_message.setdefault(owner, []).append((where, mark))
        if "items" not in body:
            return marked, None
        base = tuple(body["base"]) if body["base"] else None
        tail = [
            item["m"] if "m" in item else self._message(number, base, body["items"], *item["r"])
            for item in body["items"]
        ]
        messages = [*self._first(base), *tail]
        reply = as_message(body["answer"])
        self._nodes[number] = _Node(base, tail if reply is None else [*tail, reply])
        for index, marks in by_message.items():
            messages[index] = mark_message(messages[index], marks)
        return marked, messages

    def _first(self, base: Place | None) -> list[JSON]:
        """The first messages of an exchange, its answer counted as its last."""
        parts: list[list[JSON]] = []
        while base is not None:
            node = self._nodes[base[0]]
            before = node.base[1] if node.base else 0
            if base[1] > before:
                parts.append(node.tail[: base[1] - before])
                base = node.base
            else:
                assert node.base is not None
                base = (node.base[0], base[1])
        return [message for part in reversed(parts) for message in part]

    def _message(
        self, number: int, base: Place | None, items: list[Any], source: int, index: int
    ) -> JSON:
        if source == number:  # the same message twice in one request
            found: JSON = items[index - (base[1] if base else 0)]["m"]
            return found
        return self._first((source, index + 1))[-1]

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
