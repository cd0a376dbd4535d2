"""What can be asked of a home about policy documents: whom one that does not hold would concern,
and which settings go further than the one that holds.

Rules kept here:

* Nothing changes: a document is proved, and asked about what is there beside the one that holds.
* Sessions are decided about in groups that have the same facts, never one by one; nothing of their
  content is read, and nobody is named.
* What one of the documents can't decide (a plan or a channel that it does not know) is counted as
  undecided, and nothing is made up for it.

Rows: P3, P5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bailee.accounts import Account
from bailee.accounts.roles import Permission
from bailee.errors import BaileeError, InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.beside import (
    ClosedSetting,
    PolicyOf,
    SettingStanding,
    closed_by,
    standings,
    use_standings,
)
from bailee.operations.codec import Function
from bailee.operations.operation import operation, sent_by
from bailee.policy import Decision, Policy
from bailee.policy.amounts import problems
from bailee.policy.holding import InForce
from bailee.policy.loading import from_bytes
from bailee.policy.reading import Unsound
from bailee.training import eligibility
from bailee.vault.groups import SessionGroup

LARGEST: Final = 1_000_000
"""Bytes that a document to be tried may have."""
UNDECIDED: Final = "undecided"

_Change: TypeAlias = tuple[str, Decision | None, Decision | None]
"""An action, and what is decided before and after."""


@dataclass(frozen=True, slots=True)
class Concern:
    """One change of result. `before`, `after`: an effect or, of what is kept, a period; `undecided`
    where that document does not know a plan or a channel. `accounts`: whose they are.
    """

    action: str
    before: str
    after: str
    clause_before: str
    clause_after: str
    sessions: int
    accounts: int


@dataclass(frozen=True, slots=True)
class Trial:
    """Whom a document concerns against another (their versions and SHA-256s, hex): each change with
    how many sessions and accounts, most sessions first; `changed_sessions`, `changed_accounts`: of
    all changes together, each counted once. `sessions`, `accounts`: of all that were looked at.
    `settings`: those that somebody wrote and that the operator's document has a say in, and limits
    and lists of organisations that a document has less than.
    """

    before: str
    before_document: str
    after: str
    after_document: str
    concerns: list[Concern]
    changed_sessions: int
    changed_accounts: int
    sessions: int
    accounts: int
    settings: list[SettingStanding]


@dataclass(slots=True)
class _Counted:
    """What was counted of one change. One question's alone."""

    sessions: int = 0
    accounts: set[str] = field(default_factory=set)

    def add(self, group: SessionGroup) -> None:
        """Count a group."""
        self.sessions += group.sessions
        self.accounts.add(group.owner)


@operation()
def try_document(asks: Asks, node: Node, document: str, against: str | None = None) -> Trial:
    """How many sessions and people each change of a document would concern, against another, or
    else against the one that holds. Both are whole documents, in TOML. Nothing is changed.
    """
    asks.require(node, Permission.POLICY_TRY)
    with sent_by(asks):
        if against is None:
            old, new = node.policy, proposed(document, "the document")
        else:
            old, new = read(against, "the other document"), read(document, "the document")
    return compared(node, node.holding.under(old), node.holding.under(new))


def compared(node: Node, old: PolicyOf, new: PolicyOf, *, of: str | None = None) -> Trial:
    """Whom one policy concerns against another, of all that is in a home, or of one account: each
    with what an organisation has of its own beside it.
    """
    judges = _Judge(old), _Judge(new)
    with_own = {*node.holding.organisations()}
    changes: defaultdict[_Change, _Counted] = defaultdict(_Counted)
    changed, everybody = _Counted(), _Counted()
    known: dict[tuple[object, ...], tuple[_Change, ...]] = {}
    for group in node.vault.groups(of):
        account = _owner(node, group.owner)
        its = None if account is None else account.organisation_id
        kind = (*_kind(group, account), its if its in with_own else None)
        found = known.get(kind)
        if found is None:
            found = known[kind] = tuple(_changes(group, account, *judges))
        everybody.add(group)
        for change in found:
            changes[change].add(group)
        if found:
            changed.add(group)
    concerns = [
        Concern(
            action,
            _outcome(was),
            _outcome(now),
            _clause(was),
            _clause(now),
            counted.sessions,
            len(counted.accounts),
        )
        for (action, was, now), counted in changes.items()
    ]
    return Trial(
        *(old(None).version, old(None).sha256, new(None).version, new(None).sha256),
        sorted(concerns, key=lambda one: (-one.sessions, one.action, one.clause_after)),
        changed.sessions,
        len(changed.accounts),
        everybody.sessions,
        len(everybody.accounts),
        [
            *([] if of else standings(node.settings, old(None), new(None))),
            *use_standings(node, old, new, None if of is None else _organisation(node, of)),
        ],
    )


