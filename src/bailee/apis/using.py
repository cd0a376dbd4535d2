"""What an answer used, by the names of the Messages API. Pure.

The Messages API counts what was read from a cache and written to it beside `input_tokens`; all
others count it in. The whole of what an answer says stays in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import orjson

from bailee.api import Api
from bailee.items.replies import response_of
from bailee.json_values import JsonObject, members
from bailee.vault.packing import JSON


class Tokens(NamedTuple):
    """Tokens by kind. `input` is without what was read from a cache or written to it; `thinking` is
    a part of `output`, where an API tells it. A write to a cache whose lifetime is not told counts
    as one for five minutes, which is every API's ordinary one.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    thinking: int = 0

    @property
    def whole(self) -> int:
        """All that went in and came out."""
        return sum(self) - self.thinking


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


class _Lives(msgspec.Struct):
    """Tokens written to a cache, by how long it lasts."""

    ephemeral_1h_input_tokens: int | None = None


class _Thought(msgspec.Struct):
    """Parts of the output."""

    thinking_tokens: int | None = None


class _Said(msgspec.Struct):
    """The usage of the Messages API: what nearly every answer has, read without a detour."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Lives | None = None
    output_tokens_details: _Thought | None = None


_READ: Final = msgspec.json.Decoder(_Said)


def counted(api: Api, objects: Sequence[bytes]) -> Tokens:
    """What these objects of usage say, in the order in which one answer said them: what is said
    later takes the place of what was said before. Never raises.
    """
    if api is Api.MESSAGES:
        try:
            return _of_messages(objects)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # not as it is documented: what of it is, is read below
    said: JsonObject = {}
    for text in objects:
        try:
            news = members(orjson.loads(text))
        except orjson.JSONDecodeError:
            continue
        said |= {name: value for name, value in news.items() if value is not None}
    return tokens(api, said)


def _of_messages(objects: Sequence[bytes]) -> Tokens:
    into = out = read = written = lasting = thought = 0
    for text in objects:
        said = _READ.decode(text)
        into = said.input_tokens or into
        out = said.output_tokens or out
        read = said.cache_read_input_tokens or read
        written = said.cache_creation_input_tokens or written
        if said.cache_creation is not None:
            lasting = said.cache_creation.ephemeral_1h_input_tokens or lasting
        if said.output_tokens_details is not None:
            thought = said.output_tokens_details.thinking_tokens or thought
    if into < 0 or out < 0 or into + out > _MOST:
        raise msgspec.DecodeError
    if not (read or written or thought):
        return Tokens(into, out)
    if min(read, written, lasting, thought) < 0 or read + written > _MOST:
        raise msgspec.DecodeError
    lasting = min(lasting, written)
    return Tokens(into, out, read, written - lasting, lasting, thought)


def tokens(api: Api, said: JsonObject) -> Tokens:
    """What the object says that an answer has in the place of its usage. Never below nothing,
    and no more of one kind than `_MOST`: an upstream's figures are not ours.
    """
    counts = _bounded(usage(api, {_PLACE.get(api, "usage"): said}))
    written = counts.get("cache_creation_input_tokens", 0)
    lasting = 0
    if api is Api.MESSAGES:
        by_life = _bounded(_counts(said.get("cache_creation")))
        lasting = min(written, by_life.get("ephemeral_1h_input_tokens", 0))
    return Tokens(
        counts.get("input_tokens", 0),
        counts.get("output_tokens", 0),
        counts.get("cache_read_input_tokens", 0),
        written - lasting,
        lasting,
        _thought(api, said),
    )


_PLACE: Final[Mapping[Api, str]] = {Api.GEMINI: "usageMetadata"}
_MOST: Final = 10**9  # tokens of one kind that one answer can have used


def _bounded(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: min(max(count, 0), _MOST) for name, count in counts.items()}


def _thought(api: Api, said: JsonObject) -> int:
    """Tokens of the output in which the model thought, where that is told."""
    match api:
        case Api.RESPONSES:
            found = _counts(said.get("output_tokens_details")).get("reasoning_tokens", 0)
        case Api.CHAT:
            found = _counts(said.get("completion_tokens_details")).get("reasoning_tokens", 0)
        case Api.GEMINI:
            found = _counts(said).get("thoughtsTokenCount", 0)
        case Api.MESSAGES:
            found = _counts(said.get("output_tokens_details")).get("thinking_tokens", 0)
        case Api.CONVERSE:
            found = 0
    return min(max(found, 0), _MOST)


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
