"""The real agents under the compiled settings: alone in a network of their own, with the file where
an administrator puts it, and nothing of `bailee run`. What is asked for is seen, not believed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from coding_agents import AGENTS, CACHE

from bailee.managed import ManagedAgent, settings_for
from bailee.policy import load
from support.clients import alone
from support.clients.programs import Bailee, clean_environment

MISSING = alone.missing()
pytestmark = [
    pytest.mark.row("O3", "D2", "S5"),
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]
POLICY = load()
PROMPT = "How many pear trees?"
KEY = "bl_of_nobody"
CODEX_TRIES = '[analytics]\nenabled = true\n[otel]\nexporter = "none"\n'


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that is not below /tmp: some of them refuse settings in everybody's place."""
    CACHE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="home-", dir=CACHE))
    (folder / "orchard").mkdir()
    (folder / "tmp").mkdir()
    yield folder
    shutil.rmtree(folder)


def program(name: str) -> str:
    """The agent's own program."""
    found = AGENTS[name].fetch()
    if found is None:
        pytest.skip(f"{name} could not be had from npm")
    return str(found)


def environment(home: Path, **more: str) -> dict[str, str]:
    """An empty environment of a person's."""
    return clean_environment(home, SHELL="/bin/bash", TMPDIR=str(home / "tmp"), **more)


def test_claude_code_without_a_sign_in_asks_for_nobody(home: Path) -> None:
    """Its vendor's name is not even looked up."""
    made = settings_for(POLICY, ManagedAgent.CLAUDE)
    found = alone.run(
        [program("claude-code"), "-p", PROMPT],
        folder=home / "orchard",
        environment=environment(home, ANTHROPIC_BASE_URL=alone.URL, ANTHROPIC_AUTH_TOKEN=KEY),
        etc={made.file.path: made.file.text()},
    )
    assert "Seven." in found.stdout, found.stderr
    assert set() == found.names
    assert {"/v1/messages"} == {path for _, path in found.requests}


def test_claude_code_signed_in_takes_what_is_served_and_reports_here_alone(home: Path) -> None:
    """In its own protocol, without a question; what the document allows comes to the gateway."""
    made = settings_for(POLICY, ManagedAgent.CLAUDE, signed_in=True)
    served = {"uuid": made.checksum(), "checksum": made.checksum(), "settings": made.file.content()}
    sign_in = {
        "gatewayTrust": {"127.0.0.1": "http-loopback", alone.HOST: "http-loopback"},
        "enterpriseGateway": {
            "url": alone.URL,
            "jwt": KEY,
            "expiresAt": int(time.time() * 1000) + 3_600_000,
            "tokenEndpoint": f"{alone.URL}/oauth/token",
            "vouchedAtLogin": False,
        },
    }
    found = alone.run(
        [program("claude-code"), "-p", PROMPT],
        folder=home / "orchard",
        environment=environment(home),
        etc={"/etc/claude-code/none": ""},
        files={str(home / ".claude/.credentials.json"): json.dumps(sign_in)},
        served=served,
    )
    assert "Seven." in found.stdout, found.stderr
    assert set() == found.names
    paths = {path for _, path in found.requests}
    assert {"/managed/settings", "/v1/messages", "/v1/metrics", "/v1/logs"} == paths


def test_codex_under_its_file_asks_for_nobody_whatever_the_person_sets(home: Path) -> None:
    """A person's own file says otherwise, and the administrator's counts."""
    made = settings_for(POLICY, ManagedAgent.CODEX, gateway=alone.URL)
    found = alone.run(
        [program("codex"), "exec", "-m", "gpt-5.5", "--skip-git-repo-check", PROMPT],
        folder=home / "orchard",
        environment=environment(home, BAILEE_API_KEY=KEY),
        etc={made.file.path: made.file.text()},
        files={str(home / ".codex/config.toml"): CODEX_TRIES},
        answers="other",
    )
    assert "Seven." in found.stdout, found.stderr
    assert set() == found.names
    assert {"/openai/v1/responses"} == {path for _, path in found.requests}


def test_gemini_cli_under_its_file_asks_for_nobody(home: Path) -> None:
    """With the address that a variable says."""
    made = settings_for(POLICY, ManagedAgent.GEMINI, gateway=alone.URL)
    more = {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": f"{alone.URL}/gemini"}
    found = alone.run(
        [program("gemini"), "-m", "gemini-2.5-flash", "--approval-mode", "yolo", "-p", PROMPT],
        folder=home / "orchard",
        environment=environment(home, GEMINI_CLI_TRUST_WORKSPACE="true", **more),
        etc={made.file.path: made.file.text()},
        answers="other",
    )
    assert "Seven." in found.stdout, found.stderr
    assert set() == found.names


def test_opencode_under_its_file_asks_for_what_is_said_and_no_more(home: Path) -> None:
    """Two hosts, for which it has no setting in a file, are named as not covered."""
    made = settings_for(POLICY, ManagedAgent.OPENCODE, gateway=alone.URL)
    found = alone.run(
        [program("opencode"), "run", "-m", "openai/gpt-5.5", PROMPT],
        folder=home / "orchard",
        environment=environment(home, OPENAI_API_KEY=KEY),
        etc={made.file.path: made.file.text()},
        answers="other",
    )
    assert "Seven." in found.stdout, found.stderr
    assert found.names <= {"registry.npmjs.org", "models.opencode.ai"}
    assert "opencode_start" in {one.reason for one in made.not_covered}
    assert {"/openai/v1/responses"} == {path for _, path in found.requests}


def test_the_commands_say_which_file_and_whether_it_is_in_force(tmp_path: Path) -> None:
    """`policy settings` and `doctor`, as people and programs read them; exit status 1 where
    something is not in force.
    """
    bailee = Bailee(tmp_path)
    shown = bailee.run("policy", "settings", "--for", "codex", "--gateway", "https://b.test").stdout
    assert "/etc/codex/managed_config.toml" in shown and "state.vendors-get-nothing" in shown
    told = bailee.json("policy", "settings", "--for", "claude")
    assert told["checksum"].startswith("sha256:") and told["values"]
    file = tmp_path / "settings.json"
    bailee.run("policy", "settings", "--for", "claude", "-o", str(file))
    assert json.loads(file.read_text()) == told["settings"]
    checked = bailee.run("doctor", "--for", "gemini", "--json")
    assert 1 == checked.returncode
    assert {"absent"} == {one["state"] for one in json.loads(checked.stdout)["gemini"]}
    wrong = bailee.run("policy", "settings", "--for", "claude", "--provider", "nobody")
    assert 2 == wrong.returncode and "provider" in wrong.stderr
