"""What the groups of an organisation's provider give, by rules of the operator. Pure.

A rule says: who is in this group has this role in this organisation, and is of this team of it.
The organisation decides the plan; limits and lists of models are an organisation's or a team's.

Rules kept here:

* What no rule gives, nobody has. A rule makes nobody an owner.
* A group is compared whole and exactly. One text is one group: what it is made of splits nothing.
* Of several rules for one organisation the highest role counts, and the first team that is named.
* A provider that says that there are more groups than it sends ("overage") has not said which
  groups somebody is in, and neither has one that sends more than `MOST_GROUPS`: nothing is decided
  on the part that came.
* A rule's id is what it says: the same rule has the same id, wherever it stands.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bailee.errors import InputError
from bailee.json_values import elements, members

GivenRole = Literal["admin", "member"]
_ROLES: Final[tuple[GivenRole, ...]] = ("admin", "member")
MOST_RULES: Final = 200
MOST_GROUPS: Final = 1000
LONGEST_GROUP: Final = 256
_TEAM: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,38}[a-z0-9])?")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,60}( [\x21\x23-\x5b\x5d-\x7e]{1,60}){0,4}")


@dataclass(frozen=True, slots=True)
class GroupRule:
    """What a group gives. `group`: None, whoever the provider lets in. `organisation_id`: where.
    `team`: None, it names none.
    """

    group: str | None
    organisation_id: str
    role: GivenRole = "member"
    team: str | None = None

    @property
    def rule_id(self) -> str:
        """Its id: `grr_` and a digest of what it says."""
        said = json.dumps([self.group, self.organisation_id, self.role, self.team])
        return "grr_" + hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class GroupRules:
    """The rules for one provider, in order. `claim`: where a token names groups, by a claim's name
    or, with a `/` before it, by a JSON pointer (RFC 6901). `scope`: what the provider is asked for
    beside `openid email`, so that it says so.
    """

    rules: tuple[GroupRule, ...]
    claim: str = "groups"
    scope: str = ""


@dataclass(frozen=True, slots=True)
class GivenPlace:
    """What the rules give somebody in one organisation, and the rules' ids."""

    role: GivenRole
    rule: str
    team: str | None
    team_rule: str | None


def check_rules(rules: GroupRules) -> GroupRules:
    """The same rules, if they are such.

    Raises:
        InputError: they are not; nothing was changed.
    """
    if not rules.rules or len(rules.rules) > MOST_RULES:
        raise InputError(
            f"there are 1 to {MOST_RULES} rules.", hint="to let everybody in, say so in a rule"
        )
    _check_text(rules.claim, "a claim")
    if rules.scope and not _SCOPE.fullmatch(rules.scope):
        raise InputError("that is no scope.", hint="names with a space between them")
    for one in rules.rules:
        if one.group is not None:
            _check_text(one.group, "a group")
        if one.role not in _ROLES:
            raise InputError("a rule makes a member or an admin.", hint="an owner is made by hand")
        if one.team is not None:
            check_team(one.team)
    if len({one.rule_id for one in rules.rules}) < len(rules.rules):
        raise InputError("a rule is there twice.")
    return rules


def check_team(team: str) -> str:
    """The same name, if it is one of a team.

    Raises:
        InputError: it is not.
    """
    if not _TEAM.fullmatch(team):
        raise InputError(
            "that is no name of a team.", hint="at most 40 of a-z, 0-9, '-', '_' and '.'"
        )
    return team


def groups_in(claims: Mapping[str, object], claim: str) -> frozenset[str]:
    """The groups that a provider's claims name. No claim: none.

    Raises:
        InputError: `groups_unknown`, it does not say which, or says too many.
    """
    found = _found(claims, claim)
    if found is None:
        named_elsewhere = members(claims.get("_claim_names"))
        if claim in named_elsewhere or claims.get("hasgroups") is True:
            raise _unknown("they are in more groups than the provider puts into a token")
        return frozenset()
    named = [found] if isinstance(found, str) else elements(found)
    if len(named) > MOST_GROUPS:
        raise _unknown(f"the provider names more than {MOST_GROUPS} groups")
    return frozenset(one for one in named if isinstance(one, str) and len(one) <= LONGEST_GROUP)


def is_there(claims: Mapping[str, object], claim: str) -> bool:
    """Whether claims name groups, if none."""
    return _found(claims, claim) is not None


def decide(rules: Iterable[GroupRule], groups: frozenset[str]) -> dict[str, GivenPlace]:
    """What somebody in these groups is given: by organisation."""
    given: dict[str, GivenPlace] = {}
    for one in rules:
        if one.group is not None and one.group not in groups:
            continue
        team_rule = None if one.team is None else one.rule_id
        before = given.get(one.organisation_id)
        if before is None:
            given[one.organisation_id] = GivenPlace(one.role, one.rule_id, one.team, team_rule)
            continue
        role, rule = before.role, before.rule
        if _ROLES.index(one.role) < _ROLES.index(role):
            role, rule = one.role, one.rule_id
        team, of = (one.team, team_rule) if before.team is None else (before.team, before.team_rule)
        given[one.organisation_id] = GivenPlace(role, rule, team, of)
    return given


def to_text(rules: Sequence[GroupRule]) -> str:
    """Rules as they are stored."""
    return json.dumps([[one.group, one.organisation_id, one.role, one.team] for one in rules])


def from_text(stored: str) -> tuple[GroupRule, ...]:
    """Rules as they were stored."""
    return tuple(GroupRule(*one) for one in json.loads(stored))


def _found(claims: Mapping[str, object], claim: str) -> object:
    if not claim.startswith("/"):
        return claims.get(claim)
    found: object = dict(claims)
    for name in claim[1:].split("/"):
        found = members(found).get(name.replace("~1", "/").replace("~0", "~"))
    return found


def _check_text(value: str, what: str) -> None:
    if not 0 < len(value) <= LONGEST_GROUP or not value.isprintable() or value != value.strip():
        raise InputError(
            f"{what} has 1 to {LONGEST_GROUP} characters, without blanks around them.",
        )


def _unknown(why: str) -> InputError:
    return InputError(
        f"which groups this person is in can't be told: {why}.",
        code="groups_unknown",
        hint="have the provider send only the groups that rules name; see the guide on signing in",
    )
