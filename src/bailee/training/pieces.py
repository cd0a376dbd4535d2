"""What a message holds, as pieces of four kinds: text, thought, a call, a call's result. Pure.

Total: a message is what a client sent or a model answered, so any JSON value. Blocks of the
Messages API and of Bedrock's Converse are known; what is not known is text, as its JSON.

Rules kept here:

* What nobody can look into does not go out: of images and documents in base64, of signatures and
  encrypted content, there is a placeholder with the kind and the size.
* What is nested more deeply than `DEEPEST` is replaced by a placeholder: every value that leaves
  here can be read by any JSON reader.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import Final, NamedTuple, TypeAlias

from bailee.json_values import Json, JsonObject, elements, members, text, well_formed

DEEPEST: Final = 100
_TOO_DEEP: Final = "[nested too deeply]"
_SEALED: Final = frozenset(
    {
        *("signature", "encrypted_content", "encrypted_index", "encrypted_stdout"),
        "redactedContent",
    }
)
FREE: Final = frozenset({"input", "input_schema", "json", "inputSchema"})
"""Members of a block in which no name has a meaning that is known."""
_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_FILES: Final = frozenset({"image", "document", "video", "audio"})


class TextPiece(NamedTuple):
    """What was said."""

    text: str


class ThoughtPiece(NamedTuple):
    """What the model thought."""

    text: str


class CallPiece(NamedTuple):
    """A tool is called; `arguments`: JSON text."""

    id: str
    name: str
    arguments: str


class ResultPiece(NamedTuple):
    """What a call gave; `id`: of the call."""

    id: str
    text: str


Piece: TypeAlias = TextPiece | ThoughtPiece | CallPiece | ResultPiece


def as_json(value: Json) -> str:
    """A value as JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def looked_into(value: object, deep: int = 0, *, free: bool = False) -> Json:
    """A JSON value without what can't be looked into. `free`: it is a tool's arguments or schema,
    where no name has a meaning that is known.
    """
    if deep > DEEPEST:
        return _TOO_DEEP
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, list):
        found: list[Json] = []
        for one in value:
            found.append(looked_into(one, deep + 1, free=free))
        return found
    if isinstance(value, dict):
        made: JsonObject = {}
        for name, one in value.items():
            if free or not _opaque(value, name):
                below = free or name in FREE
                made[well_formed(str(name))] = looked_into(one, deep + 1, free=below)
            else:
                made[name] = f"[{_size(one)} bytes]"
        return made
    return value if isinstance(value, int | None) else str(type(value).__name__)


def _opaque(within: JsonObject, name: str) -> bool:
    if name in _SEALED:
        return bool(within[name])
    if name == "data":
        return within.get("type") in ("base64", "redacted_thinking")
    return name == "bytes" and isinstance(within[name], str)


def _size(value: object) -> int:
    """Of base64, the bytes that it stands for."""
    return len(text(value)) * 3 // 4


def pieces_of(message: Json) -> Iterator[Piece]:
    """The pieces of a message that has been looked into, in order."""
    content = message.get("content") if isinstance(message, dict) else message
    for block in content if isinstance(content, list) else [content]:
        yield from _pieces(block)


def _pieces(block: Json) -> Iterator[Piece]:
    if isinstance(block, str):
        yield TextPiece(block)
    elif not isinstance(block, dict):
        if block is not None:
            yield TextPiece(as_json(block))
    elif "type" not in block and len(block) == 1:  # Converse: the kind is the member's name
        yield from _of_converse(*next(iter(block.items())), block)
    else:
        yield from _of_messages(text(block.get("type")), block)


def _of_messages(kind: str, block: JsonObject) -> Iterator[Piece]:
    if kind in ("text", "thinking") and isinstance(block.get(kind), str):
        said = text(block[kind])
        yield TextPiece(said) if kind == "text" else ThoughtPiece(said)
    elif kind == "redacted_thinking":
        yield ThoughtPiece("[redacted]")
    elif kind in _CALLS:
        yield _call(block.get("id"), block.get("name"), block.get("input"))
    elif kind.endswith("tool_result"):
        yield ResultPiece(text(block.get("tool_use_id")), _told(block.get("content")))
    elif kind in _FILES:
        yield from _file(kind, members(block.get("source")))
    else:
        yield TextPiece(as_json(block))


def _of_converse(kind: str, value: Json, block: JsonObject) -> Iterator[Piece]:
    inner = members(value)
    if kind == "text" and isinstance(value, str):
        yield TextPiece(value)
    elif kind == "toolUse":
        yield _call(inner.get("toolUseId"), inner.get("name"), inner.get("input"))
    elif kind == "toolResult":
        yield ResultPiece(text(inner.get("toolUseId")), _told(inner.get("content")))
    elif kind == "reasoningContent":
        said = text(members(inner.get("reasoningText")).get("text"))
        yield ThoughtPiece(said or "[redacted]")
    elif kind in _FILES:
        size = text(members(inner.get("source")).get("bytes")).strip("[]")
        yield TextPiece(_placeholder(kind, text(inner.get("format")), size))
    elif kind == "json":
        yield TextPiece(as_json(value))
    elif kind != "cachePoint":
        yield TextPiece(as_json(block))


def _call(identifier: Json, name: Json, arguments: Json) -> CallPiece:
    # Arguments that are not an object broke off while they were streamed: kept as what they are.
    known: JsonObject = members(arguments)
    if arguments is not None and not isinstance(arguments, dict):
        known = {"arguments": arguments}
    return CallPiece(text(identifier) or "call", text(name) or "tool", as_json(known))


def _told(content: Json) -> str:
    """A result's content as text."""
    if isinstance(content, dict):
        return as_json(content)
    said: list[str] = []
    for block in elements(content) if isinstance(content, list) else [content]:
        for piece in _pieces(block):
            said.append(
                piece.text
                if isinstance(piece, TextPiece | ThoughtPiece | ResultPiece)
                else piece.name
            )
    return "\n".join(said)


def _file(kind: str, source: JsonObject) -> Iterator[Piece]:
    match text(source.get("type")):
        case "text":
            yield TextPiece(text(source.get("data")))
        case "content":
            for block in elements(source.get("content")):
                yield from _pieces(block)
        case "base64":
            size = text(source.get("data")).strip("[]")
            yield TextPiece(_placeholder(kind, text(source.get("media_type")), size))
        case other:
            yield TextPiece(_placeholder(kind, f"by {other or 'nothing'}", ""))


def _placeholder(kind: str, form: str, size: str) -> str:
    return f"[{kind}: {', '.join(part for part in (form, size) if part)}]"
