"""Asking a person for permission: they see the whole of it, and nothing is chosen by accident.

* The whole command, the whole diff; invisible characters are shown.
* Keys pressed before the question was there don't count.
* Three answers: once; from now on in this session, where a narrow rule exists; no, and why.
"""

from __future__ import annotations

import asyncio
import contextlib
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bailee.agent.permissions import rule_to_remember
from bailee.agent.ports import Consent, Intent
from bailee.agent.terminal.showing import diff_text
from bailee.shown import lines as visible

_SETTLES: Final = 0.4  # seconds between the question and its choices: who is typing stops


class PersonAtTerminal:
    """A `ports.Asker`. `pause` and `resume` are called around each question,
    `interrupt` when it is answered with Ctrl-C or Escape.
    """

    def __init__(
        self,
        console: Console,
        pause: Callable[[], None],
        resume: Callable[[], None],
        interrupt: Callable[[], None],
    ) -> None:
        self._console = console
        self._interrupt = interrupt
        self._pause = pause
        self._resume = resume

    async def ask(self, intent: Intent) -> Consent:
        """See `ports.Asker.ask`."""
        async with self._paused():
            self._show(intent)
            rule = rule_to_remember(intent)
            choice = await choose(_choices(rule), default="stop")
            if choice == "once":
                return Consent(True)
            if choice == "always" and rule is not None:
                return Consent(True, remember=(rule,))
            if choice == "stop":
                self._interrupt()
                return Consent(False, "the person said no, and stopped the work.")
            reason = await ask_line("Why not? (Enter: no reason) ")
            return Consent(False, f"the person said no: {reason}" if reason else "")

    def _show(self, intent: Intent) -> None:
        title = Text("May it? ", style="bold yellow")
        title.append(visible(intent.title), style="bold")
        self._console.print(title)
        if intent.guarded is not None:
            self._console.print(Text(f"  {visible(intent.guarded)}", style="yellow"))
        if intent.preview_kind == "diff":
            body = diff_text(intent.preview, 100_000)
        else:
            body = Text(visible(intent.preview or intent.subject))
        self._console.print(Padding(body, (0, 0, 0, 2)))

    @asynccontextmanager
    async def _paused(self) -> AsyncIterator[None]:
        self._pause()
        try:
            yield
        finally:
            self._resume()


def _choices(rule: str | None) -> list[tuple[str, str, str]]:
    made = [("y", "once", "yes, once")]
    if rule is not None:
        made.append(("a", "always", f"yes, and always {visible(rule)} in this session"))
    return [*made, ("n", "no", "no, and say why")]


async def choose(choices: list[tuple[str, str, str]], *, default: str) -> str:
    """One of `choices`: (key, what it gives, what it says). Their numbers work like their keys.

    Ctrl-C, Ctrl-D and Escape give `default`.
    """
    session: PromptSession[str] = PromptSession()
    bindings = KeyBindings()
    for number, (key, value, _) in enumerate(choices, 1):
        for name in (key, str(number)):
            bindings.add(name)(_exits_with(value))
    for name in ("c-c", "c-d", "escape"):
        bindings.add(name, eager=True)(_exits_with(default))
    bindings.add("<any>")(lambda _: None)
    bindings.add("enter")(lambda _: None)
    lines = "\n".join(f"  {n} {key}  {text}" for n, (key, _, text) in enumerate(choices, 1))
    await asyncio.sleep(_SETTLES)
    clear_typeahead(session.input)
    with contextlib.suppress(termios.error, OSError, ValueError):
        termios.tcflush(session.input.fileno(), termios.TCIFLUSH)
    return await session.prompt_async(f"{lines}\n? ", key_bindings=bindings)


def _exits_with(value: str) -> Callable[[Any], None]:
    return lambda event: event.app.exit(result=value)


async def ask_line(question: str) -> str:
    """A line from the person; empty when they would rather not."""
    session: PromptSession[str] = PromptSession()
    try:
        return (await session.prompt_async(question)).strip()
    except (KeyboardInterrupt, EOFError):
        return ""
