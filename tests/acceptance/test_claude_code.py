"""The real Claude Code client, unmodified, against a scripted model through the gateway.

It gets an empty environment, a home of its own and a dummy key, and talks to loopback only.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse
from support.clients.programs import Bailee, clean_environment


class Client:
    """Claude Code in a folder and a home of its own."""

    def __init__(self, program: Path, folder: Path, gateway: str, key: str) -> None:
        self._program = program
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "orchard.txt").write_text("seven pear trees\n")
        user = folder / "claude-home"
        user.mkdir()
        self._env = clean_environment(
            user,
            ANTHROPIC_BASE_URL=gateway,
            ANTHROPIC_AUTH_TOKEN=key,
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL="1",
            SHELL="/bin/bash",
        )

    def exports(self, url: str, key: str, protocol: str) -> None:
        """Have its metrics and events sent to `url`, prompts and all."""
        self._env |= {
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {key}",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_LOGS_EXPORT_INTERVAL": "500",
            "OTEL_LOG_USER_PROMPTS": "1",
            "OTEL_LOG_TOOL_DETAILS": "1",
        }

    def ask(self, prompt: str, *flags: str) -> dict[str, Any]:
        """One `claude -p`; its result as JSON."""
        done = subprocess.run(
            [
                str(self._program), "-p", prompt, "--output-format", "json",
                "--allowedTools", "Bash(cat:*)", *flags,
            ],
            cwd=self.project,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )  # fmt: skip
        assert 0 == done.returncode, done.stderr + done.stdout
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def _without_cache_marks(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_cache_marks(v) for k, v in value.items() if k != "cache_control"}
    if isinstance(value, list):
        return [_without_cache_marks(item) for item in value]
    return value


@pytest.mark.row("D3", "R1", "D4", "D1")
def test_a_session_with_a_tool_and_continue_is_held_whole(
    claude: Path, bailee: Bailee, tmp_path: Path
) -> None:
    """Two runs, one with a tool call, the second with --continue: one session, complete, and
    nothing of it in the clear in any file.
    """
    script = [
        ToolUse("Bash", {"command": "cat orchard.txt", "description": "Read the file"}),
        Text("There are seven pear trees in the orchard."),
        Text("Pears ripen in September."),
    ]
    with ScriptedUpstream(script) as model:
        ready = bailee.up("--upstream", model.url)
        client = Client(claude, tmp_path, ready["gateway"], ready["key"])
        first = client.ask("How many trees stand in orchard.txt?")
        second = client.ask("When do they ripen, by the quince clock?", "--continue")

        (session,) = bailee.sessions()
        shown = bailee.json("sessions", "show", session["id"])
        exported = bailee.run("sessions", "export", session["id"])
        seen = [json.loads(r.body) for r in model.conversations]

    assert "There are seven pear trees in the orchard." == first["result"]
    assert "Pears ripen in September." == second["result"]
    assert first["session_id"] == second["session_id"] == session["id"]
    assert len(seen) == session["exchanges"]
    assert ("api", "retain.commercial") == (session["plan"], session["retention"]["clause"])

    # Every request is rebuilt from the deltas exactly as the model got it.
    rebuilt = [
        json.loads(line)["request"]
        for line in exported.stdout.splitlines()
        if "request" in json.loads(line)
    ]
    assert seen == rebuilt
    answered = [m for m in shown["messages"] if m["role"] == "assistant"]
    assert ["tool_use", "text", "text"] == [m["content"][-1]["type"] for m in answered]
    assert _without_cache_marks(seen[-1]["messages"]) == _without_cache_marks(
        shown["messages"][:-1]
    )
    assert "seven pear trees" in json.dumps(shown["messages"])

    bailee.stop()
    assert [] == bailee.holds(b"quince clock", b"pear trees", b"ripen in September")


@pytest.mark.row("R2")
def test_under_zero_retention_the_client_works_and_leaves_nothing(
    claude: Path, bailee: Bailee, tmp_path: Path
) -> None:
    """The same client with a zero-retention key: it works, and no file has a word of it."""
    with ScriptedUpstream([Text("Quiet as a quince.")]) as model:
        bailee.declare(model.url)
        ready = bailee.up()
        made = bailee.json("key", "create", "--plan", "enterprise", "--zero-retention")
        client = Client(claude, tmp_path, ready["gateway"], made["key"])
        result = client.ask("Say the quince password.")["result"]
        sessions = bailee.json("sessions", "list")
        bailee.stop()

    assert "Quiet as a quince." == result
    assert [] == sessions
    assert [] == bailee.holds(b"quince", os.fsencode(tmp_path.name) + b"/project")


@pytest.mark.row("S1")
def test_its_metrics_arrive_by_otlp_without_a_word_of_the_session(
    claude: Path, bailee: Bailee, tmp_path: Path
) -> None:
    """With its own OTLP exporter pointed here, in both encodings and with prompts switched on:
    tokens, sessions and requests arrive; the prompt, the answer and who asked do not.
    """
    script = [Text("Medlars are eaten bletted."), Text("Medlars are eaten bletted.")]
    with ScriptedUpstream(script) as model:
        ready = bailee.up("--upstream", model.url)
        client = Client(claude, tmp_path, ready["gateway"], ready["key"])
        for protocol in ("http/protobuf", "http/json"):
            client.exports(ready["ingest"]["otlp"], ready["key"], protocol)
            client.ask("How is a medlar eaten, by the quince clock?")
        measured = {row["name"] for row in bailee.json("metrics", "list")}
        tokens = bailee.json("metrics", "query", "claude_code.token.usage", "--by", "type")["rows"]
        asked = bailee.json("metrics", "query", "claude_code.api_request", "--by", "service.name")
        dropped = {row["field"] for row in bailee.json("metrics", "dropped")}
        bailee.stop()

    assert {
        "claude_code.session.count",
        "claude_code.token.usage",
        "claude_code.api_request",
        "claude_code.user_prompt",
    } <= measured
    assert {"input", "output"} <= {row["group"]["type"] for row in tokens}
    assert ["claude-code"] == [row["group"]["service.name"] for row in asked["rows"]]
    assert {"prompt", "session.id", "user.id"} <= dropped
    assert [] == bailee.holds(b"quince clock", b"bletted")


@pytest.mark.row("G3", "D3")
def test_an_agent_and_a_compaction_are_where_they_were(
    claude: Path, bailee: Bailee, tmp_path: Path
) -> None:
    """The agent stands after the call that began it; after /compact another conversation begins.
    The client asks for the summary without its last answer, which it keeps: as if that had been
    taken back. Else nothing is there twice, though it moves the marks of its cache each time.
    A fork is a session of its own that has what was said before; the first has nothing of it.
    """
    call = {"description": "Count", "prompt": "Count the medlars.", "run_in_background": False}
    script = [
        ToolUse("Agent", {**call, "subagent_type": "general-purpose"}),
        Text("Nine medlars."),
        Text("There are nine."),
        Text("<summary>All was counted.</summary>"),
        Text("Pears ripen in September."),
    ]
    with ScriptedUpstream(script) as model:
        ready = bailee.up("--upstream", model.url)
        client = Client(claude, tmp_path, ready["gateway"], ready["key"])
        client.ask("How many medlars?", "--allowedTools", "Agent")
        client.ask("/compact", "--continue")
        client.ask("When do pears ripen?", "--continue")
        (session,) = bailee.sessions()
        client.ask("What of the plums?", "--resume", session["id"], "--fork-session")
        shown = bailee.json("sessions", "show", session["id"])
        ids = [one["id"] for one in bailee.sessions(2)]
        (fork,) = [one for one in ids if one != session["id"]]
        forked = json.dumps(bailee.json("sessions", "show", fork)["messages"])

    assert "What of the plums?" not in json.dumps(shown)
    assert [] == [
        said for said in ("All was counted.", "ripen in September", "What of the plums?")
        if said not in forked
    ]  # fmt: skip
    agent, *asked = shown["branches"]
    said = [json.dumps(one) for one in shown["messages"]]
    (second,) = shown["begins"]
    assert ["agent", "taken_back"] == [one["kind"] for one in (agent, *asked)]
    assert "Count the medlars." in said[agent["at"] - 1]
    assert "Nine medlars." in json.dumps(agent["messages"][-1])
    assert "All was counted." in said[second - 1]
    assert "Pears ripen in September." in said[-1]
