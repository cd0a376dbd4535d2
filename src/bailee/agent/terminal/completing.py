"""Completion of `/command` and `@file` at the prompt."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from bailee.agent.tools.search import ripgrep
from bailee.errors import InputError
from bailee.shown import lines as visible

_MOST: Final = 12
_SECONDS: Final = 2


class Completing(Completer):
    """`commands` are names and what they do; files are those of the workspace that git shows."""

    def __init__(self, commands: Mapping[str, str], root: Path) -> None:
        self._commands = commands
        self._root = root

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> Iterable[Completion]:
        """See `Completer`."""
        before = document.text_before_cursor
        if before.startswith("/") and " " not in before and "\n" not in before:
            for name, meaning in self._commands.items():
                if name.startswith(before):
                    yield Completion(name, -len(before), display_meta=meaning)
            return
        word = before.rpartition(" ")[2].rpartition("\n")[2]
        if word.startswith("@"):
            for file in best(word[1:], files(self._root)):
                yield Completion(f"@{file}", -len(word), display=visible(file))


def files(root: Path) -> list[str]:
    """The paths of the workspace's files; none when they take too long to list."""
    try:
        done = subprocess.run(  # noqa: S603
            [ripgrep([root]), "--no-config", "--files", "--hidden", "--glob=!.git", "--null"],
            cwd=root,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, InputError):
        return []
    return [name for name in done.stdout.decode(errors="replace").split("\0") if name]


def best(typed: str, names: Iterable[str]) -> list[str]:
    """The names that fit best: that begin so, whose file name begins so, that hold it. Pure."""
    low = typed.lower()

    def rank(name: str) -> int:
        lowered = name.lower()
        if lowered.startswith(low):
            return 0
        if lowered.rpartition("/")[2].startswith(low):
            return 1
        return 2 if low in lowered else 3

    fitting = sorted((rank(name), len(name), name) for name in names)
    return [name for place, _, name in fitting if place < 3][:_MOST]
