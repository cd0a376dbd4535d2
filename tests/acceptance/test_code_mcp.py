"""MCP servers: real ones, over standard input and over HTTP, under the permissions of the agent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse
from support.clients import processes
from support.clients.programs import SILENT, clean_environment
from support.clients.terminal import Opens
from support.servers.corporate_network import free_port, listens

ORCHARD = str(Path(__file__).parent.parent / "support/servers/mcp_orchard.py")
ODD = str(Path(__file__).parent.parent / "support/servers/mcp_odd.py")
STDIO = {"command": sys.executable, "args": [ORCHARD], "env": {"PEARS": "${PEARS:-7}"}}


def run(
    root: Path, upstream: ScriptedUpstream, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`bailee code` to its end."""
    held = clean_environment(
        root.parent / "person", ANTHROPIC_BASE_URL=upstream.url, ANTHROPIC_AUTH_TOKEN="bl_test",
        **SILENT, **environment,
    )  # fmt: skip
    return processes.run(*arguments, env=held, folder=root, timeout=90)


def results(upstream: ScriptedUpstream) -> list[str]:
    """What the tools answered, as the model saw it."""
    blocks: list[dict[str, Any]] = [
        block
        for message in upstream.conversations[-1].json["messages"]
        for block in message["content"]
        if block["type"] == "tool_result"
    ]
    return [json.dumps(block["content"]) for block in blocks]


@pytest.mark.row("S7")
def test_a_servers_tools_are_there_and_each_needs_permission(
    root: Path, upstream: ScriptedUpstream
) -> None:
    """One over standard input and one over HTTP with a header: listed for the model, shown by
    `bailee flows`, called where a rule allows, refused where none does; what fails, what does not
    start, what a clause of the policy document leaves out, and what is inherited.
    """
    port = free_port()
    settings = json.dumps({
        "mcpServers": {
            "here": STDIO,
            "there": {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"x-word": "${WORD}"}},
            "gone": {"command": "/nonexistent/server"},
            "shut": {"url": "https://elsewhere.example/mcp"},
        },
        "permissions": {"allow": ["mcp__here", "mcp__there__pick"]},
        "bounds": {"bound.servers": {
            "of": "mcp_servers", "only": ["programs", "127.0.0.1"], "en": "Agreed ones alone.",
        }},
    })  # fmt: skip
    upstream.then(
        ToolUse("mcp__here__pick", {"kind": "pears", "count": 3}),
        ToolUse("mcp__there__pick", {"kind": "quinces", "count": 4}),
        ToolUse("mcp__there__variables", {}),
        ToolUse("mcp__here__fall", {}),
        ToolUse("mcp__here__variables", {}),
        Text("Done."),
    )
    process = subprocess.Popen([sys.executable, ORCHARD, str(port)])
    try:
        end = time.monotonic() + 30
        while not listens(port) and time.monotonic() < end:
            time.sleep(0.05)
        done = run(root, upstream, "code", "-p", "go", "--settings", settings,
                   WORD="quince", GITHUB_TOKEN="ghp_secret")  # fmt: skip
        flows = json.loads(run(root, upstream, "flows", "--json", "--settings", settings).stdout)
    finally:
        process.terminate()
        process.wait()

    assert (0, "Done.\n") == (done.returncode, done.stdout)
    assert "warning: The MCP server gone can't be used" in done.stderr
    shut = "The MCP server shut is not started. Agreed ones alone. (bound.servers)"
    assert shut in done.stderr
    picked, from_afar, refused, fell, variables = results(upstream)
    assert "3 pears" in picked
    assert "4 quinces" in from_afar
    assert "nobody is there to permit mcp__there__variables" in refused
    assert "Error executing tool fall" in fell
    assert '"PEARS"' in variables
    for name in ("ANTHROPIC_AUTH_TOKEN", "GITHUB_TOKEN", "WORD"):
        assert name not in variables
    offered = {tool["name"] for tool in upstream.conversations[0].json["tools"]}
    assert {"mcp__here__pick", "mcp__there__fall", "Read"} <= offered
    servers = {f["flow"]: (f["state"], f["destination"]) for f in flows if "mcp" in f["flow"]}
    assert {
        "mcp_server.gone": ("on", "a program here: /nonexistent/server"),
        "mcp_server.here": ("on", f"a program here: {sys.executable}"),
        "mcp_server.there": ("on", f"http://127.0.0.1:{port}/mcp"),
        "mcp_server.shut": ("off", "https://elsewhere.example/mcp"),
    } == servers


