"""From the clauses of a document to the values of an agent's file. Pure.

Rules kept here:

* A flow that the document denies where no switch is set is turned off by its switches, those left
  out that turn off one that is allowed too: a switch that stands in a managed file is a wish for
  privacy for every program that reads it, and what is then sent would be against its clause.
* Claude Code reports to its vendor by itself, except where it is signed in at a gateway: where it
  is not, all of it is off, whatever the document allows.
* What an agent sends its own vendor of its own accord is turned off wherever it has a key for it.
* Nothing here names a key, a token or a person: the file is the same for everybody on these terms.

The keys of each agent: docs/guides/managed-settings.md.
Rows: O3, S1, S2, S3, S5, F3, R3, D2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bailee import __version__
from bailee.json_values import Json
from bailee.managed.values import (
    FileForm,
    ManagedFile,
    ManagedSettings,
    ManagedValue,
    NotCovered,
)
from bailee.policy import Policy
from bailee.policy.bounds import (
    AGENT_SETTING_OF,
    ANY,
    MCP_SERVERS,
    NO_CONTENT,
    PROGRAMS,
    VENDOR,
    WEB_PAGES,
)
from bailee.policy.document import SettingBound
from bailee.policy.facts import ClientFacts, nobodys
from bailee.policy.period import NOTHING, parse

BOUNDS: Final = "bounds"
"""The key of `bailee code`'s settings for what the document bounds there."""
_NETWORKS: Final = "state.networks"
_ALL_OFF: Final = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"


class ManagedAgent(StrEnum):
    """The agents that settings are made for."""

    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    OPENCODE = "opencode"
    BAILEE = "bailee"


@dataclass(slots=True)
class _Making:
    """What is being made for one agent. `gateway`: bailee's address without a slash at the end,
    None where no file names it.
    """

    policy: Policy
    provider: str
    gateway: str | None
    signed_in: bool
    values: list[ManagedValue] = field(default_factory=list)
    missing: list[NotCovered] = field(default_factory=list)

    def put(self, clause: str, *key: str, to: Json) -> None:
        """Add a value, unless a clause has said already what stands there."""
        if all(one.key != key for one in self.values):
            self.values.append(ManagedValue(key, to, clause))

    def lack(self, clause: str, reason: str) -> None:
        """Say that a clause can't be made true by this agent's file."""
        self.missing.append(NotCovered(clause, reason))

    def sends(self, flow: str) -> tuple[bool, str]:
        """Whether a flow may leave where no switch is set, and the clause that says so; one that
        the document does not know may not.
        """
        if flow not in self.policy.document.flows:
            return False, VENDOR
        client = ClientFacts("gateway" if self.signed_in else "key", __version__)
        facts = self.policy.sending(flow, self.provider, {}, client)
        decision = self.policy.decide("send", facts)
        return decision.effect == "allow", decision.clause

    def bounds(self, of: str) -> list[SettingBound]:
        """What bounds an agent on a machine, by the operator's document and the organisation's."""
        own = () if self.policy.own is None else self.policy.own.bounds
        return [one for one in (*self.policy.document.bounds, *own) if one.of == of]

    def fetches(self, key: tuple[str, ...], to: Json) -> None:
        """Turn fetching pages off where no host is left; else say that the agent can't be told."""
        for one in self.bounds(WEB_PAGES):
            if not one.only:
                self.put(one.clause.id, *key, to=to)
            elif ANY not in one.only:
                self.lack(one.clause.id, "some_pages")

    def lack_servers(self) -> None:
        """Say that the agent can't be told which MCP servers it may have."""
        for one in self.bounds(MCP_SERVERS):
            if not {ANY, PROGRAMS} <= {*(one.only or ())}:
                self.lack(one.clause.id, "servers_anyhow")

    def turn_off(self) -> None:
        """Set the switches of each flow that is denied, those of an allowed one left out."""
        document = self.policy.document
        said = {flow: self.sends(flow) for flow in document.flows}
        allowed = [document.flows[flow] for flow, (on, _) in said.items() if on]
        spared = {one.selected_by for one in document.providers.values()}
        spared.update(name for flow in allowed for name in flow.switches)
        for flow, (on, clause) in said.items():
            for name in () if on else document.flows[flow].switches:
                if name not in spared:
                    there = name in document.settings
                    self.put(clause, *(() if there else ("env",)), name, to=there or "1")

    def local_days(self) -> tuple[int, str]:
        """For how many days transcripts are kept on a machine, and the clause that says so."""
        decision = self.policy.retain("local_transcript", nobodys("api"))
        usual = self.policy.local_transcript_days(None)
        most = parse(decision.retention or NOTHING).longest_days
        return self.policy.local_transcript_days(min(usual, most)), decision.clause


