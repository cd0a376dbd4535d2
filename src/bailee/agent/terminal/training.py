"""Asking a person who has not chosen whether their sessions may improve models: once per start.

* Whether to ask is the service's word; what each answer means is the policy's, clause by clause.
* Nothing is chosen beforehand. To put it off, or Ctrl-C, sends nothing.
* The console is asked while the rest starts. One that is slow keeps nobody from their first
  prompt: the question then comes before a later one.

Rows: T3.
"""

from __future__ import annotations

import asyncio
from typing import Final

from bailee.agent.terminal.beside import ConsoleQuestion
from bailee.agent.terminal.screen import Choice, Screen
from bailee.client.machine import ClientMachine
from bailee.errors import BaileeError, UpstreamError
from bailee.json_values import members
from bailee.policy.document import Language
from bailee.policy.notice import Consequence, notice
from bailee.words import Words

_PATH: Final = "/api/v1/privacy/training"
_PATIENCE: Final = 2.0  # seconds that the first prompt waits for the console at most


class TrainingQuestion:
    """The question of one start. `begin` asks the console whether it is to be put; `put` puts it,
    at most once, as soon as the console has said so.
    """

    def __init__(self, machine: ClientMachine) -> None:
        self._machine = machine
        self._question = ConsoleQuestion(machine, _PATH)

    def begin(self) -> None:
        """Asks the console, beside whatever else is done."""
        self._question.begin()

    async def put(self, screen: Screen) -> None:
        """Puts the question where it is due; the first time, waits a moment to know.

        Raises:
            UpstreamError: the answer could not be given to the console.
        """
        state = await self._question.taken(_PATIENCE)
        if meanings := self._meanings(state, screen.words.language):
            await self._put(screen, meanings)

    def _meanings(self, state: object, language: Language) -> list[Consequence]:
        """What each answer means to who is to be asked; nothing for all others."""
        if not isinstance(state, dict):
            return []
        effect, plan = members(state.get("ask")).get("effect"), state.get("plan")
        if effect not in {"ask", "require"} or not isinstance(plan, str):
            return []
        try:
            choices = ("allowed", "refused", "none")
            return notice(self._machine.policy, plan, language, choices)
        except BaileeError:  # a plan that the policy on this machine does not know
            return []

    async def _put(self, screen: Screen, meanings: list[Consequence]) -> None:
        words = screen.words
        screen.say(words("choice.question"), "bold yellow")
        screen.say(words("training.notice"))
        for meaning in meanings:
            screen.say(words(f"training.choice_{meaning.choice}"), "bold", indent=2)
            screen.say(f"{meaning.training}\n{meaning.retention}", indent=2)
            screen.say(", ".join(meaning.clauses), "dim", indent=2)
        choices = [
            Choice(key, meaning.choice, words(f"training.choice_{meaning.choice}"))
            for key, meaning in zip("adl", meanings, strict=True)
        ]
        choice = await screen.choose(choices, default="none")
        if choice == "none":
            screen.say(words("training.put_off"))
            return
        screen.say(await asyncio.to_thread(self._tell, choice, words))

    def _tell(self, choice: str, words: Words) -> str:
        """Gives the console the answer; what to say of it."""
        console = self._question.console
        assert console is not None
        address = f"{console.address}/settings/privacy"
        hint = words("training.not_confirmed_hint", address=address)
        try:
            state = console.put(_PATH, {"choice": choice}, language=words.language)
        except UpstreamError as error:
            raise UpstreamError(
                words("training.not_confirmed_why", why=words.what(error)),
                code=error.code,
                hint=hint,
            ) from None
        if not isinstance(state, dict) or state.get("choice") != choice:
            raise UpstreamError(
                words("training.not_confirmed"), code="upstream_protocol", hint=hint
            )
        return words(
            "training.done",
            choice=words(f"training.choice_{choice}"),
            clause=state.get("clause"),
            address=address,
        )
