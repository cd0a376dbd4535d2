"""The files of a machine that tell agents what they must obey, read for `bailee doctor`.

Rules kept here:

* Files of at most a mebibyte are read; what is larger, unreadable or not understood is a place
  whose content is unknown.
* A file counts as the administrator's when it and every folder above it are root's and nobody else
  may write to them: else whoever works here could change what they must obey.
* Nothing is written, and no value of a file is shown.

Rows: O3.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bailee.client.files import LARGEST, content_of
from bailee.home.guarding import ProcessUser, objection
from bailee.managed.checking import SettingsPlace
from bailee.managed.compiling import ManagedAgent, path_for

_MOST_FILES: Final = 100
_ROOT: Final = Path("/")
_ADMINISTRATOR: Final = ProcessUser(0, None, None)


def settings_places(
    agent: ManagedAgent,
    home: Path,
    environment: Mapping[str, str] = os.environ,
    root: Path = _ROOT,
) -> list[SettingsPlace]:
    """The files that an agent of this user's takes its managed settings from, the one that wins
    first; those that are not there are left out. `root`: where the machine's own files begin.
    """
    return [
        SettingsPlace(str(path), _content(path), loose or _loose(path, root))
        for path, loose in _paths(agent, home, environment, root)
        if os.path.lexists(path)
    ]


def _paths(
    agent: ManagedAgent, home: Path, environment: Mapping[str, str], root: Path
) -> Iterator[tuple[Path, bool]]:
    """The files, and whether they are the person's to choose or to change."""
    own = root / path_for(agent).lstrip("/")
    if agent is ManagedAgent.CLAUDE:
        fetched = home / ".claude/remote-settings.json"
        if fetched.exists():  # of a gateway where this person signed in: the others are skipped
            yield fetched, True
            return
        for path in sorted(own.parent.glob("*.json"), reverse=True)[:_MOST_FILES]:
            yield path, False
        yield own.parent.parent / "managed-settings.json", False
    elif agent is ManagedAgent.GEMINI:
        named = environment.get("GEMINI_CLI_SYSTEM_SETTINGS_PATH")
        yield (Path(named), True) if named else (own, False)
    elif agent is ManagedAgent.OPENCODE:
        yield own.with_suffix(".jsonc"), False
        yield own, False
    else:
        yield own, False


def _content(path: Path) -> Mapping[str, object] | None:
    try:
        raw = content_of(path) or b""
        if len(raw) > LARGEST:
            return None
        made = tomllib.loads(raw.decode()) if path.suffix == ".toml" else json.loads(raw)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(made, dict):
        return None
    within = made.get("settings")
    return within if path.name == "remote-settings.json" and isinstance(within, dict) else made


def _loose(path: Path, root: Path) -> bool:
    """Whether somebody else than root could change a file, or put another in its place."""
    try:
        real = path.resolve(strict=True)
        for one in (real, *real.parents):
            if objection(one.stat(), _ADMINISTRATOR, on_the_way=False) is not None:
                return True
            if one == root:
                break
    except OSError:
        return True
    return False
