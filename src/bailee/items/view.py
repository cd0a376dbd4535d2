"""Items as messages that every view can show: one shape of role and blocks for all APIs. Pure.

    {role: system | user | assistant | …, content: [block]}
    block: text | thinking | tool_use | tool_result | image | other

The names are the Messages API's, whose items are given as they are. For reading alone: it is never
stored, and nothing is made of it. Nothing is left out: what has no place in this shape is an
`other` with the item or the part as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from bailee.api import Api
from bailee.items import view_chat, view_gemini, view_responses
from bailee.items.blocks import Block, message, other, rest_of
from bailee.json_values import Json, JsonObject, elements, members


def view(api: Api, items: Iterable[Json]) -> list[Json]:
    """The items as messages, in order. Of the Responses API an item is a block, and those of one
    speaker that follow one another are one message; of the others an item is a message.
    """
    if api is Api.MESSAGES:
        return list(items)
    return [*_OF[api](items)]


def view_answer(api: Api, answer: Json) -> list[Json]:
    """An answer as messages: all that it says, with what a client does not send back (thoughts,
    the second of several choices). Of the Messages API's: none, it is a message itself.
    """
    match api:
        case Api.MESSAGES:
            return []
        case Api.CONVERSE:
            said = members(members(answer).get("output")).get("message")
            return view(api, [said] if isinstance(said, dict) else _something(answer))
        case Api.RESPONSES:
            output = members(answer).get("output")
            return view(api, output if isinstance(output, list) else _something(answer))
        case Api.CHAT:
            return [*view_chat.answer(answer)]
        case Api.GEMINI:
            return [*view_gemini.answer(answer)]


def _something(answer: Json) -> list[Json]:
    return [] if answer is None else [answer]


def _converse(items: Iterable[Json]) -> Iterable[Json]:
    for item in items:
        if not isinstance(item, dict):
            yield message("?", [other(item)])
            continue
        blocks = [_converse_block(block) for block in elements(item.get("content"))]
        yield message(item.get("role"), [*blocks, *rest_of(item, ("role", "content"))])


def _converse_block(block: Json) -> Block:
    if not isinstance(block, dict) or len(block) != 1:
        return other(block)
    ((kind, value),) = block.items()
    inner = members(value)
    if kind == "text":
        return {"type": "text", "text": value}
    if kind == "toolUse" and inner:
        return {
            "type": "tool_use",
            "id": inner.get("toolUseId"),
            "name": inner.get("name"),
            "input": inner.get("input"),
        }
    if kind == "toolResult" and inner:
        content: list[Json] = [_converse_block(one) for one in elements(inner.get("content"))]
        result: JsonObject = {
            "type": "tool_result",
            "tool_use_id": inner.get("toolUseId"),
            "content": content,
        }
        return {**result, **({"status": inner["status"]} if "status" in inner else {})}
    thought = members(inner.get("reasoningText"))
    if kind == "reasoningContent" and isinstance(thought.get("text"), str):
        return {"type": "thinking", "thinking": thought["text"], **{
            name: one for name, one in thought.items() if name != "text"}}  # fmt: skip
    return {"type": "image", "source": value} if kind == "image" else other(block)


_OF: Final[dict[Api, Callable[[Iterable[Json]], Iterable[Json]]]] = {
    Api.CONVERSE: _converse,
    Api.RESPONSES: view_responses.messages,
    Api.CHAT: view_chat.messages,
    Api.GEMINI: view_gemini.messages,
}
