"""Blocks of the shape for reading, and what it takes to make them. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

from bailee.json_values import Json, JsonObject

Block: TypeAlias = JsonObject
"""One of `view`'s blocks."""

_LONGEST: Final = 1 << 20  # characters of arguments that are read
_ROLES: Final = {"developer": "system", "model": "assistant"}


def message(role: Json, blocks: Sequence[Block]) -> JsonObject:
    """A message; "?" speaks when it isn't said who does."""
    name = role if isinstance(role, str) else "?"
    return {"role": _ROLES.get(name, name), "content": list(blocks)}


def other(item: Json) -> Block:
    """What has no place in the shape, as it came."""
    return {"type": "other", "item": item}


def rest_of(item: JsonObject, known: Collection[str]) -> list[Block]:
    """What an item has besides what is known of it, if that says anything."""
    rest: JsonObject = {
        name: one for name, one in item.items() if name not in known and one not in (None, [])
    }
    return [other(rest)] if rest else []


def parsed(arguments: Json) -> Json:
    """A tool's arguments, which are JSON in a text; the text when they are none."""
    if not isinstance(arguments, str) or len(arguments) > _LONGEST:
        return arguments
    try:
        found: Json = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return found
