"""One prompt, no person: `bailee code -p`. What happens goes to standard output, in a form:

    text         the last answer's text, when the turn is over
    json         one object when the turn is over
    stream-json  an object for each thing as it happens: first `system`, then `assistant` and
                 `user` messages, last `result` (which is what `json` prints)

The objects have the names that programs around coding agents already read. Exit statuses are those
of `bailee.errors`, and here: 0 the model was done; 7 it was not, because a limit was reached (model
calls, tokens of an answer), it declined or went in circles; 130 interrupted.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Literal

import orjson

from bailee.agent import events
from bailee.agent.conversation import result
from bailee.agent.session import AgentSession
from bailee.errors import BaileeError
from bailee.json_values import well_formed
from bailee.words import words

Form = Literal["text", "json", "stream-json"]
FORMS: Final = ("text", "json", "stream-json")
EXIT: Final[dict[events.Ending, int]] = {
    "done": 0,
    "interrupted": 130,
    "turn_limit": 7,
    "cut_off": 7,
    "declined": 7,
    "stuck": 7,
}
_SUBTYPES: Final[dict[events.Ending, str]] = {
    "done": "success",
    "interrupted": "error_interrupted",
    "turn_limit": "error_max_turns",
    "cut_off": "error_max_tokens",
    "declined": "error_declined",
    "stuck": "error_no_progress",
}


async def run(
    session: AgentSession,
    prompt: str,
    form: Form,
    *,
    out: Callable[[str], None],
    complain: Callable[[str], None],
) -> int:
    """Takes one prompt to its end; the exit status.

    Raises:
        BaileeError: the model failed, in the form `text`; the other forms report it and return.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, session.agent.interrupt)
    report = _Report(session, form, out)
    report.begin()
    try:
        async for event in session.turn(prompt):
            report.take(event)
            if isinstance(event, events.CallRefused):
                complain(f"refused: {event.intent.title}: {event.reason}")
            elif isinstance(event, events.Retrying):
                again = f"Again in {event.seconds:.1f} s (try {event.attempt + 1} of {event.tries})"
                complain(f"warning: {event.why} {again}; Ctrl-C ends it")
            elif isinstance(event, events.TranscriptNotKept | events.Warned):
                complain(f"warning: {event.why}")
            elif isinstance(event, events.TurnEnded) and event.ending != "done":
                complain(f"warning: {words('en', 'terminal')(f'ending.{event.ending}')}")
    except BaileeError as error:
        if form == "text":
            raise
        report.failed(error)
        return error.exit_status
    return EXIT[report.ending]


class _Report:
    def __init__(self, session: AgentSession, form: Form, out: Callable[[str], None]) -> None:
        self._session = session
        self._form = form
        self._out = out
        self._refused: list[dict[str, object]] = []
        self._calls = 0
        self.ending: events.Ending = "done"

    def begin(self) -> None:
        """Says what session this is."""
        agent = self._session.agent
        self._line(
            {
                "type": "system",
                "subtype": "init",
                "session_id": self._session.id,
                "cwd": str(self._session.workspace.root),
                "model": agent.model.name,
                "tools": [tool["name"] for tool in agent.tools.definitions()],
                "sandbox": self._session.sandbox.label(words("en", "terminal")),
                "resumed": self._session.resumed,
            }
        )

    def take(self, event: events.Event) -> None:
        """Shows one event."""
        match event:
            case events.Answered(answer):
                self._calls += 1
                message = {
                    "role": "assistant",
                    "model": answer.model,
                    "content": answer.content,
                    "stop_reason": answer.stop_reason,
                    "usage": answer.usage,
                }
                self._message("assistant", message)
            case events.ToolEnded(call, _, outcome):
                block = result(call.id, outcome.content, is_error=outcome.is_error)
                self._message("user", {"role": "user", "content": [block]})
            case events.CallRefused(call, _, reason, _):
                self._refused.append(
                    {"tool_name": call.name, "tool_use_id": call.id, "tool_input": call.arguments}
                )
                block = result(call.id, f"Refused: {reason}", is_error=True)
                self._message("user", {"role": "user", "content": [block]})
            case events.Compacted(summary):
                self._line({"type": "system", "subtype": "compacted", "summary": summary})
            case events.TurnEnded(ending, text, _):
                self.ending = ending
                self._end(_SUBTYPES[ending], text, is_error=EXIT[ending] != 0)
            case _:
                pass

    def failed(self, error: BaileeError) -> None:
        """The turn ended with an error."""
        self._end(f"error_{error.code}", error.message, is_error=True)

    def _end(self, subtype: str, text: str, *, is_error: bool) -> None:
        if self._form == "text":
            self._out(text)
            return
        whole = {
            "type": "result",
            "subtype": subtype,
            "is_error": is_error,
            "result": text,
            "session_id": self._session.id,
            "num_turns": self._calls,
            "usage": self._session.agent.conversation.spent,
            "permission_denials": self._refused,
        }
        self._write(whole)

    def _message(self, kind: str, message: Mapping[str, object]) -> None:
        self._line({"type": kind, "message": message, "session_id": self._session.id})

    def _line(self, value: Mapping[str, object]) -> None:
        if self._form == "stream-json":
            self._write(value)

    def _write(self, value: Mapping[str, object]) -> None:
        self._out(orjson.dumps(well_formed(value)).decode())
