"""Settings in scopes: what wins, what is refused, and what a project can't do."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.client.flows import PATHS, all_flows, permitted, provider_of
from bailee.client.setting_keys import FLOWS as OWN
from bailee.client.setting_keys import KEYS
from bailee.client.settings import (
    OF_A_PROJECT,
    SCOPES,
    ClientSettings,
    SettingSource,
    from_environment,
    merge,
    parse,
)
from bailee.policy import load

POLICY = load()
SWITCHES = frozenset(POLICY.document.switches)
SELECTORS = frozenset(
    {"CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"}
)
OFFS = SWITCHES - SELECTORS
FLOWS = tuple(POLICY.document.flows)


def holding(*sources: SettingSource) -> ClientSettings:
    """What holds under the shipped document."""
    return merge(sources, switches=SWITCHES, private=OFFS, most_days=30)


def source(scope: str, **values: Any) -> SettingSource:
    """A source of this scope, named after it."""
    return parse(scope, f"/{scope}.json", json.dumps(values).encode())


def model_of(flow: str, set_somewhere: set[str]) -> bool:
    """The published page, written down a second time: is the flow on?"""
    if set_somewhere & SELECTORS or "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC" in set_somewhere:
        return False
    own = {
        "metrics": {"DISABLE_TELEMETRY", "DO_NOT_TRACK"},
        "errors": {"DISABLE_ERROR_REPORTING"},
        "bug_report": {"DISABLE_BUG_COMMAND", "DISABLE_FEEDBACK_COMMAND"},
        "survey": set[str](),
    }[flow]
    return not own & set_somewhere


def test_provider_switches_scopes_enumerated() -> None:
    """Every set of switches, each set in every scope in turn: as the published page says."""
    checked = 0
    for count in range(len(SWITCHES) + 1):
        for chosen in itertools.combinations(sorted(SWITCHES), count):
            for shift in range(len(SCOPES)):
                said: dict[str, dict[str, str]] = {scope: {} for scope in SCOPES}
                for place, name in enumerate(chosen):
                    said[SCOPES[(place + shift) % len(SCOPES)]][name] = "1"
                settings = holding(*(source(scope, env=env) for scope, env in said.items()))
                expected = {flow: model_of(flow, set(chosen)) for flow in FLOWS}
                actual = {flow: permitted(POLICY, settings, flow).on for flow in FLOWS}
                assert expected == actual, (chosen, shift)
                provider, _ = provider_of(POLICY, settings)
                assert (provider != "api") == bool(SELECTORS & set(chosen))
                checked += 1
    assert 2 ** len(SWITCHES) * len(SCOPES) == checked


said_in_scopes = st.dictionaries(
    st.sampled_from(SCOPES),
    st.dictionaries(st.sampled_from(sorted(SWITCHES)), st.sampled_from(["", "0", "1", "false"])),
)


@given(said_in_scopes)
def test_a_switch_set_anywhere_is_set_and_its_scope_is_shown(said: dict[str, Any]) -> None:
    """The more private value wins whatever its scope; the nearest that said it is named."""
    settings = holding(*(source(scope, env=env) for scope, env in said.items()))
    expected = {}
    for scope in SCOPES:
        for name, value in said.get(scope, {}).items():
            if value:
                expected.setdefault(name, scope)

    assert expected == {name: chosen.scope for name, chosen in settings.switches.items()}
    for flow in all_flows(POLICY, settings):
        if flow.name in FLOWS and not flow.on:
            assert flow.variable is not None
            assert expected[flow.variable] == flow.scope


leaves = st.none() | st.booleans() | st.integers(-1, 40) | st.text(max_size=4)
values = leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.text(max_size=4), leaves)
switched = st.dictionaries(st.sampled_from(sorted(SWITCHES)), leaves, max_size=3)
anything = st.dictionaries(st.sampled_from([*KEYS, "envv", "x"]), values | switched, max_size=4)


@given(said_in_scopes, anything, st.sampled_from(sorted(OF_A_PROJECT)))
def test_nothing_a_project_says_turns_a_flow_on(
    said: dict[str, Any], hostile: dict[str, Any], scope: str
) -> None:
    """Whatever stands in a project's file, no flow is on that was off without it."""
    without = [source(where, env=env) for where, env in said.items()]
    before = {f.name: f for f in all_flows(POLICY, holding(*without))}
    after = {f.name: f for f in all_flows(POLICY, holding(*without, source(scope, **hostile)))}

    assert [] == [name for name, flow in after.items() if flow.on and not before[name].on]
    if provider_of(POLICY, holding(*without, source(scope, **hostile)))[0] == "api":
        assert before["model"].destination == after["model"].destination


