"""Telling a person which of their terms changed with another policy document, until they saw it.

* What changed, and for whom, is the service's word, in the person's language.
* The console is asked while the rest of a start goes on. One that is slow keeps nobody from their
  first prompt: it is told before a later one.
* It has been seen once it stands on the terminal of who sits at it; that is then said to the
  console. What could not be said, is told again at the next start.

Rows: P5.
"""

from __future__ import annotations

import asyncio
from typing import Final

from bailee.agent.terminal.beside import ConsoleQuestion
from bailee.agent.terminal.screen import Screen
from bailee.client.machine import ClientMachine
from bailee.json_values import Json, elements, members, text
from bailee.words import Words

_PATH: Final = "/api/v1/policy/notices"
_PATIENCE: Final = 0.5  # seconds; the question about training has waited before
_MOST: Final = 50  # changes that are shown; the privacy page has all


class TermsNotice:
    """What is told at one start. `begin` asks the console, `tell` tells it, once it has said so."""

    def __init__(self, machine: ClientMachine, words: Words) -> None:
        self._language = words.language
        self._question = ConsoleQuestion(machine, f"{_PATH}?language={self._language}")

    def begin(self) -> None:
        """Asks the console, beside whatever else is done."""
        self._question.begin()

    async def tell(self, screen: Screen) -> None:
        """Tells what changed, if the console has said that something did.

        Raises:
            UpstreamError: that it was seen could not be said to the console.
        """
        state = await self._question.taken(_PATIENCE)
        for one in elements(state) if isinstance(state, list) else ():
            number = members(one).get("number")
            if isinstance(number, int):
                self._show(screen, members(one))
                await asyncio.to_thread(self._saw, number)

    def _show(self, screen: Screen, one: dict[str, Json]) -> None:
        words = screen.words
        screen.say(words("terms.changed"), "bold yellow")
        day, before, after = (text(one.get(name)) for name in ("at", "before", "after"))
        screen.say(words("terms.since", day=day[:10], before=before, after=after))
        for change in elements(one.get("changes"))[:_MOST]:
            told = members(change)
            screen.say(text(told.get("text")), indent=2)
            screen.say(text(told.get("clause")), "dim", indent=2)
        screen.say(words("terms.follows"))

    def _saw(self, number: int) -> None:
        console = self._question.console
        assert console is not None
        console.put(f"{_PATH}/{number}", {}, language=self._language)
