"""Asking a person for permission: they see the whole of it, and nothing is chosen by accident.

* The whole command, the whole diff; invisible characters are shown.
* Keys pressed before the question was there don't count.
* Three answers: once; from now on in this session, where a narrow rule exists; no, and why.
"""

from __future__ import annotations

from collections.abc import Callable

from bailee.agent.permissions import rule_to_remember
from bailee.agent.ports import Consent, Intent
from bailee.agent.terminal.screen import Choice, Screen


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
            self._show(intent)
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

    def _show(self, intent: Intent) -> None:
        screen = self._screen
        screen.say(screen.words("permission.question", what=intent.title), "bold yellow")
        if intent.guarded is not None:
            screen.say(intent.guarded, "yellow", indent=2)
        if intent.preview_kind == "diff":
            screen.diff(intent.preview)
        else:
            screen.say(intent.preview or intent.subject, indent=2)
