"""What is measured of a turn, as it lies in the outbox; and a tool that fails as nobody foresaw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bailee.agent import events
from bailee.agent.measuring import Measuring
from bailee.agent.ports import Answer, Call, Intent, ToolOutcome
from bailee.agent.tools.arguments import Arguments, schema
from bailee.agent.tools.box import Toolbox
from bailee.agent.turns import Agent
from bailee.client.background import Background
from bailee.client.machine import ClientMachine
from bailee.client.settings import from_environment, merge
from bailee.errors import UpstreamError
from bailee.policy import load
from bailee.testing import FakeClock
from bailee.testing.agent import ScriptedModel, ScriptedPerson, calls, says

POLICY = load()
ANSWER = Answer(
    [], "tool_use", "m", {"input_tokens": 12, "output_tokens": 7, "cache_read_input_tokens": 90}
)


class Seconds:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The second that it shows."""
        return self.now


@pytest.fixture
def machine(tmp_path: Path) -> ClientMachine:
    """A machine on which everything is on."""
    settings = merge(
        [from_environment({})],
        switches=frozenset(POLICY.document.switches),
        private=frozenset(),
        most_days=30,
    )
    clock = FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    return ClientMachine(POLICY, settings, tmp_path, tmp_path / "data", environment={}, clock=clock)


def points(machine: ClientMachine) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """The metrics in the outbox: fields and value of each point, by name."""
    found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    for item in machine.outbox().items():
        for metric in json.loads(machine.outbox().body(item))["resourceMetrics"][0]["scopeMetrics"][
            0
        ]["metrics"]:
            data = metric.get("sum") or metric["histogram"]
            for point in data["dataPoints"]:
                fields = {a["key"]: next(iter(a["value"].values())) for a in point["attributes"]}
                value = int(point["asInt"]) if "asInt" in point else point["sum"]
                found.setdefault(metric["name"], []).append((fields, value))
    return found


@pytest.mark.row("S1")
def test_a_turn_is_measured_without_the_time_a_person_took(machine: ClientMachine) -> None:
    """Requests, tools and tokens; ten seconds of thinking about a permission are no part of it.
    What is not declared, a model's or a tool's own name, is "other".
    """
    seconds = Seconds()
    background = Background(machine, "bailee-code")
    measuring = Measuring(background, provider="api", now=seconds)
    own, intent = Call("1", "mcp__quince__pick", {}), Intent("mcp__quince__pick", "", "t")
    rm = Call("2", "Bash", {})

    async def turn() -> AsyncIterator[events.Event]:
        yield events.Prompted([])
        seconds.now = 2
        yield events.Answered(ANSWER)
        seconds.now = 12
        yield events.ToolStarted(own, intent, "user_temporary")
        seconds.now = 13
        yield events.ToolEnded(own, intent, ToolOutcome("x"))
        yield events.CallRefused(rm, intent, "no", "user_reject")
        seconds.now = 15
        yield events.Answered(ANSWER)
        yield events.TurnEnded("done", "", 2)

    async def work() -> None:
        async for _ in measuring.over(turn(), "quince-7b"):
            pass

    asyncio.run(work())
    background.telemetry.flush()
    got = points(machine)

    about = {"model": "other", "provider": "api"}
    assert [({**about, "outcome": "ok"}, 4000)] == got["bailee.request.duration"]
    assert [({"outcome": "ok"}, 5000)] == got["bailee.turn.duration"]
    tokens = {fields["type"]: value for fields, value in got["bailee.token.usage"]}
    assert {"input": 24, "output": 14, "cache_read": 180} == tokens
    assert [
        ({"tool_name": "other", "decision": "accept", "source": "user_temporary"}, 1),
        ({"tool_name": "Bash", "decision": "reject", "source": "user_reject"}, 1),
    ] == got["bailee.tool.decision"]
    assert [
        ({"tool_name": "other", "outcome": "ok"}, 1),
        ({"tool_name": "Bash", "outcome": "refused"}, 1),
    ] == got["bailee.tool.count"]
    assert "quince" not in str(got)


@pytest.mark.row("S1", "S2")
def test_a_service_that_fails_is_measured_and_reported(machine: ClientMachine) -> None:
    """The request counts as an error of its kind, the turn too; an error event waits as well."""
    background = Background(machine, "bailee-code")
    measuring = Measuring(background, provider="api", now=Seconds())

    async def turn() -> AsyncIterator[events.Event]:
        yield events.Prompted([])
        raise UpstreamError("a quince", code="upstream_timeout")

    async def work() -> None:
        async for _ in measuring.over(turn(), "m"):
            pass

    with pytest.raises(UpstreamError):
        asyncio.run(work())
    background.telemetry.flush()
    (fields, _), *_ = points(machine)["bailee.request.duration"]
    assert ("error", "timeout_error") == (fields["outcome"], fields["error_type"])

    background.start()
    background.stop()
    assert {"metrics", "errors"} == {item.flow for item in machine.outbox().items()}
    assert {"pending"} == {item.state for item in machine.outbox().items()}  # not announced


def test_after_a_declaration_has_expired_the_work_goes_on(machine: ClientMachine) -> None:
    """Years later, with the same version: nothing is measured, and nothing fails."""
    later = replace(machine, clock=FakeClock(datetime(2040, 1, 1, tzinfo=UTC)))
    background = Background(later, "bailee-code")
    measuring = Measuring(background, provider="api", now=Seconds())
    measuring.began("fresh")
    measuring.command("/help", "ok")
    background.start()
    background.failed(UpstreamError("a quince"))
    background.stop()

    assert [] == later.outbox().items()


class Broken:
    """A tool with a fault."""

    name = "Broken"
    description = "Fails."
    input_schema = schema({})

    def intent(self, arguments: Arguments) -> Intent:
        """Harmless."""
        return Intent(self.name, "", "Break", harmless=True)

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """Fails."""
        raise KeyError("a quince")


def test_a_fault_in_a_tool_costs_the_call_and_not_the_session() -> None:
    """The model is told the error's kind and nothing of its text; the turn goes on."""
    model = ScriptedModel([calls("Broken"), says("Another way.")])
    agent = Agent(model, Toolbox([Broken()]), asker=ScriptedPerson())

    async def work() -> list[events.Event]:
        return [event async for event in agent.turn("go")]

    happened = asyncio.run(work())
    (failed,) = [event for event in happened if isinstance(event, events.ToolFailed)]
    assert isinstance(failed.error, KeyError)
    assert "The tool failed (KeyError)." in str(model.requests[-1].messages[-1])
    assert "quince" not in str(model.requests[-1].messages)
    assert isinstance(happened[-1], events.TurnEnded)
