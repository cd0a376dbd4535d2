"""The rows of a session: one for each of its conversations. Pure.

Rules kept here:

* A conversation is a thread: exchanges that continue one another. A client that compacts its
  history begins another, so a session may have several; each is a row as the model saw it.
* A subagent's conversation is a row of its own, with the row that it belongs to. Small calls on the
  side (a title, a summary) are no rows.
* Every row is well formed, whatever came: each result answers a call before it, and each call that
  the conversation goes on from has a result. What answers nothing is a person's text; a result that
  is missing is `NO_RESULT`. Calls at the end of a conversation stay without.
* Turns of one side in a row are one message, as the API takes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from bailee.json_values import Json, JsonObject, elements, members, text, well_formed
from bailee.training import languages
from bailee.training.dataset import ExportedSession, Row, RowMessage, ToolCall
from bailee.training.pieces import (
    CallPiece,
    Piece,
    ResultPiece,
    TextPiece,
    ThoughtPiece,
    as_json,
    looked_into,
    pieces_of,
)
from bailee.vault.transcript import Thread

NO_RESULT: Final = "[no result]"
_ORPHAN: Final = "[a result of no call that is here]\n"


def conversation(session: ExportedSession) -> list[Row]:
    """The rows of a session, in the order in which its conversations began; none where it has no
    message that could be read.
    """
    made: list[Row] = []
    parent = ""
    for number, thread in enumerate(session.transcript.threads, 1):
        identifier = f"{session.commitment}-{number}"
        agent = thread.first.agent is not None
        row = _row(session, identifier, parent if agent else "", thread)
        if row is None:
            continue
        made.append(row)
        if not agent:
            parent = identifier
    return made


def _row(session: ExportedSession, identifier: str, parent: str, thread: Thread) -> Row | None:
    fields = members(thread.last.fields)
    said = elements(looked_into(thread.messages()))
    instructions = looked_into(fields.get("system"))
    messages = as_messages(instructions, said)
    if not messages or messages[-1].role == "system":
        return None
    declared = looked_into(fields.get("tools"))
    if declared is None:
        declared = looked_into(members(fields.get("toolConfig")).get("tools"))
    blocks: JsonObject = {"system": instructions, "messages": said, "tools": declared}
    return Row(
        id=identifier,
        session=session.commitment,
        parent=parent,
        day=datetime.fromtimestamp(thread.first.started, UTC).date().isoformat(),
        plan=session.plan,
        channel=session.channel,
        model=_model(thread),
        language=languages.of(one.content for one in messages if one.role == "user"),
        clause=session.clause,
        document=session.document,
        consent=session.consent,
        messages=messages,
        tools=declared_tools(declared),
        blocks=as_json({name: value for name, value in blocks.items() if value is not None}),
    )


def _model(thread: Thread) -> str:
    """Which model answered; of Bedrock and Vertex the path says it."""
    named = text(members(thread.last.answer).get("model"))
    named = named or text(members(thread.last.fields).get("model"))
    if not named:
        path = thread.last.target.partition("?")[0].split("/")
        after = [place + 1 for place, part in enumerate(path) if part in ("model", "models")]
        named = path[after[-1]].partition(":")[0] if after and after[-1] < len(path) else ""
    return well_formed(named)


def declared_tools(declared: Json) -> str:
    """Tools as JSON text, as functions with a schema."""
    return as_json([_tool(members(one)) for one in elements(declared)])


def _tool(declared: JsonObject) -> Json:
    """A tool's declaration as that of a function; of a server's tool there is only a name."""
    tool = members(declared.get("toolSpec")) or declared
    schema = tool.get("input_schema") or members(tool.get("inputSchema")).get("json")
    return {
        "type": "function",
        "function": {
            "name": text(tool.get("name")) or text(tool.get("type")) or "tool",
            "description": text(tool.get("description")),
            "parameters": members(schema) or {"type": "object", "properties": {}},
        },
    }


def as_messages(instructions: Json, said: Iterable[Json]) -> tuple[RowMessage, ...]:
    """Messages of the Messages API or of Converse, looked into, as messages that trainers take."""
    making = _Making()
    system = _texts(pieces_of(instructions))
    if system:
        making.made.append(RowMessage("system", system))
    for message in said:
        role = text(members(message).get("role"))
        if role == "assistant":
            making.answer(pieces_of(message))
        else:
            making.ask(pieces_of(message), "system" if role == "system" else "user")
    return making.end()


def _texts(pieces: Iterable[Piece]) -> str:
    return "\n\n".join(one for one in (_plain(piece) for piece in pieces) if one)


def _plain(piece: Piece) -> str:
    match piece:
        case CallPiece():
            return f"{piece.name} {piece.arguments}"
        case ResultPiece():
            return _ORPHAN + piece.text
        case _:
            return piece.text


@dataclass(slots=True)
class _Making:
    """Messages as far as they are made; `calls`: those of the last answer that wait for a result.
    `text`, `thinking`, `asked`: of the answer that is being put together.
    """

    made: list[RowMessage] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    asked: list[ToolCall] = field(default_factory=list)
    beside: bool = True

    def answer(self, pieces: Iterable[Piece]) -> None:
        """The model's message, which may go on with the one before."""
        self._settle()
        for piece in pieces:
            match piece:
                case ResultPiece() if self._awaited(piece):
                    self._result(piece)
                case TextPiece() | ResultPiece():
                    if self.text and not self.beside:
                        self.text.append("\n\n")
                    self.text.append(_plain(piece))
                    self.beside = True
                case ThoughtPiece():
                    self.thinking.append(piece.text)
                    self.beside = False
                case CallPiece():
                    self.asked.append(ToolCall(piece.id, piece.name, piece.arguments))
                    self.beside = False

    def ask(self, pieces: Iterable[Piece], role: str) -> None:
        """A person's message, or what stands for one: results first, then what is said."""
        left: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, ResultPiece) and self._awaited(piece):
                self._result(piece)
            else:
                left.append(piece)
        said = _texts(left)
        if not said:
            return
        self._close()
        self._settle()
        last = self.made[-1] if self.made else None
        if last is not None and last.role == role == "user":
            self.made[-1] = RowMessage(role, f"{last.content}\n\n{said}")
        else:
            self.made.append(RowMessage(role, said))

    def end(self) -> tuple[RowMessage, ...]:
        """All of it."""
        self._close()
        if self.made and self.made[-1].role == "tool":
            self._settle()
        return tuple(self.made)

    def _awaited(self, result: ResultPiece) -> bool:
        return any(one.id == result.id for one in (*self.calls, *self.asked))

    def _result(self, result: ResultPiece) -> None:
        """A result of a call that waits."""
        self._close()
        place = next(place for place, one in enumerate(self.calls) if one.id == result.id)
        call = self.calls.pop(place)
        self.made.append(RowMessage("tool", result.text, tool_call_id=call.id, name=call.name))

    def _settle(self) -> None:
        """Give every call that still waits a result: the conversation goes on without."""
        for call in self.calls:
            self.made.append(RowMessage("tool", NO_RESULT, tool_call_id=call.id, name=call.name))
        self.calls.clear()

    def _close(self) -> None:
        """End the answer that is being put together, if there is one."""
        if self.text or self.thinking or self.asked:
            self.made.append(
                RowMessage(
                    "assistant",
                    "".join(self.text),
                    "\n\n".join(self.thinking),
                    tuple(self.asked),
                )
            )
            self.calls = [*self.calls, *self.asked]
        self.text, self.thinking, self.asked, self.beside = [], [], [], True
