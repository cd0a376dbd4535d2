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
    *(".agent", ".agents", ".aider.conf.yml", ".amazonq", ".amp", ".antigravity", ".augment"),
    *(".clinerules", ".codebuddy", ".continue", ".crush", ".crush.json", ".devcontainer.json"),
    *(".dir-locals-2.el", ".dir-locals.el", ".exrc", ".externalToolBuilders", ".factory", ".fleet"),
    *(".goose", ".gvimrc", ".helix", ".iflow", ".junie", ".kilocode", ".kilocodemodes", ".kimi"),
    *(".kiro", ".lefthook.yml", ".lfsconfig", ".mise", ".mise.local.toml", ".mise.toml"),
    *(".nvim.lua", ".nvimrc", ".openhands", ".overcommit.yml", ".pi", ".qoder", ".qwen"),
    *(".roo", ".roomodes", ".trae", ".vibe", ".vim", ".vimrc", ".vs", "crush.json"),
    *("lefthook.yaml", "lefthook.yml", "mise.local.toml", "mise.toml", "opencode.json"),
    "opencode.jsonc",
)
_WITHIN: Final = frozenset({(".github", "hooks"), (".config", "mise"), (".config", "mise.toml")})
"""Settings by their name and that of the folder around them."""
_ENDINGS: Final = (".code-workspace", ".sublime-project")
_ALL: Final = frozenset({*SETTINGS, *_MORE})


def is_settings(name: str, folder: str = "") -> bool:
    """Whether what is called so, in a folder that is called so, is somebody's settings."""
    return name in _ALL or name.endswith(_ENDINGS) or (folder, name) in _WITHIN


def is_guarded(name: str, folder: str = "") -> bool:
    """Whether a write to what is called so, or into it, needs a person's word."""
    return name in (GIT, ".gitmodules") or is_settings(name, folder)
