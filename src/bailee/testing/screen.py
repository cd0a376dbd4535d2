"""A terminal that is a script: dialogues of `bailee code` without one.

screen = ScriptedScreen(["y", "one at a time"])
await PersonAtScreen(screen, stop).ask(intent)
assert "Allow this?" in screen.text
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from bailee.agent import events
from bailee.agent.terminal.screen import Choice, ScreenPage
from bailee.errors import BaileeError
from bailee.policy.document import Language
from bailee.words import words

LEAVES = ""
"""An answer: Ctrl-C, or Enter where a line is asked for."""


class ScriptedScreen:
    """A `screen.Screen` that answers from a script, in order, and fails where the script has no
    answer: a line or a choice's key is a string, what is pressed on a page a list of keys.
    """

    def __init__(
        self, answers: Iterable[str | list[str]] = (), *, language: Language = "en"
    ) -> None:
        self.words = words(language, "terminal")
        self.errors: list[str] = []
        self.shown: list[str] = []
        self.events: list[events.Event] = []
        self.still = False
        self._answers = list(answers)

    @property
    def text(self) -> str:
        """All that was shown, with the questions."""
        return "\n".join(self.shown)

    @property
    def left(self) -> int:
        """How many answers nobody asked for."""
        return len(self._answers)

    def say(self, text: str, style: str = "", *, indent: int = 0) -> None:  # noqa: ARG002
        """See `Screen.say`."""
        self.shown.append(" " * indent + text)

    def fail(self, error: BaileeError) -> None:
        """See `Screen.fail`."""
        self.errors.append(error.message)
        self.say(self.words("run.error", text=self.words.what(error)))

    def table(self, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
        """See `Screen.table`."""
        self.shown += ["  ".join(row) for row in (head, *rows) if row]

    def markdown(self, text: str) -> None:
        """See `Screen.markdown`."""
        self.say(text)

    def diff(self, diff: str) -> None:
        """See `Screen.diff`."""
        self.say(diff)

    async def ask(self, question: str) -> str:
        """See `Screen.ask`."""
        self.say(question)
        answer = self._next(question)
        assert isinstance(answer, str)
        return answer

    async def choose(self, choices: Sequence[Choice], *, default: str) -> str:
        """See `Screen.choose`."""
        self.shown += [f"{choice.key}  {choice.text}" for choice in choices]
        answer = self._next(", ".join(choice.text for choice in choices))
        return default if answer == LEAVES else {c.key: c.value for c in choices}[str(answer)]

    async def page(self, page: ScreenPage) -> None:
        """See `Screen.page`."""
        keys = self._next("a page")
        for key in keys:
            self.shown += [line for _, line in page.lines(80)]
            if len(key) == 1:
                page.type(key)
            else:
                page.press(key)
        assert page.done, "the page takes more keys"

    async def watch(
        self,
        happening: AsyncIterator[events.Event],
        interrupt: Callable[[], None],  # noqa: ARG002
    ) -> None:
        """See `Screen.watch`."""
        try:
            async for event in happening:
                self.events.append(event)
        except BaileeError as error:
            self.fail(error)

    @contextmanager
    def between(self) -> Iterator[None]:
        """See `Screen.between`."""
        self.still = True
        try:
            yield
        finally:
            self.still = False

    def _next(self, question: str) -> str | list[str]:
        assert self._answers, f"nobody answers: {question}\n{self.text}"
        return self._answers.pop(0)
