"""What the agent needs of the world: a model, tools, someone to ask, a place to keep transcripts.

Four protocols and the values that cross them. `bailee.agent.turns.Agent` knows nothing else, so
that each can be replaced: by a script in a test, by a sandbox, by a person at a terminal.

Messages, content blocks and tool definitions are JSON objects in the form of the Messages API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import field
from typing import Literal, Protocol, TypedDict

from bailee.json_values import JsonObject
from bailee.records import dataclass

Block = JsonObject
Record = JsonObject
Definition = Mapping[str, object]


class Message(TypedDict):
    """What one side said, in order: a JSON object."""

    role: str
    content: list[Block]


# -- the model ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What is asked of the model: the conversation so far, and what it may call.

    `may_call` False asks for words only; the tools stay listed, since the messages speak of them.
    """

    system: str
    messages: Sequence[Message]
    tools: Sequence[Definition]
    may_call: bool = True


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """Some of an answer as it comes, for showing."""

    kind: Literal["text", "thinking"]
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `usage` counts tokens under the API's names."""

    content: list[Block]
    stop_reason: str
    model: str
    usage: dict[str, int] = field(default_factory=dict)


class Model(Protocol):
    """Something that answers conversations."""

    @property
    def name(self) -> str:
        """The model's name, as the API knows it."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[AnswerPiece | Answer]:
        """Pieces as they come; the `Answer` last, exactly once.

        Raises:
            faults.ModelFault: no answer, or half of one; the agent goes by `faults.RULES`.
            BaileeError: there can be no request at all; ends the turn.
        """
        ...


# -- tools ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool, as the model made it. `made`: its id as the model gave it, where that had
    to be changed; `wrong`: why nothing can be meant by it.
    """

    id: str
    name: str
    arguments: JsonObject
    made: str = ""
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """What a call would do, before it does it: what rules are matched with and a person is shown.

    `subject` is the command, path or address that a rule's pattern is matched with; `names` are
    others of the same file, and `spelled` is the path as it was asked for, which can deny and not
    allow. `title` is a line; `preview` is what a person must see whole before saying yes: the
    command, the diff. `harmless` needs no permission; `guarded` needs a person's word even where a
    rule allows.
    """

    tool: str
    subject: str
    title: str
    preview: str = ""
    preview_kind: Literal["text", "command", "diff"] = "text"
    harmless: bool = False
    guarded: str | None = None
    names: tuple[str, ...] = ()
    spelled: str = ""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What a call came to. `content` goes to the model, `shown` to the person."""

    content: str | list[Block]
    is_error: bool = False
    shown: str = ""
    shown_kind: Literal["text", "command", "diff"] = "text"


class Tools(Protocol):
    """The tools of one workspace."""

    def definitions(self) -> Sequence[Definition]:
        """Each tool's name, description and input schema, as the API takes them."""
        ...

    def intent(self, call: Call) -> Intent:
        """What the call would do. Changes nothing.

        Raises:
            InputError: there is no such tool, or its arguments can't be meant.
        """
        ...

    async def run(self, call: Call) -> ToolOutcome:
        """Does it. When cancelled, stops what it started before the cancellation goes on.

        Raises:
            BaileeError: it can't be done; the message goes to the model.
        """
        ...


# -- permission -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person said to an `Intent`: yes or no, why not, and rules to remember from now on.
    `attended` False: nobody was there to say it.
    """

    allowed: bool
    reason: str = ""
    remember: tuple[str, ...] = ()
    attended: bool = True


class Asker(Protocol):
    """Someone who may permit what the rules leave open."""

    async def ask(self, intent: Intent) -> Consent:
        """Their word. Cancelled when the person interrupts."""
        ...


class Nobody:
    """Unattended: what needs permission is refused."""

    async def ask(self, intent: Intent) -> Consent:
        """No, and how it could be allowed."""
        what = f"{intent.tool}({intent.subject})" if intent.subject else intent.tool
        return Consent(
            False,
            f"nobody is there to permit {what}. Find another way or say what is missing; "
            "whoever started this can allow it with --allowed-tools.",
            attended=False,
        )


# -- transcripts ----------------------------------------------------------------------------------


class ResumableSession(Protocol):
    """A session that is kept on this machine. Moments are ISO 8601, UTC."""

    @property
    def session(self) -> str:
        """Its id."""
        ...

    @property
    def folder(self) -> str:
        """The workspace it belongs to."""
        ...

    @property
    def title(self) -> str:
        """How it begins."""
        ...

    @property
    def last_activity(self) -> str:
        """When its last record was made."""
        ...

    @property
    def forgotten_at(self) -> str | None:
        """Until when it is kept; None: until someone deletes it."""
        ...


class Transcripts(Protocol):
    """Where a session's records are kept on this machine, if they are."""

    def append(self, session: str, record: Record) -> None:
        """Keeps one record; when this returns, a crash does not lose it.

        Raises:
            StorageError: it can't be kept.
        """
        ...

    def load(self, session: str) -> list[Record]:
        """The records of a session, in their order. Empty when there is no such session."""
        ...

    def list(self) -> Sequence[ResumableSession]:
        """The sessions that can be resumed, latest first."""
        ...

    def delete(self, session: str) -> bool:
        """Forgets a session now; whether there was one."""
        ...
