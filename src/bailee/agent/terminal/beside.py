"""What the console answers, asked while the rest of a start goes on."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from bailee.agent.assembly import variables
from bailee.agent.console_api import ConsoleApi, console_api
from bailee.agent.endpoint import endpoint
from bailee.client.machine import ClientMachine
from bailee.errors import BaileeError

_ANSWERS: Final = 60.0  # seconds until it is given up: nobody waits for it meanwhile


class BesideAnswer:
    """One question to the console, on a thread of its own; the terminal waits for it, a moment. It
    owns the thread, which dies with the program. No answer is as good as none.
    """

    def __init__(self, console: ConsoleApi, path: str) -> None:
        self._state: Future[object] | None = Future()
        self._waited = False
        # A daemon, not the loop's executor: the end of the program does not wait for it.
        threading.Thread(target=_ask, args=(console, path, self._state), daemon=True).start()

    async def taken(self, patience: float) -> object:
        """The answer, once; None: it is not there yet, was taken, or there will be none. The first
        time it is waited for, so many seconds at most.
        """
        if self._state is None:
            return None
        if not self._waited:
            self._waited = True
            await asyncio.wait([asyncio.wrap_future(self._state)], timeout=patience)
        if not self._state.done():
            return None
        state, self._state = self._state.result(), None
        return state


class ConsoleQuestion:
    """What one start asks the console of who sits here, where it and they can be known: `console`,
    once it was begun. Called on the event loop's thread. It tells nothing.
    """

    def __init__(self, machine: ClientMachine, path: str) -> None:
        self._machine = machine
        self._path = path
        self._answer: BesideAnswer | None = None
        self.console: ConsoleApi | None = None

    def begin(self) -> None:
        """Asks, beside whatever else is done."""
        self.console = _console_of_person(self._machine)
        if self.console is not None:
            self._answer = BesideAnswer(self.console, self._path)

    async def taken(self, patience: float) -> object:
        """As `BesideAnswer.taken`; None where nobody was asked."""
        return None if self._answer is None else await self._answer.taken(patience)


def _console_of_person(machine: ClientMachine) -> ConsoleApi | None:
    """The console of who sits here, where it and they can be known."""
    held = variables(machine)
    with suppress(BaileeError):  # without a key there is nobody to ask
        return console_api(endpoint(held).base_url, held)
    return None


def _ask(console: ConsoleApi, path: str, answer: Future[object]) -> None:
    try:
        answer.set_result(console.get(path, _ANSWERS))
    except Exception:
        answer.set_result(None)
