"""The machine's clock, minded: a step is entered in the audit record, shown, and followed only when
somebody has confirmed it or it has lasted.

Rules kept here:

* A step of more than a day is followed at somebody's word alone (`bailee clock confirm`).
* While a step is held, what is due is due by the home's time (`bailee.steady`), and what may be
  read goes by the later of the two.
* Before a step back is followed, all that has come to its time is destroyed, so that the earlier
  time shows nothing again.
* A time that a test sets is confirmed by being one: such a home has no `Minding`.

Rows: R1, R5.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from bailee.db import home_clock
from bailee.errors import InputError
from bailee.ledger import Ledger
from bailee.steady import ASKED, BOUND, LASTS, HeldStep, MachineClocks, SteadyClock

_log = logging.getLogger(__name__)
_SUBJECT: Final = "wall clock"
_DAMAGED: Final = (
    "the time that this home noted last is not what was written: the machine's clock is taken as "
    "it is. See that it is right; `bailee verify` says what else is damaged."
)


class Minding:
    """The clock of one open home. `settle` destroys all that has come to its time at a moment.

    The ground owns it; the sweep has it look, an operation confirms, from any thread, one at a
    time. `clock` is what everything else goes by. It never sets the machine's clock.
    """

    def __init__(self, engine: Engine, machine: MachineClocks) -> None:
        """Raises: StorageError."""
        self._engine = engine
        self._one = threading.Lock()  # while the clock is looked at, or a step followed
        seen, self._told, self.damaged = home_clock.last_noted(engine)  # which is noted anew
        if self.damaged:
            _log.warning("%s", _DAMAGED)
        self.clock = SteadyClock(machine, seen)

    def mind(self, ledger: Ledger, settle: Callable[[datetime], None]) -> None:
        """Look at the clock: enter a step, or its end; follow one that has lasted; note the time.

        Raises:
            StorageError: a store failed; the next look does it.
        """
        with self._one:
            step = self.clock.step()
            if step is not None and step.has_lasted:
                self._follow(step, "lasted", ledger, settle)
                return
            by = None if step is None else step.by.total_seconds()
            if by is not None and (self._told is None or abs(by - self._told) > BOUND.seconds):
                ledger.append("clock.stepped", _SUBJECT, {"seconds": round(by)})
                _log.warning("%s", in_words(by))
                self._told = by
            elif by is None and self._told is not None:
                ledger.append("clock.set_right", _SUBJECT, {"seconds": round(self._told)})
                self._told = None
            home_clock.note(self._engine, self.clock.seen(), self._told)

    def confirm(self, ledger: Ledger, settle: Callable[[datetime], None], *, by: str) -> HeldStep:
        """Follow the step that is held, at somebody's word; which it was.

        Raises:
            InputError: none is held.
            StorageError: a store failed, and it is held still; ask again.
        """
        with self._one:
            step = self.clock.step()
            if step is None:
                raise InputError("the clock has not stepped: there is nothing to confirm.")
            self._follow(step, by, ledger, settle)
            return step

    def _follow(
        self, step: HeldStep, why: str, ledger: Ledger, settle: Callable[[datetime], None]
    ) -> None:
        if step.by.total_seconds() < 0:
            settle(self.clock())
        ledger.append(
            "clock.followed", _SUBJECT, {"seconds": round(step.by.total_seconds()), "why": why}
        )
        self.clock.follow()
        self._told = None
        home_clock.note(self._engine, self.clock.seen(), None)


def in_words(seconds: float) -> str:
    """What a step of the clock is, and what to do about it."""
    way = "ahead of" if seconds > 0 else "behind"
    hours = LASTS.total_seconds() / 3600
    until = f"it has lasted {hours:.0f} hours"
    if abs(seconds) > ASKED.total_seconds():
        until = "somebody says that it is right"
    return (
        f"the machine's clock is {_roughly(abs(seconds))} {way} this home's time. Nothing is "
        f"destroyed or kept longer by that until {until}. "
        "Set it right; or, if it is right, say so with `bailee clock confirm`."
    )


def _roughly(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600)):
        if round(seconds / size) >= 2:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"
