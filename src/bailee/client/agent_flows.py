"""What other coding agents under `bailee run` send besides the work, where they have no switch for
it. Pure.

Seen with the versions in docs/guides/run.md. What they do have a switch for is off there, and is no
flow.

Rows: S7, D3.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from bailee.client.flows import FlowState, bailee_address, shown
from bailee.client.settings import ClientSettings
from bailee.policy.document import Language
from bailee.words import words

# Agent, flow, the key of its words; where it goes: nothing stands for the gateway.
_SENT: Final = (
    ("codex", "agent.codex", "codex", ""),
    ("codex", "agent.codex.start", "codex_start", "https://raw.githubusercontent.com"),
    ("gemini", "agent.gemini.extensions", "gemini_extensions", "https://play.googleapis.com"),
)
PROGRAMS: Final = tuple(dict.fromkeys(agent for agent, *_ in _SENT))
"""The programs that there are flows for."""


def agent_flows(
    settings: ClientSettings, installed: Collection[str], language: Language = "en"
) -> list[FlowState]:
    """The flows of the agents that are `installed` on this machine."""
    said = words(language, "terminal")
    gateway = f"{shown(bailee_address(settings)).rstrip('/')}/openai/v1"
    return [
        FlowState(
            flow,
            said(f"flow.{key}"),
            True,
            address or gateway,
            said(f"flow.carries_{key}"),
            None,
            said("flow.no_switch"),
        )
        for agent, flow, key, address in _SENT
        if agent in installed
    ]
