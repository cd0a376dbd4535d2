"""A session's requests as one tree of messages. Pure.

Each request is a path from the root: its messages, one after another. The answer follows as the
next message, or as several. What two requests begin with alike is there once. Nodes are numbered as
they are made, a parent before its children.

Rules kept here:

* It costs what the session's deltas are long: what a request shares with an earlier one is not
  walked again, and a message is digested only where two of them could be the same.
* It holds no text of its own: messages are those of the `delta.Rebuilder`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bailee.vault.packing import JSON, Unpackable, digestible

if TYPE_CHECKING:
    from bailee.vault.transcript import KeptExchange

ROOT: Final = 0


@dataclass(slots=True)
class Node:
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
    `sum_up` is called, once.
    """

    def __init__(self) -> None:
        self.nodes = [Node(-1, None, -1, answered=False, time=0.0, depth=0)]
        self.rewrites: list[bool] = []
        """Of each exchange: whether something by the model is new in its request. A client sends
        the model's words back as they came; one that does not has changed its history."""
        self.left_out: list[int] = []
        """Exchanges without any message."""
        self._own: list[tuple[int, list[int]]] = []  # of each: where its own nodes begin, and those
        self._digests: dict[int, bytes] = {}
        self._by_digest: dict[int, dict[bytes, int]] = {}

    def add(self, exchange: KeptExchange, replies: Sequence[JSON]) -> None:
        """An exchange with its answer as messages."""
        number, said = len(self._own), exchange.said
        if said is None or not (said.count or replies):
            self._own.append((0, []))
            self.rewrites.append(False)
            self.left_out.append(number)
            return
        base, tail = said.base, said.tail
        start = base[1] if base else 0
        at, made = self._place(base), list[int]()
        known = len(self.nodes)
        for message in tail:
            at = self._follow(at, message, number, exchange.started, answered=False)
            made.append(at)
        self.rewrites.append(
            any(by_the_model(one.message) for one in self.nodes[known:])
        )  # before the answer
        end = at
        for message in replies:
            at = self._follow(at, message, number, exchange.ended, answered=True)
            made.append(at)
        self._own.append((start, made))
        node = self.nodes[at]
        (node.ends if at == end else node.answers).append(number)
        node.latest = number
        node.count += 1
        node.tools |= bool((exchange.fields or {}).get("tools"))
        node.own |= exchange.agent is None

    def sum_up(self) -> None:
        """What each node says of all that follows it."""
        for node in reversed(self.nodes[1:]):
            above = self.nodes[node.parent]
            above.latest = max(above.latest, node.latest)
            above.count += node.count
            above.tools |= node.tools
            above.own |= node.own

    def line(self, start: int) -> list[int]:
        """The nodes from `start` on, each followed by the child of the highest rank."""
        found = [start]
        while children := self.nodes[found[-1]].children:
            found.append(max(children, key=lambda one: self.nodes[one].rank))
        return found

    def digest(self, place: int) -> bytes:
        """A digest of a node's message: the same for the same message."""
        found = self._digests.get(place)
        if found is None:
            found = self._digests[place] = _digest(self.nodes[place].message, place)
        return found

    def _place(self, base: tuple[int, int] | None) -> int:
        if base is None:
            return ROOT
        start, own = self._own[base[0]]
        return own[base[1] - start - 1]

    def _follow(
        self, parent: int, message: JSON, maker: int, time: float, *, answered: bool
    ) -> int:
        """The child with this message, made if it is not there."""
        above, place = self.nodes[parent], len(self.nodes)
        if above.children:
            known = self._by_digest.setdefault(parent, {})
            for child in above.children[len(known) :]:
                known[self.digest(child)] = child
            digest = _digest(message, place)
            if (found := known.get(digest)) is not None:
                return found
            self._digests[place] = digest
            known[digest] = place
        self.nodes.append(Node(parent, message, maker, answered, time, above.depth + 1))
        above.children.append(place)
        return place


def by_the_model(message: JSON) -> bool:
    """Whether a message is the model's, in any of the APIs."""
    if not isinstance(message, dict):
        return False
    role, kind = message.get("role"), message.get("type")
    if isinstance(role, str):
        return role in ("assistant", "model")
    return isinstance(kind, str) and (kind == "reasoning" or kind.endswith("_call"))


def _digest(message: JSON, place: int) -> bytes:
    try:
        return hashlib.blake2b(digestible(message), digest_size=16).digest()
    except Unpackable:  # equal to none but itself
        return b"%d" % place
