"""What goes into a training dataset: a session as it comes, and the rows that are made of it. Pure.

A row is one conversation, in the form that trainers load (TRL's conversational `messages`), and the
same conversation as blocks of the Messages API. What may have any shape (arguments of a tool, its
schema, blocks) is JSON text: a column of Arrow has one type.

Standard: TRL, "Dataset formats and types", conversational language modeling with tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from bailee.vault.transcript import Transcript


@dataclass(frozen=True, slots=True)
class ExportedSession:
    """A session that may be trained on, with what allowed it.

    `commitment`: stands for the session's id, in hexadecimal; `clause`, `document`: the policy's
    clause and the hash of its document; `consent`: the commitment to the
    record of the choice.
    """

    commitment: str
    transcript: Transcript
    clause: str
    document: str
    consent: str
    plan: str
    channel: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool; `arguments`: a JSON object as text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class RowMessage:
    """One message. `role`: system, user, assistant or tool. `thinking`: what the model thought
    before it answered, "" for nothing. `tool_call_id`, `name`: of a tool's result, which call it
    answers and whose.
    """

    role: str
    content: str
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class MaskCount:
    """How many places of a row a rule has masked."""

    rule: str
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation.

    `id`: the session's commitment and a number; `session`: the commitment; `parent`: of a
    subagent's conversation, the id of the row whose agent called it, else "". `day`: on which it
    began (UTC). `language`: ISO 639-1 of what the person wrote, or `und`. `tools`, `blocks`: JSON
    text. `near_duplicate_of`: the id of the first row that is nearly the same, or "".
    """

    id: str
    session: str
    parent: str
    day: str
    plan: str
    channel: str
    model: str
    language: str
    clause: str
    document: str
    consent: str
    messages: tuple[RowMessage, ...]
    tools: str
    blocks: str
    masked: tuple[MaskCount, ...] = ()
    near_duplicate_of: str = ""


class FunctionColumns(TypedDict):
    """A called function, as it lies in a file."""

    name: str
    arguments: str


class CallColumns(TypedDict):
    """A tool call, as it lies in a file."""

    id: str
    type: str
    function: FunctionColumns


class MessageColumns(TypedDict):
    """A message, as it lies in a file; None where it does not apply."""

    role: str
    content: str
    thinking: str | None
    tool_calls: list[CallColumns] | None
    tool_call_id: str | None
    name: str | None


class MaskColumns(TypedDict):
    """A count of what was masked, as it lies in a file."""

    rule: str
    count: int


class Columns(TypedDict):
    """A row, as it lies in a file."""

    id: str
    session: str
    parent: str | None
    day: str
    plan: str
    channel: str
    model: str
    language: str
    clause: str
    document: str
    consent: str
    messages: list[MessageColumns]
    tools: str
    blocks: str
    masked: list[MaskColumns]
    near_duplicate_of: str | None


def columns(row: Row) -> Columns:
    """A row as columns."""
    return {
        "id": row.id,
        "session": row.session,
        "parent": row.parent or None,
        "day": row.day,
        "plan": row.plan,
        "channel": row.channel,
        "model": row.model,
        "language": row.language,
        "clause": row.clause,
        "document": row.document,
        "consent": row.consent,
        "messages": [_message(one) for one in row.messages],
        "tools": row.tools,
        "blocks": row.blocks,
        "masked": [{"rule": one.rule, "count": one.count} for one in row.masked],
        "near_duplicate_of": row.near_duplicate_of or None,
    }


def _message(message: RowMessage) -> MessageColumns:
    return {
        "role": message.role,
        "content": message.content,
        "thinking": message.thinking or None,
        "tool_calls": [_call(one) for one in message.tool_calls] or None,
        "tool_call_id": message.tool_call_id or None,
        "name": message.name or None,
    }


def _call(call: ToolCall) -> CallColumns:
    function: FunctionColumns = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
