"""Settings that are compiled from the document: each has a clause, and says what that says."""

from __future__ import annotations

import json
import tomllib
from itertools import product
from pathlib import Path

import pytest

from bailee import __version__
from bailee.client.agent_bounds import closing_page, closing_server
from bailee.client.flows import all_flows
from bailee.client.obeying import settings_places
from bailee.client.servers import server
from bailee.client.settings import from_environment, merge, parse
from bailee.managed import ManagedAgent, ManagedSettings, settings_for
from bailee.managed.checking import SettingsPlace, ValueState, check
from bailee.policy import Policy, Unsound, load
from bailee.policy.bounds import MCP_SERVERS, WEB_PAGES
from bailee.policy.facts import ClientFacts
from bailee.policy.loading import VERSIONS, content, from_bytes
from bailee.policy.own import read
from bailee.words import words
from support.documents import edited

pytestmark = pytest.mark.row("O3")
POLICY = load()
PROVIDERS = list(POLICY.document.providers)
ADDRESS = "https://bailee.corp.test"


def with_denied(flow: str, folder: Path) -> Policy:
    """The shipped document with one clause more: this flow is off for everybody."""
    name = flow.replace("_", "-")
    clause = f'[[send]]\nid = "send.never-{name}"\nheading = "telemetry"\nrows = ["S1"]\n'
    clause += f'when = {{ flow = "{flow}" }}\nthen = "deny"\nen = "Never."\nzh = "从不。"\n\n'
    last = '[[send]]\nid = "send.default"\n'
    text = content().decode().replace(last, clause + last)
    head, found, tail = text.partition(f"[flows.{flow}]")
    default = ", ".join(f'{name} = "off"' for name in PROVIDERS)
    before, _, after = tail.partition("default = {")
    text = f"{head}{found}{before}default = {{ {default} }}{after.partition('}')[2]}"
    document = folder / "document.toml"
    document.write_text(text)
    return load(document)


@pytest.mark.parametrize("agent", list(ManagedAgent))
@pytest.mark.parametrize("version", VERSIONS)
def test_each_value_and_each_gap_has_a_clause_of_the_document(
    agent: ManagedAgent, version: str
) -> None:
    """No decision stands outside the document; what is not covered is said in both languages."""
    policy = load(Path(version))
    clauses = {one.id for one in policy.document.every_clause}
    for gateway, provider in product((None, ADDRESS), policy.document.providers):
        made = settings_for(policy, agent, provider=provider, gateway=gateway)
        assert {one.clause for one in made.file.values} <= clauses
        assert {one.clause for one in made.not_covered} <= clauses
        keys = [one.key for one in made.file.values]
        assert len(keys) == len(set(keys))
        for one in made.not_covered:
            assert words("en", "terminal")(f"managed.why_{one.reason}")
            assert words("zh", "terminal")(f"managed.why_{one.reason}")


@pytest.mark.parametrize("agent", list(ManagedAgent))
def test_the_file_reads_back_as_what_was_compiled(agent: ManagedAgent) -> None:
    """In the form that the agent reads."""
    file = settings_for(POLICY, agent, gateway=ADDRESS).file
    read = tomllib.loads if file.form == "toml" else json.loads
    assert read(file.text()) == file.content()


CASES = [(version, None) for version in VERSIONS]
CASES += [("2025-10-27", flow) for flow in POLICY.document.flows]


@pytest.mark.parametrize(("version", "flow"), CASES)
def test_bailees_own_agent_under_its_file_sends_what_the_document_allows(
    version: str, flow: str | None, tmp_path: Path
) -> None:
    """What `bailee flows` says on a machine with the compiled file is what the clauses say."""
    policy = load(Path(version)) if flow is None else with_denied(flow, tmp_path)
    document = policy.document
    source = parse("managed", "x", settings_for(policy, ManagedAgent.BAILEE).file.text().encode())
    names = frozenset(document.switches)
    here = from_environment({"ANTHROPIC_API_KEY": "bl_x"})
    holding = merge([source, here], switches=names, private=names, most_days=30)
    assert not holding.problems
    states = {one.name: one.on for one in all_flows(policy, holding)}
    for name in states.keys() & document.flows.keys():
        facts = policy.sending(name, "api", {}, ClientFacts("key", __version__))
        assert states[name] == (policy.decide("send", facts).effect == "allow")
    assert states.keys() >= {"metrics", "errors", "bug_report", "survey"}
    assert flow is None or not states[flow]


