"""Why each variable is set under which `bailee run` starts an agent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from bailee.client.agent_bounds import AgentBound
from bailee.client.agents import NAMES, Launch, LaunchTerms, launch, terms
from bailee.client.launch_reasons import CONNECTION, SESSION, WHY, reasons
from bailee.client.settings import ClientSettings, from_environment, merge, parse
from bailee.client.told_statements import told_statements
from bailee.policy import Policy, load
from bailee.policy.bounds import NO_CONTENT, STATEMENTS, VENDOR
from bailee.words import LANGUAGES

pytestmark = pytest.mark.row("P1", "S5")

POLICY = load()
_BOUND = AgentBound("web_pages", (), "bound.pages", "None.", "无。", "managed", "x")
_ELSEWHERE = ("", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")


def under(environment: dict[str, str], said: bytes = b"{}") -> ClientSettings:
    """What holds in an environment and a settings file."""
    return merge(
        [from_environment(environment), parse("user", "settings.json", said)],
        switches=frozenset(POLICY.document.switches),
        private=frozenset(),
        most_days=30,
    )


def without(*statements: str) -> Policy:
    """The document that is shipped, but for some statements."""
    kept = tuple(one for one in POLICY.document.statements if one.id not in statements)
    return Policy(replace(POLICY.document, statements=kept))


def names(made: Launch) -> set[str]:
    """The variables that are set or taken away."""
    return {*made.env, *made.without, *(variable for variable, _ in made.files.values())}


def told(settings: ClientSettings, *statements: str) -> ClientSettings:
    """The same where a server said that its document has these, in words of its own."""
    said = {one: {"en": f"Ours: {one}.", "zh": f"我们：{one}。"} for one in statements}
    return replace(settings, told=told_statements("https://b.example", {"statements": said}))


def launches(policy: Policy = POLICY) -> Iterator[tuple[ClientSettings, LaunchTerms, Launch]]:
    """Every agent, and one that is not known, wherever its model is, with a key, a sign-in and
    neither, and with each of its flows on and off.
    """
    switches = ({}, {"DISABLE_TELEMETRY": "1"}, {"DO_NOT_TRACK": "0"})
    files = (b"{}", b'{"flows": {"survey": false}}')
    for provider, more, off in product(_ELSEWHERE, switches, files):
        settings = under({**({provider: "1"} if provider else {}), **more}, off)
        settings = replace(settings, bounds=(_BOUND,))
        for key, helper, direct in (
            ("bl_x", None, False), ("bl_x", "bailee token", False), (None, None, False),
            (None, None, True),
        ):  # fmt: skip
            given = terms(
                policy, settings, key=key, keep_days=0, direct=direct, session="one", helper=helper
            )
            for agent in (*NAMES, None):
                yield settings, given, launch(agent, given)


def test_no_variable_is_set_without_a_reason_and_no_reason_without_a_variable() -> None:
    """In both languages; of what comes from the document the text of a clause, with its id."""
    seen: set[str] = set()
    for settings, given, made in launches():
        for name in names(made):
            for language in LANGUAGES:
                found = reasons(name, POLICY, settings, language, direct=given.direct)
                assert found, name
                assert all(found), name
                alone = {CONNECTION, SESSION} & {*WHY.get(name, ())}
                if name not in settings.switches and not alone:
                    ids = (one.rpartition("(")[2].rstrip(")") for one in found)
                    assert any(POLICY.clause(one) is not None for one in ids), (name, found)
        seen |= names(made)
    assert set(WHY) - seen == set()


def test_what_a_document_does_not_turn_off_is_not_set() -> None:
    """Without the statement that vendors get nothing nothing of theirs is turned off, by variables,
    arguments or files; a switch that somebody set is passed on all the same.
    """
    for settings, _, made in launches(without(*STATEMENTS)):
        left = names(made) - {*settings.switches}
        assert all(not set(WHY[name]) <= set(STATEMENTS) for name in left)
        assert settings.switch_values.items() <= made.env.items()
        told = " ".join([*made.arguments, *(content for _, content in made.files.values())])
        told += made.env.get("OPENCODE_CONFIG_CONTENT", "")
        for word in ("analytics", "update", "sageStatistics", "share", "logPrompts"):
            assert word not in told
    content = {name for name, why in WHY.items() if why == (NO_CONTENT,)}
    for _, _, made in launches(without(VENDOR)):
        assert "DISABLE_AUTOUPDATER" not in made.env
        assert not made.without & content or content <= made.without


def test_agents_are_started_by_the_statements_of_the_servers_document() -> None:
    """Not by those of the one that is shipped, be it more or less; in the server's words. Without
    the server's word by the shipped one.
    """
    settings = under({})
    for policy in (POLICY, without(*STATEMENTS)):
        none, vendor = told(settings), told(settings, VENDOR)
        for agent in ("aider", "codex", "gemini", "opencode"):
            shut, left = (
                launch(agent, terms(policy, one, key="bl_x", keep_days=0)) for one in (vendor, none)
            )
            of_vendor = {name for name, why in WHY.items() if why == (VENDOR,)}
            assert not names(left) & of_vendor
            assert names(shut) & of_vendor or shut.arguments != left.arguments
        found = reasons("AIDER_ANALYTICS", policy, vendor, "en", direct=False)
        assert [f"Ours: {VENDOR}. ({VENDOR})"] == found
        both = reasons("OPENCODE_CONFIG_CONTENT", policy, none, "zh", direct=False)
        assert not any(VENDOR in one for one in both)
    shipped = launch("aider", terms(POLICY, settings, key="bl_x", keep_days=0))
    assert "false" == shipped.env["AIDER_ANALYTICS"]


def test_what_a_variable_is_for_is_said_by_who_decided() -> None:
    """A flow's clause, or the person's own word against it; where a switch was set."""
    on = reasons("OTEL_METRICS_EXPORTER", POLICY, under({}), "en", direct=False)
    off = under({}, b'{"flows": {"metrics": false}}')
    own = reasons("CLAUDE_CODE_ENABLE_TELEMETRY", POLICY, off, "en", direct=False)
    switch = reasons("DO_NOT_TRACK", POLICY, under({"DO_NOT_TRACK": "1"}), "zh", direct=False)

    assert on[0].endswith(f"({POLICY.decide('send', facts(under({}))).clause})")
    assert ["flows.metrics in user settings, settings.json"] == own
    assert "环境变量" in switch[0]
    assert switch[1].endswith(f"({VENDOR})")
    with pytest.raises(KeyError):
        reasons("NEW_SWITCH", POLICY, under({}), "en", direct=False)


def facts(settings: ClientSettings) -> dict[str, object]:
    """What is asked of metrics under these settings."""
    return POLICY.sending("metrics", "api", settings.switch_values)
