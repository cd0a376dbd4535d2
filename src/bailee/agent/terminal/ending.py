"""Tells a person at each start that their key ends within a week, and where another is made.

* The console is asked with the key itself. It renews none.

Rows: O1.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from bailee.agent.terminal.beside import ConsoleQuestion
from bailee.agent.terminal.screen import Screen
from bailee.client.machine import ClientMachine
from bailee.json_values import members, text

_PATH: Final = "/api/v1/key"
_PATIENCE: Final = 0.5  # seconds; the question about training has waited before
_BEFORE: Final = timedelta(days=7)


class KeyEndNotice:
    """The notice of one start. `begin` asks the console, `tell` says when the key ends if that is
    soon, at most once; on the event loop's thread. It stores nothing.
    """

    def __init__(self, machine: ClientMachine) -> None:
        self._machine: Final = machine
        self._question = ConsoleQuestion(machine, _PATH)

    def begin(self) -> None:
        """Asks the console, beside whatever else is done."""
        self._question.begin()

    async def tell(self, screen: Screen) -> None:
        """Says it where it is so; the first time, waits a moment to know."""
        answer, console = await self._question.taken(_PATIENCE), self._question.console
        end = soon(answer, self._machine.clock())
        if end is not None and console is not None:
            when = f"{end.astimezone():%Y-%m-%d %H:%M}"
            screen.say(screen.words("notice.key", when=when, address=console.address), "yellow")


def soon(answer: object, now: datetime) -> datetime | None:
    """When the key ends that the console names, if that is within a week. Nothing for what is not
    understood. Pure.
    """
    try:
        end = datetime.fromisoformat(text(members(answer).get("expires"))).astimezone(UTC)
        return end if end - now <= _BEFORE else None
    except (ValueError, OverflowError):  # it has no end, or a console of another version
        return None