@pytest.mark.parametrize("flow", list(POLICY.document.flows))
def test_what_is_denied_is_off_in_claude_code_and_the_rest_is_not(
    flow: str, tmp_path: Path
) -> None:
    """Signed in at a gateway: one clause more turns its own variables on, and no other's."""
    policy = with_denied(flow, tmp_path)
    env = env_of(settings_for(policy, ManagedAgent.CLAUDE, signed_in=True))
    document = policy.document
    chooses = {one.selected_by for one in document.providers.values()}
    together = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"
    own = set(document.flows[flow].switches) - chooses - {together}
    assert own == env.keys() & document.switches.keys()
    assert (flow != "metrics") == ("CLAUDE_CODE_ENABLE_TELEMETRY" in env)
    asks = "CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL" in env
    assert asks == (flow not in ("survey", "metrics"))


def test_without_a_sign_in_claude_code_reports_to_nobody() -> None:
    """And what the document would have allowed is said to be missing."""
    made = settings_for(POLICY, ManagedAgent.CLAUDE)
    assert "1" == env_of(made)["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]
    assert "CLAUDE_CODE_ENABLE_TELEMETRY" not in env_of(made)
    assert {"signed_out_metrics", "signed_out_bug_report"} == {
        one.reason for one in made.not_covered
    }


def env_of(made: ManagedSettings) -> dict[str, object]:
    """Its table of variables."""
    found = made.file.content()["env"]
    assert isinstance(found, dict)
    return dict(found)


def test_a_place_that_wins_decides_and_what_is_not_understood_is_unknown() -> None:
    """In force, absent, another value, or unknown: as its first file says."""
    made = settings_for(POLICY, ManagedAgent.CODEX)
    whole = SettingsPlace("/a", made.file.content(), loose=False)
    other = SettingsPlace("/b", {"analytics": {"enabled": True}}, loose=True)
    broken = SettingsPlace("/c", None, loose=False)
    assert all(one.obeyed for one in check(made, [whole, other]))
    assert {ValueState.ABSENT} == {one.state for one in check(made, [])}
    assert {ValueState.UNKNOWN} == {one.state for one in check(made, [broken, whole])}
    found = {one.value.name: one for one in check(made, [other, whole])}
    assert ValueState.OTHER is found["analytics.enabled"].state
    assert "/b" == found["analytics.enabled"].path
    assert found["feedback.enabled"].obeyed
    as_number = SettingsPlace("/d", {"analytics": {"enabled": 0}}, loose=False)
    states = {one.value.name: one.state for one in check(made, [as_number])}
    assert ValueState.OTHER is states["analytics.enabled"]


def test_files_that_others_can_change_are_not_an_administrators(tmp_path: Path) -> None:
    """Whoever works here could change what they must obey; what a gateway gave wins."""
    root, home = tmp_path / "root", tmp_path / "ann"
    made = settings_for(POLICY, ManagedAgent.CLAUDE, gateway=ADDRESS)
    file = root / made.file.path[1:]
    file.parent.mkdir(parents=True)
    file.write_text(made.file.text())
    (one,) = settings_places(ManagedAgent.CLAUDE, home, {}, root)
    assert one.content == made.file.content()
    assert one.loose == (file.stat().st_uid != 0)
    file.chmod(0o666)
    (one,) = settings_places(ManagedAgent.CLAUDE, home, {}, root)
    assert one.loose and not any(value.obeyed for value in check(made, [one]))
    file.write_text("{" + " " * 2**20)
    assert settings_places(ManagedAgent.CLAUDE, home, {}, root)[0].content is None
    fetched = home / ".claude/remote-settings.json"
    fetched.parent.mkdir(parents=True)
    fetched.write_text(json.dumps({"settings": {"cleanupPeriodDays": 30}}))
    (one,) = settings_places(ManagedAgent.CLAUDE, home, {}, root)
    assert (str(fetched), {"cleanupPeriodDays": 30}, True) == (one.path, one.content, one.loose)
    named = {"GEMINI_CLI_SYSTEM_SETTINGS_PATH": str(file)}
    assert settings_places(ManagedAgent.GEMINI, home, named, root)[0].loose


SERVERS = (
    ("programs", {"command": "server"}),
    ("near", {"url": "https://mcp.a.example/mcp"}),
    ("far", {"url": "https://b.example/mcp"}),
)


@pytest.mark.row("P1")
@pytest.mark.parametrize("own", ["", "own"])
@pytest.mark.parametrize(
    ("only", "has", "claudes"),
    [
        ((), "", []),
        (("programs",), "programs", None),
        (("*.a.example",), "near", ["https://*.a.example/*"]),
        (("*",), "near far", ["https://*/*"]),
        (("*", "programs"), "programs near far", None),
    ],
)
def test_what_the_document_leaves_an_agent_of_servers_and_pages(
    only: tuple[str, ...], has: str, claudes: list[str] | None, own: str
) -> None:
    """Said by the operator's document or an organisation's: bailee's agent has what it leaves and
    says the clause's text of the rest; Claude Code gets a list, or it is said that it can't.
    """
    clause, pages = f"{own or 'bound'}.servers", f"{own or 'bound'}.pages"
    listed = json.dumps(list(only))
    head = "" if own else 'heading = "retention"\nrows = ["P1"]\n'
    said = "".join(
        f'[[bound]]\nid = "{one}"\n{head}of = "{of}"\nonly = {hosts}\n'
        'en = "Agreed."\nzh = "已商定。"\n'
        for one, of, hosts in ((clause, MCP_SERVERS, listed), (pages, WEB_PAGES, "[]"))
    )
    if own and {*only} == {"*", "programs"}:
        with pytest.raises(Unsound, match="demands nothing"):
            read(f'format = "bailee-own-policy/1"\n{said}'.encode(), POLICY.document)
        return
    if own:
        theirs = read(f'format = "bailee-own-policy/1"\n{said}'.encode(), POLICY.document)
        policy = Policy(POLICY.document, theirs)
    else:
        policy = from_bytes(edited(("\n[dates]\n", f"\n{said}\n[dates]\n")).encode(), "d.toml")
    file = settings_for(policy, ManagedAgent.BAILEE).file
    mine = parse(
        "user", "mine", json.dumps({"webFetch": True, "mcpServers": dict(SERVERS)}).encode()
    )
    names = frozenset(policy.document.switches)
    sources = [parse("managed", "/etc/x.json", file.text().encode()), mine]
    holding = merge(sources, switches=names, private=names, most_days=30)
    assert not holding.problems
    states = {one.name: one for one in all_flows(policy, holding)}
    on = [name for name, _ in SERVERS if states[f"mcp_server.{name}"].on]
    assert has.split() == on
    for state in (states["web_fetch"], *(states[f"mcp_server.{one}"] for one, _ in SERVERS)):
        if not state.on:
            assert state.clause in {clause, pages}
            assert "Agreed." == state.decided_by
    for signed_in in (False, True):
        made = settings_for(policy, ManagedAgent.CLAUDE, signed_in=signed_in)
        content = made.file.content()
        assert {"deny": ["WebFetch"]} == content["permissions"]
        assert content.get("allowedMcpServers") == (
            None if claudes is None else [{"serverUrl": one} for one in claudes]
        )
        assert content.get("allowManagedMcpServersOnly") is (None if claudes is None else True)
        told = [one.reason for one in made.not_covered if one.clause == clause]
        assert told == (["servers_with_programs"] if only == ("programs",) else [])


@pytest.mark.row("P1", "S6")
@pytest.mark.parametrize(
    "value",
    [1, {"b": {"of": "pages", "only": []}}, {"b": {"of": WEB_PAGES, "only": [1]}}, {"b": 2}],
)
def test_a_bound_that_is_not_understood_leaves_nothing(value: object) -> None:
    """Whoever wrote it meant less than everything."""
    source = parse("managed", "/etc/x.json", json.dumps({"bounds": value}).encode())
    holding = merge([source], switches=frozenset(), private=frozenset(), most_days=30)
    assert ["bounds"] == [one.key.partition(".")[0] for one in holding.problems]
    assert closing_page(holding.bounds, "a.example") is not None
    for name, definition in SERVERS:
        assert closing_server(holding.bounds, server(name, definition)) is not None
