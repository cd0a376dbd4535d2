"""Metrics and error events: nothing but declared fields leaves, whatever the program was doing."""

from __future__ import annotations

import getpass
import json
import platform
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.client.machine import ClientMachine
from bailee.client.settings import from_environment, merge
from bailee.client.telemetry import ClientTelemetry, installation, reset_installation
from bailee.client.transcripts import LocalTranscripts
from bailee.errors import BaileeError, InputError
from bailee.policy import load
from bailee.testing import FakeClock
from support.servers.corporate_network import receiver

POLICY = load()
MARKERS = (
    "def pears_of_ann():",
    "/home/ann/orchard.py",
    "what a quince asks",
    "sk-ant-api03-quince",
)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


def machine(folder: Path, clock: FakeClock, **environment: str) -> ClientMachine:
    """A machine with nothing but this environment."""
    settings = merge(
        [from_environment(environment)],
        switches=frozenset(POLICY.document.switches),
        private=frozenset(),
        most_days=30,
    )
    return ClientMachine(
        POLICY, settings, folder, folder / "data", environment=environment, clock=clock
    )


@pytest.mark.row("S1", "S2")
def test_no_marker_leaves(tmp_path: Path, clock: FakeClock) -> None:
    """Failures in the middle of planted code, names and secrets: every byte that arrives is
    searched.
    """
    with receiver() as server:
        here = machine(tmp_path, clock, BAILEE_INGEST_URL=server.url())
        telemetry = ClientTelemetry(here, "bailee-code")
        telemetry.measure("bailee.tool.count", tool_name="Bash", outcome="error")
        telemetry.measure("bailee.request.duration", 1234.5, provider="api", outcome="ok")
        for act in (_fail_with_text, _fail_in_the_store, _fail_as_bailee):
            try:
                act(tmp_path)
            except Exception as error:
                telemetry.failed(error, handled=False)
        telemetry.flush()
        became = [outcome.became for outcome in here.send()]
        bodies = b"".join(got.path.encode() + str(got.headers).encode() + got.body
                          for got in server.received)  # fmt: skip

    assert ["sent"] * 4 == became
    for marker in (*MARKERS, getpass.getuser() + "@", platform.node(), str(tmp_path), "orchard"):
        assert marker.encode() not in bodies
    assert b"bailee.client.transcripts" in bodies
    assert b'"asInt": "1"' in bodies


@pytest.mark.row("S1", "S2")
@pytest.mark.parametrize(
    "switch", ["DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", "CLAUDE_CODE_USE_BEDROCK"]
)
def test_what_is_off_is_not_even_kept(tmp_path: Path, clock: FakeClock, switch: str) -> None:
    """Nothing of it is in the outbox; with both off not even a number is made."""
    here = machine(tmp_path, clock, **{switch: "1"})
    telemetry = ClientTelemetry(here, "bailee-code")
    telemetry.measure("bailee.session.count", start_type="fresh")
    telemetry.failed(ValueError(MARKERS[0]), handled=True)
    telemetry.flush()

    expected = {"metrics", "errors"} - {
        "DISABLE_TELEMETRY": {"metrics"},
        "DISABLE_ERROR_REPORTING": {"errors"},
    }.get(switch, {"metrics", "errors"})
    assert expected == {item.flow for item in here.outbox().items()}
    assert bool(expected) == (tmp_path / "data").exists()


def test_an_undeclared_field_can_not_be_sent(tmp_path: Path, clock: FakeClock) -> None:
    """Trying is an error in the program that tries, whether or not the flow is on."""
    for environment in ({}, {"DISABLE_TELEMETRY": "1"}):
        telemetry = ClientTelemetry(machine(tmp_path, clock, **environment), "bailee-code")
        fields: dict[str, Any]
        for name, fields in (
            ("bailee.tool.count", {"path": "/home/ann"}),
            ("bailee.tool.count", {"tool_name": "/home/ann"}),
            ("bailee.prompt", {}),
        ):
            with pytest.raises(InputError):
                telemetry.measure(name, 1, **fields)


def test_an_installation_is_a_number_of_a_month(tmp_path: Path, clock: FakeClock) -> None:
    """The same within a month, another in the next, another after a reset."""
    first = installation(tmp_path, clock())
    assert first == installation(tmp_path, clock() + timedelta(days=29))
    second = installation(tmp_path, clock() + timedelta(days=31))
    reset_installation(tmp_path)
    third = installation(tmp_path, clock() + timedelta(days=31))

    assert 3 == len({first, second, third})
    assert "2026-04" == json.loads((tmp_path / "installation.json").read_text())["month"]


def _fail_with_text(_: Path) -> None:
    source, prompt = MARKERS[0], MARKERS[2]
    raise KeyError(source + prompt + MARKERS[3])


def _fail_in_the_store(folder: Path) -> None:
    place = folder / "orchard.py"
    place.write_text(MARKERS[0])
    LocalTranscripts(place / "x", lambda: b"0" * 32, days=1).append("s", {"prompt": MARKERS[2]})


def _fail_as_bailee(_: Path) -> None:
    raise BaileeError(MARKERS[1], hint=MARKERS[2])