def sign_in_at(gateway: str) -> dict[str, str]:
    """The two settings that together make Claude Code sign in at a gateway."""
    return {"forceLoginMethod": "gateway", "forceLoginGatewayUrl": gateway}


def path_for(agent: ManagedAgent) -> str:
    """Where an agent has its file on Linux."""
    return _AGENTS[agent][0]


def settings_for(
    policy: Policy,
    agent: ManagedAgent,
    *,
    provider: str = "api",
    gateway: str | None = None,
    signed_in: bool = False,
) -> ManagedSettings:
    """What an agent is told by a document. `provider`: where its model is, as the document names
    it; `gateway`: bailee's address, where the agent can be told it in its file; `signed_in`: these
    are for one that is signed in there already.

    Raises:
        InputError: the document has no such provider.
    """
    address = None if gateway is None else gateway.rstrip("/")
    making = _Making(policy, provider, address, signed_in or address is not None)
    path, form, fill = _AGENTS[agent]
    fill(making)
    file = ManagedFile(path, form, tuple(making.values))
    return ManagedSettings(agent.value, policy.sha256, file, tuple(making.missing))


def _claude(making: _Making) -> None:
    if making.signed_in:
        making.turn_off()
        _claude_reports(making)
    else:
        for name in (_ALL_OFF, "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", _NO_SURVEY):
            making.put(VENDOR, "env", name, to="1")
        for flow in ("bug_report", "metrics"):
            on, clause = making.sends(flow)
            if on:
                making.lack(clause, f"signed_out_{flow}")
    days, clause = making.local_days()
    making.put(clause, "cleanupPeriodDays", to=days)
    making.put(VENDOR, "env", "DISABLE_AUTOUPDATER", to="1")
    making.put(VENDOR, "strictKnownMarketplaces", to=[])
    making.put(VENDOR, "skipWebFetchPreflight", to=True)
    making.fetches(("permissions", "deny"), ["WebFetch"])
    _claude_servers(making)
    if making.gateway is not None:
        for name, value in sign_in_at(making.gateway).items():
            making.put(_NETWORKS, name, to=value)


def _claude_servers(making: _Making) -> None:
    """Which MCP servers it may have: a list of addresses shuts out programs, too."""
    for one in making.bounds(MCP_SERVERS):
        hosts = [each for each in one.only or () if each != PROGRAMS]
        if PROGRAMS in (one.only or ()):
            if ANY not in hosts:
                making.lack(one.clause.id, "servers_with_programs")
        elif any(each.key == ("allowedMcpServers",) for each in making.values):
            making.lack(one.clause.id, "servers_twice")
        else:
            listed: list[Json] = [{"serverUrl": f"https://{host}/*"} for host in hosts]
            making.put(one.clause.id, "allowedMcpServers", to=listed)
            making.put(one.clause.id, "allowManagedMcpServersOnly", to=True)


def _claude_reports(making: _Making) -> None:
    """What it reports to the gateway that it is signed in at, by the same address."""
    metrics, clause = making.sends("metrics")
    if metrics:
        making.put(clause, "env", "CLAUDE_CODE_ENABLE_TELEMETRY", to="1")
        for exporter in ("OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"):
            making.put(clause, "env", exporter, to="otlp")
        making.put(clause, "env", "OTEL_EXPORTER_OTLP_PROTOCOL", to="http/protobuf")
        for name in _CONTENT_IN_TELEMETRY:
            making.put(NO_CONTENT, "env", name, to="0")
        for name in ("OTEL_METRICS_INCLUDE_ACCOUNT_UUID", "OTEL_METRICS_INCLUDE_SESSION_ID"):
            making.put(NO_CONTENT, "env", name, to="false")
    survey, clause = making.sends("survey")
    if survey and metrics:
        making.put(clause, "env", "CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL", to="1")
    else:
        making.put(clause, "env", _NO_SURVEY, to="1")
        if survey:
            making.lack(clause, "survey_with_metrics")
    errors, clause = making.sends("errors")
    if errors:
        making.lack(clause, "errors_not_here")


