"""Messages of Chat Completions as messages for reading; see `view`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bailee.items.blocks import Block, message, other, parsed, rest_of
from bailee.json_values import Json, JsonObject, elements, members

_THOUGHTS: Final = ("reasoning_content", "reasoning")
_RESULT: Final = ("tool", "function")
_KNOWN: Final = ("role", "content", "tool_calls", "function_call", "refusal", "tool_call_id")


def messages(items: Iterable[Json]) -> Iterator[JsonObject]:
    """Each item is a message."""
    for item in items:
        yield _message(item)


def answer(completion: Json) -> Iterator[JsonObject]:
    """Each choice's message."""
    choices = members(completion).get("choices")
    if not isinstance(choices, list):
        if completion is not None:
            yield message("assistant", [other(completion)])
        return
    for choice in choices:
        yield _message(members(choice).get("message", choice))


def _message(item: Json) -> JsonObject:
    if not isinstance(item, dict):
        return message("?", [other(item)])
    if item.get("role") in _RESULT:
        content = item.get("content")
        shown: Json = [_part(one) for one in content] if isinstance(content, list) else content
        named = item.get("tool_call_id", item.get("name"))
        result: Block = {"type": "tool_result", "tool_use_id": named, "content": shown}
        return message("user", [result, *rest_of(item, ("role", "content", "tool_call_id"))])
    blocks: list[Block] = [
        {"type": "thinking", "thinking": item[name]}
        for name in _THOUGHTS
        if isinstance(item.get(name), str) and item[name]
    ]
    content = item.get("content")
    parts = [content] if isinstance(content, str) and content else elements(content)
    blocks += [_part(part) for part in parts]
    if content is not None and not isinstance(content, str | list):
        blocks.append(other(content))
    if isinstance(item.get("refusal"), str):
        blocks.append({"type": "text", "text": item["refusal"], "kind": "refusal"})
    calls = item.get("tool_calls")
    if calls is not None:
        blocks += [_call(one) for one in (calls if isinstance(calls, list) else [calls])]
    called = item.get("function_call")
    if called is not None:
        blocks.append(_use(None, called) if isinstance(called, dict) else other(called))
    thoughts = [name for name in _THOUGHTS if isinstance(item.get(name), str)]
    return message(item.get("role"), [*blocks, *rest_of(item, (*_KNOWN, *thoughts))])


def _part(part: Json) -> Block:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, dict):
        return other(part)
    kind = part.get("type")
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        rest = {one: value for one, value in part.items() if one not in ("type", kind) and value}
        return {"type": "text", "text": part[kind], **rest}
    return {"type": "image", "source": part["image_url"]} if "image_url" in part else other(part)


def _call(called: Json) -> Block:
    given = members(called)
    kind = next((one for one in ("function", "custom") if isinstance(given.get(one), dict)), None)
    inner = members(given.get(kind or ""))
    if kind is None or not {*inner} <= {"name", "arguments", "input"}:
        return other(called)
    known = ("id", "type", "index", kind)
    rest = {name: one for name, one in given.items() if name not in known}
    return {**rest, **_use(given.get("id"), inner)}


def _use(named: Json, called: JsonObject) -> Block:
    given = parsed(called["arguments"]) if "arguments" in called else called.get("input")
    return {"type": "tool_use", "id": named, "name": called.get("name"), "input": given}
