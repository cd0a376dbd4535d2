"""Which program a name stands for, where folders of the workspace are on PATH.

A command can write there. What it puts there in the place of a program of the system would run
outside, as the person's next `git` or `ls`.

Rules kept here:

* What we run ourselves is never looked for in a workspace, nor in a folder that PATH names
  relatively.
* A program that a command made anew counts as in another's place where that is the system's own: an
  executable of the machine's, no script. Interpreters and builders are left out, which
  environments bring along themselves.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bailee.records import dataclass

_SYSTEM: Final = tuple(
    Path(name, folder) for name in ("/", "/usr", "/usr/local") for folder in ("bin", "sbin")
)
_EXECUTABLE: Final = b"\x7fELF"
_BROUGHT_ALONG: Final = (  # compiled when it is needed: a start has no use for it
    r"(?:(?:python|pypy|pip|perl|ruby|node|lua|php|cmake|ctest|cpack|ninja|clang|gcc|g\+\+|cc|c\+\+)"
    r"[\d.+-]*|clang-.*|cargo|deno|bun|go|gofmt|java|javac|ld|make|npm|rustc|rustfmt|uv|uvx)\Z"
)


def beyond(environment: Mapping[str, str], roots: Sequence[Path]) -> dict[str, str]:
    """Variables in which PATH leads into no workspace."""
    kept = [
        text
        for text in environment.get("PATH", os.defpath).split(os.pathsep)
        if text.startswith(os.sep) and not _lies_in(Path(text), roots)
    ]
    return {**environment, "PATH": os.pathsep.join(kept)}


@dataclass(frozen=True, slots=True)
class WorkspacePrograms:
    """The folders of a workspace that are on PATH, and the names that were there before a command;
    each with the folders that PATH names after it.
    """

    folders: tuple[tuple[Path, frozenset[str], tuple[Path, ...]], ...]

    @classmethod
    def of(cls, environment: Mapping[str, str], roots: Sequence[Path]) -> WorkspacePrograms:
        """Those of now."""
        found = []
        listed = [roots[0] / text for text in environment.get("PATH", "").split(os.pathsep)]
        for number, folder in enumerate(listed):
            if _lies_in(folder, roots):
                later = tuple(one for one in listed[number + 1 :] if one in _SYSTEM)
                found.append((folder, frozenset(_names(folder)), later))
        return cls(tuple(found))

    def in_place_of_others(self) -> Iterator[Path]:
        """What is new by now and has the name of a program of the system."""
        for folder, before, later in self.folders:
            for name in _names(folder):
                if name in before or re.match(_BROUGHT_ALONG, name):
                    continue
                if any(_is_executable(other / name) for other in later):
                    yield folder / name


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(folder)  # noqa: PTH208 - names alone, and many
    return []


def _is_executable(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as opened:
        return opened.read(len(_EXECUTABLE)) == _EXECUTABLE
    return False


def _lies_in(folder: Path, roots: Sequence[Path]) -> bool:
    real = Path(os.path.realpath(folder))
    return any(root in (one, *one.parents) for root in roots for one in (folder, real))
