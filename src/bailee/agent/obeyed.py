"""Names in a folder that programs obey: what stands there runs, or permits, outside. Pure."""

from __future__ import annotations

from typing import Final

GIT: Final = ".git"
SETTINGS: Final = (
    *(".bailee", ".claude", ".codex", ".cursor", ".devcontainer", ".gemini", ".husky", ".idea"),
    *(".mcp.json", ".opencode", ".pre-commit-config.yaml", ".vscode", ".windsurf", ".zed"),
)
"""Settings of agents and editors (hooks, servers, tasks, permissions), and of what runs at git's
hooks: those that are read while a command runs, and that nobody misses where there are none.
"""
_MORE: Final = (
    *(".aider.conf.yml", ".amazonq", ".amp", ".clinerules", ".continue", ".devcontainer.json"),
    *(".dir-locals.el", ".exrc", ".factory", ".fleet", ".goose", ".helix", ".junie", ".kilocode"),
    *(".kiro", ".lefthook.yml", ".nvim.lua", ".nvimrc", ".overcommit.yml", ".qwen", ".roo"),
    *(".trae", ".vim", ".vimrc", ".vs", "crush.json", "lefthook.yaml", "lefthook.yml"),
    *("opencode.json", "opencode.jsonc"),
)
_ENDINGS: Final = (".code-workspace", ".sublime-project")
_ALL: Final = frozenset({*SETTINGS, *_MORE})


def is_settings(name: str) -> bool:
    """Whether what is called so is somebody's settings."""
    return name in _ALL or name.endswith(_ENDINGS)


def is_guarded(name: str) -> bool:
    """Whether a write to what is called so, or into it, needs a person's word."""
    return name in (GIT, ".gitmodules") or is_settings(name)
