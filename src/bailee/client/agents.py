"""Other coding agents: the environment under which they use the gateway and respect the switches.
Pure.

Rules kept here:

* An agent's own vendor gets nothing but what the person asks of the model, where the document says
  so: whatever its switches for that are called, they are set, and otherwise they are not. Why each
  variable is set: `launch_reasons`. bailee's flows go to bailee, and only while they are on.
* The switches that hold here hold there too: they are passed on, from whatever scope they come.
* A key stands in the environment alone, never in arguments, which every user of a machine can read.
* What can't be brought under these terms is said in a note.

Facts about each agent: docs/guides/run.md.
Rows: D2, S5, S6.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bailee.client.flows import (
    all_flows,
    bailee_address,
    ingest_address,
    model_address,
    provider_of,
)
from bailee.client.rooted_settings import Unheeded
from bailee.client.settings import ClientSettings
from bailee.policy import Policy
from bailee.policy.bounds import ANY, MCP_SERVERS, PROGRAMS, VENDOR, WEB_PAGES
from bailee.records import dataclass

if TYPE_CHECKING:
    from bailee.client.agent_bounds import AgentBound


@dataclass(slots=True)
class Launch:
    """How to start an agent: variables to set, variables to take away, arguments to put before the
    person's own, files to write (name → content) whose path a variable names, and notes.

    `beneath`: variable → a settings file that counts while the variable is not set, and whose
    content must go on counting. `fresh`: files of the agent's below the home that it fetches again
    when they are older than a day or empty, and what stands for them where there is none.
    `unheeded`: set for one that heeds `files` only where they are root's alone.
    """

    env: dict[str, str] = field(default_factory=dict, repr=False)
    without: set[str] = field(default_factory=set)
    arguments: list[str] = field(default_factory=list)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    beneath: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unheeded: Unheeded | None = None


@dataclass(frozen=True, slots=True)
class LaunchTerms:
    """What a launch is made from. `key`: the person's bailee key. `direct`: the model's address is
    left as it is. `session`: an id for what this run says, for agents that send none of their own;
    `environment`: what is set for the agent otherwise. `helper`: the
    key lasts an hour, and this command prints another. `bounds`: what a policy document leaves
    agents of web pages and MCP servers. `said`: which of
    `policy.bounds.STATEMENTS` the document has.
    """

    gateway: str
    ingest: str
    provider: str
    key: str | None
    on: frozenset[str]
    switches: Mapping[str, str]
    said: frozenset[str]
    keep_days: int
    direct: bool = False
    session: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    helper: str | None = None
    bounds: tuple[AgentBound, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether an agent's own vendor is to get nothing."""
        return VENDOR in self.said


def terms(
    policy: Policy,
    settings: ClientSettings,
    *,
    key: str | None,
    keep_days: int,
    direct: bool = False,
    session: str = "",
    environment: Mapping[str, str] | None = None,
    helper: str | None = None,
) -> LaunchTerms:
    """The terms that hold on this machine."""
    from bailee.client.launch_reasons import said_by  # here: no start of the agent asks

    return LaunchTerms(
        bailee_address(settings),
        ingest_address(settings),
        provider_of(policy, settings)[0],
        key,
        frozenset(flow.name for flow in all_flows(policy, settings) if flow.on),
        settings.switch_values,
        said_by(policy, settings),
        keep_days,
        direct,
        session,
        environment or {},
        helper,
        settings.bounds,
    )


def known(command: Sequence[str]) -> str | None:
    """The agent that a command starts; None: one that is not known here."""
    name = PurePath(command[0]).name.lower().removesuffix(".exe") if command else ""
    return _PROGRAMS.get(name)


def launch(agent: str | None, under: LaunchTerms) -> Launch:
    """How to start it."""
    from bailee.client.launch_reasons import unfounded

    made = Launch(env={**under.switches, "DO_NOT_TRACK": "1"})
    _AGENTS.get(agent or "", _any)(made, under)
    for name in unfounded(under.said):
        made.without.discard(name)
        if name in under.switches:
            made.env[name] = under.switches[name]
        else:
            made.env.pop(name, None)
    if under.helper is not None and agent != "claude" and not under.direct:
        made.notes.append(
            "this machine is signed in, and a token lasts an hour: start it again after that"
        )
    return made


