"""What the service keeps of this session: asked of bailee's console, and else unknown.

The console's HTTP API answers to the person's own key (`GET /api/v1/sessions/{id}`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from bailee.agent.console_api import ConsoleApi
from bailee.errors import BaileeError
from bailee.words import Words


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known. `recorded` None: not known. Moments are ISO 8601; clauses the policy's."""

    recorded: bool | None = None
    kept_until: str | None = None
    trained_on: bool | None = None
    clause: str | None = None
    plan: str | None = None
    choice: str | None = None

    def told(self, words: Words) -> tuple[str, ...]:
        """For the status line."""
        if self.recorded is None:
            return (words("status.unknown"),)
        if not self.recorded:
            return (words("status.not_recorded"),)
        until = words("status.recorded", until=(self.kept_until or "?")[:10])
        return (until, words("status.trained" if self.trained_on else "status.not_trained"))


UNKNOWN: Final = Recorded()


def ask(console: ConsoleApi | None, session: str) -> Recorded:
    """What the console says of a session; unknown when it can't be asked. Blocks, for seconds."""
    if console is None:
        return UNKNOWN
    try:
        found = console.find(f"/api/v1/sessions/{quote(session, safe='')}")
        person = console.get("/api/v1/privacy/training")
    except BaileeError:
        return UNKNOWN
    return read(found, person)


def read(session: object, person: object) -> Recorded:
    """What the console's answers mean, of a session (None: it knows of none) and of the person;
    unknown when they can't be understood. Pure.
    """
    if not isinstance(session, dict | None) or not isinstance(person, dict):
        return UNKNOWN
    plan, choice = (_text(person.get(name)) for name in ("plan", "choice"))
    if session is None:
        return Recorded(False, plan=plan, choice=choice)
    retention, training = session.get("retention"), session.get("training")
    return Recorded(
        True,
        _text(session.get("kept_until")),
        isinstance(training, dict) and training.get("effect") == "allow",
        _text(retention.get("clause")) if isinstance(retention, dict) else None,
        plan,
        choice,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
