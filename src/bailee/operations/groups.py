"""What can be asked of a home about groups of an organisation's provider: what they give, by rules,
what they gave, and what they would give.

Rows: O1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec

from bailee.accounts.groups import (
    MOST_RULES,
    GivenPlace,
    GivenRole,
    GroupRule,
    GroupRules,
    check_rules,
    decide,
    groups_in,
)
from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation
from bailee.usage.limits import Scope, Subject, team_id


@dataclass(frozen=True, slots=True)
class WantedGroupRule:
    """A rule as it is set. `group`: as the provider names it; `everybody` stands for a group that
    all are in. `organisation`: None, the provider's own. `team`: a name of your choice.
    """

    group: str | None = None
    everybody: bool = False
    organisation: str | None = None
    role: GivenRole = "member"
    team: str | None = None


@dataclass(frozen=True, slots=True)
class GroupRuleSummary:
    """A rule. `group`: None, it is for everybody that the provider lets in."""

    id: str
    group: str | None
    organisation: str
    role: str
    team: str | None


@dataclass(frozen=True, slots=True)
class GroupGrantSummary:
    """What somebody has by rules, since when. `role`: None, their place is not by a rule."""

    organisation: str
    person: str
    role: str | None
    rule: str | None
    team: str | None
    team_rule: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class GroupsSummary:
    """The rules for an organisation's provider, and who has what in the organisation by rules.
    `rules`: empty, there are none: everybody that the provider lets in is a member.
    """

    organisation: str
    claim: str
    scope: str
    rules: list[GroupRuleSummary]
    given: list[GroupGrantSummary]


@dataclass(frozen=True, slots=True)
class TriedPlace:
    """What somebody would have in an organisation. `models`: which they may ask, by what lists (all
    of them hold); none: all. `limits`: ids of the limits that hold for all in it or in the team.
    """

    organisation: str
    name: str
    plan: str
    role: str
    rule: str
    team: str | None
    team_rule: str | None
    models: list[list[str]]
    limits: list[str]


@dataclass(frozen=True, slots=True)
class GroupTrial:
    """What the rules would do with claims: the groups that they name, and what these give; nothing:
    they do not come in. `problem`: why it can't be told.
    """

    groups: list[str]
    problem: str | None
    places: list[TriedPlace]


WantedRules = Annotated[list[WantedGroupRule], msgspec.Meta(max_length=MOST_RULES)]


@operation()
def show(asks: Asks, node: Node, organisation: str) -> GroupsSummary:
    """The rules for the groups of an organisation's provider, and what they gave."""
    asks.require(node, Permission.PROVIDER_CHANGE)
    node.registry.organisations.get(organisation)
    return _shown(node, organisation, node.registry.groups.rules(organisation))


@operation()
def set_(
    asks: Asks,
    node: Node,
    organisation: str,
    rules: WantedRules,
    *,
    claim: str = "groups",
    scope: str = "",
) -> GroupsSummary:
    """Say what groups of an organisation's provider give, in the place of what was said. No rules:
    everybody of its domain is a member again.
    """
    asks.require(node, Permission.PROVIDER_CHANGE)
    node.registry.organisations.get(organisation)
    wanted = _rules(organisation, rules, claim, scope) if rules else None
    made = node.registry.groups.set_rules(organisation, wanted, by=asks.actor)
    return _shown(node, organisation, made)


@operation()
def try_(
    asks: Asks,
    node: Node,
    organisation: str,
    claims: dict[str, object],
    *,
    rules: WantedRules | None = None,
    claim: str = "groups",
) -> GroupTrial:
    """Say what the rules would give somebody with these claims (as in an ID token); `rules`: these,
    in the place of those that hold. Nothing changes.
    """
    asks.require(node, Permission.PROVIDER_CHANGE)
    node.registry.organisations.get(organisation)
    held = node.registry.groups.rules(organisation)
    if rules:
        held = check_rules(_rules(organisation, rules, claim, ""))
    if held is None:
        everybody = GroupRule(None, organisation)
        held = GroupRules((everybody,), claim)
    try:
        groups = groups_in(claims, held.claim)
    except InputError as error:
        return GroupTrial([], error.message, [])
    given = decide(held.rules, groups)
    return GroupTrial(
        sorted(groups), None, [_tried(node, name, one) for name, one in given.items()]
    )


def _rules(organisation: str, rules: list[WantedGroupRule], claim: str, scope: str) -> GroupRules:
    made = []
    for one in rules:
        if one.everybody is (one.group is not None):
            raise InputError("a rule is for a group, or for everybody.")
        made.append(GroupRule(one.group, one.organisation or organisation, one.role, one.team))
    return GroupRules(tuple(made), claim, scope)


def _tried(node: Node, organisation_id: str, given: GivenPlace) -> TriedPlace:
    account = node.accounts.of_organisation(organisation_id)
    subjects = [
        Subject(Scope.EVERYBODY, ""),
        Subject(Scope.ORGANISATION, organisation_id),
        Subject(Scope.MEMBERS, organisation_id),
    ]
    whose = {("plan", account.plan), ("organisation", organisation_id)}
    if given.team is not None:
        team = team_id(organisation_id, given.team)
        subjects += (Subject(scope, team) for scope in (Scope.TEAM, Scope.TEAM_MEMBERS, Scope.POOL))
        whose.add((Scope.TEAM, team))
    return TriedPlace(
        organisation_id,
        node.registry.organisations.get(organisation_id).name,
        account.plan,
        given.role,
        given.rule,
        given.team,
        given.team_rule,
        [[*one.models] for one in node.limits.lists() if (one.scope, one.subject) in whose],
        [one.limit_id for one in node.limits.limits() if one.subject in subjects],
    )


def _shown(node: Node, organisation: str, rules: GroupRules | None) -> GroupsSummary:
    found = rules or GroupRules(())
    return GroupsSummary(
        organisation,
        found.claim,
        found.scope,
        [
            GroupRuleSummary(one.rule_id, one.group, one.organisation_id, one.role, one.team)
            for one in found.rules
        ],
        [
            GroupGrantSummary(
                one.organisation_id,
                one.person_id,
                one.role,
                one.rule,
                one.team,
                one.team_rule,
                one.since,
            )
            for one in node.registry.groups.of_organisation(organisation)
        ],
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "organisation.groups": show,
    "organisation.set_groups": set_,
    "organisation.try_groups": try_,
}
