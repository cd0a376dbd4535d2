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
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bailee.managed.checking import SettingsPlace
from bailee.managed.compiling import ManagedAgent

_LARGEST: Final = 1024 * 1024
_MOST_FILES: Final = 100
_ROOT: Final = Path("/")


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
        for path, loose in _PLACES[agent](home, environment, root)
        if os.path.lexists(path)
    ]


Found = Iterator[tuple[Path, bool]]


def _claude(home: Path, environment: Mapping[str, str], root: Path) -> Found:  # noqa: ARG001
    fetched = home / ".claude/remote-settings.json"
    if fetched.exists():  # of a gateway where this person signed in: the machine's own are skipped
        yield fetched, True
        return
    folder = root / "etc/claude-code"
    more = sorted((folder / "managed-settings.d").glob("*.json"), reverse=True)
    for path in (*more[:_MOST_FILES], folder / "managed-settings.json"):
        yield path, False


def _codex(home: Path, environment: Mapping[str, str], root: Path) -> Found:  # noqa: ARG001
    yield root / "etc/codex/managed_config.toml", False


def _gemini(home: Path, environment: Mapping[str, str], root: Path) -> Found:  # noqa: ARG001
    named = environment.get("GEMINI_CLI_SYSTEM_SETTINGS_PATH")
    yield (Path(named), True) if named else (root / "etc/gemini-cli/settings.json", False)


def _opencode(home: Path, environment: Mapping[str, str], root: Path) -> Found:  # noqa: ARG001
    for name in ("opencode.jsonc", "opencode.json"):
        yield root / "etc/opencode" / name, False


def _bailee(home: Path, environment: Mapping[str, str], root: Path) -> Found:  # noqa: ARG001
    yield root / "etc/bailee/settings.json", False


_PLACES: Final = {
    ManagedAgent.CLAUDE: _claude,
    ManagedAgent.CODEX: _codex,
    ManagedAgent.GEMINI: _gemini,
    ManagedAgent.OPENCODE: _opencode,
    ManagedAgent.BAILEE: _bailee,
}


def _content(path: Path) -> Mapping[str, object] | None:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
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
            found = one.stat()
            if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return True
            if one == root:
                break
    except OSError:
        return True
    return False
