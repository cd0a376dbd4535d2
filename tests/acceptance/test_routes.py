"""What a running server lets go upstream: refusals, named accounts, own credentials, settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee, clean_environment, message

pytestmark = pytest.mark.row("G2")

KEY_OF_THE_UPSTREAM = {"UPSTREAM_KEY": "sk-the-operators"}


@pytest.fixture
def lending(bailee: Bailee, upstream: ScriptedUpstream) -> Bailee:
    """A server with a key for its upstream."""
    bailee.up(
        "--upstream", upstream.url, "--upstream-key-env", "UPSTREAM_KEY", "--vertex", upstream.url,
        env=KEY_OF_THE_UPSTREAM,
    )  # fmt: skip
    return bailee


def call(
    bailee: Bailee, method: str, path: str, *, body: bytes | None = None, **fields: str
) -> tuple[int, Any]:
    """Status and document of one request; underscores in the names of fields are hyphens."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    request = urllib.request.Request(
        bailee.ready["gateway"] + path, body, headers, method=method
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            status, raw = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, raw = error.code, error.read()
    return status, json.loads(raw) if raw else None


def test_an_account_is_named_and_unnamed(lending: Bailee, upstream: ScriptedUpstream) -> None:
    """Refused with what to ask for; passed on the operator's key from the next request on, and
    recorded by nobody; refused again when it is taken back. Lists and the audit record say so.
    """
    key = lending.ready["key"]
    status, said = call(lending, "GET", "/v1/files", x_api_key=key)
    (account,) = lending.json("account", "list")
    assert 403 == status
    asked = f"bailee account allow {account['account']} --unrecorded-routes"
    assert asked in said["error"]["message"]
    assert "pass.other" in said["error"]["message"]
    assert [] == upstream.requests

    told = lending.run(*asked.split()[1:])
    assert (0, "") == (told.returncode, told.stderr)
    assert "not recorded" in told.stdout
    call(lending, "GET", "/v1/files", x_api_key=key)
    call(lending, "POST", "/vertex/v1/projects/p/locations/l/customJobs", x_api_key=key, body=b"{}")
    assert ["/v1/files", "/v1/projects/p/locations/l/customJobs"] == [
        one.target for one in upstream.requests
    ] or len(upstream.requests) == 1  # without Google credentials the second goes nowhere
    assert "sk-the-operators" == upstream.requests[0].header("x-api-key")
    assert "unrecorded routes" in lending.run("key", "list").stdout
    assert "allowed" in lending.run("account", "list").stdout

    lending.json("account", "forbid", account["account"], "--unrecorded-routes")
    assert 403 == call(lending, "GET", "/v1/files", x_api_key=key)[0]
    entries = [one for one in lending.json("audit", "list")
               if one["kind"] == "account.unrecorded_routes"]  # fmt: skip
    assert [(True, "operator"), (False, "operator")] == [
        (one["body"]["allowed"], one["body"]["by"]) for one in entries
    ]
    assert [] == lending.json("sessions", "list")


def test_it_holds_after_a_restart(bailee: Bailee, upstream: ScriptedUpstream) -> None:
    """Who was named stays named, and nobody else is."""
    bailee.up("--upstream", upstream.url)
    (first,) = bailee.json("account", "list")
    bailee.json("account", "allow", first["account"], "--unrecorded-routes")
    bailee.stop()
    bailee.up("--upstream", upstream.url)
    bailee.json("key", "create", "--plan", "team")
    assert [True, False] == [one["unrecorded_routes"] for one in bailee.json("account", "list")]


def test_only_what_is_said_is_allowed(lending: Bailee) -> None:
    """`account allow` without an option allows nothing, and says so."""
    (account,) = lending.json("account", "list")
    done = lending.run("account", "allow", account["account"])
    assert 2 == done.returncode
    assert "--unrecorded-routes" in done.stderr


def test_an_own_credential_beside_the_bailee_key(
    lending: Bailee, upstream: ScriptedUpstream
) -> None:
    """A conversation is kept on the account's terms and paid by the client's own credential; its
    own errands pass; neither credential is in any file of the home.
    """
    upstream.then(Text("on my own account"))
    own = {"authorization": "Bearer sk-ant-oat-my-own", "x_bailee_key": lending.ready["key"]}
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    assert 200 == call(lending, "POST", "/v1/messages?beta=true", body=body, **own)[0]
    call(lending, "GET", "/v1/files", **own)
    assert ["Bearer sk-ant-oat-my-own"] * 2 == [
        one.header("authorization") for one in upstream.requests
    ]
    assert not any(b"sk-the-operators" in one.raw for one in upstream.requests)
    assert not any(lending.ready["key"].encode() in one.raw for one in upstream.requests)
    (session,) = lending.json("sessions", "list")
    assert 1 == session["exchanges"]
    lending.stop()
    assert [] == lending.holds(b"sk-ant-oat-my-own")


