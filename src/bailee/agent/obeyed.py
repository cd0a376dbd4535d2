"""Names in a folder that programs obey: what stands there runs, or permits, outside. Pure."""

from __future__ import annotations

from typing import Final

GIT: Final = ".git"
SETTINGS: Final = (
    *(".bailee", ".claude", ".codex", ".cursor", ".devcontainer", ".gemini", ".idea", ".mcp.json"),
    *(".opencode", ".vscode", ".zed"),
)
"""Settings of agents and editors: hooks, servers, tasks, permissions."""
GUARDED: Final = frozenset({GIT, ".gitmodules", *SETTINGS})
"""What a write needs a person's word for, in any folder."""
