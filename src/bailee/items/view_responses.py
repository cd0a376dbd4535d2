"""Items of the Responses API as messages for reading; see `view`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bailee.items.blocks import Block, message, other, parsed, rest_of
from bailee.json_values import Json, JsonObject, elements, members, objects, text

_TEXTS: Final = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_NAMES: Final = ("type", "id", "status", "internal_chat_message_metadata_passthrough")
_MARKS: Final = ("id", "status", "phase", "internal_chat_message_metadata_passthrough")
"""What marks an item for programs: it is shown apart, with the item's first block."""
_CALL: Final = (*_NAMES, "call_id", "name", "namespace", "arguments", "input")
_RESULTS: Final = ("output", "outputs", "results", "result", "error", "tools")
"""Where a tool that the provider runs has what came of it."""


def messages(items: Iterable[Json]) -> Iterator[JsonObject]:
    """Those of one speaker that follow one another are one message."""
    latest: JsonObject | None = None
    for item in items:
        role, blocks = _read(item)
        one = message(role, _marked(item, blocks))
        if latest is not None and latest["role"] == one["role"]:
            latest["content"] = [*elements(latest["content"]), *elements(one["content"])]
            continue
        if latest is not None:
            yield latest
        latest = one
    if latest is not None:
        yield latest


def _marked(item: Json, blocks: list[Block]) -> list[Block]:
    marks: JsonObject = {
        name: one for name in _MARKS if (one := members(item).get(name)) and one != "completed"
    }
    if not (marks and blocks) or blocks[0].get("type") == "other":
        return blocks
    return [{**blocks[0], "marks": marks}, *blocks[1:]]


def _read(item: Json) -> tuple[Json, list[Block]]:
    """Who speaks, and what is said."""
    if not isinstance(item, dict):
        return "?", [other(item)]
    kind = text(item.get("type")) or "message"
    match kind:
        case "message":
            return item.get("role"), _content(item)
        case "agent_message":
            said: JsonObject = {
                name: item[name] for name in ("author", "recipient") if item.get(name)
            }
            return "agent", [{**block, **said} for block in _content(item, (*said, "role"))]
        case "reasoning":
            return "assistant", [_thought(item)]
        case "function_call" | "custom_tool_call":
            return "assistant", _call(item)
        case _ if kind.endswith("_output"):
            return "user", _result(item)
        case _ if kind.endswith("_call"):
            return "assistant", _hosted(item, kind.removesuffix("_call"))
        case _:
            return item.get("role", "assistant"), [other(item)]


def _content(item: JsonObject, more: Iterable[str] = ("role", "phase")) -> list[Block]:
    content = item.get("content")
    parts = [content] if isinstance(content, str) else elements(content)
    return [*map(_part, parts), *rest_of(item, (*_NAMES, "content", *more))]


def _part(part: Json) -> Block:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, dict):
        return other(part)
    kind = part.get("type")
    rest: JsonObject = {n: one for n, one in part.items() if n not in ("type", "text") and one}
    if kind in _TEXTS and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"], **rest}
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return {"type": "text", "text": part["refusal"], "kind": "refusal"}
    return {"type": "image", "source": rest} if kind == "input_image" else other(part)


def _thought(item: JsonObject) -> Block:
    said = [*objects(item.get("summary")), *objects(item.get("content"))]
    whole = "\n\n".join(text(one.get("text")) for one in said)
    found: Block = {"type": "thinking", "thinking": whole}
    if item.get("encrypted_content"):
        found["signature"] = item["encrypted_content"]
    return found


def _call(item: JsonObject) -> list[Block]:
    space, name = text(item.get("namespace")), text(item.get("name"))
    called: Block = {
        "type": "tool_use",
        "id": item.get("call_id"),
        "name": f"{space}.{name}" if space else name,
        "input": parsed(item["arguments"]) if "arguments" in item else item.get("input"),
    }
    return [called, *rest_of(item, _CALL)]


def _result(item: JsonObject) -> list[Block]:
    output = item.get("output")
    content: Json = [_part(one) for one in output] if isinstance(output, list) else output
    found: Block = {"type": "tool_result", "tool_use_id": item.get("call_id"), "content": content}
    return [found, *rest_of(item, (*_NAMES, "call_id", "output"))]


def _hosted(item: JsonObject, name: str) -> list[Block]:
    """A tool that the provider runs, or one whose call has members of its own."""
    asked = {one: value for one, value in item.items() if one not in (*_NAMES, *_RESULTS)}
    called = item.get("call_id", item.get("id"))
    blocks: list[Block] = [{"type": "tool_use", "id": called, "name": name, "input": asked}]
    came: JsonObject = {one: item[one] for one in _RESULTS if item.get(one) not in (None, [])}
    if members(came):
        blocks.append({"type": "tool_result", "tool_use_id": called, "content": came})
    return blocks
