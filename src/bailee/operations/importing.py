"""Many people at once, as a list of another system has them: made, and put into organisations.

Rules kept here:

* A list can be given again: who is there stays, and only what differs is done. Nobody is taken out:
  who is not in the list may be somebody whom it does not know.
* One row that can't be done is refused by itself, with why; the others are done.
* A trial looks at the same, and writes nothing.

Rows: P3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from bailee.accounts import emails
from bailee.accounts.organisations import role_named
from bailee.accounts.roles import Permission, Role
from bailee.errors import BaileeError, InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation

MOST: Final = 500
_FREE: Final = "free"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A person as they shall be. With a `plan` they have an account of their own, and without an
    organisation one that is free; `role` is theirs in the organisation.
    """

    email: str
    plan: str = ""
    organisation: str = ""
    role: str = "member"


class ImportState(StrEnum):
    """What became of a row: the person was made; was there, and taken into the organisation; has
    another role there now; was there just so; or it could not be done.
    """

    MADE = "made"
    JOINED = "joined"
    CHANGED = "changed"
    SAME = "same"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """What became of one. `person`: their id, where there is one."""

    email: str
    state: ImportState
    person: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class ImportedPeople:
    """What became of each, in the order of the list."""

    rows: list[ImportedRow]


@operation()
def bring(
    asks: Asks,
    node: Node,
    people: Annotated[list[ImportRow], msgspec.Meta(max_length=MOST)],
    dry_run: bool = False,
) -> ImportedPeople:
    """Make people who are not there, and put them into their organisations, in their roles."""
    asks.require(node, Permission.PERSON_CREATE)
    seen: set[str] = set()
    rows: list[ImportedRow] = []
    for row in people:
        try:
            address = emails.normal(row.email)
            if address in seen:
                raise InputError("this email stands in the list before.")
            seen.add(address)
            rows.append(_one(asks, node, row, dry_run=dry_run))
        except BaileeError as error:
            rows.append(ImportedRow(row.email, ImportState.REFUSED, why=error.message))
    return ImportedPeople(rows)


def _one(asks: Asks, node: Node, row: ImportRow, *, dry_run: bool) -> ImportedRow:
    registry, role = node.registry, role_named(row.role)
    if row.plan and row.plan not in node.policy.plans:
        raise InputError(f"there is no plan {row.plan[:40]!r}.")
    if row.organisation:
        registry.organisations.account(row.organisation)
    person = registry.people.by_email(row.email)
    if person is None:
        if dry_run:
            return ImportedRow(row.email, ImportState.MADE)
        plan = row.plan or (None if row.organisation else _FREE)
        person, _ = registry.people.create(row.email, plan=plan, by=asks.actor)
        if row.organisation:
            registry.organisations.add(row.organisation, person.person_id, role, by=asks.actor)
        return ImportedRow(row.email, ImportState.MADE, person.person_id)
    state = _belonging(node, person.person_id, row.organisation, role)
    if state is not ImportState.SAME and not dry_run:
        registry.organisations.add(row.organisation, person.person_id, role, by=asks.actor)
    return ImportedRow(row.email, state, person.person_id)


def _belonging(node: Node, person: str, organisation: str, role: Role) -> ImportState:
    """What is to be done for somebody who is there. Whose account is on another plan keeps it."""
    if not organisation:
        return ImportState.SAME
    places = {
        one.organisation_id: one.role for one in node.registry.organisations.of_person(person)
    }
    if organisation not in places:
        return ImportState.JOINED
    return ImportState.SAME if places[organisation] == role else ImportState.CHANGED


OPERATIONS: Final[Mapping[str, Function]] = {"person.import": bring}
