"""The agent with a person at a terminal: reads a line, takes a turn, and again."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.styles import Style
from rich.text import Text

from bailee.agent import events, recorded
from bailee.agent.assembly import assembled
from bailee.agent.console_api import console_api
from bailee.agent.conversation import text_of
from bailee.agent.messages_api import MessagesApi, endpoint, warm
from bailee.agent.session import Options, Session, resumable
from bailee.agent.terminal import picking, reporting, servers, status
from bailee.agent.terminal.asking import PersonAtTerminal
from bailee.agent.terminal.attaching import content_of
from bailee.agent.terminal.commands import COMMANDS, Command
from bailee.agent.terminal.completing import Completing
from bailee.agent.terminal.keys import Listening
from bailee.agent.terminal.rating import Rating
from bailee.agent.terminal.showing import THEME, Showing, markdown
from bailee.agent.terminal.training import TrainingQuestion
from bailee.client.background import Background
from bailee.client.machine import Machine
from bailee.client.servers import Server
from bailee.errors import BaileeError, InputError
from bailee.plain_console import PlainConsole
from bailee.shown import lines as visible

_STYLE: Final = Style.from_dict({"bottom-toolbar": "noreverse", "bottom-toolbar.text": ""})
_ALIASES: Final = {"/exit": "/quit", "/?": "/help"}


class Terminal:
    """One run of `bailee code`. `open` makes a session; `run` works until the person ends.
    `chance`: a number from 0 to 1, drawn once; a low one may bring the survey's question.
    """

    def __init__(self, options: Options, machine: Machine, *, chance: float = 1.0) -> None:
        self.options = options
        self.machine = machine
        self.console = PlainConsole(theme=THEME)
        self.done = False
        self._showing = Showing(self.console)
        self._transcripts = machine.transcripts()
        self._listening = Listening(self._interrupt)
        self._known = recorded.UNKNOWN
        self._asking: set[asyncio.Task[None]] = set()
        self._history = InMemoryHistory()
        self._forgotten = False
        self._permitted: list[Server] = []
        self.errors: list[str] = []  # of this run, for a report
        self.background = Background(machine, "bailee-code")
        self.rating = Rating(machine, chance, self.background.send)
        self.session: Session

    # -- a run -----------------------------------------------------------------------------------

    async def run(self, *, choose: bool, first: str | None) -> int:
        """From the greeting to the end; the exit status."""
        try:
            return await self._run(choose, first)
        finally:
            self.rating.close()
            self.background.stop()

    async def _run(self, choose: bool, first: str | None) -> int:
        threading.Thread(target=_warm, daemon=True).start()
        question = TrainingQuestion(self.machine)
        question.begin()
        if choose:
            folder = self.options.folder.resolve()
            found = resumable(self._transcripts, str(folder))
            chosen = await picking.pick(self.console, found, self._transcripts, folder, self.now())
            if chosen is None:
                return 0
            self.options = replace(self.options, session=chosen)
        self._permitted = await servers.permitted(self.console, self.machine)
        await self.open(self.options)
        self._greet()
        if self.session.resumed:
            self.show_last()
        line = first
        while not self.done:
            with self._reported():
                await question.put(self)
            if line is None:
                line = await self._read()
            if line is None:
                break
            if line.strip():
                await self._take(line.strip())
            line = None
        for task in self._asking:
            task.cancel()
        await self.session.close()
        if not self._forgotten and self.session.agent.conversation.messages and self._keeps:
            self.say(f"To go on: bailee code --resume {self.session.id[:8]}", "dim")
        return 0

    async def open(self, options: Options) -> None:
        """Begins a session, or goes on with one."""
        asker = PersonAtTerminal(self.console, self._pause, self._resume, self._interrupt)
        made = assembled(
            options,
            self.machine,
            asker=asker,
            transcripts=self._transcripts,
            background=self.background,
            permitted=self._permitted,
        )
        if hasattr(self, "session"):
            made.agent.rules = self.session.agent.rules
            await self.session.close()
        self.session = made
        if made.servers is not None:
            made.servers.start()
        self.rating.begin()
        self._known = recorded.UNKNOWN
        self._history = InMemoryHistory()
        for message in made.agent.conversation.messages:
            if message["role"] == "user" and (text := text_of(message["content"])):
                self._history.append_string(text)

    # -- what commands use -----------------------------------------------------------------------

    def say(self, text: str, style: str = "") -> None:
        """A line from the program itself."""
        self.console.print(Text(visible(text), style=style))

    @property
    def commands(self) -> dict[str, Command]:
        """The commands there are: a switch may take one away."""
        there = reporting.is_on(self.machine)
        return {n: c for n, c in COMMANDS.items() if there or n not in reporting.NAMES}

    def now(self) -> datetime:
        """The present moment."""
        return self.machine.clock()

    def use_model(self, name: str) -> None:
        """Another model for the turns to come."""
        session = self.session
        session.agent.model = MessagesApi(
            endpoint(session.environment),
            session=session.id,
            model=name,
            network=session.network,
        )
        self.options = replace(self.options, model=name)

    def forget(self) -> None:
        """Deletes what this machine keeps of the session."""
        self._transcripts.delete(self.session.id)
        self._forgotten = True

    def show_last(self) -> None:
        """The last answer of a session that was resumed."""
        if text := self.session.agent.conversation.last_text:
            self.console.print(markdown(visible(text)))

    async def watch(self, happening: AsyncIterator[events.Event]) -> None:
        """Shows a turn, with the keys that stop it."""
        self._listening.start()
        self._showing.begin()
        try:
            async for event in happening:
                self._showing.take(event)
        except BaileeError as error:
            self._showing.end()
            self._report(error)
        finally:
            self._showing.end()
            self._listening.stop()
        self._ask_later()

    async def ask_recorded(self) -> recorded.Recorded:
        """What the service keeps of this session, asked now."""
        console = console_api(self.session.base_url, self.session.environment)
        self._known = await asyncio.to_thread(recorded.ask, console, self.session.id)
        return self._known

    # -- the rest --------------------------------------------------------------------------------

    async def _take(self, line: str) -> None:
        self.background.start()
        try:
            if line.startswith("/") and "/" not in (word := line.split(maxsplit=1)[0])[1:]:
                await self._command(_ALIASES.get(word, word), line[len(word) :].strip())
                return
            content, notes = content_of(line, self.session.workspace)
            for note in notes:
                self.say(note, "dim")
            await self.watch(self.session.turn(content))
            self.rating.turns += 1
        except BaileeError as error:
            self._report(error)

    async def _command(self, name: str, rest: str) -> None:
        if name not in self.commands:
            raise InputError(f"there is no command {visible(name)}.", hint="/help")
        outcome = "error"
        try:
            await COMMANDS[name].run(self, rest)
            outcome = "ok"
        finally:
            if self.session.measuring is not None:
                self.session.measuring.command(name, outcome)

    async def _read(self) -> str | None:
        self.rating.consider()
        bindings = _bindings()
        self.rating.bind(bindings)
        prompt: PromptSession[str] = PromptSession(
            history=self._history,
            multiline=True,
            key_bindings=bindings,
            completer=Completing(
                {n: c.meaning for n, c in self.commands.items()}, self.session.workspace.root
            ),
            complete_in_thread=True,
            complete_while_typing=True,
            bottom_toolbar=self._status,
            refresh_interval=0.5,  # what the service keeps is known only after the prompt is there
            prompt_continuation="… ",
            style=_STYLE,
            enable_open_in_editor=True,
        )
        self.rating.watch(prompt.default_buffer)
        try:
            return await prompt.prompt_async(
                lambda: f"{self.rating.text}> ", default=self._listening.take_typed()
            )
        except KeyboardInterrupt:
            return ""
        except EOFError:
            return None

    def _status(self) -> str:
        return status.line(self.session, self._known, self.console.width)

    def _greet(self) -> None:
        session = self.session
        self.say(f"bailee code in {session.workspace.root}. /help lists the commands.")
        if session.sandbox.program is None:
            self.say(f"Commands run without a sandbox: {session.sandbox.why}.", "yellow")
        for problem in (*self.machine.settings.problems, *self.machine.settings.ignored):
            self.say(f"{problem} {problem.hint}", "yellow")
        with suppress(BaileeError):
            if (told := self.machine.tidy()) is not None:
                self.say(told, "dim")
        if self.background.notice is not None:
            self.say(self.background.notice, "yellow")
            self.background.shown()
        if not self._keeps:
            self.say("Nothing of this session is kept on this machine.", "dim")

    @property
    def _keeps(self) -> bool:
        return self.machine.keep_days > 0

    def _ask_later(self) -> None:
        async def ask() -> None:
            with suppress(Exception):
                await self.ask_recorded()

        task = asyncio.ensure_future(ask())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def _interrupt(self) -> None:
        self.session.agent.interrupt()

    def _pause(self) -> None:
        self._showing.pause()
        self._listening.stop()

    def _resume(self) -> None:
        self._listening.start()
        self._showing.resume()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except BaileeError as error:
            self._report(error)

    def _report(self, error: BaileeError) -> None:
        self.errors = [*self.errors[-9:], error.message]
        self.say(f"error: {error.message}", "red")
        if error.hint is not None:
            self.say(f"hint: {error.hint}")


def run(
    options: Options,
    machine: Machine,
    *,
    choose: bool,
    first: str | None,
    chance: float | None = None,
) -> int:
    """Runs the agent in this terminal; the exit status."""
    drawn = random.random() if chance is None else chance  # noqa: S311 - decides no secret
    return asyncio.run(Terminal(options, machine, chance=drawn).run(choose=choose, first=first))


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _send(event: Any) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    @bindings.add("c-j")
    def _new_line(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c")
    def _clear(event: Any) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError)

    return bindings


def _warm() -> None:
    with suppress(Exception):
        warm()
