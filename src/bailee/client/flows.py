"""Every flow from this machine: on or off, where to, what it carries, who decided. Pure.

Whether a flow may leave is decided by the policy document alone (`policy.send`); this module finds
out which variable, in which scope, made the deciding clause match, and where the flow would go.

Rules kept here:

* The policy alone lets a flow leave. What a person, or a settings file, has turned off by name
  (`flows` in the settings) stays here besides.
* The provider is the one whose variable is set; the first of the document when none is.
* bailee's own flows go to bailee's ingest: to `BAILEE_INGEST_URL`, else to port 8789 of the host of
  `BAILEE_URL`, else to this machine. They never go to the model's address, which may belong to
  somebody else, nor to the gateway, which would pass on what it does not know.
* An address is shown without what could be a credential in it.

Rows: S1, S2, S3, S4, S5, S7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from bailee import __version__
from bailee.client.servers import server
from bailee.client.settings import Chosen, ClientSettings
from bailee.errors import InputError
from bailee.policy import Policy
from bailee.policy.bounds import ANY, WEB_PAGES
from bailee.policy.document import Language
from bailee.policy.facts import ClientFacts
from bailee.records import dataclass
from bailee.words import Words, words

if TYPE_CHECKING:
    from bailee.client.agent_bounds import AgentBound

HERE: Final = "http://127.0.0.1:8787"
INGEST_PORT: Final = 8789
CLAUDE_API: Final = "https://api.anthropic.com"
# Where each flow of the policy arrives at bailee.
PATHS: Final[Mapping[str, str]] = {
    "metrics": "/v1/metrics",
    "errors": "/api/1/envelope/",
    "bug_report": "/api/claude_cli_feedback",
    "survey": "/api/v1/survey",
}


@dataclass(frozen=True, slots=True)
class FlowState:
    """One flow. `clause` is None where no clause of the document speaks of it. `variable`, `scope`
    and `place` say what decided, None where it is a default. `everyday`: it leaves by itself
    while one works, rather than by an act of the person's.
    """

    name: str
    label: str
    on: bool
    destination: str
    carries: str
    clause: str | None
    decided_by: str
    variable: str | None = None
    scope: str | None = None
    place: str | None = None
    everyday: bool = True

    def as_json(self) -> dict[str, object]:
        """The object that `bailee flows --json` shows."""
        return {
            "flow": self.name,
            "state": "on" if self.on else "off",
            "destination": self.destination,
            "carries": self.carries,
            "clause": self.clause,
            "decided_by": self.decided_by,
            "variable": self.variable,
            "scope": self.scope,
            "place": self.place,
        }


def provider_of(policy: Policy, settings: ClientSettings) -> tuple[str, Chosen | None]:
    """The provider, and what selected it."""
    names = list(policy.document.providers.values())
    for provider in names:
        if provider.selected_by and provider.selected_by in settings.switches:
            return provider.name, settings.switches[provider.selected_by]
    return next(p.name for p in names if p.selected_by is None), None


def permitted(
    policy: Policy, settings: ClientSettings, flow: str, language: Language = "en"
) -> FlowState:
    """One flow of the document.

    Raises:
        InputError: the document has no such flow.
    """
    declared = policy.document.flows.get(flow)
    if declared is None:
        raise InputError("The policy has no such flow.", hint=", ".join(policy.document.flows))
    return _flow(policy, settings, flow, words(language, "terminal"))


def all_flows(
    policy: Policy, settings: ClientSettings, language: Language = "en", *, sandboxed: bool = True
) -> list[FlowState]:
    """Every flow from this machine, the work itself first. `sandboxed`: this machine has what a
    sandbox for commands needs.
    """
    said = words(language, "terminal")
    return [
        _model(policy, settings, said),
        # What other programs send is theirs: the policy speaks of it, this program has none of it.
        *(_flow(policy, settings, name, said) for name in policy.document.flows if name in PATHS),
        _public_issue(policy, settings, said),
        _web_fetch(settings, said),
        *_servers(settings, said),
        _commands(settings, sandboxed, said),
    ]


def bailee_address(settings: ClientSettings) -> str:
    """Where bailee is: `BAILEE_URL`, else the gateway on this machine; no slash at the end."""
    return (settings.variable("BAILEE_URL") or HERE).rstrip("/")


def ingest_address(settings: ClientSettings) -> str:
    """Where bailee takes metrics, errors, reports and ratings; no slash at the end."""
    given = settings.variable("BAILEE_INGEST_URL")
    if given:
        return given.rstrip("/")
    try:
        parts = urlsplit(bailee_address(settings))
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host:
        return bailee_address(settings)  # no address: whoever uses it will say so
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}:{INGEST_PORT}"


def model_address(policy: Policy, settings: ClientSettings) -> str:
    """Where the model's requests go."""
    provider, _ = provider_of(policy, settings)
    if provider == "bedrock":
        region = settings.variable("AWS_REGION") or settings.variable("AWS_DEFAULT_REGION")
        default = f"https://bedrock-runtime.{region or 'us-east-1'}.amazonaws.com"
        return settings.variable("ANTHROPIC_BEDROCK_BASE_URL") or default
    if provider == "vertex":
        region = settings.variable("CLOUD_ML_REGION") or "us-east5"
        default = (
            "https://aiplatform.googleapis.com"
            if region == "global"
            else f"https://{region}-aiplatform.googleapis.com"
        )
        return settings.variable("ANTHROPIC_VERTEX_BASE_URL") or default
    if provider == "foundry":
        resource = settings.variable("ANTHROPIC_FOUNDRY_RESOURCE") or "RESOURCE"
        default = f"https://{resource}.services.ai.azure.com/anthropic"
        return settings.variable("ANTHROPIC_FOUNDRY_BASE_URL") or default
    address = settings.variable("ANTHROPIC_BASE_URL") or settings.variable("BAILEE_URL")
    if address:
        return address
    key = settings.variable("ANTHROPIC_API_KEY") or settings.variable("ANTHROPIC_AUTH_TOKEN")
    return CLAUDE_API if key and not key.startswith("bl_") else HERE


