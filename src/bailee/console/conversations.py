"""A session's conversations as a page shows them: the main one, its agents', those aside."""

from __future__ import annotations

from dataclasses import dataclass

from bailee.blocks import Block, blocks_of, role_of
from bailee.operations.sessions import SessionTranscript


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message: who speaks, and what is said."""

    role: str
    blocks: list[Block]


@dataclass(frozen=True, slots=True)
class ShownConversation:
    """`kind`: `main`, `agent` or `aside`. `name`: the agent's; "" for any other."""

    kind: str
    name: str
    messages: list[Spoken]


def conversations(shown: SessionTranscript) -> list[ShownConversation]:
    """All of a session, the main conversation first."""
    return [
        _conversation("main", "", shown.messages),
        *(_conversation("agent", name, messages) for name, messages in shown.agents.items()),
        *(_conversation("aside", "", messages) for messages in shown.aside),
    ]


def _conversation(kind: str, name: str, messages: list[object]) -> ShownConversation:
    return ShownConversation(kind, name, [Spoken(role_of(one), blocks_of(one)) for one in messages])