def _left_none(made: Launch, under: LaunchTerms, *told: str) -> frozenset[str]:
    """Of what is bounded that of which nothing is left, where the agent can be `told` so; what it
    can't be told is said in a note.
    """
    none = {one.of for one in under.bounds if not one.only and one.of in told}
    for one in under.bounds:
        everything = {ANY} if one.of == WEB_PAGES else {ANY, PROGRAMS}
        if one.of not in none and not everything <= {*one.only}:
            made.notes.append(f"its own settings decide, and it can't be told this: {one.said}")
    return frozenset(none)


def promised(
    agent: str | None, under: LaunchTerms, policy: Policy, settings: ClientSettings
) -> frozenset[str]:
    """The hosts (`host:port`) that an agent may reach under these terms."""
    addresses = _models(agent, policy, settings) if under.direct else [under.gateway]
    if agent == "claude" and under.on & {"metrics", "survey"}:
        addresses.append(under.ingest)
    found = set()
    for address in addresses:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found.add(f"{parts.hostname}:{port}")
    return frozenset(found)


def _models(agent: str | None, policy: Policy, settings: ClientSettings) -> list[str]:
    """Where an agent's model is when it is reached directly, and where it signs in for that."""
    if agent == "codex":
        return ["https://api.openai.com", "https://chatgpt.com", "https://auth.openai.com"]
    if agent == "gemini":
        own = settings.variable("GOOGLE_GEMINI_BASE_URL")
        return [own] if own else [f"https://{name}.googleapis.com" for name in _GOOGLE]
    if agent == "aider":
        own = settings.variable("OPENAI_API_BASE") or "https://api.openai.com"
        return [own, model_address(policy, settings)]
    return [model_address(policy, settings)]


