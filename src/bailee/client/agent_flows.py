"""What coding agents under `bailee run` send besides what was asked: by themselves, with each
request or at another time. Pure.

Seen with the versions in docs/guides/run.md. What has a switch that costs nobody an answer is off
there, and is no flow. What a model needs to work with, and a person may still not want to send, is
one, with the setting that leaves it out, where there is one.

Rows: S7, D3.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from bailee.client.flows import FlowState, bailee_address, shown
from bailee.client.settings import ClientSettings
from bailee.policy.document import Language
from bailee.words import words

# Agent, flow, the key of its words; where it goes: a path is at the gateway; the key of the words
# for who decides.
_SENT: Final = (
    ("claude", "agent.claude", "claude", "", "claude_switch"),
    ("codex", "agent.codex", "codex", "/openai/v1", "no_switch"),
    (
        *("codex", "agent.codex.start", "codex_start"),
        *("https://raw.githubusercontent.com", "no_switch"),
    ),
    ("gemini", "agent.gemini", "gemini", "/gemini", "gemini_switch"),
    (
        *("gemini", "agent.gemini.extensions", "gemini_extensions"),
        *("https://play.googleapis.com", "no_switch"),
    ),
    ("opencode", "agent.opencode", "opencode", "", "no_switch"),
    ("aider", "agent.aider", "aider", "", "aider_switch"),
)
PROGRAMS: Final = tuple(dict.fromkeys(agent for agent, *_ in _SENT))
"""The programs that there are flows for."""


def agent_flows(
    settings: ClientSettings, installed: Collection[str], language: Language = "en"
) -> list[FlowState]:
    """The flows of the agents that are `installed` on this machine."""
    said = words(language, "terminal")
    gateway = shown(bailee_address(settings)).rstrip("/")
    return [
        FlowState(
            flow,
            said(f"flow.{key}"),
            True,
            address if "://" in address else gateway + address,
            said(f"flow.carries_{key}"),
            None,
            said(f"flow.{decides}"),
        )
        for agent, flow, key, address, decides in _SENT
        if agent in installed
    ]
