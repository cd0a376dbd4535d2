"""A session's requests as one tree of messages. Pure.

Each request is a path from the root: its messages, one after another. The answer follows as the
next message, or as several. What two requests begin with alike is there once. A request that goes
on from an answer by the id that the provider gave it stands after that one. Nodes are numbered as
they are made, a parent before its children.

Rules kept here:

* A message is the same in each form in which a client writes it (`items.speaking.as_said`).
* It costs what the session's deltas are long: what a request shares with an earlier one is not
  walked again, and a message is digested only where two of them could be the same.
* It holds no text of its own: messages are those of the `rebuilding.Rebuilder`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bailee.api import Api
from bailee.items.speaking import as_said, is_by_model
from bailee.json_values import members
from bailee.vault.kept import KeptExchange
from bailee.vault.listing import WRAPPER
from bailee.vault.packing import JSON, Unpackable, digestible

ROOT: Final = 0
_AGAIN: Final = 200
"""Messages that a request which continues another by its id may say again, as instructions."""
_TOOLS: Final = "additional_tools"


@dataclass(slots=True)
class TurnNode:
    """A message in its place. `maker`: the exchange that first had it; `answered`: as its answer.
    `time`: when that was. `ends`: exchanges whose request ends here and has no answer; `answers`:
    those whose answer ends here. Of it and all that follows: `latest`, the last exchange that comes
    to its end here; `count`, how many do; `tools`, `own`: whether one has tools, or is no agent's.
    """

    parent: int
    message: JSON
    maker: int
    answered: bool
    time: float
    depth: int
    children: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    latest: int = -1
    count: int = 0
    tools: bool = False
    own: bool = False

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Which of several children a line goes on with: the one with the highest."""
        return self.own, self.tools, self.latest


class RequestTree:
    """The tree. Exchanges are added in order of their numbers, which are their places; then
    `sum_up` is called, once. Made for one session by whoever shows it, for one thread; what reads
    it afterwards does not change it.
    """

    def __init__(self) -> None:
        self.nodes = [TurnNode(-1, None, -1, answered=False, time=0.0, depth=0)]
        self.rewrites: list[bool] = []
        """Of each exchange: whether something by the model is new in its request. A client sends
        the model's words back as they came; one that does not has changed its history."""
        self.left_out: list[int] = []
        """Exchanges without any message."""
        self._apis: list[Api] = []
        self._own: list[tuple[int, list[int]]] = []  # of each: where its own nodes begin, and those
        self._tools: list[bool] = []  # of each: whether its messages name tools
        self._ends: list[tuple[int, int]] = []  # of each: where its request and its answer end
        self._digests: dict[int, bytes] = {}
        self._by_digest: dict[int, dict[bytes, int]] = {}

    def add(self, exchange: KeptExchange, back: Sequence[JSON], before: int | None = None) -> None:
        """An exchange. `back`: its answer as messages; `before`: the exchange that it continues by
        an id of the provider's, or, when it has no messages, whose answer it fetched.
        """
        number = len(self._own)
        self._apis.append(exchange.api)
        start, at, tail = self._begin(exchange, before)
        if exchange.said is None and exchange.after is None:
            back = ()  # no conversation
        tools = self._has_tools(exchange, tail)
        made: list[int] = []
        known = len(self.nodes)
        for message in tail:
            at = self._follow(at, message, number, exchange.started, answered=False)
            made.append(at)
        new = self.nodes[known:]
        self.rewrites.append(any(is_by_model(exchange.api, one.message) for one in new))
        end = at
        for message in back:
            at = self._follow(at, message, number, exchange.ended, answered=True)
            made.append(at)
        self._own.append((start, made))
        self._ends.append((end, at))
        if at == ROOT:
            self.left_out.append(number)
            return
        node = self.nodes[at]
        (node.ends if at == end else node.answers).append(number)
        node.latest = number
        node.count += 1
        node.tools |= tools
        node.own |= exchange.agent is None

    def _begin(self, exchange: KeptExchange, before: int | None) -> tuple[int, int, list[JSON]]:
        """How many of its messages are known, the node after which the others come, and those."""
        said = exchange.said
        if said is None:
            return 0, ROOT if before is None else self._ends[before][0], []
        base = said.base
        if before is not None and said.count <= len(said.tail) + _AGAIN:
            return 0, self._ends[before][1], said.all()
        if base is None:
            return 0, ROOT, said.tail
        start, own = self._own[base[0]]
        return base[1], own[base[1] - start - 1], said.tail

    def sum_up(self) -> None:
        """What each node says of all that follows it."""
        for node in reversed(self.nodes[1:]):
            above = self.nodes[node.parent]
            above.latest = max(above.latest, node.latest)
            above.count += node.count
            above.tools |= node.tools
            above.own |= node.own

    def along(self, start: int) -> Iterator[int]:
        """The nodes from `start` on, each followed by the child of the highest rank."""
        yield start
        while children := self.nodes[start].children:
            yield (start := max(children, key=lambda one: self.nodes[one].rank))

    def line(self, start: int) -> list[int]:
        """All of them."""
        return [*self.along(start)]

    def digest(self, place: int) -> bytes:
        """A digest of a node's message: the same for the same message."""
        found = self._digests.get(place)
        if found is None:
            node = self.nodes[place]
            found = self._digests[place] = _digest(self._apis[node.maker], node.message, place)
        return found

    def _has_tools(self, exchange: KeptExchange, tail: list[JSON]) -> bool:
        """Whether the model may use tools: Codex says so among its items, Code Assist within."""
        base = None if exchange.said is None else exchange.said.base
        named = exchange.api is Api.RESPONSES and (
            (base is not None and self._tools[base[0]])
            or any(members(item).get("type") == _TOOLS for item in tail)
        )
        self._tools.append(named)
        fields = members(exchange.fields)
        return bool(named or fields.get("tools") or members(fields.get(WRAPPER)).get("tools"))

    def _follow(
        self, parent: int, message: JSON, maker: int, time: float, *, answered: bool
    ) -> int:
        """The child with this message, made if it is not there."""
        above, place = self.nodes[parent], len(self.nodes)
        if above.children:
            known = self._by_digest.setdefault(parent, {})
            for child in above.children[len(known) :]:
                known[self.digest(child)] = child
            digest = _digest(self._apis[maker], message, place)
            if (found := known.get(digest)) is not None:
                return found
            self._digests[place] = digest
            known[digest] = place
        self.nodes.append(TurnNode(parent, message, maker, answered, time, above.depth + 1))
        above.children.append(place)
        return place


def _digest(api: Api, message: JSON, place: int) -> bytes:
    try:
        return hashlib.blake2b(digestible(as_said(api, message)), digest_size=16).digest()
    except Unpackable:  # equal to none but itself
        return b"%d" % place
