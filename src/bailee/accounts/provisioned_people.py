"""The people of an organisation as its provider knows them (SCIM): made by it, changed and ended.

Rules kept here:

* Whom the provider knows are those whom it made known, and whoever has a place in the organisation:
  so it finds, and can end, who was there before it.
* **Active means a place in the organisation**, and nothing beside that says so. Who is ended has no
  place, no key, no client and no console session that is theirs there, at once; what its groups
  gave them elsewhere goes too. Whom it made known comes in by no sign-in again until it says so.
* A provider speaks for the email domain that is bound to its organisation. Without one it makes
  people that nobody here is, and takes nobody in who is here already.
* An email is changed only of who came into being by this provider, and has nothing here beside it:
  or a provider could come to what is somebody's own.
* Nobody is erased by it: what is kept of them is kept on the organisation's terms.
* An organisation keeps at least one owner; operators are not taken in.

Rows: O1, T5.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, and_, delete, exists, func, insert, or_, select, update

from bailee.accounts import emails
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.group_grants import GroupGrants
from bailee.accounts.organisations import Organisations
from bailee.accounts.people import People
from bailee.accounts.roles import Actor
from bailee.accounts.web_sessions import WebSessions
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.people import memberships, persons, providers
from bailee.db.provisioning import provisioned_members, provisioned_people
from bailee.errors import InputError
from bailee.shown import named

MOST: Final = 20_000
LONGEST: Final = 254
_WHAT: Final = "the people of a provider"


@dataclass(frozen=True, slots=True)
class WantedPerson:
    """A person as their provider wants them. `email`: by which they are known here."""

    user_name: str
    email: str
    external_id: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class ProvisionedPerson:
    """A person as their provider knows them."""

    organisation_id: str
    person_id: str
    user_name: str
    email: str
    external_id: str | None
    active: bool
    created_at: datetime
    changed_at: datetime


class ProvisionedPeople:
    """Whom the providers of a home's organisations know. The protocol calls it, on its own threads,
    for the organisation whose token was shown; who that is it has found out before, and `by` names.
    It owns their rows; places, keys and people are those of the classes beside it.
    """

    def __init__(
        self,
        backing: Backing,
        *,
        people: People,
        organisations: Organisations,
        authority: Authority,
        groups: GroupGrants,
        web_sessions: WebSessions,
    ) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._identifiers = backing.identifiers
        self._damages = backing.damages
        self._people = people
        self._organisations = organisations
        self._authority = authority
        self._groups = groups
        self._web_sessions = web_sessions
        self._changing = threading.RLock()  # from looking at a person until they are changed

    # -- who there is ----------------------------------------------------------------------------

    def ids(self, organisation_id: str) -> list[str]:
        """Whom an organisation's provider knows, in the order in which they came."""
        theirs = and_(
            memberships.c.organisation_id == organisation_id,
            memberships.c.person_id == persons.c.id,
            sound(memberships),
        )
        known = and_(
            provisioned_people.c.organisation_id == organisation_id,
            provisioned_people.c.person_id == persons.c.id,
            provisioned_people.c.user_name.is_not(None),
            sound(provisioned_people),
        )
        query = select(persons.c.id).where(
            persons.c.erased_at.is_(None),
            sound(persons),
            or_(exists().where(theirs), exists().where(known)),
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found = connection.execute(query.order_by(persons.c.created_at, persons.c.id))
            return list(found.scalars())

    def get(self, organisation_id: str, person_id: str) -> ProvisionedPerson:
        """One of them.

        Raises:
            InputError: `not_found`: whoever they are, this provider does not know them.
        """
        row = self._row(organisation_id, person_id)
        place = next(
            (
                one
                for one in self._organisations.of_person(person_id)
                if one.organisation_id == organisation_id
            ),
            None,
        )
        known = row is not None and row.user_name is not None
        if place is None and not known:
            raise _no_such()
        person = self._people.get(person_id)
        if person.email is None:
            raise _no_such()
        user_name = external_id = None
        if row is not None:
            user_name = self._identifiers.shown(person_id, "user_name", row.user_name)
            external_id = self._identifiers.shown(person_id, "external_id", row.external_id)
        since = person.created_at if place is None else place.joined_at
        return ProvisionedPerson(
            organisation_id,
            person_id,
            user_name or person.email,
            person.email,
            external_id,
            place is not None,
            since if row is None else row.created_at,
            since if row is None else row.changed_at,
        )

    def some(self, organisation_id: str, person_ids: Iterable[str]) -> Iterator[ProvisionedPerson]:
        """Several of them. Whose particulars are damaged is left out, and noted."""
        return self._damages.each(
            person_ids,
            lambda one: self.get(organisation_id, one),
            lambda one: f"person {one}",
        )

    def named(self, organisation_id: str, user_name: str) -> ProvisionedPerson | None:
        """Who has this user name, in whatever case; by their email who has none."""
        index = self._index("user_name", organisation_id, user_name.casefold())
        found = self._by(provisioned_people.c.user_name_index, organisation_id, index)
        if not found:
            return self.with_email(organisation_id, user_name, named=True)
        return self._known(organisation_id, found[0])

    def with_external_id(self, organisation_id: str, external_id: str) -> list[ProvisionedPerson]:
        """Who has this id at their provider."""
        index = self._index("external_id", organisation_id, external_id)
        found = self._by(provisioned_people.c.external_id_index, organisation_id, index)
        some = (self._known(organisation_id, one) for one in found)
        return [one for one in some if one is not None]

    def with_email(
        self, organisation_id: str, email: str, *, named: bool = False
    ) -> ProvisionedPerson | None:
        """Who has this email. `named`: and is called by it."""
        try:
            person = self._people.by_email(email)
        except InputError:  # it is none
            return None
        found = None if person is None else self._known(organisation_id, person.person_id)
        if found is None or (named and found.user_name.casefold() != email.strip().casefold()):
            return None
        return found

    # -- changing --------------------------------------------------------------------------------

    def add(self, organisation_id: str, wanted: WantedPerson, *, by: str) -> ProvisionedPerson:
        """Make a person known who is not yet.

        Raises:
            InputError: `changed_meanwhile`, somebody has this user name or email; what is wanted is
                not allowed.
        """
        with self._changing:
            address = self._checked(organisation_id, wanted, whose=None)
            person = self._people.by_email(address)
            if person is None:
                person, _ = self._people.insert(
                    address,
                    plan=None,
                    password=None,
                    by=Actor(key_id=by),
                    along=lambda connection, person_id: self._write(
                        connection, organisation_id, person_id, wanted, made=True, by=by
                    ),
                )
            else:
                self._take_in(organisation_id, person.person_id, wanted, by)
            self._settle(organisation_id, person.person_id, wanted.active, by)
            return self.get(organisation_id, person.person_id)

    def change(
        self, organisation_id: str, person_id: str, wanted: WantedPerson, *, by: str
    ) -> ProvisionedPerson:
        """Have a person as they are wanted.

        Raises:
            InputError: `not_found`, `changed_meanwhile`, or what is wanted is not allowed: nothing
                has changed.
        """
        with self._changing:
            before = self.get(organisation_id, person_id)
            address = self._checked(organisation_id, wanted, whose=person_id)
            if address != before.email:
                self._readdress(organisation_id, person_id, address, by)
            self._settle(organisation_id, person_id, wanted.active, by)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                self._write(connection, organisation_id, person_id, wanted, made=False, by=by)
            return self.get(organisation_id, person_id)

    def remove(self, organisation_id: str, person_id: str, *, by: str) -> None:
        """End a person whom the provider knows no more. What is kept of them stays.

        Raises:
            InputError: `not_found`; they are the last owner.
        """
        with self._changing:
            self.get(organisation_id, person_id)
            self._settle(organisation_id, person_id, False, by)
            with storage_errors(_WHAT), self._engine.begin() as connection:
                self._write(connection, organisation_id, person_id, None, made=False, by=by)
                connection.execute(
                    delete(provisioned_members).where(
                        provisioned_members.c.person_id == person_id,
                        provisioned_members.c.group_id.in_(
                            self._groups.provisioned_ids(organisation_id)
                        ),
                    )
                )

    # -- inside ----------------------------------------------------------------------------------

    def _checked(self, organisation_id: str, wanted: WantedPerson, *, whose: str | None) -> str:
        """The email in its normal form, if nothing is against what is wanted."""
        for value, what in (
            (wanted.user_name, "a userName"),
            (wanted.external_id or "-", "an externalId"),
        ):
            if not value or named(value, what, longest=LONGEST) != value:
                raise InputError(f"{what} has 1 to {LONGEST} characters, and no blanks around it.")
        address = emails.normal(wanted.email)
        other = self.named(organisation_id, wanted.user_name)
        if other is not None and other.person_id != whose:
            raise _taken()
        if whose is not None and self._people.get(whose).email == address:
            return address
        domain = self._domain(organisation_id)
        if domain is not None and emails.domain_of(address) != domain:
            raise InputError(
                "this email is of no domain that the organisation's provider speaks for.",
                hint=f"its people have emails of {domain}",
            )
        return address

    def _take_in(self, organisation_id: str, person_id: str, wanted: WantedPerson, by: str) -> None:
        """Make known who is here already."""
        if self._people.get(person_id).operator:
            raise InputError(
                "this is an operator of the service, whom no provider takes in.", code="forbidden"
            )
        row = self._row(organisation_id, person_id)
        if row is not None and row.user_name is not None:
            raise _taken()
        here = self._authority.role(person_id, organisation_id) is not None
        if not here and row is None and self._domain(organisation_id) is None:
            raise _taken()
        with storage_errors(_WHAT), self._engine.begin() as connection:
            self._write(connection, organisation_id, person_id, wanted, made=False, by=by)

    def _settle(self, organisation_id: str, person_id: str, active: bool, by: str) -> None:
        """Give a person their place, or end everything that they have by it."""
        role = self._authority.role(person_id, organisation_id)
        if active:
            if role is None:
                self._organisations.put(organisation_id, person_id, "member", by=by)
                self._groups.settle_provisioned(organisation_id, person_id)
            return
        if role is not None:
            self._organisations.take_out(organisation_id, person_id, by=by)
        self._groups.leave(organisation_id, person_id)
        self._web_sessions.end_all(person_id)

    def _readdress(self, organisation_id: str, person_id: str, address: str, by: str) -> None:
        row = self._row(organisation_id, person_id)
        beside = [
            one
            for one in self._organisations.of_person(person_id)
            if one.organisation_id != organisation_id
        ]
        if row is None or not row.made or beside or self._people.has_more(person_id):
            raise InputError(
                "this person is not the organisation's alone: their email is theirs to keep.",
                code="forbidden",
                hint="make another person of the new email, and end this one",
            )
        self._people.readdress(person_id, address, by=Actor(key_id=by))

    def _write(
        self,
        connection: Connection,
        organisation_id: str,
        person_id: str,
        wanted: WantedPerson | None,
        *,
        made: bool,
        by: str,
    ) -> None:
        """Put a row in the place of what there was. `wanted` None: they are not known any more."""
        table, now = provisioned_people, self._clock()
        this = and_(table.c.organisation_id == organisation_id, table.c.person_id == person_id)
        before = connection.execute(select(table).where(this, sound(table))).first()
        values: dict[str, object] = dict.fromkeys(
            ("user_name", "user_name_index", "external_id", "external_id_index")
        )
        if wanted is not None:
            values["user_name"] = self._identifiers.seal(person_id, "user_name", wanted.user_name)
            values["user_name_index"] = self._index(
                "user_name", organisation_id, wanted.user_name.casefold()
            )
        if wanted is not None and wanted.external_id is not None:
            values["external_id"] = self._identifiers.seal(
                person_id, "external_id", wanted.external_id
            )
            values["external_id_index"] = self._index(
                "external_id", organisation_id, wanted.external_id
            )
        if before is not None:
            connection.execute(update(table).where(this).values(values | {"changed_at": now}))
        else:
            connection.execute(delete(table).where(this))  # there is none, or one that is not sound
            if self._count(connection, organisation_id) >= MOST:
                raise InputError(f"there are {MOST} people, and may be no more.", code="over_quota")
            values |= {"organisation_id": organisation_id, "person_id": person_id, "made": made}
            connection.execute(
                insert(table).values(values | {"created_at": now, "changed_at": now})
            )
        said: dict[str, str | bool] = {
            "person": person_id,
            "known": wanted is not None,
            "active": wanted is not None and wanted.active,
            "by": by,
        }
        self._ledger.append("provisioning.person_set", organisation_id, said, connection=connection)

    @staticmethod
    def _count(connection: Connection, organisation_id: str) -> int:
        theirs = provisioned_people.c.organisation_id == organisation_id
        query = select(func.count()).select_from(provisioned_people).where(theirs)
        return connection.execute(query).scalar_one()

    def _row(self, organisation_id: str, person_id: str) -> DbRow | None:
        table = provisioned_people
        query = select(table).where(
            table.c.organisation_id == organisation_id,
            table.c.person_id == person_id,
            sound(table),
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(query).first()

    def _by(self, column: Column[bytes], organisation_id: str, index: bytes) -> list[str]:
        table = provisioned_people
        query = select(table.c.person_id).where(
            table.c.organisation_id == organisation_id, column == index, sound(table)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def _known(self, organisation_id: str, person_id: str) -> ProvisionedPerson | None:
        try:
            return self.get(organisation_id, person_id)
        except InputError:
            return None

    def _index(self, kind: str, organisation_id: str, text: str) -> bytes:
        return self._identifiers.index(f"provisioned {kind}", organisation_id, text)

    def _domain(self, organisation_id: str) -> str | None:
        query = select(providers.c.domain).where(
            providers.c.organisation_id == organisation_id, sound(providers)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found: str | None = connection.execute(query).scalar()
        return found


def _no_such() -> InputError:
    return InputError("the provider knows nobody by this id here.", code="not_found")


def _taken() -> InputError:
    return InputError("somebody has this userName or this email already.", code="changed_meanwhile")
