"""A machine opened for work: what is announced before it is forgotten, and whose key is whose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.client.machine import ClientMachine
from bailee.client.payloads import Payload
from bailee.client.settings import from_environment, merge, parse
from bailee.policy import load
from bailee.testing import FakeClock

POLICY = load()
PAYLOAD = Payload("metrics", "/v1/metrics", "application/json", b"{}")


def machine(
    folder: Path, clock: FakeClock, settings: bytes = b"{}", **environment: str
) -> ClientMachine:
    """A machine with these settings and this environment alone."""
    merged = merge(
        [from_environment(environment), parse("user", "/settings.json", settings)],
        switches=frozenset(POLICY.document.switches),
        private=frozenset({"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"}),
        most_days=30,
    )
    return ClientMachine(
        POLICY, merged, folder, folder / "data", environment=environment, clock=clock
    )


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.mark.row("R3")
def test_it_is_announced_before_the_first_deletion(tmp_path: Path, clock: FakeClock) -> None:
    """Nothing to say while nothing is near its end; a week ahead a line; then it goes, unsaid."""
    here = machine(tmp_path, clock)
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})
    assert here.tidy() is None
    clock.advance(timedelta(days=24))
    said = here.tidy()
    assert said is not None
    assert "30 days" in said
    assert here.tidy() is None
    clock.advance(timedelta(days=6))
    assert here.tidy() is None
    assert [] == list((tmp_path / "data" / "transcripts").iterdir())


@pytest.mark.row("R3")
def test_after_a_long_absence_the_first_start_deletes_nothing(
    tmp_path: Path, clock: FakeClock
) -> None:
    """It says how many; they can't be resumed meanwhile; the next start deletes them."""
    here = machine(tmp_path, clock)
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})
    clock.advance(timedelta(days=99))
    said = here.tidy()

    assert said is not None
    assert said.startswith("1 session ")
    assert (1, []) == (len(here.transcripts().due()), list(here.transcripts().list()))
    here.tidy()
    assert 0 == len(here.transcripts().due())


@pytest.mark.row("R3")
def test_a_shorter_period_is_announced_anew(tmp_path: Path, clock: FakeClock) -> None:
    """What was said of 30 days says nothing of 7."""
    here = machine(tmp_path, clock)
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})
    clock.advance(timedelta(days=24))
    here.tidy()

    shorter = machine(tmp_path, clock, b'{"cleanupPeriodDays": 7}')
    said = shorter.tidy()
    assert said is not None
    assert "7 days" in said
    assert 1 == len(shorter.transcripts().due())


def test_a_typing_error_keeps_nothing_new_and_deletes_nothing(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The private choice for what is to come; the default for what is there."""
    here = machine(tmp_path, clock, b'{"cleanupPeriodDays": "7"}')
    here.transcripts().append("s1", {"type": "prompt", "content": "a"})

    assert (0, 30) == (here.keep_days, here.lifetimes.own.days)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"ANTHROPIC_API_KEY": "sk-ant-mine"}, None),
        ({"ANTHROPIC_AUTH_TOKEN": "bl_a"}, "bl_a"),
        ({"BAILEE_API_KEY": "bl_b", "ANTHROPIC_AUTH_TOKEN": "bl_a"}, "bl_b"),
    ],
)
def test_only_a_key_of_bailees_is_shown_to_bailee(
    tmp_path: Path, clock: FakeClock, environment: dict[str, Any], expected: str | None
) -> None:
    """A vendor's key is not sent to bailee's ingest."""
    assert expected == machine(tmp_path, clock, **environment).credential


def test_what_is_off_is_not_queued(tmp_path: Path, clock: FakeClock) -> None:
    """A payload of a flow that is off gets no place in the outbox."""
    assert machine(tmp_path, clock, DISABLE_TELEMETRY="0").queue(PAYLOAD) is None
    assert machine(tmp_path, clock).queue(PAYLOAD) is not None
