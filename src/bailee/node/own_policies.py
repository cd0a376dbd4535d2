"""The documents of organisations' own: the record of them, and what holds for each.

Rules kept here:

* A document, its entry in the audit record (which has its text under the organisation's key, so
  that a restore can let it hold again) and whom to tell are committed in one transaction; then it
  is taken up in memory.
* Nothing is decided here about a document: whoever puts one has proved it.
* What can't be read any more is in force all the same, as one that lets nothing through.
* Of each organisation the newest rows are kept; the audit record has what became of all.

Rows: P1, P4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, select

from bailee.clock import Clock
from bailee.damage import Damages
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.many import put
from bailee.db.policy import own_policies, policy_notices
from bailee.ledger import Ledger
from bailee.node.activations import held_before
from bailee.policy.holding import OwnHeld, PolicyHolder
from bailee.policy.meanings import told_apart

SET: Final = "organisation.policy_set"
REMOVED: Final = "organisation.policy_removed"
MOST_A_DAY: Final = 50
"""Changes of one organisation's, each of which is on record whole."""
_KEPT: Final = MOST_A_DAY
"""Rows of an organisation: its document now, and those before it."""
_WHAT: Final = "the organisations' documents"


@dataclass(frozen=True, slots=True)
class OwnChange:
    """An organisation's document came to hold, or none. As `db.policy.own_policies` has it."""

    number: int
    at: datetime
    organisation: str
    document: str | None
    before: str | None
    by: str
    sessions: int
    told: bool


@dataclass(frozen=True, slots=True)
class WantedChange:
    """What an organisation wants: a document (None: none any more), and the hash of the one before
    it. `account`: the organisation's. `sessions`: how many are decided otherwise; `told`: whether
    its people are told, since their terms change.
    """

    organisation: str
    account: str
    content: bytes | None
    before: str | None
    by: str
    reason: str
    sessions: int
    told: bool


class OwnPolicies:
    """The record of one home. `node.ground` makes it and begins it; operations call it, on any
    thread, while they are `alone` with the activations. It owns its table, and tells the
    `PolicyHolder` what holds.
    """

    def __init__(
        self, engine: Engine, ledger: Ledger, clock: Clock, damages: Damages, holding: PolicyHolder
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._clock = clock
        self._damages = damages
        self._holding = holding

    def begin(self) -> None:
        """Take up what holds, from the record. Raises `StorageError`."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found = own_in_force(connection)
        for organisation, held in found.items():
            if not held.sound:
                what = f"own_policies {held.since}"
                self._damages.note(what, "an organisation's own document can't be read.")
            self._holding.take_own(organisation, held)

    def change(self, wanted: WantedChange) -> OwnChange:
        """Let a document of an organisation's hold from now on, or none; on disk, and in force,
        when this returns.

        Raises:
            StorageError: it can't be recorded; what held before does.
        """
        content, organisation = wanted.content, wanted.organisation
        document = None if content is None else hashlib.sha256(content).hexdigest()
        body: dict[str, str | int | None] = {
            "before": wanted.before,
            "by": wanted.by,
            "reason": wanted.reason,
            "sessions": wanted.sessions,
        }
        if content is not None:
            body |= {"document": document, "again": content.decode()}
        with storage_errors(_WHAT), self._engine.begin() as connection:
            number = self._ledger.append(
                REMOVED if content is None else SET,
                organisation,
                body,
                whose=wanted.account,
                connection=connection,
            )
            made = OwnChange(
                *(number, self._clock(), organisation, document, wanted.before, wanted.by),
                *(wanted.sessions, wanted.told),
            )
            put_own_policy(connection, made, content)
            if wanted.told:
                put(connection, policy_notices, [{"account_id": wanted.account, "number": number}])
        then = told_apart(self._holding.policy.document)
        self._holding.take_own(organisation, OwnHeld(content, number, then=then))
        return made

    def of(self, organisation: str) -> list[OwnChange]:
        """What became of an organisation's document, in order, as far as it is kept here. A row
        that is not as it was written is left out.
        """
        fields = OwnChange.__slots__
        return [
            OwnChange(
                **{"organisation": organisation}
                | {name: getattr(row, name) for name in fields if name != "organisation"}
            )
            for row in self._rows(own_policies.c.organisation_id == organisation)
            if row.sound
        ]

    def before(self, organisation: str, number: int) -> OwnHeld | None:
        """What held of an organisation before an entry of the audit record; None: nothing did."""
        where = own_policies.c.organisation_id == organisation, own_policies.c.number < number
        rows = list(self._rows(*where))
        if not rows:
            return None
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return _held(connection, rows[-1])

    def _rows(self, *where: object) -> Iterator[DbRow]:
        query = (
            select(own_policies, sound(own_policies).label("sound"))
            .where(*where)  # type: ignore[arg-type]
            .order_by(own_policies.c.number)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            yield from connection.execute(query).all()


def own_in_force(connection: Connection) -> dict[str, OwnHeld]:
    """What holds of each organisation that has a document of its own, or had one, by the record."""
    newest = select(func.max(own_policies.c.number)).group_by(own_policies.c.organisation_id)
    query = select(own_policies, sound(own_policies).label("sound"))
    rows = connection.execute(query.where(own_policies.c.number.in_(newest))).all()
    return {row.organisation_id: _held(connection, row) for row in rows}


def put_own_policy(connection: Connection, made: OwnChange, content: bytes | None) -> None:
    """Write what holds of an organisation from now on, and let the oldest of its rows go. Can be
    repeated. `content`: None where it has no document, or where nobody knows any more what it says.
    """
    table = own_policies
    connection.execute(delete(table).where(table.c.number == made.number))
    connection.execute(
        insert(table).values(
            number=made.number,
            organisation_id=made.organisation,
            at=made.at,
            document=made.document,
            before=made.before,
            content=content,
            by=made.by,
            sessions=made.sessions,
            told=made.told,
        )
    )
    of_it = table.c.organisation_id == made.organisation
    newest = select(table.c.number).where(of_it).order_by(table.c.number.desc()).limit(_KEPT)
    numbers = connection.execute(newest).scalars().all()
    if len(numbers) == _KEPT:
        connection.execute(delete(table).where(of_it, table.c.number < numbers[-1]))


def _held(connection: Connection, row: DbRow) -> OwnHeld:
    content = row.content
    found = None if content is None else hashlib.sha256(content).hexdigest()
    if not row.sound or found != row.document:  # damaged, or a restore could not read it
        return OwnHeld(None, row.number, sound=False)
    under = None if content is None else held_before(connection, row.number)
    then = None if under is None else told_apart(under.document)
    return OwnHeld(content, row.number, then=then)
