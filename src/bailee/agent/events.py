"""What happens during a turn, in the order in which it happens. Pure.

Whoever shows a turn (a terminal, a line of JSON, a test) reads these and nothing else.
"""

from __future__ import annotations

from typing import Literal

from bailee.agent.ports import Answer, AnswerPiece, Block, Call, Intent, ToolOutcome
from bailee.records import dataclass

Ending = Literal["done", "interrupted", "turn_limit", "cut_off", "declined", "stuck"]
"""Why a turn ended: the model was done; the person stopped it; it took as many model calls as it
may; its answer was cut off at the token limit; the model declined to answer; it went in circles."""

Decided = Literal["config", "user_temporary", "user_permanent", "user_reject"]
"""Who decided about a call: rules and settings (nobody being there too); a person for this once; a
person from now on; a person, with a no."""


@dataclass(frozen=True, slots=True)
class Prompted:
    """A prompt was added to the conversation."""

    content: list[Block]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer is whole and kept."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Retrying:
    """A request failed and is made again in so many seconds; what was shown of an answer does not
    count. `attempt` of `tries` requests was made.
    """

    attempt: int
    tries: int
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A call is permitted and begins."""

    call: Call
    intent: Intent
    decided: Decided = "config"


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A call has its result. `intent` is None when the call could not be understood; `malformed`:
    nothing could have been meant by it.
    """

    call: Call
    intent: Intent | None
    outcome: ToolOutcome
    malformed: bool = False


@dataclass(frozen=True, slots=True)
class ToolFailed:
    """A tool failed as nobody foresaw: a fault of the program's. Its call has a result."""

    error: Exception


@dataclass(frozen=True, slots=True)
class CallRefused:
    """A call was not permitted."""

    call: Call
    intent: Intent
    reason: str
    decided: Decided = "config"


@dataclass(frozen=True, slots=True)
class Compacting:
    """The conversation is about to be replaced by a summary; it held this many tokens."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """The conversation is now this summary."""

    summary: str


@dataclass(frozen=True, slots=True)
class TranscriptNotKept:
    """Records of this session can't be kept on this machine; it can't be resumed whole."""

    why: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the person should know; the work goes on."""

    why: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over. `text` is the last answer's text."""

    ending: Ending
    text: str
    calls: int


Event = (
    Prompted
    | AnswerPiece
    | Answered
    | Retrying
    | ToolStarted
    | ToolEnded
    | ToolFailed
    | CallRefused
    | Compacting
    | Compacted
    | TranscriptNotKept
    | Warned
    | TurnEnded
)
