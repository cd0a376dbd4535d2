"""Glob and Grep: finding files and lines, by ripgrep (its program comes from its PyPI package).

What a rule for Read forbids is left out: a search that shows a file's lines reads it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bailee.agent import variables
from bailee.agent.ports import Intent, ToolOutcome
from bailee.agent.programs import beyond
from bailee.agent.tools.arguments import Arguments, field, schema
from bailee.agent.tools.files import reading
from bailee.agent.tools.process import Ran, run_program
from bailee.agent.workspace import Workspace, WorkspacePath
from bailee.errors import InputError

_SECONDS: Final = 60
_OUTPUT: Final = 40_000  # bytes
_LISTING: Final = 4_000_000  # bytes
_FILES: Final = 200
_AT_ONCE: Final = 500  # files that are named to one run
_WHERE: Final = field("string", "The folder (or file) to search; the workspace if not given.")


def ripgrep(roots: Sequence[Path]) -> str:
    """The program of ripgrep; on PATH it is not looked for in a workspace.

    Raises:
        InputError: it is not installed.
    """
    import sysconfig

    beside = Path(sysconfig.get_path("scripts")) / "rg"
    elsewhere = beyond(os.environ, roots)["PATH"]
    found = str(beside) if beside.exists() else shutil.which("rg", path=elsewhere)
    if found is None:
        raise InputError("ripgrep is not installed.", hint='pip install "bailee[agent]"')
    return found


class _Search:
    name: str

    def __init__(
        self,
        workspace: Workspace,
        environment: Mapping[str, str],
        forbids: Callable[[Intent], bool] | None = None,
    ) -> None:
        self._workspace = workspace
        self._forbids = forbids
        self._environment = variables.for_commands(environment)

    def intent(self, arguments: Arguments) -> Intent:
        """Searching inside the workspace is harmless."""
        place = self._place(arguments)
        title = f"{self.name} {arguments.text('pattern')}"
        if place.real != self._workspace.root:
            title += f" in {place.subject}"
        return Intent(
            self.name, place.subject, title, harmless=place.inside,
            names=place.names, spelled=place.spelled,
        )  # fmt: skip

    def _place(self, arguments: Arguments) -> WorkspacePath:
        place = arguments.place(self._workspace, ".")
        if not place.real.exists():
            raise InputError(f"there is nothing at {place.subject}.", code="not_found")
        return place

    def _readable(self, files: list[str]) -> list[str]:
        """Those that no rule forbids to read, or wants to be asked about."""
        if self._forbids is None:
            return files
        place = self._workspace.place
        return [file for file in files if not self._forbids(reading(place(file)))]

    async def _rg(self, *arguments: str, most: int) -> Ran:
        always = ("--no-config", "--color=never", "--hidden", "--glob=!.git", "--no-messages")
        ran = await run_program(
            [ripgrep(self._workspace.roots), *always, *arguments],
            folder=self._workspace.root,
            environment=self._environment,
            seconds=_SECONDS,
            most=most,
        )
        if ran.status is None:
            raise InputError(f"the search took over {_SECONDS} seconds.", hint="search less")
        if ran.status not in (0, 1) and (not ran.output or ran.output.startswith("rg: ")):
            why = ran.output.removeprefix("rg: ").strip() or "is the pattern or the glob right?"
            raise InputError("the search failed.", hint=why)
        return ran


class Glob(_Search):
    """Finds files by name."""

    name = "Glob"
    description = (
        "Finds files whose path fits a glob such as `**/*.py`, the latest changed first. Files "
        "that git ignores are left out."
    )
    input_schema = schema({"pattern": field("string", "The glob.")}, {"path": _WHERE})

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """The paths."""
        place = self._place(arguments)
        pattern = arguments.text("pattern")
        if pattern.startswith("!"):
            raise InputError("a glob that begins with ! finds nothing.")
        ran = await self._rg(
            "--files", "--null", "--glob", pattern, "--", str(place.real), most=_LISTING
        )
        found = [name for name in ran.output.split("\0") if name.strip()]
        files = [Path(name) for name in self._readable(found)]
        files.sort(key=_changed, reverse=True)
        if not files:
            return ToolOutcome("No files found.", shown="no files")
        lines = [self._workspace.show(file) for file in files[:_FILES]]
        if len(files) > _FILES:
            lines.append(f"[{len(files) - _FILES} more]")
        return ToolOutcome("\n".join(lines), shown=f"{len(files)} files")


class Grep(_Search):
    """Finds lines by a regular expression."""

    name = "Grep"
    description = (
        "Finds lines that fit a regular expression (ripgrep's). Files that git ignores are left "
        "out. `output`: lines (the default), files, or count."
    )
    input_schema = schema(
        {"pattern": field("string", "The regular expression.")},
        {
            "path": _WHERE,
            "glob": field("string", "Only files that fit this glob."),
            "output": field("string", "What to return.", enum=["lines", "files", "count"]),
            "ignore_case": field("boolean", "Upper and lower case are the same."),
            "multiline": field("boolean", "The expression may go over several lines."),
            "context": field("integer", "Lines around each found line."),
        },
    )

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """The lines, files or counts."""
        place = self._place(arguments)
        wanted = arguments.text("output", "lines")
        flags = {"lines": ["-n", "--with-filename"], "files": ["-l"], "count": ["-c"]}.get(wanted)
        if flags is None:
            raise InputError("Grep: output is lines, files or count.")
        flags += ["--no-heading", "--max-columns=500", "--max-columns-preview"]
        if arguments.flag("ignore_case"):
            flags.append("-i")
        if arguments.flag("multiline"):
            flags += ["-U", "--multiline-dotall"]
        if context := arguments.number("context", 0, most=50):
            flags += ["-C", str(context)]
        if glob := arguments.text("glob", ""):
            flags += ["--glob", glob]
        where = os.path.relpath(place.real, self._workspace.root) if place.inside else place.real
        pattern, left_out = arguments.text("pattern"), ""
        if self._forbids is None:
            output = (await self._rg(*flags, "-e", pattern, "--", str(where), most=_OUTPUT)).output
        else:
            chosen = ("--glob", glob) if glob else ()
            listed = await self._rg("--files", "--null", *chosen, "--", str(where), most=_LISTING)
            found = [name for name in listed.output.split("\0") if name.strip()]
            files, output = self._readable(found), ""
            if len(files) < len(found):
                left_out = (
                    f"[{len(found) - len(files)} files left out: a rule for Read forbids them]"
                )
            for at in range(0, len(files), _AT_ONCE):
                some = files[at : at + _AT_ONCE]
                output += (await self._rg(*flags, "-e", pattern, "--", *some, most=_OUTPUT)).output
                if len(output) > _OUTPUT:
                    output = f"{output[:_OUTPUT]}\n[cut]\n"
                    break
        lines = [line.removeprefix("./") for line in output.rstrip("\n").split("\n") if line]
        told = "\n".join([*(lines or ["Nothing found."]), *([left_out] if left_out else [])])
        return ToolOutcome(told, shown=f"{len(lines)} lines" if lines else "nothing")


def _changed(file: Path) -> float:
    try:
        return file.lstat().st_mtime
    except OSError:
        return 0.0
