"""Whatever the agent works on, nothing of it is in what leaves by itself: planted markers, and a
search through every byte that arrives.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailee.testing.upstream import Failure, ScriptedUpstream, Text, ToolUse
from support.clients import processes
from support.clients.code_at import CODE_AT, show
from support.clients.programs import Bailee, clean_environment
from support.clients.terminal import Screen
from support.servers.corporate_network import receiver

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
# In code, names of files and folders, prompts, answers, commands, secrets, and the environment.
MARKERS = (
    *("QuinceCode", "quincefile", "quincefolder", "QuincePrompt", "QuinceAnswer", "QuinceCommand"),
    *("sk-ant-api03-Quince", "quinceuser", "quincehost", "QuinceVariable", "QuinceCrash"),
    *("quince-model", "QuinceTool", "QuinceHint"),
)
# What the SDKs would take up from their own variables.
SDKS = {
    "OTEL_RESOURCE_ATTRIBUTES": "host.name=quincehost,team=QuinceVariable",
    "OTEL_SERVICE_NAME": "QuinceVariable",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9/QuinceVariable",
    "SENTRY_DSN": "http://QuinceVariable@127.0.0.1:9/1",
    "SENTRY_ENVIRONMENT": "QuinceVariable",
    "SENTRY_RELEASE": "QuinceVariable",
    "SENTRY_SPOTLIGHT": "http://127.0.0.1:9/QuinceVariable",
}
_FLOWS = {"/v1/metrics": "metrics", "/api/1/envelope/": "errors"}
CRASHING = """
import sys
from bailee import cli
from bailee.cli import code

@cli.whole().command("crash")
def crash(quincename: str = "QuinceCode") -> None:
    raise KeyError("QuinceCrash " + quincename)

sys.argv[1:] = ["crash"]
cli.main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository full of markers, in a home that is one."""
    made = tmp_path / "quinceuser" / "quincefolder"
    made.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(made)], check=True)
    (made / "quincefile.py").write_text("def QuinceCode():\n    return 'sk-ant-api03-Quince'\n")
    (made / "AGENTS.md").write_text("Mind the QuinceHint.\n")
    return made


def overloaded(message: str = "scripted") -> list[Failure]:
    """As often as the agent tries; the service names a wait, or each would be twice the last."""
    return [Failure(529, "overloaded_error", message, (("retry-after-ms", "1"),))] * 6


def environment(folder: Path, upstream: ScriptedUpstream, ingest: str) -> dict[str, str]:
    """Everything on, markers in every variable there is."""
    return clean_environment(
        folder.parent,
        USER="quinceuser",
        LOGNAME="quinceuser",
        HOSTNAME="quincehost",
        EDITOR="QuinceVariable",
        ANTHROPIC_BASE_URL=upstream.url,
        ANTHROPIC_AUTH_TOKEN="bl_test",
        ANTHROPIC_MODEL="quince-model",
        BAILEE_INGEST_URL=ingest,
        **SDKS,
    )


def run(
    folder: Path, environment: dict[str, str], *command: str
) -> subprocess.CompletedProcess[str]:
    """`bailee`, or a program of Python's, in the folder, to its end."""
    if command[:2] == ("-m", "bailee"):
        return processes.run(*command[2:], env=environment, folder=folder)
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.row("S1", "S2", "F3")
def test_no_marker_is_in_any_byte_that_leaves(folder: Path, tmp_path: Path) -> None:
    """Turns with edits, commands, refusals, an API that fails, a crash, and a rating: what arrives
    beside the model's requests holds counts and places in bailee's own code, and no marker.
    """
    turns = (
        ToolUse("Read", {"path": "quincefile.py"}),
        ToolUse("Edit", {"path": "quincefile.py", "old": "return", "new": "return  # QuinceCode"}),
        ToolUse("Bash", {"command": "echo QuinceCommand; cat quincefile.py"}),
        ToolUse("Bash", {"command": "rm QuinceCommand"}),
        ToolUse("QuinceTool", {"quince": "QuinceCode"}),
        Text("QuinceAnswer"),
    )
    with receiver() as ingest, ScriptedUpstream(tools_only=False) as upstream:
        held = environment(folder, upstream, ingest.url())
        code = ("-m", "bailee", "code")
        allowed = ("--allowed-tools", "Edit Bash(echo QuinceCommand; cat quincefile.py)")
        upstream.then(*turns)
        first = run(folder, held, *code, "-p", "QuincePrompt", *allowed)
        assert (0, "QuinceAnswer\n") == (first.returncode, first.stdout)
        assert "From the next start on, bailee sends metrics and errors" in first.stderr
        assert [] == ingest.received  # it was said, and not sent

        upstream.then(*overloaded("QuinceAnswer"))
        assert 4 == run(folder, held, *code, "-p", "QuincePrompt").returncode
        crash = run(folder, held, "-c", CRASHING)
        assert "KeyError: 'QuinceCrash QuinceCode'" in crash.stderr
        assert "This is a fault of bailee's" in crash.stderr

        moment = tmp_path / "moment"
        show(moment, START)
        screen = Screen(str(moment), program=CODE_AT, folder=folder, environment=held)
        screen.wait("(?m)^>")
        for turn in range(5):
            screen.submit(f"QuincePrompt {turn}")
            screen.wait(lambda text, turn=turn: text.count("Done.") == turn + 1)
            show(moment, START + timedelta(minutes=10))
        screen.wait("How is the assistant doing")
        time.sleep(1.0)  # a key counts only when the question has been there for a moment
        screen.type("3")
        screen.wait(lambda _: any(got.path == "/api/v1/survey" for got in ingest.received))
        screen.submit("/quit")
        assert 0 == screen.end()
        arrived = b"".join(
            f"{got.path} {got.headers}".encode() + got.body for got in ingest.received
        )
        asked = json.dumps([request.json for request in upstream.conversations])

    assert {"/v1/metrics", "/api/1/envelope/", "/api/v1/survey"} == {
        got.path for got in ingest.received
    }
    planted = f"{asked}{first.stdout}{held}{crash.stderr}"
    for marker in MARKERS:
        assert marker in planted
        assert marker.lower().encode() not in arrived.lower()
    for name in (b"bailee.session.count", b"bailee.turn.duration", b"bailee.token.usage",
                 b"bailee.tool.decision", b"bailee.command.count", b"bailee.request.duration",
                 b'"UpstreamError"', b'"KeyError"', b'"bailee.cli"'):  # fmt: skip
        assert name in arrived


