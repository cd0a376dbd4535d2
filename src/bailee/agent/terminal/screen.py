"""What a dialogue has of the terminal: to say, to ask, to choose, to fill a page, to show a turn.

Commands, questions and pickers know this and no terminal, so that each can be held as a dialogue
(`bailee.testing.screen`). `drawing.py` is the one at a real terminal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from bailee.agent import events
from bailee.errors import BaileeError
from bailee.words import Words


class Choice(NamedTuple):
    """One answer: the key that gives it, what it gives, what it says."""

    key: str
    value: str
    text: str


class ScreenPage(Protocol):
    """What fills the terminal and takes keys, until it is done."""

    @property
    def done(self) -> bool:
        """Whether it takes no more keys."""
        ...

    def lines(self, width: int) -> Sequence[tuple[str, str]]:
        """(style, line) of the whole picture, no line wider than `width`."""
        ...

    def press(self, key: str) -> None:
        """Takes a key by its name: "up", "enter", "backspace", "escape", "c-x"."""
        ...

    def type(self, text: str) -> None:
        """Takes what was typed or pasted."""
        ...


class Screen(Protocol):
    """The terminal, as a dialogue knows it. Whatever is handed in is text: what could drive a
    terminal is made visible. Used on the event loop's thread alone.
    """

    words: Words
    errors: list[str]  # what went wrong in this run, the latest last, for a report

    def say(self, text: str, style: str = "", *, indent: int = 0) -> None:
        """Lines from the program itself."""
        ...

    def fail(self, error: BaileeError) -> None:
        """Says what went wrong and what to do; keeps it in `errors`."""
        ...

    def table(self, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
        """Rows in columns."""
        ...

    def markdown(self, text: str) -> None:
        """What a model wrote."""
        ...

    def diff(self, diff: str) -> None:
        """A unified diff, the whole of it."""
        ...

    async def ask(self, question: str) -> str:
        """A line from the person, without blanks around it; empty when they would rather not."""
        ...

    async def choose(self, choices: Sequence[Choice], *, default: str) -> str:
        """The value of one of `choices`; `default` when they leave with Ctrl-C, Ctrl-D or Escape.
        What was typed before the question was there is no answer.
        """
        ...

    async def page(self, page: ScreenPage) -> None:
        """Shows a page until it is done."""
        ...

    async def watch(
        self, happening: AsyncIterator[events.Event], interrupt: Callable[[], None]
    ) -> None:
        """Shows a turn as it happens; an error that ends it is said. `interrupt` is called when the
        person would stop it.
        """
        ...

    def between(self) -> AbstractContextManager[None]:
        """While it is held, a turn that is being shown stands still and takes no keys."""
        ...