def _claude(made: Launch, under: LaunchTerms) -> None:
    made.env |= {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    settings: dict[str, object] = {}
    none = _left_none(made, under, WEB_PAGES, MCP_SERVERS)
    if WEB_PAGES in none:
        settings["permissions"] = {"deny": ["WebFetch"]}
    if MCP_SERVERS in none:
        made.arguments.append("--strict-mcp-config")  # and none is given with it
    if not under.direct:
        if under.provider == "bedrock":
            made.env |= {
                "ANTHROPIC_BEDROCK_BASE_URL": f"{under.gateway}/bedrock",
                "CLAUDE_CODE_SKIP_BEDROCK_AUTH": "1",
            }
        elif under.provider == "foundry":
            made.env["ANTHROPIC_FOUNDRY_BASE_URL"] = f"{under.gateway}/foundry"
            made.without.add("ANTHROPIC_FOUNDRY_RESOURCE")
            if under.key is not None:
                made.env["ANTHROPIC_FOUNDRY_API_KEY"] = under.key
        elif under.provider == "vertex":
            made.env |= {
                "ANTHROPIC_VERTEX_BASE_URL": f"{under.gateway}/vertex/v1",
                "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
            }
        else:
            made.env["ANTHROPIC_BASE_URL"] = under.gateway
        if under.helper is not None and under.provider == "api":
            settings["apiKeyHelper"] = under.helper
            made.env["CLAUDE_CODE_API_KEY_HELPER_TTL_MS"] = "240000"
            made.without |= {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"}
        elif under.key is not None:
            made.env["ANTHROPIC_AUTH_TOKEN"] = under.key
            made.without.add("ANTHROPIC_API_KEY")
    if settings:
        made.arguments += ["--settings", json.dumps(settings)]
    # A telemetry configuration of the person's own is theirs; only one for bailee is bailee's.
    made.without |= {"OTEL_LOG_USER_PROMPTS", "OTEL_LOG_TOOL_DETAILS", "OTEL_LOG_TOOL_CONTENT"}
    if "metrics" in under.on:
        made.env |= {
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": under.ingest,
            "OTEL_METRICS_INCLUDE_ACCOUNT_UUID": "false",
            "OTEL_METRICS_INCLUDE_SESSION_ID": "false",
        }
        if under.key is not None:  # header values are sent as they stand, so the space is one
            made.env["OTEL_EXPORTER_OTLP_HEADERS"] = f"Authorization=Bearer {under.key}"
        if "survey" in under.on:
            made.env["CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL"] = "1"
        else:
            made.without.add("CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL")
    else:
        made.without |= {
            "CLAUDE_CODE_ENABLE_TELEMETRY",
            "CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL",
        }
        if "survey" in under.on:
            made.notes.append("its survey travels with its metrics, which are off: it is off too")


_NOBODY: Final = "http://127.0.0.1:9/"
"""Where nobody listens: for what has an address and no switch."""


def _codex(made: Launch, under: LaunchTerms) -> None:
    _left_none(made, under)
    if under.closed:
        made.arguments += [
            *("-c", "analytics.enabled=false"),
            *("-c", "feedback.enabled=false"),
            *("-c", 'otel.exporter="none"'),
            *("-c", "check_for_update_on_startup=false"),
            # Its vendor's plugins are looked for on chatgpt.com and GitHub at every start.
            *("-c", "features.plugins=false"),
        ]
    if under.keep_days == 0:
        made.arguments += ["-c", 'history.persistence="none"']
    if not under.direct:
        # A provider of its own: the built-in one takes no key from a variable, tries WebSockets
        # first, and has conversations compacted into what its vendor alone can read.
        provider = {"name": '"bailee"', "base_url": f'"{under.gateway}/openai/v1"'}
        provider |= {"wire_api": '"responses"', "supports_websockets": "false"}
        if under.key is not None:
            made.env["OPENAI_API_KEY"] = under.key
            provider["env_key"] = '"OPENAI_API_KEY"'
        else:
            provider["requires_openai_auth"] = "true"
            made.notes.append(
                "an account of ChatGPT can't be used with the gateway, which refuses it: its model "
                "is at an address of its own, and it is renewed at auth.openai.com. Use a key, or "
                "--direct, where nothing is recorded"
            )
        # With an account of ChatGPT it would load connectors and settings from chatgpt.com, whoever
        # answers for the model. There is a switch for some of that; the rest finds nobody there.
        made.arguments += ["-c", "features.apps=false"]
        made.arguments += ["-c", f'chatgpt_base_url="{_NOBODY}"']
        table = ", ".join(f"{name} = {value}" for name, value in provider.items())
        made.arguments += ["-c", 'model_provider="bailee"']
        made.arguments += ["-c", f"model_providers.bailee={{{table}}}"]
    made.notes.append(
        "with every request it sends the working directory, and of a repository its remotes and "
        "the last commit; without a command it asks raw.githubusercontent.com at its start, and "
        "has no switch for either"
    )


def _gemini(made: Launch, under: LaunchTerms) -> None:
    settings: dict[str, object] = {}
    if under.closed:
        settings |= {
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False, "logPrompts": False},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        }
    made.env["GEMINI_TELEMETRY_ENABLED"] = "false"
    if _left_none(made, under, WEB_PAGES):
        settings["tools"] = {"exclude": ["web_fetch"]}
    if not under.direct:
        made.env["GOOGLE_GEMINI_BASE_URL"] = f"{under.gateway}/gemini"
        # With another sign-in it would go round the gateway: so it does not start with one.
        auth = {"enforcedType": "gemini-api-key"}
        # It names no session: this is all that says which requests belong together.
        given = under.environment.get(_GEMINI_HEADERS, "")
        own = f"x-bailee-session: {under.session}" if under.session else ""
        headers = ", ".join(one for one in (given, own) if one)
        if headers:
            made.env[_GEMINI_HEADERS] = headers
        if under.key is not None:
            made.env["GEMINI_API_KEY"] = under.key
            # By these it would go elsewhere, or by another sign-in.
            made.without |= {"GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA"}
            auth = {"selectedType": "gemini-api-key", **auth}
        else:
            made.notes.append(
                "sign-in with Google (Code Assist) and Vertex AI are refused: they have addresses "
                "of their own, where nothing would be recorded. Use a key, or --direct"
            )
        settings["security"] = {"auth": auth}
    if settings:
        made.files["gemini-settings.json"] = (_GEMINI_SYSTEM, json.dumps(settings))
    made.beneath[_GEMINI_SYSTEM] = "/etc/gemini-cli/settings.json"
    made.unheeded = Unheeded(
        (_GEMINI_STATISTICS if under.closed else frozenset())
        | (frozenset() if under.direct else _GEMINI_SIGN_INS),
        own=".gemini/settings.json",
        needed=None if under.direct else (("security", "auth", "selectedType"), "gemini-api-key"),
        instead="It would sign in elsewhere, where nothing is recorded, or not start.",
    )
    made.notes.append(
        "its commands for extensions (`gemini extensions`) send usage statistics to "
        "play.googleapis.com whatever its setting says: it does not ask the setting there"
    )


_GEMINI_HEADERS: Final = "GEMINI_CLI_CUSTOM_HEADERS"
_GEMINI_STATISTICS: Final = frozenset({"play.googleapis.com"})
_GEMINI_SIGN_INS: Final = frozenset(
    {"cloudcode-pa.googleapis.com", "generativelanguage.googleapis.com", "rep.googleapis.com"}
    | {"aiplatform.googleapis.com"}
)
_GEMINI_SYSTEM: Final = "GEMINI_CLI_SYSTEM_SETTINGS_PATH"
_GOOGLE: Final = ("generativelanguage", "cloudcode-pa", "oauth2", "www", "aiplatform")


def _opencode(made: Launch, under: LaunchTerms) -> None:
    made.env |= {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_SHARE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        # It installs a package of its vendor's into every configuration folder at every start, and
        # has no switch for that. For this scope alone there is no registry.
        "npm_config_@opencode-ai:registry": _NOBODY,
    }
    config: dict[str, object] = {}
    if under.closed:
        config = {"autoupdate": False, "share": "disabled"}
    if _left_none(made, under, WEB_PAGES):
        config["permission"] = {"webfetch": "deny"}
    if not under.direct:
        providers: dict[str, object] = {}
        for name, path in (
            ("anthropic", "/v1"), ("openai", "/openai/v1"), ("google", "/gemini/v1beta"),
        ):  # fmt: skip
            options = {"baseURL": f"{under.gateway}{path}"}
            if under.key is not None:
                made.env["ANTHROPIC_API_KEY"] = under.key
                options["apiKey"] = "{env:ANTHROPIC_API_KEY}"
            providers[name] = {"options": options}
        config["provider"] = providers
        config["enabled_providers"] = list(providers)  # its vendor's free models are on by default
    if config:
        made.env["OPENCODE_CONFIG_CONTENT"] = json.dumps(config)


def _aider(made: Launch, under: LaunchTerms) -> None:
    _left_none(made, under)
    made.env |= {
        "AIDER_ANALYTICS": "false",
        "AIDER_CHECK_UPDATE": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    if under.closed:
        # For this run: --analytics-disable would write a choice down for good.
        made.arguments += ["--no-analytics", "--no-check-update"]
        # A list of prices, which comes with it too; there is no switch.
        made.fresh[".aider/caches/model_prices_and_context_window.json"] = b'{"": {}}'
    if not under.direct:
        made.env |= {
            "OPENAI_API_BASE": f"{under.gateway}/openai/v1",
            "ANTHROPIC_API_BASE": under.gateway,
            "GEMINI_API_BASE": f"{under.gateway}/gemini/v1beta",
        }
        if under.key is not None:
            keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
            made.env |= dict.fromkeys(keys, under.key)
        if _AIDER_MODELS in under.environment:
            made.notes.append(
                f"{_AIDER_MODELS} is set: no id of a session is sent, and a conversation that is "
                "taken up again may be filed as a new one"
            )
        elif under.session:
            headers = {"x-bailee-session": under.session}
            models = [{"name": "aider/extra_params", "extra_params": {"extra_headers": headers}}]
            made.files["aider-models.yml"] = (_AIDER_MODELS, json.dumps(models))
        made.notes.append(
            "models of other providers than Anthropic, OpenAI and Google are reached directly, and "
            "are not recorded"
        )


_AIDER_MODELS: Final = "AIDER_MODEL_SETTINGS_FILE"


def _any(made: Launch, under: LaunchTerms) -> None:
    _left_none(made, under)
    if not under.direct:
        made.env["ANTHROPIC_BASE_URL"] = under.gateway
        if under.key is not None:
            made.env |= {"ANTHROPIC_AUTH_TOKEN": under.key, "ANTHROPIC_API_KEY": under.key}
    made.notes.append("this program is not known: its own telemetry and files are its own matter")


_AGENTS: Final[dict[str, Callable[[Launch, LaunchTerms], None]]] = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "opencode": _opencode,
    "aider": _aider,
}
_PROGRAMS: Final = {name: name for name in _AGENTS}
NAMES: Final = tuple(_AGENTS)
