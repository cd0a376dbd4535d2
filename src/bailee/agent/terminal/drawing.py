"""The `Screen` at a real terminal: rich shows, prompt_toolkit reads."""

from __future__ import annotations

import asyncio
import contextlib
import termios
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bailee.agent import events
from bailee.agent.terminal.keys import KeyListening
from bailee.agent.terminal.screen import Choice, ScreenPage
from bailee.agent.terminal.showing import THEME, Showing, diff_text, markdown
from bailee.errors import BaileeError
from bailee.plain_console import PlainConsole
from bailee.shown import lines as visible
from bailee.words import Words

_SETTLES: Final = 0.4  # seconds between a question and its choices: who is typing stops
_WHOLE: Final = 100_000  # lines
_ERRORS: Final = 10
_NAMED: Final = {"c-m": "enter", "c-h": "backspace"}  # as terminals call them


class DrawnScreen:
    """A `screen.Screen` on this process's terminal. It owns the terminal while a turn is shown or
    something is asked, and decides nothing.
    """

    def __init__(self, words: Words) -> None:
        self.words = words
        self.errors: list[str] = []
        self._console = PlainConsole(theme=THEME)
        self._showing = Showing(self._console, words)
        self._listening = KeyListening()

    @property
    def width(self) -> int:
        """The terminal's columns."""
        return self._console.width

    def take_typed(self) -> str:
        """What was typed during a turn, once."""
        return self._listening.take_typed()

    def say(self, text: str, style: str = "", *, indent: int = 0) -> None:
        """See `Screen.say`."""
        self._console.print(Padding(Text(visible(text), style=style), (0, 0, 0, indent)))

    def fail(self, error: BaileeError) -> None:
        """See `Screen.fail`."""
        self.errors = [*self.errors, error.message][-_ERRORS:]
        self.say(self.words("run.error", text=self.words.what(error)), "red")
        if error.hint is not None:
            self.say(self.words("run.hint", text=error.hint))

    def table(self, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
        """See `Screen.table`."""
        table = Table(box=None, pad_edge=False, show_header=bool(head), header_style="bold")
        for column in head:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*map(visible, row))
        self._console.print(table)

    def markdown(self, text: str) -> None:
        """See `Screen.markdown`."""
        self._console.print(markdown(visible(text)))

    def diff(self, diff: str) -> None:
        """See `Screen.diff`."""
        self._console.print(Padding(diff_text(diff, _WHOLE, self.words), (0, 0, 0, 2)))

    async def ask(self, question: str) -> str:
        """See `Screen.ask`."""
        session: PromptSession[str] = PromptSession()
        try:
            return (await session.prompt_async(visible(question))).strip()
        except (KeyboardInterrupt, EOFError):
            return ""

    async def choose(self, choices: Sequence[Choice], *, default: str) -> str:
        """See `Screen.choose`. The choices' numbers work like their keys."""
        session: PromptSession[str] = PromptSession()
        bindings = KeyBindings()
        for number, choice in enumerate(choices, 1):
            for name in (choice.key, str(number)):
                bindings.add(name)(_exits_with(choice.value))
        for name in ("c-c", "c-d", "escape"):
            bindings.add(name, eager=True)(_exits_with(default))
        bindings.add("<any>")(lambda _: None)
        bindings.add("enter")(lambda _: None)
        lines = "\n".join(
            f"  {n} {one.key}  {visible(one.text)}" for n, one in enumerate(choices, 1)
        )
        await asyncio.sleep(_SETTLES)
        clear_typeahead(session.input)
        with contextlib.suppress(termios.error, OSError, ValueError):
            termios.tcflush(session.input.fileno(), termios.TCIFLUSH)
        return await session.prompt_async(f"{lines}\n? ", key_bindings=bindings)

    async def page(self, page: ScreenPage) -> None:
        """See `Screen.page`."""
        bindings = KeyBindings()

        @bindings.add(Keys.Any)
        def _press(event: KeyPressEvent) -> None:
            press = event.key_sequence[0]
            if press.key == Keys.BracketedPaste or not isinstance(press.key, Keys):
                page.type(press.data)
            else:
                page.press(_NAMED.get(press.key.value, press.key.value))
            if page.done:
                event.app.exit()

        def drawn() -> StyleAndTextTuples:
            return [(style, f"{line}\n") for style, line in page.lines(self.width)]

        app: Application[None] = Application(
            Layout(Window(FormattedTextControl(drawn))), key_bindings=bindings, erase_when_done=True
        )
        await app.run_async()

    async def watch(
        self, happening: AsyncIterator[events.Event], interrupt: Callable[[], None]
    ) -> None:
        """See `Screen.watch`: Ctrl-C and Escape stop it."""
        self._listening.start(interrupt)
        self._showing.begin()
        try:
            async for event in happening:
                self._showing.take(event)
        except BaileeError as error:
            self._showing.end()
            self.fail(error)
        finally:
            self._showing.end()
            self._listening.stop()

    @contextmanager
    def between(self) -> Iterator[None]:
        """See `Screen.between`."""
        self._showing.pause()
        self._listening.stop()
        try:
            yield
        finally:
            self._listening.go_on()
            self._showing.resume()


def _exits_with(value: str) -> Callable[[KeyPressEvent], None]:
    return lambda event: event.app.exit(result=value)
