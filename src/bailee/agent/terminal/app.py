"""The agent with a person at a terminal: reads a line, takes a turn, and again."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Final

from prompt_toolkit.history import InMemoryHistory

from bailee.agent.conversation import text_of
from bailee.agent.messages_api import MessagesApi
from bailee.agent.session import AgentSession, Options, resumable
from bailee.agent.terminal import picking, prompting, servers, status
from bailee.agent.terminal.attaching import content_of
from bailee.agent.terminal.commands import COMMANDS, there
from bailee.agent.terminal.drawing import DrawnScreen
from bailee.agent.terminal.ending import KeyEndNotice
from bailee.agent.terminal.keeping import PersonKeeps
from bailee.agent.terminal.leaving import LeavingNotice
from bailee.agent.terminal.sitting import Sitting
from bailee.agent.terminal.terms import TermsNotice
from bailee.agent.terminal.training import TrainingQuestion
from bailee.client.machine import ClientMachine
from bailee.errors import BaileeError, InputError
from bailee.shown import lines as visible
from bailee.words import of_locale, words

_ALIASES: Final = {"/exit": "/quit", "/?": "/help"}


class Terminal:
    """One run of `bailee code` at a terminal: owns the screen and the sitting, reads lines and
    hands them on. `run` is called once. `chance`: see `Sitting`.
    """

    def __init__(self, options: Options, machine: ClientMachine, *, chance: float = 1.0) -> None:
        said = words(of_locale(machine.environment), "terminal")
        self._screen = DrawnScreen(said)
        self._sitting = Sitting(options, machine, self._screen, chance=chance)
        self._history = InMemoryHistory()
        self._history_of: AgentSession | None = None

    async def run(self, *, choose: bool, first: str | None) -> int:
        """From the greeting to the end; the exit status. SIGTERM and SIGHUP end it as well, with
        the terminal as it was.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await self._run(choose, first)
        except asyncio.CancelledError:
            return 130
        finally:
            await self._sitting.close()
            self._sitting.stop()

    async def _run(self, choose: bool, first: str | None) -> int:
        screen, sitting = self._screen, self._sitting
        question = TrainingQuestion(sitting.machine)
        question.begin()
        leaving = LeavingNotice(sitting.machine)
        leaving.begin()
        ending = KeyEndNotice(sitting.machine)
        ending.begin()
        terms = TermsNotice(sitting.machine, screen.words)
        terms.begin()
        options = sitting.options
        if choose:
            folder = options.folder.resolve()
            found = resumable(sitting.transcripts, str(folder))
            keeps = PersonKeeps(sitting.machine, sitting.transcripts, folder, screen.words)
            chosen = await picking.pick(screen, found, keeps, folder, sitting.now())
            if chosen is None:
                return 0
            options = sitting.options = replace(options, session=chosen)
        sitting.permitted = await servers.permitted(screen, sitting.machine)
        await sitting.open(options)
        threading.Thread(target=_warm, args=(sitting.session,), daemon=True).start()
        self._greet()
        if sitting.session.resumed:
            sitting.show_last()
        line = first
        while not sitting.done:
            try:
                await question.put(screen)
                await terms.tell(screen)
                await leaving.tell(screen)
                await ending.tell(screen)
            except BaileeError as error:
                screen.fail(error)
            if line is None:
                line = await self._read()
            if line is None:
                break
            if line.strip():
                await self._take(line.strip())
            line = None
        session = sitting.session
        if not sitting.forgotten and session.agent.conversation.messages and sitting.keeps:
            screen.say(screen.words("run.go_on", session=session.id[:8]), "dim")
        return 0

    async def _take(self, line: str) -> None:
        screen, sitting = self._screen, self._sitting
        sitting.background.start()
        try:
            if line.startswith("/") and "/" not in (word := line.split(maxsplit=1)[0])[1:]:
                await self._command(_ALIASES.get(word, word), line[len(word) :].strip())
                return
            content, notes = content_of(line, sitting.session.workspace, screen.words)
            for note in notes:
                screen.say(note, "dim")
            await sitting.watch(sitting.session.turn(content))
            sitting.rating.turns += 1
        except BaileeError as error:
            screen.fail(error)
        except Exception as error:  # a defect of ours costs a turn, not the session
            sitting.background.failed(error)
            screen.fail(BaileeError(screen.words("run.defect", kind=type(error).__name__)))

    async def _command(self, name: str, rest: str) -> None:
        if name not in there(self._sitting.machine):
            message = self._screen.words("run.no_command", name=visible(name))
            raise InputError(message, hint="/help")
        outcome = "error"
        try:
            await COMMANDS[name](self._sitting, rest)
            outcome = "ok"
        finally:
            if self._sitting.session.measuring is not None:
                self._sitting.session.measuring.command(name, outcome)

    async def _read(self) -> str | None:
        session, screen = self._sitting.session, self._screen
        if self._history_of is not session:
            self._history_of, self._history = session, InMemoryHistory()
            for message in session.agent.conversation.messages:
                if message["role"] == "user" and (text := text_of(message["content"])):
                    self._history.append_string(text)
        return await prompting.read(
            typed=screen.take_typed(),
            history=self._history,
            rating=self._sitting.rating,
            status=lambda: status.line(session, self._sitting.known, screen.width, screen.words),
            commands={
                name: screen.words(f"help.{name[1:]}") for name in there(self._sitting.machine)
            },
            root=session.workspace.root,
        )

    def _greet(self) -> None:
        screen, sitting, told = self._screen, self._sitting, self._screen.words
        session, machine, background = sitting.session, sitting.machine, sitting.background
        screen.say(told("run.greeting", folder=session.workspace.root))
        if session.sandbox.program is None:
            why = told(f"sandbox.why_{session.sandbox.why}")
            screen.say(told("run.no_sandbox", why=why), "yellow")
        for problem in (*machine.settings.problems, *machine.settings.ignored):
            screen.say(f"{problem} {problem.hint}", "yellow")
        try:
            if (tidied := machine.tidy(told.language)) is not None:
                screen.say(tidied, "dim")
        except BaileeError as error:
            screen.fail(error)
        if background.notice is not None:
            screen.say(background.notice, "yellow")
            background.shown()
        if not sitting.keeps:
            screen.say(told("run.not_kept"), "dim")


def run(
    options: Options,
    machine: ClientMachine,
    *,
    choose: bool,
    first: str | None,
    chance: float | None = None,
) -> int:
    """Runs the agent in this terminal; the exit status."""
    drawn = random.random() if chance is None else chance  # noqa: S311 - decides no secret
    return asyncio.run(Terminal(options, machine, chance=drawn).run(choose=choose, first=first))


def _warm(session: AgentSession) -> None:
    """Imports while the person types; what can't be is said when it is needed."""
    with suppress(Exception):
        if isinstance(session.agent.model, MessagesApi):
            session.agent.model.warm()