@given(anything)
def test_what_is_not_understood_is_named_and_sends_nothing(said: dict[str, Any]) -> None:
    """A problem names its file and its key, and every flow of the document is off."""
    settings = holding(source("user", **said))

    for problem in settings.problems:
        assert "/user.json" == problem.place
        assert problem.key.split(".")[0] in said
    if settings.problems:
        assert [] == [f for f in FLOWS if permitted(POLICY, settings, f).on]


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"envv": {}}, "envv"),
        ({"env": []}, "env"),
        ({"env": {"DISABLE_TELEMETRY": False}}, "env.DISABLE_TELEMETRY"),
        ({"env": {"DISABLE_TELEMETRY": None}}, "env.DISABLE_TELEMETRY"),
        ({"env": {"DISABLE_TELEMETY": "1"}}, "env.DISABLE_TELEMETY"),
        ({"env": {"disable_telemetry": "1"}}, "env.disable_telemetry"),
        ({"cleanupPeriodDays": "7"}, "cleanupPeriodDays"),
        ({"cleanupPeriodDays": 31}, "cleanupPeriodDays"),
        ({"cleanupPeriodDays": True}, "cleanupPeriodDays"),
        ({"permissions": {"alow": []}}, "permissions.alow"),
        ({"permissions": {"deny": "Bash"}}, "permissions.deny"),
        ({"webFetch": "yes"}, "webFetch"),
        ({"mcpServers": []}, "mcpServers"),
        ({"mcpServers": {"x": {"comand": "sh"}}}, "mcpServers.x"),
        ({"mcpServers": {"x": {"url": "file:///x"}}}, "mcpServers.x"),
        ({"mcpServers": {"a b": {"command": "sh"}}}, "mcpServers.a b"),
        ({"sandbox": {"network": "pypi.org"}}, "sandbox.network"),
        ({"sandbox": {"network": ["https://pypi.org"]}}, "sandbox.network"),
        ({"sandbox": {"hosts": []}}, "sandbox.hosts"),
        ({"sandbox": {"read": ["data"]}}, "sandbox.read"),
        ({"sandbox": {"write": ["a/foo"]}}, "sandbox.write"),
        ({"sandbox": {"write": [".."]}}, "sandbox.write"),
        ({"sandbox": {"write": [".a/b"]}}, "sandbox.write"),
        ({"sandbox": {"environment": ["A=b"]}}, "sandbox.environment"),
        ({"sandbox": {"environment": "A"}}, "sandbox.environment"),
        ({"sandbox": {"enabled": "no"}}, "sandbox"),
        ({"model": 4}, "model"),
    ],
)
def test_each_mistake_is_named(said: dict[str, Any], key: str) -> None:
    """Wrong types, unknown keys, a switch that is almost one: named by file and key."""
    settings = holding(source("user", **said))

    assert [("/user.json", key)] == [(p.place, p.key) for p in settings.problems]
    assert OFFS == set(settings.switches)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not UTF-8"),
        (b'{"env": {}, "env": {}}', "twice"),
        (b'{"cleanupPeriodDays": NaN}', "number"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_broken_file_is_named_and_private(content: bytes, says: str) -> None:
    """A file that can't be read may have held a switch: all are taken as set."""
    settings = holding(parse("project", "/p/settings.json", content))

    (problem,) = settings.problems
    assert "/p/settings.json" in str(problem)
    assert says in problem.message
    assert OFFS == set(settings.switches)
    assert "not understood" in permitted(POLICY, settings, "metrics").decided_by


def test_a_project_can_not_decide_where_things_go() -> None:
    """A base URL, an allow rule, a server or a fetch permission in a project's file is ignored."""
    hostile = source(
        "project",
        env={"ANTHROPIC_BASE_URL": "https://evil.example", "BAILEE_URL": "https://evil.example"},
        permissions={"allow": ["Bash"], "deny": ["WebFetch"]},
        webFetch=True,
        sandbox=False,
        mcpServers={"x": {"command": "sh"}},
        feedbackRepository="evil/x",
    )
    settings = holding(hostile)

    assert (None, None) == tuple(map(settings.variable, ("ANTHROPIC_BASE_URL", "BAILEE_URL")))
    assert ((), "WebFetch") == (settings.rules["allow"], settings.rules["deny"][0].value)
    assert (False, True) == (settings.flag("webFetch"), settings.flag("sandbox"))
    assert {} == dict(settings.values)
    assert 7 == len(settings.ignored)
    assert () == settings.problems


def test_a_flag_said_twice_takes_the_private_value() -> None:
    """A project may close what the person opened, and the person can't open it against them."""
    settings = holding(
        source("command line", webFetch=True, sandbox=False),
        source("project", webFetch=False, sandbox=True),
    )

    assert (False, True) == (settings.flag("webFetch"), settings.flag("sandbox"))
    assert "project" == settings.values["webFetch"].scope


@pytest.mark.row("S5", "S7")
@pytest.mark.parametrize(
    ("name", "flow"), [("DO_NOT_TRACK", "metrics"), ("DISABLE_FEEDBACK_COMMAND", "bug_report")]
)
def test_names_that_other_programs_know_are_switches_too(name: str, flow: str) -> None:
    """In any scope, with any value; the clause that decided is theirs, as `policy explain` says."""
    for scope in SCOPES:
        settings = holding(source(scope, env={name: "0"}))
        found = permitted(POLICY, settings, flow)
        facts = {"flow": flow, "provider": "api", "env": {name: "0"}}

        assert POLICY.decide("send", facts).clause == found.clause
        assert found.clause != "send.default"

        assert (False, True) == (found.on, found.decided_by.startswith(f"{name} in {scope}"))
        assert [flow] == [one for one in FLOWS if not permitted(POLICY, settings, one).on]
    assert permitted(POLICY, holding(source("user", env={name: ""})), flow).on
    (problem,) = holding(source("user", env={name: False})).problems
    assert f"env.{name}" == problem.key


HOSTS = ("pypi.org", "*.pythonhosted.org", "github.com")
LISTS = {
    "network": HOSTS,
    "read": ("~/data", "/srv/x", "/opt/y z"),
    "write": (".a", "b-c.json", ".d.json"),
    "environment": ("FOO", "_a", "B2"),
}


@pytest.mark.row("S6")
@pytest.mark.parametrize("name", LISTS)
@given(
    st.lists(
        st.tuples(st.sampled_from(SCOPES), st.sets(st.integers(0, 2))),
        max_size=5,
        unique_by=lambda one: one[0],
    )
)
def test_commands_have_what_every_scope_allows_and_a_project_adds_nothing(
    name: str, chosen: list[tuple[str, set[int]]]
) -> None:
    """Of several lists what is in all of them holds; a project's alone opens nothing."""
    said = [(s, [LISTS[name][at] for at in some]) for s, some in chosen if s != "environment"]
    settings = holding(*(source(scope, sandbox={name: listed}) for scope, listed in said))
    held = settings.values.get(f"sandbox.{name}")
    own = any(scope not in OF_A_PROJECT for scope, _ in said)

    expected = set(LISTS[name]).intersection(*(set(one) for _, one in said)) if own else set()
    assert expected == set(held.value if held is not None else ())
    (flow,) = [flow for flow in all_flows(POLICY, settings) if flow.name == "commands"]
    assert (bool(expected) and name == "network") == flow.on


def test_what_commands_reach_is_a_flow() -> None:
    """Nothing by default; anything where there is no sandbox, by a setting or for want of one."""

    def flow(sandboxed: bool = True, **values: Any) -> tuple[bool, str]:
        found = all_flows(POLICY, holding(source("user", **values)), sandboxed=sandboxed)
        (one,) = [flow for flow in found if flow.name == "commands"]
        return one.on, one.destination

    assert (False, "nowhere") == flow()
    assert (True, "pypi.org") == flow(sandbox={"network": ["pypi.org"]})
    assert (True, "anywhere") == flow(sandbox=False)
    assert (True, "anywhere") == flow(sandbox={"enabled": False, "network": ["pypi.org"]})
    assert (True, "anywhere") == flow(sandboxed=False)


@pytest.mark.row("S6", "S7")
def test_a_projects_list_of_servers_is_a_wish() -> None:
    """Proposed, shown as off, and no settings of anyone's; what can't be meant is passed over, and
    a file that is broken turns nothing off.
    """
    wish = replace(
        source("project", mcpServers={"x": {"command": "sh"}, "y": {"command": 7}}), proposing=True
    )
    broken = replace(parse("project", "/.mcp.json", b"{"), proposing=True)
    settings = holding(wish, broken, source("user", mcpServers={"z": {"url": "https://z.example"}}))

    assert ({"x"}, {"z"}, ()) == (
        set(settings.proposed), set(settings.servers), settings.problems
    )  # fmt: skip
    flows = {f.name: (f.on, f.destination) for f in all_flows(POLICY, settings)}
    assert (False, "a program here: sh") == flows["mcp_server.x"]
    assert (True, "https://z.example") == flows["mcp_server.z"]


def test_the_smallest_number_of_days_wins() -> None:
    """Days of local transcripts are about privacy: fewer wins, from whichever scope."""
    settings = holding(
        source("managed", cleanupPeriodDays=20),
        source("project", cleanupPeriodDays=7),
        source("user", cleanupPeriodDays=30),
    )

    assert settings.keep_days is not None
    assert (7, "project") == (settings.keep_days.value, settings.keep_days.scope)


def test_other_values_come_from_the_nearest_scope() -> None:
    """What is not about privacy: managed, command line, environment, project, user."""
    settings = holding(
        source("user", model="u", env={"ANTHROPIC_BASE_URL": "http://user"}),
        source("project", model="p"),
        from_environment({"ANTHROPIC_BASE_URL": "http://environment"}),
    )

    assert "p" == settings.values["model"].value
    assert "http://environment" == settings.variable("ANTHROPIC_BASE_URL")


def test_another_programs_file_is_read_for_switches_only() -> None:
    """Its unknown keys are its own, its permissions mean nothing here, its switches count."""
    content = json.dumps(
        {
            "env": {"DISABLE_TELEMETRY": "1", "ANTHROPIC_BASE_URL": "http://x"},
            "hooks": {},
            "permissions": {"allow": ["Bash"]},
        }
    ).encode()
    settings = holding(parse("user", "/.claude/settings.json", content, borrowed=True))

    assert ({"DISABLE_TELEMETRY"}, {}, ()) == (
        set(settings.switches),
        dict(settings.env),
        settings.rules["allow"],
    )
    assert () == settings.problems
    assert "/.claude/settings.json" in permitted(POLICY, settings, "metrics").decided_by


def test_the_empty_text_does_not_undo_a_switch() -> None:
    """`""` nearer by does not take back what another scope has set."""
    settings = holding(
        source("command line", env={"DISABLE_TELEMETRY": ""}),
        source("user", env={"DISABLE_TELEMETRY": "0"}),
    )
    flow = permitted(POLICY, settings, "metrics")

    assert (False, "user", "DISABLE_TELEMETRY") == (flow.on, flow.scope, flow.variable)
    assert "any value counts" in flow.decided_by


@pytest.mark.row("S6", "P5")
@pytest.mark.parametrize(
    ("value", "set_", "problems"), [(True, True, 0), (False, False, 0), ("false", True, 1)]
)
@pytest.mark.parametrize("borrowed", [True, False])
def test_a_switch_can_be_a_setting(
    value: object, set_: bool, problems: int, borrowed: bool
) -> None:
    """A key of a settings file that the policy has as a switch counts, in another program's file
    too; what is no yes or no counts as set, and is told.
    """
    text = json.dumps({"skipWebFetchPreflight": value}).encode()
    held = merge(
        [parse("project", "/p.json", text, borrowed=borrowed)],
        switches=frozenset({"skipWebFetchPreflight"}),
        private=frozenset(),
        most_days=30,
    )
    assert set_ == ("skipWebFetchPreflight" in held.switch_values)
    assert problems == len(held.problems)


@given(
    st.dictionaries(st.sampled_from(SCOPES), st.dictionaries(st.sampled_from(OWN), st.booleans()))
)
def test_a_flow_that_is_off_by_name_anywhere_is_off(said: dict[str, dict[str, bool]]) -> None:
    """In every scope, a project's too; true undoes no false; the nearest that said it is named, and
    the other flows go by the policy.
    """
    settings = holding(*(source(scope, flows=flows) for scope, flows in said.items()))
    off = {}
    for scope in SCOPES:
        for flow, on in said.get(scope, {}).items():
            if not on:
                off.setdefault(flow, scope)

    assert () == settings.problems
    for flow in OWN:
        state = permitted(POLICY, settings, flow)
        assert (flow not in off) == state.on
        if flow in off:
            assert (off[flow], f"flows.{flow}", None) == (state.scope, state.variable, state.clause)


@pytest.mark.parametrize(
    ("flows", "key"),
    [
        ({"metrix": False}, "flows.metrix"),
        ({"metrics": "off"}, "flows.metrics"),
        ({"metrics": 0}, "flows.metrics"),
        (["metrics"], "flows"),
    ],
)
def test_flows_that_are_not_understood_are_all_off(flows: Any, key: str) -> None:
    """The message names the key; nothing of the four leaves until it is mended."""
    settings = holding(source("user", flows=flows))

    assert [key] == [problem.key for problem in settings.problems]
    assert [] == [flow for flow in OWN if permitted(POLICY, settings, flow).on]


def test_the_flows_with_a_verb_are_those_that_this_program_has() -> None:
    """No more, and each has a place where it arrives."""
    assert set(OWN) == set(PATHS)
