"""Who may permit what: each scope of settings, for `bailee code` and for the real Claude Code.

A scripted model asks for four commands. What was done shows in the folder, so that both programs
are asked in the same way, and the table is what they do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse
from support.clients.programs import SILENT, clean_environment

SCOPES: Final = (
    "managed", "command line", "project local", "project", "user"
)  # fmt: skip
COMMANDS: Final = ("allowed", "asked", "denied", "unsaid")
RULES: Final = {
    "permissions": {
        "allow": ["Bash(touch allowed)"],
        "ask": ["Bash(touch asked)"],
        "deny": ["Bash(touch denied)"],
    }
}
ON_THE_COMMAND_LINE: Final = ("Bash(touch asked)", "Bash(touch denied)")
"""Allowed there, and so done but for what a scope says."""

ALL: Final = frozenset({"allowed"})
NOTHING_SAID: Final = frozenset({"asked", "denied"})
TABLE: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    # What is done of the four, where that scope says RULES in that program's own files.
    "Claude Code": {**dict.fromkeys(SCOPES, ALL), "project": frozenset()},
    "Claude Code, in a folder that is trusted": dict.fromkeys(SCOPES, ALL),
    "bailee code": {
        "managed": ALL,
        "command line": ALL,
        "project local": frozenset(),  # a project can ask and deny, and not allow
        "project": frozenset(),
        "user": ALL,
    },
    # What another agent's files permit or deny is its own.
    "bailee code, by Claude Code's files": dict.fromkeys(SCOPES, NOTHING_SAID),
    "Claude Code, by bailee's files": dict.fromkeys(SCOPES, NOTHING_SAID),
}


class Machine:
    """A project and a home of somebody's, and what is below `/etc` for who works there."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.home = folder / "home"
        self.etc = folder / "etc"
        for one in (self.project, self.home, self.etc):
            one.mkdir()
        subprocess.run(["git", "init", "-q", str(self.project)], check=True)

    def say(self, scope: str, files: str) -> list[str]:
        """Puts RULES where a scope has them, in the files of `claude` or `bailee`; the options with
        which it is said on the command line.
        """
        if scope == "command line":
            return ["--settings", json.dumps(RULES)]
        own = self.home / (".claude" if files == "claude" else ".config/bailee")
        path = {
            "managed": self.etc / (
                "claude-code/managed-settings.json" if files == "claude" else "bailee/settings.json"
            ),
            "project local": self.project / f".{files}" / "settings.local.json",
            "project": self.project / f".{files}" / "settings.json",
            "user": own / "settings.json",
        }[scope]  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(RULES))
        return []

    def run(self, command: list[str], address: str, **more: str) -> frozenset[str]:
        """One prompt; which of the four commands were done. `/etc` has what was said there."""
        told = [
            *("--tmpfs", "/etc"),
            *(part for name in ("passwd", "group", "hosts", "alternatives", "ld.so.cache")
              for part in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")),
            *(part for one in self.etc.iterdir()
              for part in ("--ro-bind", str(one), f"/etc/{one.name}")),
        ]  # fmt: skip
        environment = clean_environment(
            self.home, ANTHROPIC_BASE_URL=address, ANTHROPIC_AUTH_TOKEN="sk-none", **SILENT, **more
        )
        done = subprocess.run(
            ["bwrap", "--dev-bind", "/", "/", *told, "--die-with-parent", "--", *command],
            cwd=self.project, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return frozenset(name for name in COMMANDS if (self.project / name).exists())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One, or a skip that says what is missing."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    return Machine(tmp_path)


def asking(machine: Machine, command: list[str], **environment: str) -> frozenset[str]:
    """What is done of what a model asks for: each of the commands, and an end."""
    calls = [ToolUse("Bash", {"command": f"touch {name}", "description": "x"}) for name in COMMANDS]
    with ScriptedUpstream([*calls, Text("done")]) as model:
        return machine.run(command, model.url, **environment)


@pytest.mark.row("S6")
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("files", ["bailee", "claude"])
def test_what_each_scope_permits_bailee_code(machine: Machine, files: str, scope: str) -> None:
    """Its own files in every scope; of Claude Code's none, on the command line neither."""
    row = "bailee code" if files == "bailee" else "bailee code, by Claude Code's files"
    said = machine.say(scope, files)
    if files == "claude":
        said = []
    command = [sys.executable, "-m", "bailee", "code", "-p", "go", "--no-sandbox", *said]
    for rule in ON_THE_COMMAND_LINE:
        command += ["--allowed-tools", rule]
    assert asking(machine, command) == TABLE[row][scope]


@pytest.mark.row("S6")
@pytest.mark.parametrize("scope", [*SCOPES, "project, trusted"])
def test_what_each_scope_permits_claude_code(machine: Machine, claude: Path, scope: str) -> None:
    """The real client, as it comes. What is checked in allows something once the person has said
    that they trust the folder; in bailee's files it never does.
    """
    where, _, trusted = scope.partition(", ")
    said = machine.say(where, "claude")
    row = "Claude Code"
    if trusted:
        row += ", in a folder that is trusted"
        folders = {str(machine.project): {"hasTrustDialogAccepted": True}}
        (machine.home / ".claude.json").write_text(json.dumps({"projects": folders}))
    command = [str(claude), "-p", "go", *said, "--allowedTools", *ON_THE_COMMAND_LINE]
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    assert asking(machine, command, **quiet) == TABLE[row][where]


@pytest.mark.row("S6")
def test_claude_code_reads_no_files_of_bailees(machine: Machine, claude: Path) -> None:
    """All scopes that are files at once: nothing that they say counts."""
    for scope in SCOPES:
        if scope != "command line":
            machine.say(scope, "bailee")
    command = [str(claude), "-p", "go", "--allowedTools", *ON_THE_COMMAND_LINE]
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    row = TABLE["Claude Code, by bailee's files"]
    assert asking(machine, command, **quiet) == row["user"]