@pytest.mark.row("S1", "S2", "S4", "S5")
@pytest.mark.parametrize(
    ("variable", "flows"),
    [
        ("DISABLE_TELEMETRY", {"errors"}),
        ("DISABLE_ERROR_REPORTING", {"metrics"}),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", set()),
        ("CLAUDE_CODE_USE_BEDROCK", set()),
    ],
)
def test_each_switch_keeps_its_flow_on_the_machine(
    folder: Path, variable: str, flows: set[str]
) -> None:
    """With any value, "0" too: nothing of the flow is announced, kept or sent."""
    with receiver() as ingest, ScriptedUpstream(tools_only=False) as upstream:
        held = environment(folder, upstream, ingest.url()) | {
            variable: "0",
            "ANTHROPIC_BEDROCK_BASE_URL": f"{upstream.url}/bedrock",
            "CLAUDE_CODE_SKIP_BEDROCK_AUTH": "1",
        }
        upstream.then(*overloaded())
        done = run(folder, held, "-m", "bailee", "code", "-p", "go")
        assert (4, bool(flows)) == (done.returncode, "From the next start on" in done.stderr)
        sent = json.loads(run(folder, held, "-m", "bailee", "outbox", "send", "--json").stdout)

    assert flows == {one["flow"] for one in sent} == {_FLOWS[got.path] for got in ingest.received}


@pytest.mark.row("S1", "S2")
def test_what_the_agent_measured_is_what_the_service_shows(
    served: Callable[..., Bailee], folder: Path, upstream: ScriptedUpstream
) -> None:
    """From sessions of `bailee code` to `bailee metrics` and `bailee errors`, on a real server."""
    bailee = served()
    ready = bailee.ready
    held = environment(folder, upstream, ready["ingest"]["otlp"].removesuffix("/v1/metrics"))
    held |= {"ANTHROPIC_BASE_URL": ready["gateway"], "ANTHROPIC_AUTH_TOKEN": ready["key"]}
    done = run(folder, held, "-m", "bailee", "code", "-p", "go")
    assert (0, "Done.\n") == (done.returncode, done.stdout)
    upstream.then(*overloaded())
    assert 4 == run(folder, held, "-m", "bailee", "code", "-p", "go").returncode

    run(folder, held, "-m", "bailee", "outbox", "send")  # what its end had no time for
    listed = run(folder, held, "-m", "bailee", "outbox", "--json")
    assert {"sent"} == {one["state"] for one in json.loads(listed.stdout)}
    shown = bailee.json("metrics", "list")
    assert "bailee.turn.duration" in json.dumps(shown)
    assert "UpstreamError" in json.dumps(bailee.json("errors", "list"))
