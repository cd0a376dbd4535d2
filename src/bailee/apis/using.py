"""What an answer used, by the names of the Messages API. Pure.

The Messages API counts what was read from a cache and written to it beside `input_tokens`; all
others count it in. The whole of what an answer says stays in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bailee.api import Api
from bailee.items.replies import response_of
from bailee.json_values import JsonObject, members
from bailee.vault.packing import JSON

_OF_CONVERSE: Final[Mapping[str, str]] = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheWriteInputTokens": "cache_creation_input_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
}


def usage(api: Api, answer: JSON) -> dict[str, int]:
    """What it used, as far as it says so."""
    match api:
        case Api.MESSAGES | Api.CONVERSE:
            said = _counts(members(answer).get("usage"))
            return {_OF_CONVERSE.get(name, name): count for name, count in said.items()}
        case Api.RESPONSES:
            return _of_openai(members(members(answer).get("usage")), "input", "output")
        case Api.CHAT:
            return _of_openai(members(members(answer).get("usage")), "prompt", "completion")
        case Api.GEMINI:
            return _of_gemini(_counts(response_of(answer).get("usageMetadata")))


def _counts(said: object) -> dict[str, int]:
    return {
        name: value
        for name, value in members(said).items()
        if isinstance(value, int) and not isinstance(value, bool)
    }


def _of_openai(said: JsonObject, asked: str, answered: str) -> dict[str, int]:
    counts = _counts(said)
    if not counts:
        return {}
    details = _counts(said.get(f"{asked}_tokens_details"))
    read, written = details.get("cached_tokens", 0), details.get("cache_write_tokens", 0)
    return {
        "input_tokens": max(0, counts.get(f"{asked}_tokens", 0) - read - written),
        "output_tokens": counts.get(f"{answered}_tokens", 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
    }


def _of_gemini(counts: Mapping[str, int]) -> dict[str, int]:
    if not counts:
        return {}
    read = counts.get("cachedContentTokenCount", 0)
    asked = counts.get("promptTokenCount", 0) + counts.get("toolUsePromptTokenCount", 0)
    answered = counts.get("candidatesTokenCount", 0) + counts.get("thoughtsTokenCount", 0)
    return {
        "input_tokens": max(0, asked - read),
        "output_tokens": answered,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": read,
    }
