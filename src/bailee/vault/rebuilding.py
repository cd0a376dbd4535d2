"""A session's requests and answers put together from its deltas, as they came. Pure.

The inverse of `delta`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bailee.api import Api
from bailee.vault.caching import Mark, mark_entries, mark_message
from bailee.vault.cores import put_together, taken_apart
from bailee.vault.delta import replies
from bailee.vault.echoes import with_echoes
from bailee.vault.known import Place
from bailee.vault.packing import JSON


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
        tail: list[JSON] = []
        for item in body["items"]:
            tail.append(self._item(item, number, base, tail))
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

    def _item(
        self, item: dict[str, Any], number: int, base: Place | None, tail: list[JSON]
    ) -> JSON:
        """A message of exchange `number`, after those in `tail`."""
        if "m" in item:
            found: JSON = item["m"]
            return found
        if "c" in item:
            core, _ = taken_apart(self._message(*item["c"]))
            rest: list[JSON] = item["e"]
            return put_together(core, rest)
        named: Place = item["r"]
        source, index = named
        if source == number:  # the same message twice in one request
            return tail[index - (base[1] if base else 0)]
        return self._message(source, index)

    def _message(self, source: int, index: int) -> JSON:
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
