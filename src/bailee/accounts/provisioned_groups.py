"""Groups as an organisation's provider makes them known (SCIM), and what follows from them.

Rules kept here:

* A group gives what the rules for the provider's groups say (`group_grants`), at once when who is
  in it changes; without a rule it gives nothing. A rule names it as it is called, or by its id at
  the provider.
* While a provider makes groups known, they count, and not those in its tokens.
* Who is in one are people whom the provider knows; nobody else can be put in.

Rows: O1.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from bailee.accounts.backing import Backing
from bailee.accounts.group_grants import GroupGrants
from bailee.accounts.groups import LONGEST_GROUP
from bailee.accounts.provisioned_people import ProvisionedPeople
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.provisioning import provisioned_groups, provisioned_members
from bailee.errors import InputError
from bailee.shown import named

MOST: Final = 1000
MOST_MEMBERS: Final = 20_000
_WHAT: Final = "the groups of a provider"
_COLUMNS: Final = [one for one in provisioned_groups.c if one is not provisioned_groups.c.mac]


@dataclass(frozen=True, slots=True)
class WantedGroup:
    """A group as its provider wants it. `members`: people's ids."""

    name: str
    external_id: str | None
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class ProvisionedGroup:
    """A group as its provider knows it, but for who is in it."""

    group_id: str
    organisation_id: str
    name: str
    external_id: str | None
    created_at: datetime
    changed_at: datetime


class ProvisionedGroups:
    """The groups of a home's organisations. The protocol calls it, on its own threads, for the
    organisation whose token was shown, which `by` names. It owns their rows; what a group gives is
    given by `GroupGrants`.
    """

    def __init__(self, backing: Backing, groups: GroupGrants, people: ProvisionedPeople) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._random = backing.random
        self._groups = groups
        self._people = people
        self._changing = threading.RLock()  # from looking at a group until it is changed

    def every(self, organisation_id: str) -> list[ProvisionedGroup]:
        """An organisation's, in the order in which they came."""
        return self._rows(provisioned_groups.c.organisation_id == organisation_id)

    def get(self, organisation_id: str, group_id: str) -> ProvisionedGroup:
        """One of them.

        Raises:
            InputError: `not_found`.
        """
        found = self._rows(
            (provisioned_groups.c.organisation_id == organisation_id)
            & (provisioned_groups.c.id == group_id)
        )
        if not found:
            raise InputError("there is no such group.", code="not_found")
        return found[0]

    def members(self, group_id: str) -> list[str]:
        """Who is in a group, by id."""
        table = provisioned_members
        query = select(table.c.person_id).where(table.c.group_id == group_id, sound(table))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return list(connection.execute(query.order_by(table.c.person_id)).scalars())

    def add(self, organisation_id: str, wanted: WantedGroup, *, by: str) -> ProvisionedGroup:
        """A new group.

        Raises:
            InputError: it is no such group, there are as many as may be; `changed_meanwhile`, one
                is called so.
        """
        with self._changing:
            self._check(organisation_id, wanted, None)
            theirs = provisioned_groups.c.organisation_id == organisation_id
            count = select(func.count()).select_from(provisioned_groups).where(theirs)
            group_id, now = "pgr_" + self._random(8).hex(), self._clock()
            with storage_errors(_WHAT), self._engine.begin() as connection:
                if connection.execute(count).scalar_one() >= MOST:
                    raise InputError(f"there are {MOST} groups, and may be no more.")
                connection.execute(
                    insert(provisioned_groups).values(
                        id=group_id,
                        organisation_id=organisation_id,
                        name=wanted.name,
                        external_id=wanted.external_id,
                        created_at=now,
                        changed_at=now,
                    )
                )
                self._note(connection, organisation_id, group_id, len(wanted.members), by)
            self._fill(organisation_id, group_id, wanted.members)
            return self.get(organisation_id, group_id)

    def change(
        self, organisation_id: str, group_id: str, wanted: WantedGroup, *, by: str
    ) -> ProvisionedGroup:
        """Have a group as it is wanted.

        Raises:
            InputError: `not_found`; it is no such group, or one is called so.
        """
        with self._changing:
            before = self.get(organisation_id, group_id)
            self._check(organisation_id, wanted, group_id)
            this = provisioned_groups.c.id == group_id
            values = {
                "name": wanted.name,
                "external_id": wanted.external_id,
                "changed_at": self._clock(),
            }
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(update(provisioned_groups).where(this).values(values))
                self._note(connection, organisation_id, group_id, len(wanted.members), by)
            named_anew = (before.name, before.external_id) != (wanted.name, wanted.external_id)
            self._fill(organisation_id, group_id, wanted.members, everybody=named_anew)
            return self.get(organisation_id, group_id)

    def remove(self, organisation_id: str, group_id: str, *, by: str) -> None:
        """End a group, and what it gave.

        Raises:
            InputError: `not_found`.
        """
        with self._changing:
            self.get(organisation_id, group_id)
            self._fill(organisation_id, group_id, frozenset())
            this = provisioned_groups.c.id == group_id
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    delete(provisioned_members).where(provisioned_members.c.group_id == group_id)
                )
                connection.execute(delete(provisioned_groups).where(this))
                said = {"group": group_id, "by": by}
                self._ledger.append(
                    "provisioning.group_removed", organisation_id, said, connection=connection
                )

    # -- inside ----------------------------------------------------------------------------------

    def _check(self, organisation_id: str, wanted: WantedGroup, whose: str | None) -> None:
        for value, what in (
            (wanted.name, "a displayName"),
            (wanted.external_id or "-", "an externalId"),
        ):
            if not value or named(value, what, longest=LONGEST_GROUP) != value:
                raise InputError(
                    f"{what} has 1 to {LONGEST_GROUP} characters, and no blanks around it."
                )
        others = self.every(organisation_id)
        if any(one.name == wanted.name and one.group_id != whose for one in others):
            raise InputError("a group is called so already.", code="changed_meanwhile")
        if len(wanted.members) > MOST_MEMBERS:
            raise InputError(f"a group has {MOST_MEMBERS} people at the most.", code="over_quota")

    def _fill(
        self,
        organisation_id: str,
        group_id: str,
        members: frozenset[str],
        *,
        everybody: bool = False,
    ) -> None:
        """Have these people in a group, and what follows from it. `everybody`: also for those who
        were in it and stay.
        """
        before = frozenset(self.members(group_id))
        come, gone = members - before, before - members
        if come:
            known = frozenset(self._people.ids(organisation_id))
            if not come <= known:
                raise InputError("the provider does not know everybody who shall be in this group.")
        table = provisioned_members
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for one in gone:
                this = table.c.person_id == one
                connection.execute(delete(table).where(table.c.group_id == group_id, this))
            for one in come:
                connection.execute(insert(table).values(group_id=group_id, person_id=one))
        for one in sorted(members | before if everybody else come | gone):
            self._groups.settle_provisioned(organisation_id, one)

    def _note(
        self, connection: Connection, organisation_id: str, group_id: str, members: int, by: str
    ) -> None:
        said: dict[str, str | int] = {"group": group_id, "members": members, "by": by}
        self._ledger.append("provisioning.group_set", organisation_id, said, connection=connection)

    def _rows(self, condition: ColumnElement[bool]) -> list[ProvisionedGroup]:
        query = select(*_COLUMNS).where(condition, sound(provisioned_groups))
        query = query.order_by(provisioned_groups.c.created_at, provisioned_groups.c.id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [ProvisionedGroup(*row) for row in connection.execute(query)]