@pytest.mark.row("S7")
def test_a_project_can_not_start_a_server(
    opens: Opens, root: Path, upstream: ScriptedUpstream
) -> None:
    """What `.mcp.json` wants is off in `bailee flows`, is not started without a person, and with
    one only after they saw the whole of it and said yes; a no holds, too.
    """
    begun = root.parent / "begun"
    start = f"import pathlib,runpy; pathlib.Path({str(begun)!r}).touch(); runpy.run_path({ORCHARD!r}, run_name='__main__')"  # noqa: E501
    definition = {"command": sys.executable, "args": ["-c", start], "env": {"K": "${ANTHROPIC_AUTH_TOKEN}"}}  # noqa: E501  # fmt: skip
    (root / ".mcp.json").write_text(json.dumps({"mcpServers": {"orchard": definition}}))

    done = run(root, upstream, "code", "-p", "go")
    assert "the project's MCP server orchard is not started" in done.stderr
    flows = json.loads(run(root, upstream, "flows", "--json").stdout)
    (flow,) = [flow for flow in flows if flow["flow"] == "mcp_server.orchard"]
    assert "off" == flow["state"]
    screen = opens(until="This project wants an MCP server, orchard")
    screen.wait("2 n  no")
    screen.type("n")
    screen.wait("(?m)^>$")
    screen.submit("go")
    screen.wait("Done")
    assert not begun.exists()

    upstream.then(ToolUse("mcp__orchard__pick", {"kind": "pears", "count": 3}), Text("So be it."))
    screen = opens(until="This project wants an MCP server, orchard")
    shown = screen.wait("2 n  no")
    assert "bl_test" not in shown
    screen.type("y")
    screen.submit("go")
    shown = screen.wait("no, and say why")
    assert "Allow this? pick of the MCP server orchard" in shown
    assert '"kind": "pears"' in shown
    screen.type("y")
    screen.wait("So be it")
    assert begun.exists()
    assert "3 pears" in results(upstream)[-1]


@pytest.mark.row("S7")
def test_a_server_is_taken_as_it_is(root: Path, upstream: ScriptedUpstream) -> None:
    """Noise among its lines and bytes that are not UTF-8 cost nothing; resources and structures
    reach the model; names that collide are said; a choice in a schema becomes what the API takes.
    """
    settings = json.dumps({
        "mcpServers": {"odd": {"command": sys.executable, "args": [ODD]}},
        "permissions": {"allow": ["mcp__odd"]},
    })  # fmt: skip
    names = ("pick_one", "resource", "structured", "latin")
    upstream.then(*(ToolUse(f"mcp__odd__{name}", {}) for name in names), Text("Done."))
    done = run(root, upstream, "code", "-p", "go", "--settings", settings)

    said = "warning: Two tools are called mcp__odd__pick_one; the first is used.\n"
    assert (0, "Done.\n", said) == (done.returncode, done.stdout, done.stderr)
    picked, resource, structured, latin = (json.loads(result) for result in results(upstream))
    assert "pick.one" == picked[0]["text"]
    assert ["file:///a.txt:\nseven quinces", "orchard: file:///b.txt"] == [
        block["text"] for block in resource
    ]
    assert '{"trees": 7}' == structured[0]["text"]
    assert "caf\ufffd" == latin[0]["text"]
    offered = {
        tool["name"]: tool["input_schema"] for tool in upstream.conversations[0].json["tools"]
    }
    either = offered["mcp__odd__either"]
    assert {"type", "properties"} == set(either)
    assert {"kind", "count"} == set(either["properties"])
