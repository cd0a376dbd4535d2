"""Names in a folder that programs obey: what stands there runs, or permits, outside. Pure.

Settings are known by their form: what begins with a dot, and is not known to be inert. Those that
are known by their name are so among packages too, and where they have no dot.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from bailee.agent.inert import is_among_packages, is_inert

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
ASIDE: Final = ".put-aside-by-bailee"
"""How a name ends that was put aside. Nothing obeys it."""


def is_settings(
    name: str, folder: str = "", *, among_packages: bool = False, granted: Collection[str] = ()
) -> bool:
    """Whether what is called so, in a folder that is called so, is somebody's settings: known ones
    wherever they are, and whatever begins with a dot and is not inert, but for what came with
    packages. `granted`: names with a dot that a person lets commands write.
    """
    if name in _ALL or name.endswith(_ENDINGS) or (folder, name) in _WITHIN:
        return True
    if among_packages or name == GIT or ASIDE in name:
        return False
    return not is_inert(name, folder, granted)


def is_known(name: str, folder: str = "") -> bool:
    """Whether what is called so is settings, or git's, by its name alone, and not by its form."""
    return name in (GIT, ".gitmodules") or is_settings(name, folder, among_packages=True)


def guarded_part(
    inner: Sequence[str], *, known_alone: bool = False, granted: Collection[str] = ()
) -> str | None:
    """The first of the names that lead to a file, from the workspace's top, for which a write to it
    needs a person's word; None: none does. `known_alone`: names that are settings by their form
    don't count.
    """
    around = ""
    for number, part in enumerate(inner):
        name = part.lower()
        packages = known_alone or is_among_packages(inner[:number])
        if is_known(name, around) or is_settings(
            name, around, among_packages=packages, granted=granted
        ):
            return part
        around = name
    return None
