"""When a turn goes in circles: each answer is paid for, and nobody may be looking. Pure.

* A call that can't be meant (its input is no object, there is no such tool) is answered, once. When
  the next answer holds nothing else either, the turn ends.
* So it does after `REPEATS` answers in a row whose calls all failed, or were made before in this
  turn and came to the same. Waiting for something by asking again has room in that.
"""

from __future__ import annotations

import json
from typing import Final

from bailee.agent import events

MALFORMED: Final = 2
REPEATS: Final = 20


class TurnProgress:
    """What came of a turn's calls so far. `turns.Agent` makes one for each turn."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._calls = self._malformed_calls = 0
        self._news = False
        self._malformed = self._repeats = 0  # answers in a row

    def take(self, event: events.Event) -> None:
        """Looks at what came of a call."""
        match event:
            case events.ToolEnded(call, _, outcome, malformed):
                came = hash((call.name, json.dumps([call.arguments, outcome.content])))
                self._news |= not outcome.is_error and came not in self._known
                self._known.add(came)
                self._calls += 1
                self._malformed_calls += malformed
            case events.CallRefused():
                self._calls += 1
            case _:
                pass

    def stuck(self) -> bool:
        """Whether the turn should end; asked when all calls of an answer have been taken, and false
        when it had none.
        """
        if not self._calls:
            return False
        malformed = self._malformed_calls == self._calls
        self._malformed = self._malformed + 1 if malformed else 0
        self._repeats = 0 if self._news else self._repeats + 1
        self._calls = self._malformed_calls = 0
        self._news = False
        return self._malformed >= MALFORMED or self._repeats >= REPEATS
