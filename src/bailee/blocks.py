"""A message of a conversation as texts with a label each: for every view that people read. Pure.

Total: a message may be any JSON value, since it is what a client sent or a model answered. Nothing
of it is left out: a block that is no text is there as its JSON.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

_OF_A_TEXT: Final = ("type", "text", "cache_control")


class Block(NamedTuple):
    """A piece of a message. `label`: its kind, and for a tool its name; "" for plain text."""

    label: str
    text: str


def role_of(message: object) -> str:
    """Who speaks; "?" when it isn't said."""
    return str(message.get("role", "?")) if isinstance(message, dict) else "?"


def blocks_of(message: object) -> list[Block]:
    """What is said, in order."""
    content = message.get("content") if isinstance(message, dict) else message
    return [
        part
        for block in (content if isinstance(content, list) else [content])
        for part in (_block(block), _beside(block))
        if part is not None
    ]


def _block(block: object) -> Block:
    if not isinstance(block, dict):
        return Block("", block if isinstance(block, str) else _json(block))
    if "type" not in block and len(block) == 1:  # Converse: the kind is the member's name
        return _of_converse(*next(iter(block.items())))
    kind = str(block.get("type", "block"))
    match kind:
        case "text" | "thinking" if isinstance(block.get(kind), str):
            return Block("" if kind == "text" else kind, block[kind])
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return Block(f"{kind} {block.get('name')}", _json(block.get("input")))
        case "tool_result":
            content = block.get("content")
            return Block(kind, content if isinstance(content, str) else _json(content))
        case _:
            return Block(kind, _json(block))


def _of_converse(kind: str, value: object) -> Block:
    if isinstance(value, str):
        return Block("" if kind == "text" else kind, value)
    if kind == "toolUse" and isinstance(value, dict):
        return Block(f"{kind} {value.get('name')}", _json(value.get("input")))
    return Block(kind, _json(value))


def _beside(block: object) -> Block | None:
    """What a text has beside it: its citations, and what is not known."""
    if not isinstance(block, dict) or block.get("type") != "text":
        return None
    rest = {name: value for name, value in block.items() if value and name not in _OF_A_TEXT}
    return Block("beside the text", _json(rest)) if rest else None


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)  # any size of number, half characters
