"""The flows of a machine, and their picture."""

from __future__ import annotations

import json
import re

import pytest

from bailee.client.flows import all_flows, bailee_address, model_address, shown
from bailee.client.picture import draw, wrapped
from bailee.client.settings import SCOPES, ClientSettings, from_environment, merge, parse
from bailee.policy import load
from bailee.shown import columns

POLICY = load()


def under(environment: dict[str, str]) -> ClientSettings:
    """What holds in an environment, and nothing else."""
    return merge(
        [from_environment(environment)],
        switches=frozenset(POLICY.document.switches),
        private=frozenset(),
        most_days=30,
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "http://127.0.0.1:8787"),
        ({"BAILEE_URL": "https://b.example"}, "https://b.example"),
        ({"ANTHROPIC_API_KEY": "sk-x"}, "https://api.anthropic.com"),
        ({"ANTHROPIC_API_KEY": "bl_x"}, "http://127.0.0.1:8787"),
        ({"ANTHROPIC_BASE_URL": "http://g:1", "BAILEE_URL": "https://b"}, "http://g:1"),
        (
            {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1"},
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            {"CLAUDE_CODE_USE_VERTEX": "1", "CLOUD_ML_REGION": "global"},
            "https://aiplatform.googleapis.com",
        ),
    ],
)
def test_where_the_model_is(environment: dict[str, str], expected: str) -> None:
    """The provider and its variables say where the model's requests go."""
    assert expected == model_address(POLICY, under(environment))


def test_bailees_flows_never_go_to_the_models_address() -> None:
    """A base URL may be somebody else's: what concerns bailee goes to bailee."""
    settings = under({"ANTHROPIC_BASE_URL": "https://elsewhere.example"})

    assert "http://127.0.0.1:8787" == bailee_address(settings)
    for flow in all_flows(POLICY, settings):
        assert flow.name == "model" or "elsewhere" not in flow.destination


def test_no_credential_is_shown() -> None:
    """User, password and query of an address may be secrets, and are left out everywhere."""
    settings = under({"BAILEE_URL": "https://me:hunter2@b.example:1/x?token=t#f"})
    other = under({"BAILEE_INGEST_URL": "https://me:hunter2@b.example/x?token=t#f"})

    text = json.dumps([f.as_json() for f in all_flows(POLICY, settings)])
    assert "https://b.example:1/x" in text
    assert "https://b.example:8789/v1/metrics" in text
    assert [] == [secret for secret in ("hunter2", "token", "me:") if secret in text]
    assert "hunter2" not in json.dumps([f.as_json() for f in all_flows(POLICY, other)])
    assert "(not an address)" == shown("nonsense")
    assert "http://[::1]:8/" == shown("http://u@[::1]:8/")


@pytest.mark.parametrize("width", [20, 50, 80, 200])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_picture_fits_and_has_every_flow(width: int, lang: str) -> None:
    """One arrow for each flow that is on, a cross for each other, and no line too wide."""
    settings = under(
        {"DISABLE_TELEMETRY": "1", "BAILEE_URL": "https://" + "long." * 20 + "example"}
    )
    flows = all_flows(POLICY, settings, lang)  # type: ignore[arg-type]

    drawn = draw(flows, ["transcripts"], width, lang)  # type: ignore[arg-type]

    assert max(map(columns, drawn.splitlines())) <= max(width, 50)
    assert sum(f.on for f in flows) == drawn.count("▶")
    assert sum(not f.on for f in flows) == drawn.count("╳")


def test_wrapping_loses_nothing() -> None:
    """The words are all there, in order, whatever the room."""
    text = "one twotwotwotwo 三三三 four"
    for room in range(2, 30):
        lines = wrapped(text, room)
        assert text.replace(" ", "") == "".join(lines).replace(" ", "")
        assert max(map(columns, lines)) <= room


# What may stand in a Chinese text in Latin letters: names, addresses, places of files.
NAMES = re.compile(
    r"https?://\S+|/\S+\.json|[A-Z][A-Z_]{3,}|\bapi\b|bedrock|vertex|feedbackRepository|webFetch"
    r"|mcpServers|GitHub|MCP|JSON|owner/name|orchard|sandbox\.network"
)


@pytest.mark.row("S7")
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"env": {"DISABLE_TELEMETRY": "0", "DISABLE_BUG_COMMAND": "1"}},
        {"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}},
        {"webFetch": True, "mcpServers": {"orchard": {"command": "orchard"}},
         "feedbackRepository": "owner/name"},
        {"webFetch": False},
        {"env": []},
    ],
)  # fmt: skip
@pytest.mark.parametrize("scope", SCOPES)
def test_in_chinese_nothing_is_left_in_english(said: dict[str, object], scope: str) -> None:
    """Every text of every flow, whatever decided: names and addresses alone are as they were."""
    source = parse(scope, f"/{scope.replace(' ', '-')}.json", json.dumps(said).encode())
    switches = frozenset(POLICY.document.switches)
    settings = merge([source], switches=switches, private=switches, most_days=30)

    for flow in all_flows(POLICY, settings, "zh"):
        for text in (flow.label, flow.destination, flow.carries, flow.decided_by):
            assert not re.search("[A-Za-z]", NAMES.sub("", text)), text
