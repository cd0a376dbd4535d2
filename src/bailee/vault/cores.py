"""What an item of OpenAI's Responses API says, apart from what its client writes anew. Pure.

After a compaction, and for a sub-agent, Codex sends the same words under other ids; opencode sends
answers back without ids and without what is empty. So an item is taken apart into its *core* and
the *rest*: what else stands in it, and where. An item whose core the session has had is stored as
that item's place and its own rest, and comes back exactly.

Rule kept here: **what is left out of a core is a part of the form of the vault's records.** It does
not change; what shall be better is for a new name in `Api`, or a number in the record.
"""

from __future__ import annotations

from typing import Final

from bailee.api import Api
from bailee.json_values import elements
from bailee.vault.packing import JSON

LARGE: Final = 256
"""Bytes; of a smaller item the core is not known: it would cost a row of the index."""
_NAMES: Final = frozenset({"id", "status", "phase", "internal_chat_message_metadata_passthrough"})
_PARTS: Final = ("content", "summary")


def has_cores(api: Api) -> bool:
    """Whether items of this API are known by their cores."""
    return api is Api.RESPONSES


def taken_apart(item: JSON) -> tuple[JSON, list[JSON]]:
    """The item's core, and its rest: `[path, value]` of each member that is not in the core."""
    if not isinstance(item, dict):
        return item, []
    rest: list[JSON] = []
    core = _without(item, [], _NAMES, rest)
    if core.get("type") == "message" and "role" in core:
        rest.append([["type"], core.pop("type")])
    for name in _PARTS:
        parts = core.get(name)
        if isinstance(parts, list):
            core[name] = [
                _without(part, [name, place], frozenset(), rest) if isinstance(part, dict) else part
                for place, part in enumerate(parts)
            ]
    return core, rest


def put_together(core: JSON, rest: list[JSON]) -> JSON:
    """The item of this core and this rest; `core` is left as it is."""
    if not isinstance(core, dict):
        return core
    whole: dict[str, JSON] = dict(core)
    for name in _PARTS:
        parts = whole.get(name)
        if isinstance(parts, list):
            whole[name] = [dict(part) if isinstance(part, dict) else part for part in parts]
    for entry in rest:
        path, value = elements(entry)
        *steps, last = elements(path)
        into: JSON = whole
        for step in steps:
            into = _inside(into, step)
        assert isinstance(into, dict)
        assert isinstance(last, str)
        into[last] = value
    return whole


def _inside(whole: JSON, step: JSON) -> JSON:
    if isinstance(whole, dict) and isinstance(step, str):
        return whole[step]
    assert isinstance(whole, list)
    assert isinstance(step, int)
    return whole[step]


def _without(
    said: dict[str, JSON], path: list[JSON], names: frozenset[str], rest: list[JSON]
) -> dict[str, JSON]:
    """An object without what is empty and what has one of these names, which goes into `rest`."""
    core: dict[str, JSON] = {}
    for name, value in said.items():
        if name in names or value is None or value in ("", []):
            rest.append([[*path, name], value])
        else:
            core[name] = value
    return core
