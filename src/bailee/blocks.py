"""Messages of a conversation as texts with a label each: for every view that people read. Pure.

Total: a message may be any JSON value, since it is what a client sent or a model answered. Nothing
that it says is left out: a block that is no text is there as its JSON, and so is what stands beside
one. What links and marks blocks for programs (ids, signatures, cache marks) is apart, so that a
view can fold it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

_MARKS: Final = frozenset(
    ("type", "id", "tool_use_id", "signature", "cache_control", "marks")  # `marks`: `items.view`'s
)
_FOLDED: Final = ("text", "thinking", "tool_use", "server_tool_use", "mcp_tool_use", "tool_result")
"""Kinds of blocks of which the marks are not shown with what they say."""
_OF_A_MESSAGE: Final = frozenset(("role", "content"))
_TOOLS: Final = ("tool_use", "server_tool_use", "mcp_tool_use")


class Block(NamedTuple):
    """A piece of a message. `label`: its kind, and for a tool its name; "" for plain text."""

    label: str
    text: str


class Spoken(NamedTuple):
    """A message: who speaks, and what is said. `marks`: as JSON, what links and marks its blocks,
    which are numbered from 0; "" if there is nothing.
    """

    role: str
    blocks: list[Block]
    marks: str = ""


def spoken(messages: Iterable[object]) -> list[Spoken]:
    """Messages as people read them."""
    return [Spoken(role_of(one), blocks_of(one), marks_of(one)) for one in messages]


def role_of(message: object) -> str:
    """Who speaks; "?" when it isn't said."""
    return str(message.get("role", "?")) if isinstance(message, dict) else "?"


def blocks_of(message: object) -> list[Block]:
    """What is said, in order."""
    if not isinstance(message, dict):
        return _blocks(message)
    if "content" not in message:
        return [Block(str(message.get("type", "")), as_json(message))]
    return [*_blocks(message["content"]), *_beside("the message", message, _OF_A_MESSAGE)]


def marks_of(message: object) -> str:
    """What links and marks the message and its blocks for programs."""
    if not isinstance(message, dict) or "content" not in message:
        return ""
    content = message["content"]
    found = [{"block": None, **_marks(message, ("role", "content"))}]
    found += [
        {"block": number, **_marks(block, ("type",))}
        for number, block in enumerate(content if isinstance(content, list) else [])
        if isinstance(block, dict) and block.get("type") in _FOLDED
    ]
    some = [one for one in found if len(one) > 1]
    return as_json(some) if some else ""


def _marks(whole: dict[str, object], without: Collection[str]) -> dict[str, object]:
    return {name: one for name, one in whole.items() if name in _MARKS and name not in without}


def _blocks(content: object) -> list[Block]:
    return [
        part
        for block in (content if isinstance(content, list) else [content])
        for part in _block(block)
    ]


def _block(block: object) -> list[Block]:
    if not isinstance(block, dict):
        return [Block("", block if isinstance(block, str) else as_json(block))]
    if "type" not in block and len(block) == 1:  # Converse: the kind is the member's name
        return [_of_converse(*next(iter(block.items())))]
    kind = str(block.get("type", "block"))
    match kind:
        case "text" | "thinking" if isinstance(block.get(kind), str):
            said = Block("" if kind == "text" else kind, block[kind])
            return [said, *_beside(f"the {kind}", block, (kind,))]
        case _ if kind in _TOOLS:
            call = Block(f"{kind} {block.get('name')}", as_json(block.get("input")))
            return [call, *_beside("the call", block, ("name", "input"))]
        case "tool_result":
            content = block.get("content")
            text = content if isinstance(content, str) else as_json(content)
            return [Block(kind, text), *_beside("the result", block, ("content",))]
        case _:
            return [Block(kind, as_json(block))]


def _of_converse(kind: str, value: object) -> Block:
    if isinstance(value, str):
        return Block("" if kind == "text" else kind, value)
    if kind == "toolUse" and isinstance(value, dict):
        return Block(f"{kind} {value.get('name')}", as_json(value.get("input")))
    return Block(kind, as_json(value))


def _beside(what: str, whole: dict[str, object], shown: Collection[str]) -> list[Block]:
    """What stands beside what is shown: citations, that a tool failed, and what is not known."""
    rest = {
        name: value
        for name, value in whole.items()
        if value and name not in shown and name not in _MARKS
    }
    return [Block(f"beside {what}", as_json(rest))] if rest else []


def as_json(value: object) -> str:
    """A value as a person reads JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)  # any size of number, half characters
