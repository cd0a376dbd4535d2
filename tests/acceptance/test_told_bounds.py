"""What a server's document leaves agents on a machine where nobody puts a file, and what it states
of them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse
from support.clients import processes
from support.clients.programs import SILENT, Bailee, clean_environment
from support.documents import HELD, edited

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


@pytest.mark.row("P1", "O3")
def test_other_agents_are_started_and_checked_by_the_servers_document(
    served: Callable[..., Bailee], root: Path, tmp_path: Path
) -> None:
    """One that lets vendors have theirs, and says something of metrics in its own words. While it
    is away, agents are started as it said last, and checked by the document that is shipped; each
    says whose it goes by, and so does who was never told anything.
    """
    other = (
        ('id = "state.vendors-get-nothing"', 'id = "state.vendors-have-theirs"'),
        ("Metrics and error events carry no code", "What we measure carries no code"),
    )
    (tmp_path / "policy.toml").write_text(edited(*other) + BOUND)
    bailee = served("--policy", str(tmp_path / "policy.toml"))
    gateway = bailee.ready["gateway"]
    digest = hashlib.sha256((tmp_path / "policy.toml").read_bytes()).hexdigest()[:12]
    held = clean_environment(
        tmp_path / "person", BAILEE_URL=gateway, BAILEE_API_KEY=bailee.ready["key"]
    )

    def run(*arguments: str, **more: str) -> Any:
        return processes.run(*arguments, env={**held, **more}, folder=root, timeout=90)

    def checked(**more: str) -> tuple[str, dict[str, str]]:
        done = run("doctor", "--for", "bailee", "--json", **more)
        found = json.loads(done.stdout)["bailee"]
        assert (1, {"absent"}) == (done.returncode, {one["state"] for one in found})
        return done.stderr, {one["key"]: one["clause"] for one in found}

    never = run("run", "--dry-run", "--", "aider", BAILEE_URL="http://127.0.0.1:9")
    assert "AIDER_ANALYTICS=false" in never.stdout
    assert "http://127.0.0.1:9 has not said what its policy document states" in never.stderr

    for away in ("", f"no answer from {gateway}: "):
        aider = run("run", "--dry-run", "--", "aider")
        assert "AIDER_ANALYTICS" not in aider.stdout
        whose = f"{away}started by the policy document of {gateway} ({digest})"
        assert whose in aider.stderr, aider.stderr
        claude = run("run", "--dry-run", "--", "claude").stdout
        assert "# What we measure carries no code" in claude
        assert "(state.telemetry-encryption)" in claude
        assert "DISABLE_AUTOUPDATER" not in claude
        said, clauses = checked()
        if away:
            assert f"{gateway} does not say what its policy document demands" in said
            assert "bound.pages" not in clauses.values()
        else:
            assert f"By the policy document of {gateway} ({digest})" in said
            assert "bound.pages" in clauses.values()
            bailee.stop()
    assert "bound.pages" not in checked(BAILEE_API_KEY="")[1].values()
    assert "" == run("doctor", "--for", "bailee", "--json", BAILEE_API_KEY="").stderr
