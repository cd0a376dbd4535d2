"""Asking a person who has not chosen whether their sessions may improve models: once per start.

* Whether to ask is the service's word; what each answer means is the policy's, clause by clause.
* Nothing is chosen beforehand. To put it off, or Ctrl-C, sends nothing.
* The console is asked while the rest starts. One that is slow keeps nobody from their first
  prompt: the question then comes before a later one.

Rows: T3.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.text import Text

from bailee.agent.assembly import variables
from bailee.agent.console_api import ConsoleApi, console_api
from bailee.agent.messages_api import endpoint
from bailee.agent.terminal.asking import choose
from bailee.client.machine import Machine
from bailee.errors import BaileeError, UpstreamError
from bailee.policy.document import Language
from bailee.policy.notice import Consequence, notice
from bailee.shown import lines as visible

if TYPE_CHECKING:
    from bailee.agent.terminal.app import Terminal

_PATH: Final = "/api/v1/privacy/training"
_PATIENCE: Final = 3.0  # seconds that the first prompt waits for the console at most
_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "question": "May what you do here improve models?",
        "notice": "You have not chosen yet. What each answer means, in the words of the policy:",
        "allowed": "allow",
        "refused": "don't allow",
        "none": "later",
        "put off": "Nothing is chosen: training is not allowed until you allow it.",
        "done": "Recorded: {choice} ({clause}). It can be changed on any day: {address}",
    },
    "zh": {
        "question": "您在此的使用是否可以用于改进模型？",
        "notice": "您尚未选择。每种回答的含义，以政策原文说明：",
        "allowed": "允许",
        "refused": "不允许",
        "none": "以后再选",
        "put off": "尚未选择：在您允许之前，不允许训练。",
        "done": "已记录：{choice}（{clause}）。任何一天都可以更改：{address}",
    },
}


class TrainingQuestion:
    """The question of one start. `begin` asks the console whether it is to be put; `put` puts it,
    at most once, as soon as the console has said so.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._console: ConsoleApi | None = None
        self._state: Future[object] | None = None
        self._waited = False

    def begin(self) -> None:
        """Asks the console, beside whatever else is done."""
        held = variables(self._machine)
        with suppress(BaileeError):  # without a key there is nobody to ask
            self._console = console_api(endpoint(held).base_url, held)
        if self._console is None:
            return
        self._state = Future()
        # A daemon, not the loop's executor: the end of the program does not wait for it.
        threading.Thread(target=_ask, args=(self._console, self._state), daemon=True).start()

    async def put(self, app: Terminal) -> None:
        """Puts the question where it is due; the first time, waits a moment to know.

        Raises:
            UpstreamError: the answer could not be given to the console.
        """
        if self._state is None:
            return
        if not self._waited:
            self._waited = True
            await asyncio.wait([asyncio.wrap_future(self._state)], timeout=_PATIENCE)
        if not self._state.done():
            return
        state, self._state = self._state.result(), None
        language = language_of(self._machine.environment)
        meanings = self._meanings(state, language)
        if meanings:
            await self._put(app, meanings, language)

    def _meanings(self, state: object, language: Language) -> list[Consequence]:
        """What each answer means to who is to be asked; nothing for all others."""
        if not isinstance(state, dict):
            return []
        asked, plan = state.get("ask"), state.get("plan")
        if not isinstance(asked, dict) or asked.get("effect") != "ask" or not isinstance(plan, str):
            return []
        try:
            choices = ("allowed", "refused", "none")
            return notice(self._machine.policy, plan, language, choices)
        except BaileeError:  # a plan that the policy on this machine does not know
            return []

    async def _put(self, app: Terminal, meanings: list[Consequence], language: Language) -> None:
        words = _WORDS[language]
        app.console.print(Text(words["question"], style="bold yellow"))
        app.say(words["notice"])
        for meaning in meanings:
            text = Text(words[meaning.choice], style="bold")
            text.append(f"\n{visible(meaning.training)}\n{visible(meaning.retention)}", "not bold")
            text.append(f"\n{', '.join(meaning.clauses)}", "not bold dim")
            app.console.print(Padding(text, (0, 0, 0, 2)))
        answers = [
            (key, meaning.choice, words[meaning.choice])
            for key, meaning in zip("adl", meanings, strict=True)
        ]
        choice = await choose(answers, default="none")
        if choice == "none":
            app.say(words["put off"])
            return
        app.say(await asyncio.to_thread(self._tell, choice, language))

    def _tell(self, choice: str, language: Language) -> str:
        """Gives the console the answer; what to say of it."""
        assert self._console is not None
        hint = f"choose at {self._console.address}/settings/privacy; /privacy says what holds"
        try:
            state = self._console.put(_PATH, {"choice": choice}, language=language)
        except UpstreamError as error:
            raise UpstreamError(
                f"your choice was not confirmed: {error.message}", code=error.code, hint=hint
            ) from None
        if not isinstance(state, dict) or state.get("choice") != choice:
            raise UpstreamError(
                "your choice was not confirmed.", code="upstream_protocol", hint=hint
            )
        words = _WORDS[language]
        return words["done"].format(
            choice=words[choice],
            clause=state.get("clause"),
            address=f"{self._console.address}/settings/privacy",
        )


def language_of(environment: Mapping[str, str]) -> Language:
    """The policy's language that a locale asks for (POSIX, 8.2). Pure."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((value for name in names if (value := environment.get(name))), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def _ask(console: ConsoleApi, answer: Future[object]) -> None:
    try:
        answer.set_result(console.get(_PATH))
    except Exception:
        answer.set_result(None)