def shown(address: str) -> str:
    """An address without user, password, query or fragment."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "(not an address)"
    if not parts.scheme or not host:
        return "(not an address)"
    name = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{name}{port}", parts.path, "", ""))


def _flow(policy: Policy, settings: ClientSettings, name: str, said: Words) -> FlowState:
    provider, selected = provider_of(policy, settings)
    facts = policy.sending(name, provider, settings.switch_values, _client(settings))
    found = policy.explain("send", facts)
    variable, chosen = None, None
    for condition in found.clause.when:
        if condition.fact in settings.switches:
            variable, chosen = condition.fact, settings.switches[condition.fact]
        elif condition.fact == "provider" and selected is not None:
            variable = policy.document.providers[provider].selected_by
            chosen = selected
    on = found.decision.effect == "allow"
    clause: str | None = found.decision.clause
    decided = _decided(variable, chosen, provider, said)
    if on and (chosen := settings.off.get(name)) is not None:
        on, clause, variable = False, None, f"flows.{name}"
        decided = said("flow.set_in", name=variable, where=where(chosen, said))
    declared = policy.document.flows[name]
    address = shown(ingest_address(settings)).rstrip("/") + PATHS.get(name, "")
    return FlowState(
        name,
        declared.label.of(said.language),
        on,
        address,
        declared.carries.of(said.language),
        clause,
        decided,
        variable,
        None if chosen is None else chosen.scope,
        None if chosen is None else chosen.place,
        everyday=name != "bug_report",
    )


def _client(settings: ClientSettings) -> ClientFacts:
    """What this program is for the policy. How a person is signed in is known of a key alone."""
    key = settings.variable("ANTHROPIC_API_KEY") or settings.variable("ANTHROPIC_AUTH_TOKEN")
    return ClientFacts("key" if key else "nobody", __version__)


def where(chosen: Chosen, said: Words) -> str:
    """The scope and the place that decided, in words."""
    scope = said(f"scope.{chosen.scope.replace(' ', '_')}")
    alone = chosen.place == chosen.scope
    return scope if alone else said("flow.where", scope=scope, place=chosen.place)


def _decided(variable: str | None, chosen: Chosen | None, provider: str, said: Words) -> str:
    if variable is None or chosen is None:
        return said("flow.default_for", name=provider)
    place = where(chosen, said)
    if chosen.assumed:
        return said("flow.assumed", where=place, name=variable)
    form = "flow.like_no" if chosen.value in _LIKE_NO else "flow.set_in"
    return said(form, name=variable, where=place)


_LIKE_NO: Final = frozenset({"0", "false", "False", "FALSE", "no", "off"})


def _model(policy: Policy, settings: ClientSettings, said: Words) -> FlowState:
    provider, selected = provider_of(policy, settings)
    variable = None if selected is None else policy.document.providers[provider].selected_by
    return FlowState(
        "model",
        said("flow.model"),
        True,
        shown(model_address(policy, settings)),
        said("flow.carries_model"),
        "state.runs-locally" if _has(policy, "state.runs-locally") else None,
        _decided(variable, selected, provider, said),
        variable,
        None if selected is None else selected.scope,
        None if selected is None else selected.place,
    )


def _public_issue(policy: Policy, settings: ClientSettings, said: Words) -> FlowState:
    bug = _flow(policy, settings, "bug_report", said)
    repository = settings.values.get("feedbackRepository")
    set_up = repository is not None
    return FlowState(
        "public_issue",
        said("flow.issue"),
        bug.on and set_up,
        f"https://github.com/{repository.value}/issues" if repository else said("flow.nowhere"),
        said("flow.carries_issue"),
        bug.clause if not bug.on else _statement(policy, "state.public-issue"),
        bug.decided_by
        if not bug.on
        else _set_in("feedbackRepository", repository, said)
        if repository
        else said("flow.no_repository"),
        bug.variable if not bug.on else None,
        bug.scope if not bug.on else repository.scope if repository else None,
        bug.place if not bug.on else repository.place if repository else None,
        everyday=False,
    )


def _web_fetch(settings: ClientSettings, said: Words) -> FlowState:
    chosen = settings.values.get("webFetch")
    on = settings.flag("webFetch")
    bound = next((one for one in settings.bounds if one.of == WEB_PAGES), None)
    reached = said("flow.any_host" if on else "flow.nowhere")
    decided = said("flow.default") if chosen is None else _set_in("webFetch", chosen, said)
    if on and bound is not None:
        on, reached = bool(bound.only), ", ".join(bound.only) or said("flow.nowhere")
        return FlowState(
            "web_fetch",
            said("flow.web"),
            on,
            said("flow.any_host") if ANY in bound.only else reached,
            said("flow.carries_web"),
            bound.clause,
            bound.text(said.language),
            None,
            bound.scope,
            bound.place,
        )
    return FlowState(
        "web_fetch",
        said("flow.web"),
        on,
        reached,
        said("flow.carries_web"),
        None,
        decided,
        None,
        None if chosen is None else chosen.scope,
        None if chosen is None else chosen.place,
    )


def _commands(settings: ClientSettings, sandboxed: bool, said: Words) -> FlowState:
    """What commands that the agent runs may reach."""
    switch = settings.values.get("sandbox")
    hosts = settings.values.get("sandbox.network")
    boxed = sandboxed and settings.flag("sandbox")
    decided = switch if switch is not None and not settings.flag("sandbox") else hosts
    if decided is switch is not None:
        why = _set_in("sandbox", switch, said)
    elif not sandboxed:
        why, decided = said("flow.no_bubblewrap"), None
    elif hosts:
        why = _set_in("sandbox.network", hosts, said)
    else:
        why = said("flow.no_host")
    reached = ", ".join(hosts.value) if hosts is not None else ""
    return FlowState(
        "commands",
        said("flow.commands"),
        bool(reached) or not boxed,
        (reached or said("flow.nowhere")) if boxed else said("flow.anywhere"),
        said("flow.carries_commands"),
        None,
        why,
        None,
        None if decided is None else decided.scope,
        None if decided is None else decided.place,
    )


def _servers(settings: ClientSettings, said: Words) -> list[FlowState]:
    """One for each MCP server; one that is off where there is none."""
    made = [
        _server(name, chosen, _set_in("mcpServers", chosen, said), said, settings.bounds, on=True)
        for name, chosen in sorted(settings.servers.items())
    ]
    made += [
        _server(name, chosen, said("flow.proposed", place=chosen.place), said, (), on=False)
        for name, chosen in sorted(settings.proposed.items())
        if name not in settings.servers
    ]
    label, nowhere, why = said("flow.servers"), said("flow.nowhere"), said("flow.no_server")
    carries = said("flow.carries_servers")
    return made or [FlowState("mcp_servers", label, False, nowhere, carries, None, why)]


def _server(
    name: str,
    chosen: Chosen,
    decided: str,
    said: Words,
    bounds: Sequence[AgentBound],
    *,
    on: bool,
) -> FlowState:
    from bailee.client.agent_bounds import closing_server  # here: no start of the agent asks

    found = server(name, chosen.value)
    closed = closing_server(bounds, found)
    here = said("flow.program", name=found.command)
    return FlowState(
        f"mcp_server.{name}",
        said("flow.server", name=name),
        on and closed is None,
        here if found.url is None else shown(found.url),
        said("flow.carries_servers"),
        None if closed is None else closed.clause,
        decided if closed is None else closed.text(said.language),
        None,
        chosen.scope if closed is None else closed.scope,
        chosen.place if closed is None else closed.place,
    )


def _set_in(name: str, chosen: Chosen, said: Words) -> str:
    return said("flow.set_in", name=name, where=where(chosen, said))


def _statement(policy: Policy, clause: str) -> str | None:
    return clause if _has(policy, clause) else None


def _has(policy: Policy, clause: str) -> bool:
    return any(one.id == clause for one in policy.document.statements)
