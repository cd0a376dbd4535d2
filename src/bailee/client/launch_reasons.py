"""Why `bailee run` sets or takes away each variable of an agent's. Pure.

Rules kept here:

* Every variable stands in one table, with the clauses of the document that it makes true, or with
  what it is needed for. A switch that somebody set stands there by where it was set.
* A variable that is set for statements alone is set only while the document has one of them: that
  of the person's server, where it said so, else the one that ships with bailee.

Rows: P1, D2, S5, S6.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from bailee.client.flows import FlowState, permitted, where
from bailee.client.settings import ClientSettings
from bailee.policy import Policy
from bailee.policy.bounds import NO_CONTENT, STATEMENTS, VENDOR, WEB_PAGES
from bailee.policy.document import Language
from bailee.words import words

CONNECTION: Final = "launch.connection"
"""Needed to reach the model by the gateway, or not to go round it."""
SESSION: Final = "launch.session"
"""Says which requests belong together."""
_METRICS: Final = "metrics"
_SURVEY: Final = "survey"

WHY: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            *("ANTHROPIC_BASE_URL", "ANTHROPIC_BEDROCK_BASE_URL", "ANTHROPIC_FOUNDRY_BASE_URL"),
            *("ANTHROPIC_VERTEX_BASE_URL", "ANTHROPIC_API_BASE", "OPENAI_API_BASE"),
            *("GEMINI_API_BASE", "GOOGLE_GEMINI_BASE_URL", "ANTHROPIC_FOUNDRY_RESOURCE"),
            *("CLAUDE_CODE_SKIP_BEDROCK_AUTH", "CLAUDE_CODE_SKIP_VERTEX_AUTH"),
            *("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"),
            *("ANTHROPIC_FOUNDRY_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"),
            *("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA"),
        ),
        (CONNECTION,),
    ),
    **dict.fromkeys(("GEMINI_CLI_CUSTOM_HEADERS", "AIDER_MODEL_SETTINGS_FILE"), (SESSION,)),
    **dict.fromkeys(
        (
            *("DO_NOT_TRACK", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER"),
            *("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "GEMINI_TELEMETRY_ENABLED"),
            *("OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_SHARE"),
            *("OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_DEFAULT_PLUGINS"),
            *("OPENCODE_DISABLE_LSP_DOWNLOAD", "npm_config_@opencode-ai:registry"),
            *("AIDER_ANALYTICS", "AIDER_CHECK_UPDATE", "LITELLM_LOCAL_MODEL_COST_MAP"),
        ),
        (VENDOR,),
    ),
    **dict.fromkeys(
        ("OTEL_LOG_USER_PROMPTS", "OTEL_LOG_TOOL_DETAILS", "OTEL_LOG_TOOL_CONTENT"),
        (NO_CONTENT,),
    ),
    **dict.fromkeys(
        (
            *("CLAUDE_CODE_ENABLE_TELEMETRY", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"),
            *("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (_METRICS,),
    ),
    **dict.fromkeys(
        ("OTEL_METRICS_INCLUDE_ACCOUNT_UUID", "OTEL_METRICS_INCLUDE_SESSION_ID"),
        (_METRICS, NO_CONTENT),
    ),
    "CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL": (_SURVEY, _METRICS),
    **dict.fromkeys(
        ("GEMINI_CLI_SYSTEM_SETTINGS_PATH", "OPENCODE_CONFIG_CONTENT"),
        (CONNECTION, VENDOR, WEB_PAGES),
    ),
}
"""By variable: what is needed, a statement, a flow or a bound of the document."""


def said_by(policy: Policy, settings: ClientSettings) -> frozenset[str]:
    """Which of `STATEMENTS` the document has that other agents are started by."""
    if settings.told is not None:
        return frozenset(settings.told.texts)
    return frozenset(one for one in STATEMENTS if policy.clause(one) is not None)


def unfounded(said: Collection[str]) -> frozenset[str]:
    """The variables that are for statements alone, none of which is `said`."""
    return frozenset(
        name
        for name, why in WHY.items()
        if set(why) <= set(STATEMENTS) and set(why).isdisjoint(said)
    )


def reasons(
    name: str, policy: Policy, settings: ClientSettings, language: Language, *, direct: bool
) -> list[str]:
    """Why a variable is set or taken away: texts of clauses with their ids, and what else decided.

    Raises:
        KeyError: it is no switch of somebody's, and does not stand in the table.
    """
    said = words(language, "terminal")
    chosen = settings.switches.get(name)
    found = []
    if chosen is not None:
        found.append(said("flow.set_in", name=name, where=where(chosen, said)))
    why = WHY[name] if chosen is None else WHY.get(name, ())
    for one in why:
        if one in (CONNECTION, SESSION):
            found += [] if direct and len(why) > 1 else [said(one)]
        elif one == WEB_PAGES:
            closed = (bound for bound in settings.bounds if bound.of == one and not bound.only)
            found += [f"{bound.text(language)} ({bound.clause})" for bound in closed]
        elif one in policy.document.flows:
            found.append(_of_flow(permitted(policy, settings, one, language), policy, language))
        elif settings.told is not None and one in STATEMENTS:
            text = settings.told.text(one, language)
            found += [] if text is None else [f"{text} ({one})"]
        else:
            found += _clauses(policy, one, language)
    return list(dict.fromkeys(found))


def _of_flow(flow: FlowState, policy: Policy, language: Language) -> str:
    """A flow's clause; where its person turned it off by name, that."""
    return next(_clauses(policy, flow.clause or "", language), flow.decided_by)


def _clauses(policy: Policy, name: str, language: Language) -> Iterator[str]:
    clause = policy.clause(name)
    if clause is not None:
        yield f"{clause.text.of(language)} ({clause.id})"
