"""By which items a client sends an answer back. Pure.

So the vault knows them when they come: an answer that comes back as it is expected costs nothing.
One that comes back otherwise is kept as what it is.

Rule kept here: **what this gives is a part of the form of the vault's records.** A record may refer
to an answer's n-th item. So what it gives for an answer does not change once there are records of
that API; what shall be better is for a new name in `Api`, or a number in the record.
"""

from __future__ import annotations

from typing import Final

from bailee.api import Api
from bailee.json_values import Json, JsonObject, elements, members

MOST: Final = 1_000
"""Items of one answer that are known; each costs two digests and two rows of the index. An answer
with more counts as one that has none."""

_OF_CHAT: Final = ("role", "content", "tool_calls")


def items_of(api: Api, answer: object) -> list[Json]:
    """The items by which a client would send `answer` back. Of the Messages API's there is one,
    which `vault.delta` makes, since it has marks.
    """
    match api:
        case Api.CONVERSE:
            found = _of_converse(answer)
        case Api.RESPONSES:
            found = _of_responses(answer)
        case Api.CHAT:
            found = _of_chat(answer)
        case Api.GEMINI:
            found = _of_gemini(answer)
        case Api.MESSAGES:
            found = []
    return found if len(found) <= MOST else []


def _of_converse(answer: object) -> list[Json]:
    message = members(members(answer).get("output")).get("message")
    return [message] if isinstance(message, dict) else []


def _of_responses(answer: object) -> list[Json]:
    """Each item of the output; a reasoning with the `content` that Codex adds."""
    return [
        {**item, "content": item.get("content")}
        if isinstance(item, dict) and item.get("type") == "reasoning"
        else item
        for item in elements(members(answer).get("output"))
    ]


def _of_chat(answer: object) -> list[Json]:
    """The first choice's message, as far as the vendor's reference lets it be sent."""
    choices = elements(members(answer).get("choices"))
    message = members(choices[0]).get("message") if choices else None
    if not isinstance(message, dict):
        return []
    kept: JsonObject = {name: message[name] for name in _OF_CHAT if message.get(name) is not None}
    return [kept] if kept else []


def _of_gemini(answer: object) -> list[Json]:
    """The first candidate's content without thoughts, which are not sent back."""
    candidates = elements(response_of(answer).get("candidates"))
    content = members(candidates[0]).get("content") if candidates else None
    if not isinstance(content, dict):
        return []
    parts = elements(content.get("parts"))
    kept: list[Json] = [part for part in parts if members(part).get("thought") is not True]
    return [{**content, "parts": kept}] if kept else []


def response_of(answer: object) -> JsonObject:
    """A response of generateContent, out of what Code Assist puts around it."""
    found = members(answer)
    inner = found.get("response")
    return inner if isinstance(inner, dict) else found
