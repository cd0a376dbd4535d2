"""The survey's question above the prompt: one key answers, and nobody's typing is in its way.

Rules kept here:

* A key counts only at an empty prompt, and only when the question has been there for a moment:
  digits in a prompt, or typed before, are the prompt's.
* A key that counts is held for some seconds before it is sent. Backspace takes it back. Who keeps
  typing meant a prompt: the digit becomes its first character, and nothing is sent.
* What is sent is the answer, and nothing else; to end the program meanwhile sends nothing.
* The question is put once in a session. `client.survey` decides whether and when.

Rows: F3.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from bailee.client import survey
from bailee.client.machine import ClientMachine
from bailee.client.payloads import rating
from bailee.words import Words

UNDO: Final = 5.0  # seconds
_SETTLES: Final = 0.7  # seconds until a key counts
KEYS: Final = {"1": "1", "2": "2", "3": "3", "0": "dismissed"}


class Rating:
    """The survey of one session, used on the event loop's thread alone; `prompting.py` hands it
    the keys. `chance`: from 0 to 1, drawn once; `send` sends one item; `clock` only grows.
    """

    def __init__(
        self,
        machine: ClientMachine,
        words: Words,
        chance: float,
        send: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine
        self._words = words
        self._chance = chance
        self._send = send
        self._clock = clock
        self._began: datetime = machine.clock()
        self._asked = False
        self._shown: float | None = None  # since when
        self._key = ""  # the one that is held
        self._timer: asyncio.TimerHandle | None = None
        self.turns = 0

    def begin(self) -> None:
        """Another session."""
        self.close()
        self._began, self._asked, self.turns = self._machine.clock(), False, 0

    def consider(self) -> None:
        """Before a prompt: puts the question if it is due; ends one that was passed over."""
        if not self._key:
            self._shown = None
        now = self._machine.clock()
        folder = self._machine.data
        state = survey.SurveyedSession(True, self._began, self.turns, self._asked, self._chance)
        may_send = self._machine.flow("survey").on
        if not survey.ask(survey.read(folder), state, may_send=may_send, now=now):
            return
        self._asked = True
        with suppress(OSError):  # what can't be remembered is not asked
            survey.write(folder, replace(survey.read(folder), last=now))
            self._shown = self._clock()

    def use(self, machine: ClientMachine) -> None:
        """The settings are others now: where a rating may not be sent, there is no question."""
        self._machine = machine
        if not machine.flow("survey").on:
            self.close()

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
        self._shown, self._key, self._timer = None, "", None

    @property
    def text(self) -> str:
        """What stands above the prompt; nothing when nothing is asked."""
        words = self._words
        if self._key:
            answer = KEYS[self._key]
            return words("survey.held", answer=answer, seconds=round(UNDO)) + "\n"
        if self._shown is None:
            return ""
        question = self._machine.policy.document.survey.question.of(words.language)
        where = self._machine.flow("survey").destination
        return f"{question}  {words('survey.keys')}\n{words('survey.where', where=where)}\n"

    @property
    def counts(self) -> bool:
        """Whether a key is an answer now, where the prompt is empty."""
        return self._shown is not None and not self._key and self._clock() - self._shown >= _SETTLES

    @property
    def held(self) -> bool:
        """Whether an answer is held and can be taken back."""
        return bool(self._key)

    def hold(self, key: str, sent: Callable[[], None]) -> None:
        """Holds the answer of a key of `KEYS`; `sent` is called when its time is over."""
        self._key = key
        self._timer = asyncio.get_running_loop().call_later(UNDO, self.give, sent)

    def take_back(self) -> None:
        """The question stands again, as if just put."""
        self.close()
        self._shown = self._clock()

    def typed(self) -> str:
        """Something was typed: the key that was held belongs before it, and answers nothing."""
        key = self._key
        if key:
            self.close()
        return key

    def give(self, sent: Callable[[], None]) -> None:
        """Sends what is held."""
        answer = KEYS[self._key]
        self.close()
        answers = self._machine.policy.document.survey.answers
        with suppress(Exception):  # a full disk costs the answer, not the session
            item = self._machine.queue(rating(answer, answers))
            if item is not None:
                self._send(item.id)  # by itself: what leaves beside it could be joined to it
        sent()
