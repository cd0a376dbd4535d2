"""The project's own instructions: AGENTS.md or CLAUDE.md, from the workspace up to its repository.

In each folder the first of the two that is there counts. The nearest to the workspace comes last,
so that it has the last word. A file beyond the size is cut, and one that can't be read is named:
each says so. Links that lead out of the repository are not followed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

NAMES: Final = ("AGENTS.md", "CLAUDE.md")
_LARGEST: Final = 40_000  # characters, each


def find(root: Path) -> list[Path]:
    """The files that count, the outermost first."""
    found: list[Path] = []
    top = repository(root) or root
    for folder in (root, *root.parents):
        for name in NAMES:
            file = folder / name
            # Not the paths' own: those raise where a folder can't be entered.
            if os.path.isfile(file) and Path(os.path.realpath(file)).is_relative_to(top):  # noqa: PTH113
                found.append(file)
                break
        if folder == top:
            break
    return found[::-1]


def read(root: Path) -> str:
    """Their texts, each under its path; empty when there are none."""
    parts = []
    for file in find(root):
        try:
            text = file.read_text(errors="replace")
        except OSError as error:
            text = f"[can't be read: {error.strerror}]"
        if len(text) > _LARGEST:
            text = f"{text[:_LARGEST]}\n[cut: {len(text)} characters in all]"
        parts.append(f"## {file}\n\n{text.strip()}")
    return "\n\n".join(parts)


def repository(root: Path) -> Path | None:
    """The root of the git repository that `root` lies in."""
    return next((p for p in (root, *root.parents) if os.path.exists(p / ".git")), None)  # noqa: PTH110
