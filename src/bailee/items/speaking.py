"""Who speaks in an item: the client's side, or the model. Pure.

What the client's side says, its words and the results of its tools, tells one conversation from
another (`vault.conversations`): a model's words come back changed, and clients leave some out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bailee.api import Api
from bailee.items.blocks import parsed
from bailee.json_values import Json, JsonObject, elements, members, text

_MODEL: Final = ("assistant", "model")
_TEXTS: Final = ("text", "input_text", "output_text")
_RESULTS: Final = ("_output", "_response")
"""How the type of an item ends that is the result of a tool of the client's."""
_CALLED: Final = ("functionCall", "functionResponse")
_NAMES: Final = ("id", "status", "internal_chat_message_metadata_passthrough")
"""Members of an item of the Responses API that change while it is the same: a client gives the same
words new ids after a compaction."""


def spoken(api: Api, items: list[Json]) -> list[Json]:
    """Of these items what the client's side said, as what it is: without the names that a client
    gives anew.
    """
    match api:
        case Api.RESPONSES:
            return [core(api, item) for item in items if _is_spoken(item)]
        case Api.CHAT:
            roles: tuple[Json, ...] = ("user", "tool", "function")
        case Api.GEMINI:
            roles = ("user", "function", None)
        case Api.MESSAGES | Api.CONVERSE:
            roles = ("user",)
    return [item for item in items if isinstance(item, dict) and item.get("role") in roles]


def core(api: Api, item: Json) -> Json:
    """An item as what it says: of the Responses API's without what changes while it is the same."""
    if api is not Api.RESPONSES or not isinstance(item, dict):
        return item
    kept: JsonObject = {
        name: one for name, one in item.items() if name not in _NAMES and one is not None
    }
    if kept.get("type") == "message":
        del kept["type"]
    content = elements(kept.get("content"))
    if len(content) == 1 and {*members(content[0])} == {"type", "text"}:
        kept["content"] = members(content[0])["text"]  # the same words in the short form
    return kept


def as_said(api: Api, item: Json) -> Json:
    """An item as what it says, to be compared with others. In the short form: a text instead of
    a list with that text alone, which a client writes as it has to mark the text for a cache or
    not. Without what some clients leave out or put in when they send it back: of OpenAI's APIs what
    is empty, and how the arguments of a call are written; of Gemini's the signatures, and a result
    that is there twice.
    """
    said = core(api, item)
    if not isinstance(said, dict):
        return item
    match api:
        case Api.GEMINI:
            said = {**said, **_each(said, "parts", _part)}
            said |= _once(said, "parts", "functionResponse")
        case Api.RESPONSES:
            said = _read(_filled(said, "phase"))
            said |= _each(said, "content", _filled)
        case Api.CHAT:
            said = _filled(said)
            said |= _each(said, "tool_calls", _call)
        case Api.MESSAGES:
            said = {**said, **_each(said, "content", _short)}
        case Api.CONVERSE:
            pass
    return _short(said)


def _short(whole: JsonObject) -> JsonObject:
    """With a text instead of a list that has that text alone."""
    content = whole.get("content")
    block = members(content[0]) if isinstance(content, list) and len(content) == 1 else {}
    alone = {*block} == {"type", "text"} and block["type"] in _TEXTS
    return {**whole, "content": block["text"]} if alone else whole


def _each(whole: JsonObject, name: str, change: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """A list among the members, with each object in it changed; nothing if it is none."""
    value = whole.get(name)
    if not isinstance(value, list):
        return {}
    return {name: [change(one) if isinstance(one, dict) else one for one in value]}


def _once(whole: JsonObject, name: str, kind: str) -> JsonObject:
    """A list among the members without what repeats what stands before it, if it is of a kind."""
    kept: list[Json] = []
    for one in elements(whole.get(name)):
        if not kept or kind not in members(one) or one != kept[-1]:
            kept.append(one)
    return {name: kept} if isinstance(whole.get(name), list) else {}


def _filled(whole: JsonObject, *without: str) -> JsonObject:
    return {
        name: one
        for name, one in whole.items()
        if one not in (None, [], "") and name not in without
    }


def _part(part: JsonObject) -> JsonObject:
    """Without the signature, and with the id of a call as it was: Gemini CLI puts the tool's name
    before it when it asks for a summary.
    """
    said = {name: one for name, one in part.items() if name != "thoughtSignature"}
    for kind in _CALLED:
        called = said.get(kind)
        if isinstance(called, dict) and isinstance(called.get("id"), str):
            before = f"{text(called.get('name'))}__"
            said[kind] = {**called, "id": text(called["id"]).removeprefix(before)}
    return said


def _call(call: JsonObject) -> JsonObject:
    function = call.get("function")
    read = {"function": _read(function)} if isinstance(function, dict) else {}
    return {**_filled(call, "index"), **read}


def _read(called: JsonObject) -> JsonObject:
    if "arguments" not in called:
        return called
    return {**called, "arguments": parsed(called["arguments"])}


def is_by_model(api: Api, item: Json) -> bool:
    """Whether the model said it: a client sends it back, and one that changes it has changed its
    history.
    """
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    if api is Api.RESPONSES and "role" not in item and isinstance(kind, str):
        return kind in ("reasoning", "compaction") or kind.endswith("_call")
    return item.get("role") in _MODEL


def _is_spoken(item: Json) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    if kind is None or kind == "message":
        return item.get("role") == "user"
    return isinstance(kind, str) and kind.endswith(_RESULTS)
