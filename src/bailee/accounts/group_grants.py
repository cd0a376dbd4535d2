"""What groups of a provider gave to whom: set by rules, given and taken at each word of a provider.

Rules kept here:

* Whoever comes by a provider that has rules has what the rules give, and in the provider's own
  organisation nothing else: also a place that was given before. Owners alone are by hand, and stay.
* In another organisation the rules take only what they gave. A place there that somebody gave by
  hand stays as it is; a rule may name its team.
* Whom an organisation let go by hand is not taken in again by a rule: an admin does that.
* What is given or taken is an entry of the audit record, with the rule, in the same transaction. A
  place that is taken ends the keys that speak for the person there.
* A rule that is taken away takes what it gave at once, from everybody.
* While the rules can't be read, nobody comes in by them.
* While a provider makes groups known by itself (`provisioned_groups`), they count, and not those in
  its tokens. Whom it made known (`provisioned_people`) has a place in its own organisation by that,
  as a member where no rule gives more; whom it ended gets none by a rule.

Rows: O1.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.groups import (
    GivenPlace,
    GroupRule,
    GroupRules,
    check_rules,
    decide,
    from_text,
    groups_in,
    to_text,
)
from bailee.accounts.organisations import Organisations
from bailee.accounts.roles import Actor, Permission, Role
from bailee.accounts.teams import teams_on
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.groups import group_grants, group_rules
from bailee.db.provisioning import provisioned_groups, provisioned_members, provisioned_people
from bailee.errors import InputError, IntegrityError

_WHAT: Final = "what groups give"
_BY: Final = "provider"


class GroupGrant(NamedTuple):
    """What somebody has in an organisation by rules. `role`: None, their place is not by a rule."""

    organisation_id: str
    person_id: str
    provider_id: str
    role: str | None
    rule: str | None
    team: str | None
    team_rule: str | None
    since: datetime


class GroupGrants:
    """The rules for groups, and what they gave. Operations set and show the rules; what signs
    people in has them settled, on threads that may wait; the gateway's limits read teams. It owns
    both tables. It keeps no list of anybody's groups.
    """

    def __init__(
        self, backing: Backing, authority: Authority, organisations: Organisations
    ) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._damages = backing.damages
        self._authority = authority
        self._organisations = organisations
        self._settling = threading.Lock()  # while what somebody has is changed
        self.version = 0
        """Grows with each change of a team that is made through this."""

    # -- the rules -------------------------------------------------------------------------------

    def rules(self, provider_id: str) -> GroupRules | None:
        """The rules for an organisation's provider; None: it has none.

        Raises:
            IntegrityError: they are not what was written.
        """
        table = group_rules
        this = table.c.organisation_id == provider_id
        query = select(table.c.claim, table.c.scope, table.c.rules, sound(table).label("sound"))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(query.where(this)).first()
        if row is None:
            return None
        if not row.sound:
            self._damages.note_all("group_rules", [provider_id])
            raise IntegrityError(
                f"the rules for the groups of {provider_id} are not what was written.",
                hint="set them again: bailee organisation groups set",
            )
        return GroupRules(from_text(row.rules), row.claim, row.scope)

    def set_rules(
        self, provider_id: str, rules: GroupRules | None, *, by: Actor
    ) -> GroupRules | None:
        """Put rules in the place of those that there are; None: there are none any more, and
        everybody of the provider's domain is let in as a member.

        Raises:
            InputError: they are no rules, an organisation is not there; `forbidden`.
        """
        self._authority.require(by, Permission.PROVIDER_CHANGE)
        self._organisations.account(provider_id)
        now = () if rules is None else check_rules(rules).rules
        for organisation_id in {one.organisation_id for one in now}:
            self._organisations.account(organisation_id)
        with self._settling, storage_errors(_WHAT), self._engine.begin() as connection:
            this = group_rules.c.organisation_id == provider_id
            stored = connection.execute(
                select(group_rules.c.rules).where(this, sound(group_rules))
            ).scalar()
            before = () if stored is None else from_text(stored)
            connection.execute(delete(group_rules).where(this))
            if rules is not None:
                connection.execute(
                    insert(group_rules).values(
                        organisation_id=provider_id,
                        claim=rules.claim,
                        scope=rules.scope,
                        rules=to_text(now),
                    )
                )
            self._note_rules(connection, provider_id, rules, before, by.name)
        self._take_back(provider_id, now)
        return rules

    def _note_rules(
        self,
        connection: Connection,
        provider_id: str,
        rules: GroupRules | None,
        before: tuple[GroupRule, ...],
        by: str,
    ) -> None:
        now = () if rules is None else rules.rules
        kept = {one.rule_id for one in before} & {one.rule_id for one in now}
        said = {"claim": None if rules is None else rules.claim, "rules": len(now), "by": by}
        self._ledger.append("provider.groups_set", provider_id, said, connection=connection)
        for kind, rules_of_kind in (
            ("provider.group_rule_removed", before),
            ("provider.group_rule_added", now),
        ):
            for one in rules_of_kind:
                if one.rule_id in kept:
                    continue
                body: dict[str, str | int | float | bool | None] = {
                    "rule": one.rule_id, "group": one.group, "organisation": one.organisation_id,
                    "role": one.role, "team": one.team, "by": by,
                }  # fmt: skip
                self._ledger.append(kind, provider_id, body, connection=connection)

    def _take_back(self, provider_id: str, now: Sequence[GroupRule]) -> None:
        """Take what a rule gave that is no more."""
        good = {one.rule_id for one in now}
        with self._settling:
            for held in self._grants(group_grants.c.provider_id == provider_id):
                if not now:
                    self._release(held)
                elif held.rule is not None and held.rule not in good:
                    self._settle_one(held.organisation_id, held.person_id, provider_id, None, held)
                elif held.team_rule is not None and held.team_rule not in good:
                    with storage_errors(_WHAT), self._engine.begin() as connection:
                        self._write(connection, held, held._replace(team=None, team_rule=None))
                    self.version += 1

    def _release(self, held: GroupGrant) -> None:
        """There are no rules any more: a place with the provider's own organisation stays, others
        go.
        """
        if held.organisation_id != held.provider_id:
            self._settle_one(held.organisation_id, held.person_id, held.provider_id, None, held)
            return
        with storage_errors(_WHAT), self._engine.begin() as connection:
            self._write(connection, held, None)
        self.version += 1

    # -- what they give --------------------------------------------------------------------------

    def gives(
        self, provider_id: str, person_id: str | None, claims: Mapping[str, object]
    ) -> dict[str, GivenPlace] | None:
        """What the rules would give somebody with these claims, by organisation; None: there are no
        rules. `person_id`: None, they are not here yet. Nothing changes.

        Raises:
            InputError: `groups_unknown`.
        """
        rules = self.rules(provider_id)
        if rules is None:
            return None
        known = self._groups_known(provider_id, person_id)
        return decide(rules.rules, groups_in(claims, rules.claim) if known is None else known)

    def settle(self, provider_id: str, person_id: str, claims: Mapping[str, object]) -> None:
        """Give somebody what the rules give them with these claims, and take what they don't.

        Raises:
            InputError: `groups_unknown`, nothing has changed; `forbidden`, nothing is left by
                which they may come in.
            StorageError: what was not done is done the next time.
        """
        with self._settling:
            given = self._settle(provider_id, person_id, claims)
        if given is not None and all(
            self._authority.role(person_id, one) is None for one in (*given, provider_id)
        ):
            raise nothing_given()

    def settle_provisioned(self, provider_id: str, person_id: str) -> None:
        """The same by the groups that a provider has made known; nothing where it makes none known.

        Raises:
            StorageError: what was not done is done the next time.
        """
        with self._settling:
            if self._groups_known(provider_id, person_id) is not None:
                self._settle(provider_id, person_id, {})

    def leave(self, provider_id: str, person_id: str) -> None:
        """Take what a provider's groups gave somebody in other organisations, and let go of what
        they gave in its own: it has ended them.
        """
        with self._settling:
            for held in self.of_person(person_id):
                if held.provider_id != provider_id:
                    continue
                if held.organisation_id == provider_id:
                    self._release(held)
                else:
                    self._settle_one(held.organisation_id, person_id, provider_id, None, held)

    def refuse_ended(self, provider_id: str, person_id: str) -> None:
        """Go on only if the organisation's provider has not ended this person: whom it made known
        and who has no place there comes in by no sign-in.

        Raises:
            InputError: `forbidden`.
        """
        if self.is_provisioned(provider_id, person_id) and not self._has_place(
            provider_id, person_id
        ):
            raise let_go()

    def is_provisioned(self, provider_id: str, person_id: str) -> bool:
        """Whether the provider has made this person known, now or before."""
        table = provisioned_people
        query = select(table.c.person_id).where(
            table.c.organisation_id == provider_id, table.c.person_id == person_id
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(query).first() is not None

    def provisioned_ids(self, provider_id: str) -> list[str]:
        """The ids of the groups that a provider has made known."""
        query = select(provisioned_groups.c.id).where(
            provisioned_groups.c.organisation_id == provider_id
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def _groups_known(self, provider_id: str, person_id: str | None) -> frozenset[str] | None:
        """By what names and ids the groups go that a provider has put somebody in; None: it makes
        none known by itself.
        """
        groups, theirs = provisioned_groups, provisioned_members
        if not self.provisioned_ids(provider_id):
            return None
        query = (
            select(groups.c.name, groups.c.external_id)
            .join(theirs, theirs.c.group_id == groups.c.id)
            .where(
                groups.c.organisation_id == provider_id,
                theirs.c.person_id == person_id,
                sound(groups),
                sound(theirs),
            )
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return frozenset(one for row in rows for one in row if one is not None)

    def _has_place(self, organisation_id: str, person_id: str) -> bool:
        return self._authority.role(person_id, organisation_id) is not None

    def _settle(
        self, provider_id: str, person_id: str, claims: Mapping[str, object]
    ) -> dict[str, GivenPlace] | None:
        given = self.gives(provider_id, person_id, claims)
        held = {one.organisation_id: one for one in self.of_person(person_id)}
        ours = {name: one for name, one in held.items() if one.provider_id == provider_id}
        if given is None:
            for one in ours.values():
                self._release(one)
            return None
        for name in sorted({*given, *ours, provider_id}):
            if name in held and name not in ours:
                continue  # another provider's to say
            self._settle_one(name, person_id, provider_id, given.get(name), ours.get(name))
        return given

    def _settle_one(
        self,
        organisation_id: str,
        person_id: str,
        provider_id: str,
        given: GivenPlace | None,
        held: GroupGrant | None,
    ) -> None:
        role = self._authority.role(person_id, organisation_id)
        home = organisation_id == provider_id
        provisioned = self.is_provisioned(provider_id, person_id)
        if role is None and (held is not None or (provisioned and home)):
            return  # let go by hand, or ended by the provider
        if provisioned and not self._has_place(provider_id, person_id):
            given = None
        if given is None and home and provisioned:
            self._leave_as_member(organisation_id, person_id, role, held)
            return
        if given is None:
            self._take(organisation_id, person_id, role, held, home=home)
            return
        by_hand = role == "owner" or (
            role is not None and not home and (held is None or held.role is None)
        )
        if by_hand and given.team is None and held is None:
            return
        found = GroupGrant(
            organisation_id,
            person_id,
            provider_id,
            None if by_hand else given.role,
            None if by_hand else given.rule,
            given.team,
            given.team_rule,
            self._clock(),
        )
        same = held is not None and found._replace(since=held.since) == held
        if same and (by_hand or role == given.role):
            return
        self._give(found, held, None if by_hand else given.role)

    def _leave_as_member(
        self, organisation_id: str, person_id: str, role: Role | None, held: GroupGrant | None
    ) -> None:
        """Of whom the provider made known: no rule gives anything any more; their place stays."""
        if held is None:
            return
        if role == "owner" or held.role is None or role == "member":
            with storage_errors(_WHAT), self._engine.begin() as connection:
                self._write(connection, held, None)
        else:
            self._organisations.put(
                organisation_id,
                person_id,
                "member",
                by=_BY,
                along=lambda connection: self._write(connection, held, None),
            )
        self.version += 1

    def _give(self, found: GroupGrant, held: GroupGrant | None, role: Role | None) -> None:
        if role is None:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                self._write(connection, held, found)
        else:
            self._organisations.put(
                found.organisation_id,
                found.person_id,
                role,
                by=_BY,
                along=lambda connection: self._write(connection, held, found),
            )
        self.version += 1

    def _take(
        self,
        organisation_id: str,
        person_id: str,
        role: Role | None,
        held: GroupGrant | None,
        *,
        home: bool,
    ) -> None:
        if role is None or (held is None and not home):
            return
        lost = held or GroupGrant(
            organisation_id, person_id, organisation_id, role, None, None, None, self._clock()
        )
        if role == "owner" or (not home and lost.role is None):
            if held is not None:
                with storage_errors(_WHAT), self._engine.begin() as connection:
                    self._write(connection, held, None)
        else:
            self._organisations.take_out(
                organisation_id,
                person_id,
                by=_BY,
                along=lambda connection: self._write(connection, lost, None),
            )
        self.version += 1

    def _write(
        self, connection: Connection, held: GroupGrant | None, found: GroupGrant | None
    ) -> None:
        """Put `found` in the place of `held`, and say so in the record."""
        one = found or held
        assert one is not None
        connection.execute(
            delete(group_grants).where(
                group_grants.c.organisation_id == one.organisation_id,
                group_grants.c.person_id == one.person_id,
            )
        )
        if found is not None:
            connection.execute(insert(group_grants).values(found._asdict()))
        for kind, said in (("group.lost", held), ("group.gained", found)):
            if said is not None:
                body = {
                    "person": said.person_id, "provider": said.provider_id, "role": said.role,
                    "rule": said.rule, "team": said.team, "team_rule": said.team_rule,
                }  # fmt: skip
                self._ledger.append(kind, said.organisation_id, body, connection=connection)

    # -- what they gave --------------------------------------------------------------------------

    def of_person(self, person_id: str) -> list[GroupGrant]:
        """What somebody has by rules."""
        return self._grants(group_grants.c.person_id == person_id)

    def of_organisation(self, organisation_id: str) -> list[GroupGrant]:
        """What people have in an organisation by rules."""
        return self._grants(group_grants.c.organisation_id == organisation_id)

    def team(self, organisation_id: str, person_id: str) -> str | None:
        """Somebody's team in an organisation, if they have one."""
        found = self._grants(
            group_grants.c.organisation_id == organisation_id,
            group_grants.c.person_id == person_id,
        )
        return next((one.team for one in found), None)

    def teams(self) -> dict[tuple[str, str], str]:
        """The team of everybody who has one, by organisation and person."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return teams_on(connection)

    def _grants(self, *conditions: ColumnElement[bool]) -> list[GroupGrant]:
        columns = [column for column in group_grants.c if column is not group_grants.c.mac]
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(select(*columns).where(*conditions, sound(group_grants)))
            return [GroupGrant(*row) for row in rows]


def let_go() -> InputError:
    """Of whom an organisation has ended."""
    return InputError(
        "you no longer belong to this organisation.",
        code="forbidden",
        hint="an admin of the organisation can add you again",
    )


def nothing_given() -> InputError:
    """The refusal of somebody whose groups give them nothing."""
    return InputError(
        "none of your groups at your organisation's provider gives you anything here.",
        code="forbidden",
        hint="ask whoever manages the groups there",
    )