_NO_SURVEY: Final = "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY"
_CONTENT_IN_TELEMETRY: Final = (
    "OTEL_LOG_USER_PROMPTS",
    "OTEL_LOG_TOOL_DETAILS",
    "OTEL_LOG_TOOL_CONTENT",
)


def _codex(making: _Making) -> None:
    making.put(VENDOR, "check_for_update_on_startup", to=False)
    making.put(VENDOR, "analytics", "enabled", to=False)
    making.put(VENDOR, "feedback", "enabled", to=False)
    making.put(VENDOR, "otel", "exporter", to="none")
    making.put(VENDOR, "features", "plugins", to=False)
    making.lack(VENDOR, "codex_repository")
    making.lack_servers()
    days, clause = making.local_days()
    if days:
        making.lack(clause, "no_time")
    else:
        making.put(clause, "history", "persistence", to="none")
    if making.gateway is not None:
        making.put(_NETWORKS, "model_provider", to="bailee")
        bailee: dict[str, Json] = {
            "name": "bailee",
            "base_url": f"{making.gateway}/openai/v1",
            "wire_api": "responses",
            "supports_websockets": False,
            "env_key": "BAILEE_API_KEY",
        }
        for name, value in bailee.items():
            making.put(_NETWORKS, "model_providers", "bailee", name, to=value)


def _gemini(making: _Making) -> None:
    making.put(VENDOR, "privacy", "usageStatisticsEnabled", to=False)
    making.put(VENDOR, "telemetry", "enabled", to=False)
    making.put(VENDOR, "telemetry", "logPrompts", to=False)
    making.put(VENDOR, "general", "enableAutoUpdate", to=False)
    making.put(VENDOR, "general", "enableAutoUpdateNotification", to=False)
    making.lack(VENDOR, "gemini_extensions")
    making.fetches(("tools", "exclude"), ["web_fetch"])
    making.lack_servers()
    days, clause = making.local_days()
    if days:
        making.put(clause, "general", "sessionRetention", "enabled", to=True)
        making.put(clause, "general", "sessionRetention", "maxAge", to=f"{days}d")
    else:
        making.lack(clause, "no_time")
    if making.gateway is not None:
        making.put(_NETWORKS, "security", "auth", "selectedType", to="gemini-api-key")
        making.lack(_NETWORKS, "gemini_address")


def _opencode(making: _Making) -> None:
    making.put(VENDOR, "share", to="disabled")
    making.put(VENDOR, "autoupdate", to=False)
    making.lack(VENDOR, "opencode_start")
    making.fetches(("permission", "webfetch"), "deny")
    making.lack_servers()
    making.lack(making.local_days()[1], "no_time")
    if making.gateway is not None:
        paths = {"anthropic": "/v1", "openai": "/openai/v1", "google": "/gemini/v1beta"}
        for name, path in paths.items():
            address = f"{making.gateway}{path}"
            making.put(_NETWORKS, "provider", name, "options", "baseURL", to=address)
        making.put(_NETWORKS, "enabled_providers", to=list(paths))


def _bailee(making: _Making) -> None:
    making.turn_off()
    for of in AGENT_SETTING_OF:
        for one in making.bounds(of):
            said: dict[str, Json] = {"of": of, "only": list(one.only or ())}
            said |= {"en": one.clause.text.en, "zh": one.clause.text.zh}
            making.put(one.clause.id, BOUNDS, one.clause.id, to=said)
    days, clause = making.local_days()
    making.put(clause, "cleanupPeriodDays", to=days)
    if making.gateway is not None:
        making.put(_NETWORKS, "env", "BAILEE_URL", to=making.gateway)


_AGENTS: Final[dict[ManagedAgent, tuple[str, FileForm, Callable[[_Making], None]]]] = {
    ManagedAgent.CLAUDE: ("/etc/claude-code/managed-settings.d/50-bailee.json", "json", _claude),
    ManagedAgent.CODEX: ("/etc/codex/managed_config.toml", "toml", _codex),
    ManagedAgent.GEMINI: ("/etc/gemini-cli/settings.json", "json", _gemini),
    ManagedAgent.OPENCODE: ("/etc/opencode/opencode.json", "json", _opencode),
    ManagedAgent.BAILEE: ("/etc/bailee/settings.json", "json", _bailee),
}
