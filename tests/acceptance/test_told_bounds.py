"""What a server's document leaves agents on a machine where nobody puts a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse
from support.clients import processes
from support.clients.programs import SILENT, Bailee, clean_environment
from support.documents import HELD

ORCHARD = str(Path(__file__).parent.parent / "support/servers/mcp_orchard.py")
BOUND = """
[[bound]]
id = "bound.pages"
heading = "flow"
rows = ["P1"]
of = "web_pages"
only = ["docs.example"]
en = "Pages of our documentation alone."
zh = "仅限我们的文档页面。"
"""
OWN = """\
format = "bailee-own-policy/1"

[[bound]]
id = "own.servers"
of = "mcp_servers"
only = []
en = "No MCP servers here."
"""
SETTINGS = json.dumps({
    "webFetch": True,
    "mcpServers": {"orchard": {"command": sys.executable, "args": [ORCHARD]}},
    "permissions": {"allow": ["WebFetch", "mcp__orchard"]},
})  # fmt: skip


@pytest.mark.row("P1", "O3")
def test_what_the_document_of_a_server_leaves_holds_by_the_key_alone(
    served: Callable[..., Bailee], upstream: ScriptedUpstream, root: Path, tmp_path: Path
) -> None:
    """The operator's bound and the organisation's, each in its clause's words, from the first
    session on; while the server is away, and for other agents, as it said last. Whose key it never
    said anything to has their own settings.
    """
    (tmp_path / "policy.toml").write_text(HELD + BOUND)
    (tmp_path / "own.toml").write_text(OWN)
    bailee = served("--policy", str(tmp_path / "policy.toml"))
    firm = bailee.json("organisation", "create", "Acme", "--plan", "team")["organisation"]
    key = bailee.json("key", "create", "--organisation", firm, "--name", "ci")["key"]
    bailee.json(
        "organisation", "policy", "set", firm, str(tmp_path / "own.toml"),
        "--reason", "the works council asked", "--yes",
    )  # fmt: skip
    held = clean_environment(
        tmp_path / "person", BAILEE_URL=bailee.ready["gateway"], BAILEE_API_KEY=key,
        ANTHROPIC_BASE_URL=bailee.ready["gateway"], ANTHROPIC_AUTH_TOKEN=key, **SILENT,
    )  # fmt: skip

    def run(*arguments: str, **more: str) -> Any:
        return processes.run(*arguments, env={**held, **more}, folder=root, timeout=90)

    upstream.then(ToolUse("WebFetch", {"url": "https://elsewhere.example/"}), Text("Done."))
    done = run("code", "-p", "go", "--settings", SETTINGS)
    assert (0, "Done.\n") == (done.returncode, done.stdout), done.stderr
    shut = "The MCP server orchard is not started. No MCP servers here. (own.servers)"
    assert shut in done.stderr
    first, last = (one.json for one in upstream.conversations)
    assert "Pages of our documentation alone. (bound.pages)" in json.dumps(last["messages"])
    assert not any(one["name"].startswith("mcp__") for one in first["tools"])

    bailee.stop()
    flows = json.loads(run("flows", "--json", "--settings", SETTINGS).stdout)
    closed = {one["flow"]: (one["clause"], one["state"], one["place"]) for one in flows}
    gateway = bailee.ready["gateway"]
    assert ("bound.pages", "on", gateway) == closed["web_fetch"]
    assert ("own.servers", "off", gateway) == closed["mcp_server.orchard"]
    shown = run("run", "--dry-run", "--", "claude")
    assert "--strict-mcp-config" in shown.stdout
    assert "Pages of our documentation alone. (bound.pages)" in shown.stderr
    other = json.loads(
        run("flows", "--json", "--settings", SETTINGS, BAILEE_API_KEY="bl_another").stdout
    )
    assert ("on", None) in [
        (one["state"], one["clause"]) for one in other if one["flow"] == "mcp_server.orchard"
    ]
