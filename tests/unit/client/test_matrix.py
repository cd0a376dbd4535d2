"""Providers, switches and scopes, enumerated: what `bailee flows` says is what the published page
says, written down here a second time and knowing nothing of the policy document.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping

import pytest

from bailee.client.flows import FlowState, all_flows
from bailee.client.settings import (
    SCOPES,
    ClientSettings,
    SettingSource,
    from_environment,
    merge,
    parse,
)
from bailee.policy import load

POLICY = load()
BEDROCK, VERTEX = "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"
NONESSENTIAL = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"
# The page's table: what turns each flow off, besides the provider and the switch for all of them.
OWN = {
    "metrics": ("DISABLE_TELEMETRY", "DO_NOT_TRACK"),
    "errors": ("DISABLE_ERROR_REPORTING",),
    "bug_report": ("DISABLE_BUG_COMMAND", "DISABLE_FEEDBACK_COMMAND"),
    "survey": (),
}
SWITCHES = (NONESSENTIAL, *itertools.chain.from_iterable(OWN.values()))
PROVIDERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("api", {}),
    ("api", {BEDROCK: "", VERTEX: ""}),
    ("bedrock", {BEDROCK: "1"}),
    ("bedrock", {BEDROCK: "0"}),
    ("vertex", {VERTEX: "false"}),
)
# Not set; set to nothing, which is the same; set: to what people mean as yes, and as no.
VALUES = (None, "", "1", "0", "false")
STATES = (None, "", "0")  # what the policy tells apart; which text it is, the other tests vary

Said = Mapping[str, Mapping[str, str]]


def holding(said: Said) -> ClientSettings:
    """What holds when each scope says this."""
    document = POLICY.document

    def source(scope: str, env: Mapping[str, str]) -> SettingSource:
        if scope == "environment":
            return from_environment(env)
        return parse(scope, f"/{scope}.json", json.dumps({"env": env}).encode())

    return merge(
        [source(scope, env) for scope, env in said.items()],
        switches=frozenset(document.switches),
        private=frozenset(SWITCHES),
        most_days=30,
    )


def shown(said: Said) -> dict[str, FlowState]:
    """What `flows` shows, by name."""
    return {flow.name: flow for flow in all_flows(POLICY, holding(said))}


def oracle(flow: str, said: Said) -> tuple[bool, set[tuple[str, str]]]:
    """Whether a flow is on, and every (variable, scope) that may be named as having decided: for a
    variable, the nearest scope that gives it a value that is not empty.
    """
    deciding = set()
    for variable in (BEDROCK, VERTEX, NONESSENTIAL, *OWN[flow]):
        scopes = [scope for scope in SCOPES if said.get(scope, {}).get(variable)]
        if scopes:
            deciding.add((variable, scopes[0]))
    return not deciding, deciding


def check(said: Said) -> None:
    """Every flow of the page, against the oracle."""
    actual = shown(said)
    for name in OWN:
        on, deciding = oracle(name, said)
        flow = actual[name]
        assert on == flow.on, (name, said)
        if deciding:
            assert (flow.variable, flow.scope) in deciding, (name, said)
            assert flow.variable is not None
            assert flow.variable in flow.decided_by
            assert flow.scope is not None
            assert flow.scope in flow.decided_by
        else:
            assert (None, None) == (flow.variable, flow.scope), (name, said)
            assert "default" in flow.decided_by
    assert actual["model"].on


def settings_of_switches() -> Iterator[dict[str, str]]:
    """Every set of switches: absent, empty, set."""
    for values in itertools.product(STATES, repeat=len(SWITCHES)):
        yield {
            name: value for name, value in zip(SWITCHES, values, strict=True) if value is not None
        }


@pytest.mark.row("S4", "S5", "S6")
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(
    ("provider", "selected"), PROVIDERS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(PROVIDERS)]
)
def test_every_provider_switch_value_and_scope(
    provider: str, selected: dict[str, str], scope: str
) -> None:
    """Five ways to choose a provider, every state of the switches, in each scope."""
    checked = 0
    for switches in settings_of_switches():
        check({scope: {**selected, **switches}})
        checked += 1
    assert len(STATES) ** len(SWITCHES) == checked


@pytest.mark.row("S6")
@pytest.mark.parametrize("variable", [BEDROCK, VERTEX, *SWITCHES])
def test_two_scopes_that_disagree(variable: str) -> None:
    """Every pair of scopes and of values: what is set anywhere is set, nothing undoes it, and the
    nearer of those that set it is named.
    """
    checked = 0
    for one, other in itertools.permutations(SCOPES, 2):
        for first, second in itertools.product(VALUES, repeat=2):
            said: dict[str, dict[str, str]] = {one: {}, other: {}}
            if first is not None:
                said[one][variable] = first
            if second is not None:
                said[other][variable] = second
            check(said)
            checked += 1
    assert len(SCOPES) * (len(SCOPES) - 1) * len(VALUES) ** 2 == checked


@pytest.mark.row("S6")
@pytest.mark.parametrize("project", ["project", "project local"])
def test_no_project_turns_a_flow_on(project: str) -> None:
    """Whatever another scope says, adding a project's file never turns on what was off."""
    for scope in SCOPES:
        for name, value in itertools.product(SWITCHES, VALUES):
            elsewhere = {} if value is None else {name: value}
            before = shown({scope: elsewhere})
            for its_own in VALUES:
                said: dict[str, dict[str, str]] = {scope: dict(elsewhere)}
                if scope == project:
                    continue
                said[project] = {} if its_own is None else {name: its_own}
                after = shown(said)
                assert [] == [n for n in OWN if after[n].on and not before[n].on]
