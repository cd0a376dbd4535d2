"""Asking a person for permission: they see the whole of it, and nothing is chosen by accident.

* The whole command, the whole diff; invisible characters are shown.
* Keys pressed before the question was there don't count.
* Three answers: once; from now on in this session, where a narrow rule exists; no, and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bailee.agent.permissions import rule_to_remember
from bailee.agent.ports import Consent, Intent
from bailee.agent.terminal.leafing import Leafing
from bailee.agent.terminal.screen import Choice, Screen

_WHOLE: Final = 200  # lines that are shown at once


class PersonAtScreen:
    """A `ports.Asker`: asks on `screen`; `interrupt` is called when the answer is Ctrl-C, Ctrl-D or
    Escape. Holds no state of its own.
    """

    def __init__(self, screen: Screen, interrupt: Callable[[], None]) -> None:
        self._screen = screen
        self._interrupt = interrupt

    async def ask(self, intent: Intent) -> Consent:
        """See `ports.Asker.ask`."""
        screen, words = self._screen, self._screen.words
        with screen.between():
            await self._show(intent)
            choices = [Choice("y", "once", words("permission.once"))]
            rule = rule_to_remember(intent)
            if rule is not None:
                choices.append(Choice("a", "always", words("permission.always", rule=rule)))
            choices.append(Choice("n", "no", words("permission.no")))
            choice = await screen.choose(choices, default="stop")
            if choice == "once":
                return Consent(True)
            if choice == "always" and rule is not None:
                return Consent(True, remember=(rule,))
            if choice == "stop":
                self._interrupt()
                return Consent(False, "the person said no, and stopped the work.")
            reason = await screen.ask(words("permission.reason"))
            return Consent(False, f"the person said no: {reason}" if reason else "")

    async def _show(self, intent: Intent) -> None:
        """All of it: what is long, page by page."""
        screen = self._screen
        screen.say(screen.words("permission.question", what=intent.title), "bold yellow")
        if intent.guarded is not None:
            screen.say(intent.guarded, "yellow", indent=2)
        text, is_diff = intent.preview or intent.subject, intent.preview_kind == "diff"
        if (count := text.count("\n") + 1) > _WHOLE:
            screen.say(screen.words("permission.long", number=count), "dim", indent=2)
            await screen.page(Leafing(text, screen.words, is_diff))
        elif is_diff:
            screen.diff(intent.preview)
        else:
            screen.say(text, indent=2)
