"""What a page of the documentation shows: its commands with what they print, and its files."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from support.clients import processes

_CAT: Final = re.compile(r"\$\(cat ([\w.-]+)\)")
_TITLED: Final = FencedCodeBlockLexer(r'\w+ title="(?P<name>[\w./-]+)"')


def transcript(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with the output shown beneath it."""
    command, shown = "", []
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, "\n".join(shown)
            command, shown = line[2:], []
        elif command and command.endswith("\\"):
            command = command[:-1] + line.removeprefix("> ")
        else:
            shown.append(line)
    yield command, "\n".join(shown)


def words_of(command: str) -> list[str] | None:
    """The words of a command that is `bailee` alone; None for one that a shell must read: with a
    pipe, a redirection, a variable, another program.
    """
    if set(command) & set("|&;<>()$`\\*?[]#~\n"):
        return None
    words = shlex.split(command)
    return words if words[:1] == ["bailee"] else None


class PageTerminal:
    """Runs a page's commands in a folder, with nothing of this machine but what is given."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            "NO_COLOR": "1",
            **environment,
        }

    def run(self, command: str) -> tuple[int, str]:
        """A command's exit status, and what it printed on either stream."""
        # What a shell would put there, so that it need not start one.
        command = _CAT.sub(lambda one: (self._folder / one[1]).read_text().strip(), command)
        words = words_of(command)
        if words is None:
            ran = processes.shell(command, env=self._environment, folder=self._folder, timeout=120)
            return ran.returncode, ran.stdout
        process = processes.start(
            *words[1:], env=self._environment, folder=self._folder, stderr=subprocess.STDOUT
        )
        try:
            printed = process.communicate(timeout=120)[0]
            return process.wait(), printed
        finally:
            process.kill()


class TitledFiles:
    """Finds the blocks of a page that have a file's name as their title, for sybil; evaluated, each
    is that file in a folder, for its owner alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, document: Document) -> Iterator[Region]:
        """The files, each where it stands."""
        for region in _TITLED(document):
            named = region.lexemes["name"], str(region.lexemes["source"])
            yield Region(region.start, region.end, named, self._write)

    def _write(self, example: Example) -> None:
        name, text = example.parsed
        file = self._folder / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_text(text)
