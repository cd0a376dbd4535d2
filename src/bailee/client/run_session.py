"""Which session a run of an agent that names none of its own belongs to.

The id goes to the gateway as `x-bailee-session`, and no further. A run begins a new one; a run that
takes up the last conversation of a folder has the id of that.

Rules kept here: what is kept on disk is, by agent and folder (as a digest), the id of the last run;
no more than `MOST`. A file that can't be read or written costs the joining, never the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bailee.client.local_key import make_private, write_private
from bailee.json_values import Json

MOST: Final = 500
_FILE: Final = "launch/sessions.json"
# The arguments by which an agent takes up the last conversation of the folder.
_TAKES_UP: Final = {
    "gemini": frozenset({"--resume=latest", "-r=latest"}),
    "aider": frozenset({"--restore-chat-history"}),
}
_LATEST: Final = {"gemini": frozenset({"--resume", "-r"})}


def takes_up(agent: str | None, arguments: Sequence[str]) -> bool:
    """Whether a command goes on with the last conversation of its folder."""
    if not _TAKES_UP.get(agent or "", frozenset()).isdisjoint(arguments):
        return True
    flags = _LATEST.get(agent or "", frozenset())
    return any(
        one in flags and (index + 1 == len(arguments) or arguments[index + 1] == "latest"
                          or arguments[index + 1].startswith("-"))
        for index, one in enumerate(arguments)
    )  # fmt: skip


def session_of(
    data: Path, agent: str | None, arguments: Sequence[str], folder: Path, fresh: str
) -> str:
    """The id of a run's session; `fresh` when it begins one. Empty for agents that name their own.

    `data` is the client's own folder.
    """
    if agent not in _TAKES_UP:
        return ""
    place = data / _FILE
    known = _read(place)
    name = hashlib.sha256(f"{agent}\0{folder}".encode()).hexdigest()
    last = known.pop(name, None)
    session = last if last is not None and takes_up(agent, arguments) else fresh
    known[name] = session
    kept = dict(list(known.items())[-MOST:])
    try:
        make_private(place.parent)
        write_private(place, json.dumps(kept).encode())
    except OSError:
        pass
    return session


def _read(place: Path) -> dict[str, str]:
    try:
        found: Json = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}
