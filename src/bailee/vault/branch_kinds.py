"""What a branch of a session is, as far as requests show it. Pure.

A kind is a reading of what was sent, since no client says it; what is told does not depend on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from bailee.items.speaking import is_by_model
from bailee.json_values import elements, members
from bailee.vault.kept import KeptExchange
from bailee.vault.packing import JSON
from bailee.vault.request_tree import RequestTree

_INSTRUCTIONS: Final = (
    *("output_config", "output_format"),
    *("system", "instructions", "systemInstruction"),
)
_INSTRUCTING: Final = ("system", "developer")
_LOOKED_INTO: Final = 2_000  # characters of a request's instructions that may ask for a title
_CALLS: Final = 100  # blocks of an answer, and members of a call, that may have begun an agent


class BranchKind(StrEnum):
    """What a branch is, as far as requests show it."""

    TAKEN_BACK = "taken_back"
    """Turns that nothing goes on with: rewound, or asked on the side."""
    REPEAT = "repeat"
    """Another answer to the same request."""
    REWRITTEN = "rewritten"
    """What was there before the client sent its history otherwise."""
    FAILED = "failed"
    """A request without an answer of the model's."""
    ASIDE = "aside"
    """A small request without tools, beside a conversation with tools."""
    TITLE = "title"
    """Such a one whose instructions ask for a title."""
    AGENT = "agent"
    """A conversation of an agent that the client names."""
    PARALLEL = "parallel"
    """Another conversation at the same time."""
    OTHER = "other"
    """A request that has no messages."""


class ReadKinds:
    """Reads what the nodes of a tree are beside others. Made once for a session, by the thread that
    shows it; it changes nothing of the tree, which is summed up.
    """

    def __init__(self, tree: RequestTree, exchanges: Sequence[KeptExchange]) -> None:
        self._tree = tree
        self._exchanges = exchanges

    def agent(self, place: int) -> str | None:
        """The agent whose node it is; None if it is also the client's own."""
        node = self._tree.nodes[place]
        return None if node.own else self._exchanges[node.latest].agent

    def is_by_model(self, place: int) -> bool:
        """Whether a node's message is the model's."""
        node = self._tree.nodes[place]
        return node.answered or is_by_model(self._exchanges[node.maker].api, node.message)

    def is_substantial(self, place: int) -> bool:
        """Whether a thread is more than a small question aside."""
        node = self._tree.nodes[place]
        return node.count > 1 or (node.tools and not self._exchanges[node.latest].title)

    def at_a_fork(self, child: int, on: int, agent: str | None) -> BranchKind:
        """What a child of a line's node is, beside the one that the line goes on with."""
        one, other = self._tree.nodes[child], self._tree.nodes[on]
        named = self.agent(child)
        if named is not None and named != agent:
            return BranchKind.AGENT
        if other.tools and not one.tools:
            return self.small(one.latest) if one.count == 1 else BranchKind.ASIDE
        if one.answered and other.answered:
            return BranchKind.REPEAT
        later = one if one.maker > other.maker else other
        if not later.answered and self._tree.rewrites[later.maker]:
            return BranchKind.REWRITTEN
        return BranchKind.TAKEN_BACK

    def of_a_thread(self, place: int) -> BranchKind:
        """What a thread that is not the main conversation is."""
        node = self._tree.nodes[place]
        if not node.own:
            return BranchKind.AGENT
        return BranchKind.PARALLEL if node.count > 1 else self.small(node.latest)

    def small(self, number: int) -> BranchKind:
        """What a small request is."""
        one = self._exchanges[number]
        fields = one.fields or {}
        own = one.said.tail[:1] if one.said is not None and one.said.base is None else []
        if one.title or (not fields.get("tools") and asks_for_a_title(fields, own)):
            return BranchKind.TITLE
        return BranchKind.ASIDE


def is_called(message: JSON, began: JSON = None) -> bool:
    """Whether a message calls a tool with just the words by which a conversation began: so begins
    an agent that its client does not name. Both as people read them.
    """
    words = {*_texts(members(began).get("content"))} - {""}
    return any(
        one in words
        for block in elements(members(message).get("content"))[:_CALLS]
        if members(block).get("type") == "tool_use"
        for one in [*members(members(block).get("input")).values()][:_CALLS]
        if isinstance(one, str)
    )


def asks_for_a_title(fields: dict[str, JSON], first: Sequence[JSON]) -> bool:
    """Whether instructions do: those of the request, or its first message if that is one."""
    wanted = [fields.get(name) for name in _INSTRUCTIONS]
    wanted += [members(one).get("content") for one in first if _instructs(one)]
    for one in wanted:
        for text in _texts(one):
            if "title" in text[:_LOOKED_INTO].lower():
                return True
    return False


def _instructs(message: JSON) -> bool:
    return members(message).get("role") in _INSTRUCTING


def _texts(value: JSON) -> Iterator[str]:
    """A text, those of a list of blocks, or an object as one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value[:10]:
            text = one.get("text") if isinstance(one, dict) else one
            if isinstance(text, str):
                yield text
    elif isinstance(value, dict):
        yield json.dumps(value)
