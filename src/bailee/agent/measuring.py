"""What is measured of a session: how many, how long, how it ended. Watches events and changes none.

* Built of declared names and numbers alone; what a person or a model chose (a tool of their own, a
  model's name that is none of the known) is "other".
* What can't be measured is not, and nothing of the work depends on it.
* The time that a person takes to answer a question is no part of how long a turn took.

Rows: S1, S2.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

from bailee.agent import events
from bailee.agent.ports import Answer, AnswerPiece
from bailee.client.background import Background
from bailee.errors import BaileeError, UpstreamError

if TYPE_CHECKING:
    from bailee.client.declared import Scalar

_OUTCOMES: Final[Mapping[events.Ending, str]] = {
    "done": "ok",
    "interrupted": "cancelled",
    "turn_limit": "error",
    "cut_off": "error",
    "declined": "refused",
    "stuck": "error",
}
_TOKENS: Final = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache_read",
    "cache_creation_input_tokens": "cache_creation",
}
_ERRORS: Final = {
    "authentication": "authentication_error",
    "forbidden": "permission_error",
    "not_found": "not_found_error",
    "request_too_large": "request_too_large",
    "upstream_timeout": "timeout_error",
    "upstream_unreachable": "connection_error",
    "upstream_closed": "connection_error",
    "upstream_protocol": "api_error",
}


class Measuring:
    """Measures one session. `provider` is the registry's name of whose service the model is on."""

    def __init__(
        self,
        background: Background,
        *,
        provider: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._background = background
        self._telemetry = background.telemetry
        self._served_by = provider
        self._now = now
        self._asked = ""
        self._began: str | None = None

    def began(self, start_type: str) -> None:
        """A session began: "fresh", "resume" or "continue". It is measured with what comes next:
        the first request does not wait for the registry.
        """
        self._began = start_type

    def settle(self) -> None:
        """Measures that the session began, if that was not done: it may have had no turn."""
        start, self._began = self._began, None
        if start is not None:
            self._measure("bailee.session.count", start_type=start, provider=self._provider)

    @cached_property
    def _provider(self) -> str:
        return self._telemetry.known("provider", self._served_by)

    @property
    def _model(self) -> str:
        return self._telemetry.known("model", self._asked)

    def command(self, name: str, outcome: str) -> None:
        """A command of the terminal was used."""
        word = self._telemetry.known("command", name.removeprefix("/"))
        self._measure("bailee.command.count", command=word, outcome=outcome)

    async def over(
        self, happening: AsyncIterator[events.Event], model: str
    ) -> AsyncIterator[events.Event]:
        """The events of a turn, as they come."""
        self._asked = model
        began = since = self._now()
        asked = 0.0  # seconds that a person took to permit
        try:
            async for event in happening:
                now = self._now()
                match event:
                    case AnswerPiece():
                        pass
                    case events.ToolStarted() | events.CallRefused():
                        asked += now - since
                        self._decision(event)
                    case events.ToolEnded(call, _, outcome):
                        self._tool(call.name, "error" if outcome.is_error else "ok")
                    case events.ToolFailed(error):
                        self._background.failed(error)
                    case events.Answered(answer):
                        self._answered(answer, now - since)
                    case events.TurnEnded(ending):
                        self._turn(_OUTCOMES[ending], now - began - asked)
                    case _:
                        pass
                yield event
                if not isinstance(event, AnswerPiece):
                    since = self._now()
        except BaileeError as error:
            self._failed(error, self._now() - since)
            self._turn("error", self._now() - began - asked)
            raise

    def _measure(self, name: str, value: float = 1, **fields: Scalar) -> None:
        # A declaration that has expired, or a version of the registry without it, measures nothing.
        self.settle()
        with suppress(BaileeError):
            self._telemetry.measure(name, value, **fields)

    def _decision(self, event: events.ToolStarted | events.CallRefused) -> None:
        refused = isinstance(event, events.CallRefused)
        self._measure(
            "bailee.tool.decision",
            tool_name=self._telemetry.known("tool_name", event.call.name),
            decision="reject" if refused else "accept",
            source=event.decided,
        )
        if refused:
            self._tool(event.call.name, "refused")

    def _tool(self, name: str, outcome: str) -> None:
        tool = self._telemetry.known("tool_name", name)
        self._measure("bailee.tool.count", tool_name=tool, outcome=outcome)

    def _answered(self, answer: Answer, seconds: float) -> None:
        for name, kind in _TOKENS.items():
            if count := answer.usage.get(name):
                self._measure(
                    "bailee.token.usage",
                    count,
                    type=kind,
                    model=self._model,
                    provider=self._provider,
                )
        self._measure(
            "bailee.request.duration",
            _milliseconds(seconds),
            outcome="ok",
            model=self._model,
            provider=self._provider,
        )

    def _failed(self, error: BaileeError, seconds: float) -> None:
        if isinstance(error, UpstreamError) or error.code in _ERRORS:
            self._measure(
                "bailee.request.duration",
                _milliseconds(seconds),
                outcome="error",
                model=self._model,
                provider=self._provider,
                error_type=_ERRORS.get(error.code, "other"),
            )
        if isinstance(error, UpstreamError):
            self._background.failed(error)

    def _turn(self, outcome: str, seconds: float) -> None:
        self._measure("bailee.turn.duration", _milliseconds(seconds), outcome=outcome)


def _milliseconds(seconds: float) -> int:
    return round(max(0.0, seconds) * 1000)
