"""One sweep of everything that a home keeps, and what became of its steps.

Rules kept here:

* One sweep at a time, whoever asks: who comes second waits, and then sweeps what is due still.
* A step that fails stops no other. It is noted by name, with how many times in a row it has failed;
  the audit record has the first failure of a row, and its end.
* That keys were destroyed on time is known by a clock that only grows.

Rows: R5.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from bailee.clock import Ticks, ticks
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import insert as upsert
from bailee.db.watch import sweep_steps
from bailee.errors import BaileeError
from bailee.node.erasing import Erasures
from bailee.node.stores import Stores
from bailee.vault.forgetting import SweepReport
from bailee.vault.steps import Steps

_WHAT: Final = "the sweep's steps"
_KEYS: Final = "keys"
SEALING: Final = "sealing"
"""The step that waits for the sealer; it has a bound of its own (`promise.SEALING`)."""


class NodeSweep(NamedTuple):
    """What a sweep did; how much of what went besides sessions is in `gone`, by step; what failed
    of what in `failures`, by step. `kept`: the keys that were due are destroyed; it is not
    late that they are not where `sessions.waits`.
    """

    sessions: SweepReport
    gone: Mapping[str, Mapping[str, int]]
    failures: Mapping[str, BaileeError]
    kept: bool


@dataclass(frozen=True, slots=True)
class StepNote:
    """What became of a step, the last times. `error`: the code of the latest failure, None when the
    latest time was none; `failures`: how many in a row.
    """

    name: str
    succeeded_at: datetime | None
    failed_at: datetime | None
    error: str | None
    failures: int


class Sweeping:
    """The sweeps of a home. A server's schedule calls it, and whoever sweeps by a command, from any
    thread: it lets one sweep at a time. It decides nothing: what is due is said by each store.
    """

    def __init__(self, stores: Stores, erasures: Erasures, *, ticking: Ticks = ticks) -> None:
        self._stores = stores
        self._erasures = erasures
        self._ticks = ticking
        self._one = threading.Lock()  # during a sweep: it alone writes these, but for `ending`
        self._since = ticking()
        self.failing: Mapping[str, BaileeError] = {}
        """What failed the last time; replaced as a whole."""
        self.kept = False
        """Whether keys were destroyed on time since the opening."""
        self.ending = False
        """Whether the node is about to be closed: what fails now is no news."""

    def unswept(self) -> float:
        """Seconds since keys were destroyed on time; from the opening on, if never."""
        return self._ticks() - self._since

    def sweep(self, now: datetime, *, minding: bool = True) -> NodeSweep:
        """Destroy what is due, step by step. `minding`: first look whether the machine's clock has
        stepped.
        """
        with self._stores.room.deleting():
            return self._sweep(now, minding=minding)

    def _sweep(self, now: datetime, *, minding: bool) -> NodeSweep:
        stores, steps = self._stores, Steps()
        if minding:
            with steps.step("clock"):
                self.mind_clock()
        gone: dict[str, Mapping[str, int]] = {}
        with self._one:
            began = self._ticks()
            for store in stores.swept:
                with steps.step(store.name):
                    gone[store.name] = store.sweep(now)
            done = stores.vault.sweep(now, steps)
            with steps.step("erasures"):
                self._erasures.resume(now)
            with steps.step("marks"):
                stores.marks.catch_up()
            kept = _KEYS in steps.done
            if kept:
                self._since, self.kept = began, True
            if not self.ending:
                self.failing = dict(steps.failures)
                with suppress(BaileeError):  # the next sweep notes it
                    self._note(steps, stores.clock())
        return NodeSweep(done, gone, steps.failures, kept)

    def mind_clock(self) -> None:
        """Look whether the machine's clock has stepped (`minding`).

        Raises:
            StorageError: a store failed.
        """
        if self._stores.minding is not None:
            self._stores.minding.mind(self._stores.ledger, self.settle)

    def settle(self, now: datetime) -> None:
        """Destroy all that has come to its time at `now`, so that no earlier time shows it again;
        in older copies too, or its receipts would wait until the earlier time has come to `now`.

        Raises:
            StorageError: a store failed; call again.
        """
        for failure in self.sweep(now, minding=False).failures.values():
            raise failure
        self._stores.vault.end_past(now)
        self._stores.vault.rotate(now)

    def notes(self) -> list[StepNote]:
        """What became of each step, by name.

        Raises:
            StorageError: it can't be read.
        """
        every, name = select(sweep_steps).order_by(sweep_steps.c.name), sweep_steps.c.name
        found: list[StepNote] = []
        with storage_errors(_WHAT), reading(self._stores.data) as connection:
            with suppress(ValueError, TypeError):
                return [StepNote(**row._mapping) for row in connection.execute(every)]
            for one in connection.execute(select(name).order_by(name)).scalars().all():
                # One that can't be read is noted anew, when its step has been.
                with suppress(ValueError, TypeError):
                    query = every.where(name == one)
                    found += [StepNote(**row._mapping) for row in connection.execute(query)]
        return found

    def _note(self, steps: Steps, at: datetime) -> None:
        before = {note.name: note for note in self.notes()}
        codes: dict[str, str | None] = dict.fromkeys(steps.done)
        codes |= {name: error.code for name, error in steps.failures.items()}
        with storage_errors(_WHAT), self._stores.data.begin() as connection:
            for name, code in codes.items():
                known = before.get(name, StepNote(name, None, None, None, 0))
                self._enter(connection, known, code)
                values = {
                    "succeeded_at": at if code is None else known.succeeded_at,
                    "failed_at": known.failed_at if code is None else at,
                    "error": code,
                    "failures": 0 if code is None else known.failures + 1,
                }
                connection.execute(
                    upsert(sweep_steps)
                    .values(name=name, **values)
                    .on_conflict_do_update(index_elements=["name"], set_=values)
                )

    def _enter(self, connection: Connection, known: StepNote, code: str | None) -> None:
        """Enter the first failure of a row, and its end."""
        if code == known.error:
            return
        kind: str = "retention.sweep_failed"
        body: dict[str, str | int | None] = {"error": code}
        if code is None:
            kind, body = "retention.sweep_recovered", {"failures": known.failures}
        self._stores.ledger.append(kind, known.name, body, connection=connection)
