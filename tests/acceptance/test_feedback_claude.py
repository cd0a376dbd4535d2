"""The real Claude Code client sends a bug report, which a company's proxy brings to bailee.

The client is unmodified, has an empty environment, a home of its own and bailee's key, and reaches
nothing but the proxy on 127.0.0.1.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from coding_agents import AGENTS

from support.clients.programs import Bailee, clean_environment
from support.servers.redirecting import redirecting

_SECONDS = 90


@pytest.mark.row("F1", "D3")
def test_claude_codes_own_report_is_taken_as_it_is(
    served: Callable[..., Bailee], claude: Path, tmp_path: Path
) -> None:
    """It is told the id, and its sender finds description, conversation and version under it; its
    words are in no file of the server.
    """
    server = served()
    authority = trustme.CA()
    certificate = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(certificate)
    for folder in ("claude-home", "project"):
        (tmp_path / folder).mkdir()
    routes = {
        "/api/claude_cli_feedback": server.ready["ingest"]["otlp"],
        "/v1/messages": server.ready["gateway"],
    }
    with redirecting(authority, routes) as proxy:
        client = subprocess.Popen(
            [str(claude), "-p", "--input-format", "stream-json", "--output-format", "stream-json",
             "--verbose"],
            cwd=tmp_path / "project",
            env=clean_environment(
                tmp_path / "claude-home",
                HTTPS_PROXY=proxy,
                HTTP_PROXY=proxy,
                NODE_EXTRA_CA_CERTS=str(certificate),
                ANTHROPIC_API_KEY=server.ready["key"],
                CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL="1",
                DISABLE_TELEMETRY="1",
                DISABLE_ERROR_REPORTING="1",
                DISABLE_AUTOUPDATER="1",
                SHELL="/bin/bash",
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        try:
            said = _lines(client)
            _say(client, {"type": "user", "message": {"role": "user", "content": "the quince?"}})
            _wait(said, lambda line: line.get("type") == "result")
            request = {"subtype": "submit_feedback", "description": "medlar stops"}
            _say(client, {"type": "control_request", "request_id": "7", "request": request})
            told = _wait(said, lambda line: line.get("type") == "control_response")
        finally:
            client.kill()
            client.wait()

    report = told["response"]["response"]["feedback_id"]
    shown = server.json("feedback", "show", report, "--key", server.ready["key"])
    content = shown["content"]
    assert "medlar stops" == content["description"]
    assert "the quince?" in json.dumps(content["transcript"])
    assert AGENTS["claude-code"].version == content["environment"]["version"]
    assert "environment" in shown["parts"]
    server.stop()
    assert [] == server.holds(b"medlar", b"the quince?")


def _say(client: subprocess.Popen[str], line: dict[str, Any]) -> None:
    assert client.stdin is not None
    client.stdin.write(json.dumps(line) + "\n")
    client.stdin.flush()


def _lines(client: subprocess.Popen[str]) -> queue.Queue[dict[str, Any] | None]:
    """What the client says, line by line; None when it ends."""
    found: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def read() -> None:
        assert client.stdout is not None
        for line in client.stdout:
            found.put(json.loads(line))
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    return found


def _wait(
    said: queue.Queue[dict[str, Any] | None], wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    while True:
        line = said.get(timeout=_SECONDS)
        assert line is not None, "the client ended"
        if wanted(line):
            return line
