"""Who may permit what: each scope of settings, for `bailee code` and for the real Claude Code.

A scripted model asks for commands: of each scope one that it allows, one that it wants asked about,
one that it denies. What was done shows in the folder, so that both programs are asked in the same
way, and the table is what they do.
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

SCOPES: Final = ("managed", "option", "local", "project", "user")
KINDS: Final = ("allow", "ask", "deny")
UNSAID: Final = "nobody-says-anything-of"

# What is done, of each scope's three, where all scopes speak at once. On the command line all that
# is to be asked about, or denied, is allowed; so that it is done unless a scope says otherwise.
HEEDED: Final = ("allow",)
NO_WISH: Final = ()  # it asks and denies, and does not allow
UNHEARD: Final = ("ask", "deny")
TABLE: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "bailee code, by its own files": {
        "managed": HEEDED, "option": HEEDED, "local": NO_WISH, "project": NO_WISH, "user": HEEDED,
    },
    "bailee code, by Claude Code's files": {
        "managed": UNHEARD, "local": UNHEARD, "project": UNHEARD, "user": UNHEARD,
    },
    "Claude Code, by its own files": {
        "managed": HEEDED, "option": HEEDED, "local": HEEDED, "project": NO_WISH, "user": HEEDED,
    },
    "Claude Code, by its own files, in a folder that is trusted": {
        "managed": HEEDED, "option": HEEDED, "local": HEEDED, "project": HEEDED, "user": HEEDED,
    },
    "Claude Code, by bailee's files": {
        "managed": UNHEARD, "local": UNHEARD, "project": UNHEARD, "user": UNHEARD,
    },
}  # fmt: skip


def rules(scope: str) -> str:
    """Settings with a command for each kind of rule."""
    return json.dumps({"permissions": {kind: [f"Bash(touch {scope}-{kind})"] for kind in KINDS}})


class Machine:
    """A project and a home of somebody's, and what is below `/etc` for who works there."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.home = folder / "home"
        self.etc = folder / "etc"
        for one in (self.project, self.home, self.etc):
            one.mkdir()
        subprocess.run(["git", "init", "-q", str(self.project)], check=True)

    def say(self, files: str, scopes: Mapping[str, object]) -> list[str]:
        """Puts rules where each scope has them, in the files of `claude` or `bailee`; the options
        with which they are said on the command line.
        """
        places = {
            "managed": self.etc / "bailee/settings.json",
            "local": self.project / f".{files}/settings.local.json",
            "project": self.project / f".{files}/settings.json",
            "user": self.home / ".config/bailee/settings.json",
        }
        if files == "claude":
            places["managed"] = self.etc / "claude-code/managed-settings.json"
            places["user"] = self.home / ".claude/settings.json"
        for scope in scopes.keys() & places.keys():
            places[scope].parent.mkdir(parents=True, exist_ok=True)
            places[scope].write_text(rules(scope))
        return ["--settings", rules("option")] if "option" in scopes else []

    def trust(self) -> None:
        """As a person does when Claude Code asks whether they trust the folder."""
        folders = {str(self.project): {"hasTrustDialogAccepted": True}}
        (self.home / ".claude.json").write_text(json.dumps({"projects": folders}))

    def done_by(
        self, command: list[str], scopes: Mapping[str, object]
    ) -> dict[str, tuple[str, ...]]:
        """What is done of what a model asks for, and that nothing is that nobody spoke of."""
        names = [f"{scope}-{kind}" for scope in scopes for kind in KINDS]
        wanted = [
            ToolUse("Bash", {"command": f"touch {name}", "description": "x"})
            for name in (*names, UNSAID)
        ]
        with ScriptedUpstream([*wanted, Text("done")]) as model:
            self._run(command, model.url)
            assert len(model.conversations) == len(wanted) + 1
        assert not (self.project / UNSAID).exists()
        return {
            scope: tuple(kind for kind in KINDS if (self.project / f"{scope}-{kind}").exists())
            for scope in scopes
        }

    def _run(self, command: list[str], address: str) -> None:
        """One prompt. `/etc` has what was said there, and what programs need."""
        told = ["--tmpfs", "/etc"]
        for name in ("passwd", "group", "hosts", "alternatives", "ld.so.cache"):
            told += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        for one in self.etc.iterdir():
            told += ["--ro-bind", str(one), f"/etc/{one.name}"]
        quiet = {**SILENT, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        done = subprocess.run(
            ["bwrap", "--dev-bind", "/", "/", *told, "--die-with-parent", "--", *command],
            cwd=self.project,
            env=clean_environment(
                self.home, ANTHROPIC_BASE_URL=address, ANTHROPIC_AUTH_TOKEN="sk-none", **quiet
            ),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One, or a skip that says what is missing."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    return Machine(tmp_path)


def allowed(scopes: Mapping[str, object]) -> list[str]:
    """The rules of the command line."""
    return [f"Bash(touch {scope}-{kind})" for scope in scopes for kind in ("ask", "deny")]


@pytest.mark.row("S6")
@pytest.mark.parametrize("row", [row for row in TABLE if row.startswith("bailee")])
def test_what_each_scope_permits_bailee_code(machine: Machine, row: str) -> None:
    """Its own files in every scope, a project's to ask and deny alone; of Claude Code's none."""
    expected = TABLE[row]
    said = machine.say("claude" if "Claude" in row else "bailee", expected)
    command = [sys.executable, "-m", "bailee", "code", "-p", "go", "--no-sandbox", *said]
    for rule in allowed(expected):
        command += ["--allowed-tools", rule]
    assert machine.done_by(command, expected) == expected


@pytest.mark.row("S6")
@pytest.mark.parametrize("row", [row for row in TABLE if row.startswith("Claude")])
def test_what_each_scope_permits_claude_code(machine: Machine, claude: Path, row: str) -> None:
    """The real client. What is checked in allows something once the person has said that they trust
    the folder; in bailee's files it never does.
    """
    expected = TABLE[row]
    said = machine.say("bailee" if "bailee" in row else "claude", expected)
    if "trusted" in row:
        machine.trust()
    command = [str(claude), "-p", "go", *said, "--allowedTools", *allowed(expected)]
    assert machine.done_by(command, expected) == expected
