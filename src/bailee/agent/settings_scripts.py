"""Scripts of a workspace that settings of agents and editors have run: hooks, servers, helpers.

Rules kept here:

* What a settings file says under a key that is a command's, or its arguments', is read as a shell
  would put it together. That a person starts something with it by hand (`launch.json`) is theirs.
* A script is what can be run: by its mode, its first line or the ending of its name. So a
  `pyproject.toml` among a command's arguments stays a project's file.
* What is built (`dist`, `build`, `node_modules`, ...) is none: building is what commands do.
* What a script runs in turn is not followed.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bailee.agent.inert import is_among_packages
from bailee.agent.spoken import spoken_of

_MOST_FILES: Final = 500  # of a folder of settings
_MOST_VALUES: Final = 100  # of a file
_LARGEST: Final = 200_000  # bytes
_FORMATS: Final = ("", ".conf", ".json", ".json5", ".jsonc", ".md", ".toml", ".yaml", ".yml")
_STARTED_BY_HAND: Final = frozenset({"launch.json"})
_COMMANDS: Final = re.compile(
    r"(?<![\w$-])[\"']?(?:args|argv|cmd|command|entry|exec|helper|hook|notify|run|script|shell"
    r"|\w+(?:_?[Cc]ommand|_?[Cc]md|_?[Hh]elper|_?[Hh]ook|_?[Ss]cript))[\"']?\s*[:=]\s*"
    r"(?=(\[[^\]]{0,4000}\]|[^\n]{0,2000}(?:\n\s+-[^\n]{0,500}){0,20}))"
)
_SCRIPT: Final = re.compile(r"\.(?:sh|bash|zsh|fish|py|pl|rb|js|mjs|cjs|ts|mts|php|lua|ps1)\Z")


def scripts_of(settings: Path, roots: Sequence[Path], home: Path) -> Iterator[Path]:
    """The scripts that a file or folder of settings has run, and those that are not there yet.
    Blocks.
    """
    root = next((one for one in roots if one in settings.parents), None)
    if root is None:
        return
    for file in _files(settings):
        for value in _values(file):
            for top in dict.fromkeys((root, settings.parent)):
                for named in spoken_of(value, top, home):
                    path = Path(os.path.normpath(named))
                    if root in path.parents and _is_script(path) and not _is_built(path, root):
                        yield path


def _files(settings: Path) -> Iterator[Path]:
    if not settings.is_dir():
        yield settings
        return
    left = _MOST_FILES
    for folder, below, files in os.walk(settings):
        below.sort()
        for name in sorted(files):
            if name not in _STARTED_BY_HAND and Path(name).suffix in _FORMATS:
                left -= 1
                if left < 0:
                    return
                yield Path(folder, name)


def _values(file: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return
        text = file.read_bytes().decode(errors="surrogateescape")
        if file.suffix == ".md":  # what stands before its words
            text = text.partition("\n---")[0] if text.startswith("---") else ""
        for number, value in enumerate(_COMMANDS.finditer(text)):
            if number >= _MOST_VALUES:
                return
            yield value[1].strip("[] ")


def _is_script(path: Path) -> bool:
    """Whether it can be run; of what is not there yet, whether it is called so."""
    if _SCRIPT.search(path.name):
        return True
    with contextlib.suppress(OSError, ValueError):
        if path.stat().st_mode & stat.S_IXUSR:
            return True
        with path.open("rb") as opened:
            return opened.read(2) == b"#!"
    return False


def _is_built(path: Path, root: Path) -> bool:
    return is_among_packages(path.relative_to(root).parts[:-1])
