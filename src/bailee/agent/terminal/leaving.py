"""Tells a person at the start which of their sessions on the server go within a week.

* Of each they are told once on this machine; one that they keep is told of again before its day.
* It says how many and when, and where they can be kept. It keeps none.

Rows: O7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bailee.agent.terminal.beside import ConsoleQuestion
from bailee.agent.terminal.screen import Screen
from bailee.client.local_key import make_private, write_private
from bailee.client.machine import ClientMachine
from bailee.errors import BaileeError
from bailee.json_values import members, objects, text

_PATH: Final = "/api/v1/sessions/going?limit=1000"
_PATIENCE: Final = 0.5  # seconds; the question about training has waited before
_MOST: Final = 50  # consoles that are remembered


class LeavingNotice:
    """The notice of one start. `begin` asks the console, `tell` says what is new, at most once; on
    the event loop's thread. It owns the note of what was told of.
    """

    def __init__(self, machine: ClientMachine) -> None:
        self._file: Final = machine.data / "told-of-server.json"
        self._question = ConsoleQuestion(machine, _PATH)

    def begin(self) -> None:
        """Asks the console, beside whatever else is done."""
        self._question.begin()

    async def tell(self, screen: Screen) -> None:
        """Says it where something is new; the first time, waits a moment to know."""
        answer, console = await self._question.taken(_PATIENCE), self._question.console
        if console is None:
            return
        told, address = _told(self._file), console.address
        ends = new(answer, told.get(address))
        if not ends:
            return
        when = min(ends).astimezone().date()
        screen.say(
            screen.words.count("notice.server", len(ends), when=when, address=address),
            "yellow",
        )
        with suppress(OSError, BaileeError):  # then they are told once more
            make_private(self._file.parent)
            kept = [*told.items()][-_MOST + 1 :]
            _write(self._file, {**dict(kept), address: max(ends)})


def new(answer: object, told: datetime | None) -> list[datetime]:
    """When the sessions go that the console names and of which nobody was told: those that go later
    than whatever was `told` of. Nothing for what is not understood. Pure.
    """
    try:
        found = [
            datetime.fromisoformat(text(one["kept_until"])).astimezone(UTC)
            for one in objects(members(answer).get("sessions"))
        ]
        return [end for end in found if told is None or end > told]
    except (KeyError, ValueError, OverflowError):  # a console of another version
        return []


def _told(file: Path) -> dict[str, datetime]:
    try:
        held = members(json.loads(file.read_bytes()))
        return {name: datetime.fromisoformat(text(at)).astimezone(UTC) for name, at in held.items()}
    except (OSError, ValueError, OverflowError):
        return {}


def _write(file: Path, told: Mapping[str, datetime]) -> None:
    write_private(file, json.dumps({name: at.isoformat() for name, at in told.items()}).encode())
