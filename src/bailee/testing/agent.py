"""A scripted model and a scripted person, for tests of anything that uses `bailee.agent`.

    model = ScriptedModel([calls("Read", path="a.py"), says("Done.")])
    agent = Agent(model, tools, asker=Person(yes=False))

Within one process, and as deterministic as the script. For tests over the wire there is
`bailee.testing.upstream`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

from bailee.agent.ports import Answer, AnswerPiece, Block, Consent, Intent, ModelRequest
from bailee.json_values import Json

_ids = itertools.count(1)


def says(text: str, *, stop_reason: str = "end_turn", tokens: int = 20) -> Answer:
    """An answer of words."""
    usage = {"input_tokens": tokens - 5, "output_tokens": 5}
    return Answer([{"type": "text", "text": text}], stop_reason, "scripted", usage)


def calls(tool: str, **arguments: Json) -> Answer:
    """An answer that calls a tool."""
    return all_of(call(tool, **arguments))


def call(tool: str, **arguments: Json) -> Block:
    """A `tool_use` block."""
    return {"type": "tool_use", "id": f"toolu_{next(_ids):06}", "name": tool, "input": arguments}


def all_of(*blocks: Block, stop_reason: str = "tool_use") -> Answer:
    """An answer of several blocks."""
    usage = {"input_tokens": 15, "output_tokens": 5}
    return Answer(list(blocks), stop_reason, "scripted", usage)


class Hangs:
    """A turn of the script that says something and then nothing more, until it is stopped."""

    def __init__(self, text: str = "") -> None:
        self.text = text


class ScriptedModel:
    """A `ports.Model`. Each request takes the next turn: an `Answer`, an exception, or `Hangs`.

    When the script is used up it says "Done." `requests` are all it was asked, in order.
    """

    name = "scripted"

    def __init__(self, script: Iterable[Answer | Exception | Hangs] = ()) -> None:
        self._script = list(script)
        self.requests: list[ModelRequest] = []
        self.hanging = asyncio.Event()

    async def stream(self, request: ModelRequest) -> AsyncIterator[AnswerPiece | Answer]:
        """See `ports.Model.stream`."""
        self.requests.append(request)
        turn = self._script.pop(0) if self._script else says("Done.")
        if isinstance(turn, Exception):
            yield AnswerPiece("text", "Well")
            raise turn
        if isinstance(turn, Hangs):
            if turn.text:
                yield AnswerPiece("text", turn.text)
            self.hanging.set()
            await asyncio.Event().wait()
            raise AssertionError
        for block in turn.content:
            if block["type"] == "text":
                for word in str(block["text"]).splitlines(keepends=True):
                    yield AnswerPiece("text", word)
        yield turn


class ScriptedPerson:
    """A `ports.Asker` that says the same to everything; `asked` is what it was asked."""

    def __init__(
        self, *, yes: bool = True, reason: str = "", remember: tuple[str, ...] = ()
    ) -> None:
        self._consent = Consent(yes, reason, remember)
        self.asked: list[Intent] = []

    async def ask(self, intent: Intent) -> Consent:
        """See `ports.Asker.ask`."""
        self.asked.append(intent)
        return self._consent
