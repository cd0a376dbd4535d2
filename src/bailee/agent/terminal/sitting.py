"""One run of `bailee code`: the session that is open, and what a person may do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from bailee.agent import events, recorded
from bailee.agent.assembly import assembled
from bailee.agent.console_api import console_api
from bailee.agent.endpoint import endpoint
from bailee.agent.messages_api import MessagesApi
from bailee.agent.session import AgentSession, Options
from bailee.agent.terminal.asking import PersonAtScreen
from bailee.agent.terminal.rating import Rating
from bailee.agent.terminal.screen import Screen
from bailee.client.background import Background
from bailee.client.machine import ClientMachine
from bailee.client.servers import McpServer


class Sitting:
    """Owns the open session, the survey's question, and what leaves by itself; commands change it,
    and the program's loop goes on with it, both on the event loop's thread. It draws nothing.
    `chance`: a number from 0 to 1, drawn once; a low one may bring the survey's question.
    """

    def __init__(
        self, options: Options, machine: ClientMachine, screen: Screen, *, chance: float = 1.0
    ) -> None:
        self.options = options
        self.machine = machine
        self.screen = screen
        self.transcripts = machine.transcripts()
        self.background = Background(machine, "bailee-code", screen.words.language)
        self.rating = Rating(machine, screen.words, chance, self.background.send)
        self.known = recorded.UNKNOWN
        self.permitted: Sequence[McpServer] = ()
        self.done = False
        self.forgotten = False
        self.session: AgentSession
        self._asking: set[asyncio.Task[None]] = set()

    async def open(self, options: Options) -> None:
        """Begins a session, or goes on with one. Raises `InputError`: see `session.start`."""
        made = assembled(
            options,
            self.machine,
            asker=PersonAtScreen(self.screen, self.interrupt),
            transcripts=self.transcripts,
            background=self.background,
            permitted=self.permitted,
        )
        if hasattr(self, "session"):
            made.agent.rules = self.session.agent.rules
            await self.session.close()
        self.session = made
        if made.servers is not None:
            made.servers.start()
        self.rating.begin()
        self.known = recorded.UNKNOWN

    async def close(self) -> None:
        """Closes the session, if one is open."""
        for task in self._asking:
            task.cancel()
        if hasattr(self, "session"):
            await self.session.close()

    def stop(self) -> None:
        """What is not sent by now waits for another run. May be called before `open`."""
        self.rating.close()
        self.background.stop()

    @property
    def keeps(self) -> bool:
        """Whether sessions are kept on this machine."""
        return self.machine.keep_days > 0

    def now(self) -> datetime:
        """The present moment."""
        return self.machine.clock()

    def interrupt(self) -> None:
        """Stops the turn."""
        self.session.agent.interrupt()

    async def watch(self, happening: AsyncIterator[events.Event]) -> None:
        """Shows a turn, then asks beside the work what the service keeps of it."""
        await self.screen.watch(happening, self.interrupt)
        task = asyncio.ensure_future(self._ask_quietly())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def ask_recorded(self) -> recorded.Recorded:
        """What the service keeps of this session, asked now."""
        console = console_api(self.session.base_url, self.session.environment)
        self.known = await asyncio.to_thread(recorded.ask, console, self.session.id)
        return self.known

    async def _ask_quietly(self) -> None:
        with suppress(Exception):
            await self.ask_recorded()

    def use_model(self, name: str) -> None:
        """Another model for the turns to come."""
        session = self.session
        session.agent.model = MessagesApi(
            endpoint(session.environment),
            session=session.id,
            model=name,
            max_tokens=self.options.max_tokens,
            network=session.network,
        )
        self.options = replace(self.options, model=name)

    def use(self, machine: ClientMachine) -> None:
        """The settings are others now."""
        self.machine = machine
        self.background.use(machine)
        self.rating.use(machine)

    def forget(self) -> None:
        """Deletes what this machine keeps of the session."""
        self.transcripts.delete(self.session.id)
        self.forgotten = True

    def show_last(self) -> None:
        """The last answer of a session that was resumed."""
        if text := self.session.agent.conversation.last_text:
            self.screen.markdown(text)
