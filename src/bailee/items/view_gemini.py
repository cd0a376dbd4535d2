"""Contents of generateContent as messages for reading; see `view`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bailee.items.blocks import Block, message, other, rest_of
from bailee.items.replies import response_of
from bailee.json_values import Json, JsonObject, members, text

_SIGNATURE: Final = "thoughtSignature"


def messages(items: Iterable[Json]) -> Iterator[JsonObject]:
    """Each item is a message."""
    for item in items:
        yield _message(item)


def answer(response: Json) -> Iterator[JsonObject]:
    """Each candidate's content."""
    candidates = response_of(response).get("candidates")
    if not isinstance(candidates, list):
        if response is not None:
            yield message("assistant", [other(response)])
        return
    for one in candidates:
        yield _message(members(one).get("content", one))


def _message(item: Json) -> JsonObject:
    if isinstance(item, str):  # SDKs take a text for a content
        return message("user", [{"type": "text", "text": item}])
    if not isinstance(item, dict):
        return message("?", [other(item)])
    parts = item.get("parts")
    shown = parts if isinstance(parts, list) else [] if parts is None else [parts]
    blocks = [_part(part) for part in shown]
    role = item.get("role", "user")
    return message("user" if role == "function" else role,
                   [*blocks, *rest_of(item, ("role", "parts"))])  # fmt: skip


def _part(part: Json) -> Block:
    if not isinstance(part, dict):
        return other(part)
    rest = {one: value for one, value in part.items() if one != _SIGNATURE}
    signed: Block = {"signature": part[_SIGNATURE]} if part.get(_SIGNATURE) else {}
    if {*rest} <= {"text", "thought"} and isinstance(rest.get("text"), str):
        if rest.get("thought"):
            return {"type": "thinking", "thinking": rest["text"], **signed}
        return {"type": "text", "text": rest["text"], **signed}
    called, came, data = (members(rest.get(one)) for one in _KINDS)
    if called and len(rest) == 1 and {*called} <= {"id", "name", "args"}:
        named = {"id": called.get("id"), "name": called.get("name"), "input": called.get("args")}
        return {"type": "tool_use", **named, **signed}
    if came and len(rest) == 1 and {*came} <= {"id", "name", "response"}:
        named = {"tool_use_id": came.get("id", came.get("name")), "content": came.get("response")}
        return {"type": "tool_result", **named, **signed}
    if text(data.get("mimeType")).startswith("image/") and len(rest) == 1:
        return {"type": "image", "source": {**data}}
    return other(part)


_KINDS: Final = ("functionCall", "functionResponse", "inlineData")