@pytest.mark.row("D3")
def test_claude_code_with_a_subscription_of_its_own(
    lending: Bailee, upstream: ScriptedUpstream, claude: Path, tmp_path: Path
) -> None:
    """The real client, with a token of its own and ANTHROPIC_CUSTOM_HEADERS as the guide says: the
    upstream sees its token, the session is kept.
    """
    person = tmp_path / "ann"
    person.mkdir()
    environment = clean_environment(
        person,
        ANTHROPIC_BASE_URL=lending.ready["gateway"],
        CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat01-my-own",
        ANTHROPIC_CUSTOM_HEADERS=f"x-bailee-key: {lending.ready['key']}",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL="1",
        DISABLE_AUTOUPDATER="1",
        HTTPS_PROXY="http://127.0.0.1:9",
        NO_PROXY="127.0.0.1",
    )
    upstream.then(Text("Seven pear trees."))
    done = subprocess.run(
        [str(claude), "-p", "How many trees?"], env=environment, cwd=person,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr + done.stdout
    asked = [one for one in upstream.requests if one.path == "/v1/messages"]
    assert {"Bearer sk-ant-oat01-my-own"} == {one.header("authorization") for one in asked}
    assert not any(lending.ready["key"].encode() in one.raw for one in upstream.requests)
    assert lending.json("sessions", "list")


def test_sizes_and_origins_are_settings(bailee: Bailee, upstream: ScriptedUpstream) -> None:
    """gateway.max_request_mb, gateway.origins: as set, and named in the refusals."""
    bailee.up(
        "--upstream", upstream.url,
        env={"BAILEE_GATEWAY_MAX_REQUEST_MB": "1", "BAILEE_GATEWAY_ORIGINS": "https://a.example"},
    )  # fmt: skip
    key = bailee.ready["key"]
    status, said = call(bailee, "POST", "/v1/messages", body=b"x" * (2 << 20), x_api_key=key)
    assert 413 == status
    assert "1 MiB" in said["error"]["message"]
    assert "gateway.max_request_mb" in said["error"]["message"]
    asks = {"access_control_request_method": "POST"}
    assert 204 == call(bailee, "OPTIONS", "/v1/messages", origin="https://a.example", **asks)[0]
    assert 403 == call(bailee, "OPTIONS", "/v1/messages", origin="https://b.example", **asks)[0]
    assert [] == upstream.requests


@pytest.mark.parametrize("wrong", ["*", "app.example.com", "https://a.example/x"])
def test_an_origin_that_is_none_stops_the_start(bailee: Bailee, wrong: str) -> None:
    """Not every page at once, and nothing that no browser would send."""
    process = bailee.spawn(env={"BAILEE_GATEWAY_ORIGINS": wrong})
    _, errors = process.communicate(timeout=60)
    assert 2 == process.returncode
    assert "gateway.origins" in errors


def test_the_line_about_an_exchange_names_the_clause(tmp_path: Path) -> None:
    """`bailee up` says by which clause something passed without a record, or did not pass."""
    bailee = Bailee(tmp_path)
    with ScriptedUpstream(tools_only=False) as upstream:
        process = subprocess.Popen(
            ["python", "-m", "bailee", "up", "--gateway", "127.0.0.1:0", "--console",
             "127.0.0.1:0", "--ingest", "off", "--upstream", upstream.url],
            env={**clean_environment(tmp_path, BAILEE_HOME=str(bailee.home)),
                 "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                 "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            ready: dict[str, str] = {}
            for line in process.stdout:
                words = line.split()
                if words[:1] == ["gateway"] and len(words) > 1:
                    ready[words[0]] = words[1]
                if line.startswith("Each exchange"):
                    break
            ready["key"] = bailee.json("key", "create", "--plan", "api")["key"]
            bailee.ready = ready
            message(ready, "hi")
            call(bailee, "GET", "/v1/models", x_api_key=ready["key"])
            call(bailee, "GET", "/v1/files", x_api_key=ready["key"])
            said = [next(line for line in process.stdout if line.strip()) for _ in range(3)]
        finally:
            process.terminate()
            process.communicate(timeout=60)
    text = "".join(said)
    assert "not kept (not_a_conversation, pass.models)" in text
    assert "not kept (refused, pass.other)" in text
