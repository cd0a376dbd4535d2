"""A request taken apart: its list of items, and the rest. Pure.

Where the list stands:

| API | at | as |
|---|---|---|
| Messages, Converse, Chat Completions | `messages` | a list |
| Responses | `input` | a list, or a text, which is one item of the user's (`input:text`) |
| generateContent | `contents`, with Code Assist `request.contents` | a list |

Rule kept here: what `vault.listing.together` makes of the parts is the request as it came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from orjson import dumps

from bailee.api import Api
from bailee.apis.brief import brief
from bailee.apis.decoding import decoded
from bailee.json_values import elements, members, text
from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound
from bailee.vault.known import Written
from bailee.vault.listing import IN_REQUEST, TEXT, WRAPPER, as_item
from bailee.vault.packing import JSON
from bailee.vault.structure import ReadText, drops_members, read

_LIST: Final = {
    Api.MESSAGES: "messages",
    Api.CONVERSE: "messages",
    Api.CHAT: "messages",
    Api.RESPONSES: "input",
    Api.GEMINI: "contents",
}
_MOST_ELSEWHERE: Final = 20
_LONGEST_ID: Final = 200


@dataclass(slots=True)
class AskedParts:
    """A request taken apart; `raw` as far as it could not be, or when an object in it has a key
    twice, of which the last is taken. `elsewhere`: what it refers to that
    the provider holds, as `kind id`.
    """

    fields: dict[str, JSON] = field(default_factory=dict)
    items: list[JSON] | None = None
    at: str = ""
    raw: bytes | None = None
    values: int = 0
    size: int = 0
    beyond: Beyond | None = None
    after: str | None = None
    elsewhere: tuple[str, ...] = ()
    written: Written | None = None


def request_of(api: Api, raw: bytes, codings: str, *, briefly: bool = False) -> AskedParts:
    """What a body says. `briefly`: but for what is long in its strings, which nobody asks for.

    Raises:
        BeyondBound: it is past a bound.
    """
    name = _LIST[api]
    body = decoded(raw, codings)
    size = len(body or b"")
    if briefly and body is not None:
        body = _briefly(body)
    parsed, values, plain = ReadText(None, 0) if body is None else json_of(body, name)
    if body is None or not isinstance(parsed, dict):
        return AskedParts(raw=raw or None)
    beside = raw if not plain and drops_members(body, parsed) else None
    if len(parsed) > bounds.FIELDS:
        raise BeyondBound(Beyond.FIELDS)
    written = _written(body, name, parsed) if plain else None
    at, items = _take_list(api, name, parsed)
    if items is not None and len(items) > bounds.MESSAGES:
        raise BeyondBound(Beyond.MESSAGES)
    found = AskedParts(parsed, items, at, beside, values=values, size=size, written=written)
    if api is Api.RESPONSES:
        found.after = text(parsed.get("previous_response_id"))[:_LONGEST_ID] or None
        found.elsewhere = _elsewhere(parsed, items or [])
    return found


def _briefly(body: bytes) -> bytes | None:
    try:
        return brief(body)
    except ValueError:
        return None


def _written(text: bytes, name: str, parsed: dict[str, JSON]) -> Written | None:
    """A plain text, and where in it the entries of its outermost list `name` begin."""
    if not isinstance(parsed.get(name), list):
        return None
    before = dict(takewhile(lambda member: member[0] != name, parsed.items()))
    start = len(dumps({**before, name: []})) - len("]}")
    return Written(text, start) if text[start - 1 : start] == b"[" else None


def _take_list(api: Api, name: str, parsed: dict[str, JSON]) -> tuple[str, list[JSON] | None]:
    """Takes the list out of `parsed`, and says where it stood."""
    found = parsed.get(name)
    if isinstance(found, list):
        del parsed[name]
        return name, found
    if api is Api.RESPONSES and isinstance(found, str):
        del parsed[name]
        return name + TEXT, [as_item(found)]
    inner = parsed.get(WRAPPER)
    if api is Api.GEMINI and isinstance(inner, dict) and isinstance(inner.get(name), list):
        items = inner.pop(name)
        return IN_REQUEST + name, elements(items)
    return "", None


def _elsewhere(fields: dict[str, JSON], items: list[JSON]) -> tuple[str, ...]:
    """What a request refers to that the provider holds, but for `previous_response_id`."""
    found: dict[str, None] = {}
    conversation = fields.get("conversation")
    named = conversation if isinstance(conversation, str) else members(conversation).get("id")
    _note(found, "conversation", named)
    _note(found, "prompt", members(fields.get("prompt")).get("id"))
    for item in items:
        one = members(item)
        if one.get("type") == "item_reference" or {*one} == {"id"}:
            _note(found, "item", one.get("id"))
        for part in elements(one.get("content")):
            _note(found, "file", members(part).get("file_id"))
        if len(found) >= _MOST_ELSEWHERE:
            break
    return tuple(found)[:_MOST_ELSEWHERE]


def _note(found: dict[str, None], kind: str, named: JSON) -> None:
    if isinstance(named, str) and named:
        found[f"{kind} {named[:_LONGEST_ID]}"] = None


def json_of(data: bytes, name: str | None = None) -> ReadText:
    """The JSON value in `data`, exactly, or None (also for `null`), and a number of its values.

    Raises:
        BeyondBound: it is past a bound.
    """
    try:
        return read(data, name)
    except BeyondBound:
        raise
    except ValueError:
        return ReadText(None, 0)