def _kind(group: SessionGroup, account: Account | None) -> tuple[object, ...]:
    """All that decisions about a group go by: groups of one kind are decided alike."""
    facts = (group.plan, group.channel, group.uses, group.data_class)
    if account is None:
        return facts
    consent = group.last_consent
    return (
        *(*facts, account.training_choice, account.partner_programme),
        *(account.chosen_number > 0, account.chosen_number <= consent),
        *(account.partner_number > 0, account.partner_number <= consent),
    )


def _changes(
    group: SessionGroup, account: Account | None, before: _Judge, after: _Judge
) -> Iterator[_Change]:
    for action in ("retain", "train"):
        was, now = before.of(action, group, account), after.of(action, group, account)
        if _outcome(was) != _outcome(now):
            yield action, was, now


class _Judge:
    """Decides about groups of sessions by one policy, as it is for each organisation. Made for one
    question, used by its thread alone.
    """

    def __init__(self, policy: PolicyOf) -> None:
        self._policy = policy

    def of(self, action: str, group: SessionGroup, account: Account | None) -> Decision | None:
        """The decision; None: this policy can't decide, or nobody knows whose it is."""
        if account is None:
            return None
        try:
            if action == "retain":
                return self._retained(group, account)
            return self._trained(group, account)
        except (InputError, TypeError):  # uses that are not written as they must be
            return None

    def _retained(self, group: SessionGroup, account: Account) -> Decision:
        # Of a key with zero retention there are no sessions.
        facts = account.facts(zero_retention=False, channel=group.channel, plan=group.plan)
        return self._policy(account.organisation_id).retain(group.data_class, facts)

    def _trained(self, group: SessionGroup, account: Account) -> Decision:
        standing, uses = eligibility.standing_of(account), eligibility.uses_of(group.uses)
        held = InForce(self._policy(account.organisation_id))
        return eligibility.decide(held, standing, uses, group.last_consent)


def read(document: str, what: str) -> Policy:
    """The policy of a document that was given, `what` it is called in an error.

    Raises:
        Unsound: it is not sound.
        InputError: it is too large.
    """
    content = document.encode()
    if len(content) > LARGEST:
        raise InputError(
            f"{what} is too large to be tried.",
            code="request_too_large",
            hint=f"{LARGEST:,} bytes at most; nothing was changed",
        )
    return from_bytes(content, what)


def proposed(document: str, what: str) -> Policy:
    """The same of one that is to come to hold: its bounds' texts say the numbers that these have.

    Raises:
        Unsound: it is not sound, or a text says another number.
        InputError: it is too large.
    """
    policy = read(document, what)
    wrong = [*problems(policy.document)]
    if wrong:
        raise Unsound(wrong)
    return policy


def _owner(node: Node, account_id: str) -> Account | None:
    try:
        return node.accounts.get(account_id)
    except BaileeError:  # erased a moment ago, or not as it was written
        return None


def _organisation(node: Node, account_id: str) -> str:
    """The organisation that an account is of; empty: of none, which has no limits of that kind."""
    account = _owner(node, account_id)
    return "" if account is None else account.organisation_id or ""


def _outcome(decision: Decision | None) -> str:
    return UNDECIDED if decision is None else decision.retention or decision.effect


def _clause(decision: Decision | None) -> str:
    return "" if decision is None else decision.clause


@operation()
def closed(asks: Asks, node: Node) -> list[ClosedSetting]:
    """The settings, and the limits and lists of models of organisations, that go further than the
    policy documents. Beyond them they have no effect.
    """
    asks.require(node, Permission.POLICY_TRY)
    policy = node.holding.under(node.policy)
    of_use = use_standings(node, policy, policy)
    return [
        *closed_by(node.settings, node.policy),
        *(ClosedSetting(one.setting, one.after) for one in of_use if one.after is not None),
    ]


OPERATIONS: Final[Mapping[str, Function]] = {"policy.try": try_document, "policy.closed": closed}
