"""Less of a conversation, for the summary of one that is too long to be sent. Pure."""

from __future__ import annotations

from typing import Final

from bailee.agent.ports import Block, Message
from bailee.json_values import objects, text

SHORTER: Final = (2000, 500, 50)
"""Characters that are left of a block, one after another as long as all of it is refused."""


def shortened(messages: list[Message], most: int = 2000, *, texts: bool = False) -> list[Message]:
    """The messages with long tool results cut, and images told of: what a summary can do without.
    `texts`: what was said and the calls' inputs are cut, too. Pure.
    """

    def cut(block: Block) -> Block:
        match block:
            case {"type": "tool_result", "content": list(parts)}:
                inner = (text(one.get("text")) or f"[{one.get('type')}]" for one in objects(parts))
                said = "\n".join(inner)
                return {**block, "content": _cut(said, most)}
            case {"type": "tool_result", "content": str(said)}:
                return {**block, "content": _cut(said, most)}
            case {"type": "image" | "document" as kind}:
                return {"type": "text", "text": f"[{kind}]"}
            case {"type": "text", "text": str(said)} if texts:
                return {**block, "text": _cut(said, most)}
            case {"type": "tool_use", "input": dict(given)} if texts and len(str(given)) > most:
                return {**block, "input": {"cut": _cut(str(given), most)}}
        return block

    return [{"role": m["role"], "content": [cut(b) for b in m["content"]]} for m in messages]


def _cut(said: str, most: int) -> str:
    return said if len(said) <= most else f"{said[:most]}\n[cut]"
