"""The survey's question above the prompt: one key answers, and nobody's typing is in its way.

Rules kept here:

* A key counts only at an empty prompt, and only when the question has been there for a moment:
  digits in a prompt, or typed before, are the prompt's.
* A key that counts is held for some seconds before it is sent. Backspace takes it back. Who types
  on meant a prompt: the digit becomes its first character, and nothing is sent.
* What is sent is the answer, and nothing else; to end the program meanwhile sends nothing.
* The question is put once in a session. `client.survey` decides whether and when.

Rows: F3.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings

from bailee.agent.terminal.training import language_of
from bailee.client import survey
from bailee.client.machine import Machine
from bailee.client.payloads import rating
from bailee.policy.document import Language

UNDO: Final = 5.0  # seconds
_SETTLES: Final = 0.7  # seconds until a key counts
_KEYS: Final = {"1": "1", "2": "2", "3": "3", "0": "dismissed"}
_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "keys": "1 badly · 2 fine · 3 well · 0 dismiss · /survey never",
        "where": "(One key, or just type on. The answer alone goes to {where}.)",
        "held": '"{answer}" is sent in {seconds} seconds. Backspace takes it back; who types on '
        "takes it back too.",
    },
    "zh": {
        "keys": "1 不好 · 2 还行 · 3 很好 · 0 略过 · /survey never",
        "where": "(按一个键,或直接继续输入。只有答案会发往 {where}。)",
        "held": "“{answer}”将在 {seconds} 秒后发送。按退格键撤回;继续输入也会撤回。",
    },
}


class Rating:
    """The survey of one session. `chance`: from 0 to 1, drawn once; `send` sends one item."""

    def __init__(self, machine: Machine, chance: float, send: Callable[[str], None]) -> None:
        self._machine = machine
        self._chance = chance
        self._send = send
        self._began: datetime = machine.clock()
        self._asked = False
        self._shown: float | None = None  # since when, on the clock of this process
        self._held = ""
        self._timer: asyncio.TimerHandle | None = None
        self.turns = 0

    def begin(self) -> None:
        """Another session."""
        self.close()
        self._began, self._asked, self.turns = self._machine.clock(), False, 0

    def consider(self) -> None:
        """Before a prompt: puts the question if it is due; ends one that was passed over."""
        if not self._held:
            self._shown = None
        now = self._machine.clock()
        folder = self._machine.data
        state = survey.Session(True, self._began, self.turns, self._asked, self._chance)
        may_send = self._machine.flow("survey").on
        if not survey.ask(survey.read(folder), state, may_send=may_send, now=now):
            return
        self._asked = True
        with suppress(OSError):  # what can't be remembered is not asked
            survey.write(folder, replace(survey.read(folder), last=now))
            self._shown = time.monotonic()

    def never(self, never: bool) -> None:
        """Whether it may never be asked again. Raises `OSError`."""
        folder = self._machine.data
        survey.write(folder, replace(survey.read(folder), never=never))
        if never:
            self.close()

    def close(self) -> None:
        """The question goes, and what is held is not sent."""
        if self._timer is not None:
            self._timer.cancel()
        self._shown, self._held, self._timer = None, "", None

    @property
    def text(self) -> str:
        """What stands above the prompt; nothing when nothing is asked."""
        language = language_of(self._machine.environment)
        words = _WORDS[language]
        if self._held:
            return words["held"].format(answer=self._held, seconds=round(UNDO)) + "\n"
        if self._shown is None:
            return ""
        question = self._machine.policy.document.survey.question.of(language)
        where = self._machine.flow("survey").destination
        return f"{question}  {words['keys']}\n{words['where'].format(where=where)}\n"

    def bind(self, bindings: KeyBindings) -> None:
        """Adds the keys."""

        @Condition
        def counts() -> bool:
            shown = self._shown
            return shown is not None and not self._held and time.monotonic() - shown >= _SETTLES

        @Condition
        def held() -> bool:
            return bool(self._held)

        @Condition
        def empty() -> bool:
            from prompt_toolkit.application import get_app

            return not get_app().current_buffer.text

        for key, answer in _KEYS.items():
            bindings.add(key, filter=counts & empty)(self._holds(answer))

        @bindings.add("backspace", filter=held & empty)
        def _undo(event: Any) -> None:
            self._take_back()
            event.app.invalidate()

    def watch(self, buffer: Buffer) -> None:
        """Sees what is typed: who types on meant a prompt."""
        buffer.on_text_changed += self._typed

    def _holds(self, answer: str) -> Callable[[Any], None]:
        def hold(event: Any) -> None:
            self._held = answer
            self._timer = asyncio.get_running_loop().call_later(UNDO, self._give, event.app)
            event.app.invalidate()

        return hold

    def _take_back(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._held, self._timer = "", None
        self._shown = time.monotonic()

    def _typed(self, buffer: Buffer) -> None:
        if not self._held or not buffer.text:
            return
        key = next(key for key, answer in _KEYS.items() if answer == self._held)
        self.close()
        buffer.document = Document(key + buffer.text, buffer.cursor_position + 1)

    def _give(self, app: Any) -> None:
        answer = self._held
        self.close()
        answers = self._machine.policy.document.survey.answers
        with suppress(Exception):  # a full disk costs the answer, not the session
            item = self._machine.queue(rating(answer, answers))
            if item is not None:
                self._send(item.id)  # by itself: what leaves beside it could be joined to it
        app.invalidate()
