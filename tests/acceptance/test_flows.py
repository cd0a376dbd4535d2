"""`bailee flows` as a person types it: an empty machine, settings files, variables."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.clients import processes
from support.clients.programs import clean_environment

DOCUMENTED = ("metrics", "errors", "bug_report", "survey")


class Machine:
    """A person's home and one project in it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "ann"
        self.project = self.home / "orchard"
        (self.project / "src").mkdir(parents=True)
        (self.project / ".git").mkdir()

    def write(self, place: str, content: str) -> Path:
        """A file under the person's home."""
        path = self.home / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A command, typed in a folder of the project."""
        env = clean_environment(self.home, **env)
        return processes.run(*arguments, env=env, folder=self.project / "src")

    def flows(self, *arguments: str, **env: str) -> dict[str, dict[str, Any]]:
        """`bailee flows --json`, by flow."""
        done = self.run("flows", "--json", *arguments, **env)
        assert 0 == done.returncode, done.stderr
        return {flow["flow"]: flow for flow in json.loads(done.stdout)}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which nothing has been set."""
    return Machine(tmp_path)


def states(flows: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The four flows of the document."""
    return {name: flows[name]["state"] for name in DOCUMENTED}


@pytest.mark.row("S7", "S4")
def test_on_the_first_party_api_all_are_on_and_each_says_why(machine: Machine) -> None:
    """Every flow has state, destination, contents, clause and who decided."""
    flows = machine.flows()

    assert dict.fromkeys(DOCUMENTED, "on") == states(flows)
    assert "on" == flows["model"]["state"]
    for flow in flows.values():
        assert {"flow", "state", "destination", "carries", "clause", "decided_by"} <= set(flow)
        assert flow["decided_by"]
    assert {"send.default"} == {flows[name]["clause"] for name in DOCUMENTED}


@pytest.mark.row("S1", "S2", "S3", "S4", "S5")
@pytest.mark.parametrize(
    ("variable", "off"),
    [
        ("DISABLE_TELEMETRY", {"metrics"}),
        ("DISABLE_ERROR_REPORTING", {"errors"}),
        ("DISABLE_BUG_COMMAND", {"bug_report"}),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", set(DOCUMENTED)),
        ("CLAUDE_CODE_USE_BEDROCK", set(DOCUMENTED)),
        ("CLAUDE_CODE_USE_VERTEX", set(DOCUMENTED)),
    ],
)
def test_each_variable_turns_its_flows_off(machine: Machine, variable: str, off: set[str]) -> None:
    """Set to 0, which counts, in the environment: exactly its flows are off, and it is named."""
    flows = machine.flows(**{variable: "0"})

    assert {n: "off" if n in off else "on" for n in DOCUMENTED} == states(flows)
    for name in off:
        assert (variable, "environment") == (flows[name]["variable"], flows[name]["scope"])
        assert variable in flows[name]["decided_by"]


@pytest.mark.row("S6")
def test_where_scopes_disagree_the_more_private_wins_and_is_named(machine: Machine) -> None:
    """A project's checked-in file, the person's own, a managed one and the command line."""
    own = machine.write(
        ".config/bailee/settings.json", json.dumps({"env": {"DISABLE_TELEMETRY": "1"}})
    )
    project = machine.write(
        "orchard/.bailee/settings.json",
        json.dumps({"env": {"DISABLE_ERROR_REPORTING": "1", "DISABLE_TELEMETRY": ""}}),
    )
    borrowed = machine.write(
        "orchard/.claude/settings.local.json",
        json.dumps({"env": {"DISABLE_BUG_COMMAND": "1"}, "hooks": {}}),
    )
    managed = machine.write(
        "managed.json", json.dumps({"env": {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}})
    )

    flows = machine.flows("--settings", '{"env": {"DISABLE_TELEMETRY": ""}}')
    with_managed = machine.flows(BAILEE_MANAGED_SETTINGS=str(managed))

    assert [
        ("metrics", "user", str(own)),
        ("errors", "project", str(project)),
        ("bug_report", "project local", str(borrowed)),
    ] == [(n, flows[n]["scope"], flows[n]["place"]) for n in DOCUMENTED[:3]]
    assert "on" == flows["survey"]["state"]
    assert {("managed", str(managed))} == {
        (with_managed[n]["scope"], with_managed[n]["place"]) for n in DOCUMENTED
    }


@pytest.mark.row("S6")
def test_a_file_that_can_not_be_understood_is_named_and_nothing_is_sent(machine: Machine) -> None:
    """The message names file and key; the choice is the private one."""
    place = machine.write("orchard/.bailee/settings.json", '{"env": {"DISABLE_TELEMETRY": true}}')

    done = machine.run("flows", "--json")
    flows = {flow["flow"]: flow for flow in json.loads(done.stdout)}

    assert dict.fromkeys(DOCUMENTED, "off") == states(flows)
    assert f"{place}: env.DISABLE_TELEMETRY" in done.stderr
    assert "hint:" in done.stderr


@pytest.mark.row("S6")
def test_a_file_without_permission_to_read_is_named(machine: Machine) -> None:
    """What can't be read may have said no: it counts as a no."""
    place = machine.write(".config/bailee/settings.json", "{}")
    place.chmod(0)
    if os.access(place, os.R_OK):
        place.unlink()
        place.mkdir()  # root reads every file, but no one reads a folder as a file

    done = machine.run("flows", "--json")

    assert str(place) in done.stderr
    assert {"off"} == {f["state"] for f in json.loads(done.stdout) if f["flow"] in DOCUMENTED}


@pytest.mark.row("S6")
def test_a_project_turns_nothing_on(machine: Machine) -> None:
    """What a project's file says about destinations and permissions is said to be ignored."""
    machine.write(
        "orchard/.bailee/settings.json",
        json.dumps({"webFetch": True, "env": {"ANTHROPIC_BASE_URL": "https://evil.example"}}),
    )

    done = machine.run("flows", "--json")
    flows = {flow["flow"]: flow for flow in json.loads(done.stdout)}

    assert "evil.example" not in done.stdout
    assert "off" == flows["web_fetch"]["state"]
    assert "webFetch: is not for a project to decide" in done.stderr
    assert "env.ANTHROPIC_BASE_URL: is not for a project to decide" in done.stderr


@pytest.mark.row("S7", "D5")
def test_text_and_picture_tell_the_same(machine: Machine) -> None:
    """Both name every flow; the text says that 0 counts; the picture crosses out what is off."""
    text = machine.run("flows", DISABLE_TELEMETRY="0").stdout
    picture = machine.run("flows", "--diagram", DISABLE_TELEMETRY="0").stdout

    for label in ("Model", "Metrics", "Errors", "Bug reports", "Session survey"):
        assert label in text
        assert label in picture
    assert "0 too" in text
    (metrics,) = (line for line in picture.splitlines() if "Metrics" in line)
    assert "╳" in metrics
    assert "DISABLE_TELEMETRY" in metrics


@pytest.mark.row("S7", "D3")
def test_what_other_agents_send_without_a_switch_is_named(machine: Machine, tmp_path: Path) -> None:
    """For the programs that are there, in both languages; for none that is not."""
    assert not [name for name in machine.flows() if name.startswith("agent.")]
    for name in ("claude", "codex", "gemini", "opencode", "aider"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    found = machine.flows(PATH=path, BAILEE_URL="https://bailee.example.com")
    assert "https://bailee.example.com/openai/v1" == found["agent.codex"]["destination"]
    said = {
        "codex": "remotes", "claude": "last commits", "gemini": "200 files",
        "opencode": "working directory", "aider": "map",
    }  # fmt: skip
    assert [] == [one for one, word in said.items() if word not in found[f"agent.{one}"]["carries"]]
    assert "https://bailee.example.com/gemini" == found["agent.gemini"]["destination"]
    assert "--map-tokens 0" in found["agent.aider"]["decided_by"]
    assert "raw.githubusercontent.com" in found["agent.codex.start"]["destination"]
    assert "play.googleapis.com" in found["agent.gemini.extensions"]["destination"]
    assert "远程地址" in machine.run("flows", "--lang", "zh", PATH=path).stdout
