"""What can be asked of a home about the policy document that holds: to let another hold, which held
from when, what changed for somebody, and that they have seen it.

Rules kept here:

* A document is proved, and compared with the one that holds, before anything is written. It is
  refused where the home could not go on with it: it lacks a plan that an account has, a channel, a
  class of data or a flow that the one before knows. So is one that is older than the one that
  holds, since people were told a later day, or whose day has not come.
* Who was shown what a document changes says against which one (`against`): if that holds no more,
  nothing is done.
* It reaches what comes in from then on. What is there keeps its terms until it is gone on with, but
  for what is kept less long now: that follows at once, and nothing is made to stay longer.
* Whoever's terms change is told until they have seen it, and only of what is theirs.

Rows: P3, P4, P5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from bailee.accounts import Account
from bailee.accounts.roles import Permission
from bailee.accounts.staff import worded
from bailee.errors import InputError
from bailee.node import Node
from bailee.node.activations import Activation, Concerned
from bailee.operations import policies
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation, sent_by
from bailee.policy import Policy
from bailee.policy.concerned import TermsChange, changes, in_words
from bailee.policy.document import Language
from bailee.policy.facts import Facts
from bailee.policy.holding import InForce, together
from bailee.policy.own import read as read_own

_KNOWN: Final = ("channel", "data_class", "flow")
"""Facts of which a document must have every value that the one before has."""


@dataclass(frozen=True, slots=True)
class ActivationSummary:
    """A document came to hold: the number of its entry in the audit record, when, which (version
    and SHA-256, hex), which did before (None: it was the first), by whom and why. `sessions` of
    `accounts` were decided otherwise; `told`: how many accounts' terms changed, whose people are
    told.
    """

    number: int
    at: datetime
    version: str
    document: str
    before: str | None
    by: str
    reason: str | None
    sessions: int
    accounts: int
    told: int


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One thing that changes. `text`: it in words; the others as `policy.concerned.TermsChange` has
    them. `shorter`: it reaches what is kept already.
    """

    text: str
    action: str
    data_class: str
    before: str
    after: str
    clause: str
    shorter: bool


@dataclass(frozen=True, slots=True)
class PolicyNotice:
    """What changed for an account that whoever asks has not seen yet. `number`: what to say was
    seen. `organisation`: the name of the one whose account it is, if it is one's.
    """

    number: int
    account: str
    organisation: str | None
    before: str
    after: str
    at: datetime
    changes: list[PolicyChange]


@operation()
def activate(
    asks: Asks, node: Node, document: str, *, reason: str | None = None, against: str | None = None
) -> ActivationSummary:
    """Let a document (whole, in TOML) hold from now on. `against`: the SHA-256 (hex) of the one
    that is thought to hold; nothing is done if another does. `reason`: why, in a few words.
    """
    del reason  # it is among what asks
    asks.require(node, Permission.POLICY_ACTIVATE)
    why = worded(asks.reason or "", "activating a policy document")
    with sent_by(asks):
        new = policies.proposed(document, "the document")
    with node.activations.alone():
        held = node.policy
        if against not in (None, held.sha256):
            raise InputError(
                "another policy document holds than the one that this was compared with.",
                code="changed_meanwhile",
                hint="look at what it changes against that one; nothing was changed",
            )
        check(node, held, new)
        made = node.activations.activate(
            new, document.encode(), by=asks.actor.name, reason=why, concerned=_concerned(node, new)
        )
    node.following.follow_document()
    return _summary(node, made)


def check(node: Node, held: Policy, new: Policy) -> None:
    """Go on only if a home could go on with a document in the place of the one that holds.

    Raises:
        InputError: it could not, or it holds already.
    """
    if held.sha256 == new.sha256:
        raise _refused("this document holds already.")
    if new.document.effective < held.document.effective:
        raise _refused(
            f"this document is of {new.document.effective}, and one of {held.document.effective} "
            "holds, as people were told.",
            "give it a later day (version, effective) if its terms are to hold again",
        )
    if new.document.effective > node.clock().date():
        raise _refused(
            f"the day of this document has not come: {new.document.effective}.",
            "activate it from that day on",
        )
    for fact in _KNOWN:
        known = new.document.labels[fact]
        if lost := [str(one) for one in held.document.labels[fact] if one not in known]:
            raise _refused(f"this document does not know the {fact} {', '.join(sorted(lost))}.")
    regions = {one.residency for one in node.accounts.every() if one.residency}
    if lost := sorted(regions - {*new.document.labels.get("residency", ())}):
        raise _refused(f"accounts demand the region {lost[0]}, which this document does not know.")
    for organisation in node.holding.organisations():
        _check_own(node, organisation, held, new)
    plans = {one.plan for one in node.accounts.every()} | set(node.registry.passwords.sign_up_plans)
    for plan in sorted(plans):
        if plan not in new.plans:
            raise _refused(f"this document does not know the plan {plan}, which accounts have.")
        if new.plans[plan].segment != held.plans[plan].segment:
            raise _refused(f"this document makes the plan {plan} {new.plans[plan].segment}.")


def _check_own(node: Node, organisation: str, held: Policy, new: Policy) -> None:
    """Go on only if an organisation's own document says under the new one what it says now. Where
    it is less strict than that one, that one holds.
    """
    own = node.holding.own(organisation)
    if own is None or own.content is None:
        return
    try:
        read_own(own.content, held.document)
    except InputError:
        return  # it can't be read now either
    try:
        read_own(own.content, new.document, file=f"the document of {organisation}")
    except InputError as error:
        raise _refused(
            f"an organisation's own document says what this one does not know: {error.message}",
            "its owner gives another one, or you remove it: `bailee organisation policy`",
        ) from None


def _refused(message: str, hint: str = "the home could not go on with it") -> InputError:
    return InputError(message, hint=f"{hint}; nothing was changed")


def _concerned(node: Node, new: Policy) -> Concerned:
    before, after = node.holding.under(node.policy), node.holding.under(new)
    found, with_own = policies.compared(node, before, after), {*node.holding.organisations()}

    @cache
    def changes_for(facts: Facts, organisation: str | None) -> bool:
        return bool(changes(before(organisation), after(organisation), facts))

    told = [
        one.account_id
        for one in node.accounts.every()
        if not node.erasures.rows.is_gone(one.account_id)
        and changes_for(
            one.facts(zero_retention=False),
            one.organisation_id if one.organisation_id in with_own else None,
        )
    ]
    return Concerned(found.changed_sessions, found.changed_accounts, told)


@operation()
def list_(asks: Asks, node: Node) -> list[ActivationSummary]:
    """Every document that held, in order: the last is the one that holds."""
    asks.require(node, Permission.EVIDENCE_READ)
    return [_summary(node, one) for one in node.activations.all()]


def _summary(node: Node, one: Activation) -> ActivationSummary:
    reason = node.ledger.get(one.number).body.get("reason")
    return ActivationSummary(
        *(one.number, one.at, one.version, one.document, one.before, one.by),
        *(None if reason is None else str(reason), one.sessions, one.accounts, one.told),
    )


@operation()
def notices(asks: Asks, node: Node, language: Language = "en") -> list[PolicyNotice]:
    """What the policy documents since changed for you that you have not seen yet: for your own
    account, and for the organisations that you are in.
    """
    made = (notice_of(node, account, _who(asks), language) for account in _accounts(asks, node))
    return [one for one in made if one is not None]


@operation()
def seen(asks: Asks, node: Node, number: int) -> list[PolicyNotice]:
    """Say that you have seen what changed, up to the notice of this number; what is left."""
    told = node.activations.told()
    mine = [*_accounts(asks, node)]
    last = max(
        (
            node.activations.all()[-1].number,
            *(told[one.account_id] for one in mine if one.account_id in told),
        ),
        default=0,
    )
    if not 0 < number <= last:
        raise InputError("there is no such notice.", code="not_found")
    for account in mine:
        node.activations.saw(account.account_id, _who(asks), number, asks.due)
    return notices(asks, node)


def notice_of(
    node: Node, account: Account, who: str, language: Language = "en"
) -> PolicyNotice | None:
    """What changed for an account that somebody has not seen; None: nothing."""
    unseen = node.activations.unseen(account.account_id, who)
    if unseen is None:
        return None
    before, held = node.activations.policy_of(unseen.before), node.policy_of(account)
    if before is None:  # nobody can say any more what it was
        return None
    of = account.organisation_id
    its = None if of is None else node.own_policies.before(of, unseen.first)
    if its is not None:
        before = together(InForce(before), its).policy
    found = changes(before, held, account.facts(zero_retention=False))
    if not found:  # what one document changed, the next took back
        return None
    return PolicyNotice(
        unseen.number,
        account.account_id,
        None if of is None else node.registry.organisations.get(of).name,
        before.version,
        held.version,
        node.ledger.get(unseen.number).at,
        [_change(one, held, language) for one in found],
    )


def _change(one: TermsChange, policy: Policy, language: Language) -> PolicyChange:
    return PolicyChange(
        in_words(one, policy.document, language),
        *(one.action, one.data_class, one.before, one.after, one.clause, one.shorter),
    )


def _who(asks: Asks) -> str:
    """Whose seeing counts: a person's, or of who holds an account's key the account's."""
    return asks.actor.person_id or asks.actor.account_id or ""


def _accounts(asks: Asks, node: Node) -> Iterator[Account]:
    """The accounts of who asks: the one of their key; or their own and their organisations'."""
    actor = asks.actor
    if actor.account_id is not None:
        yield node.accounts.get(actor.account_id)
    elif actor.person_id is not None:
        own = node.accounts.of_person(actor.person_id)
        if own is not None:
            yield own
        for place in node.registry.organisations.of_person(actor.person_id):
            yield node.accounts.of_organisation(place.organisation_id)
    else:
        raise InputError(
            "a notice is somebody's own: it takes their key, or that they have signed in.",
            code="authentication",
        )


OPERATIONS: Final[Mapping[str, Function]] = {
    "policy.activate": activate,
    "policy.activations": list_,
    "policy.notices": notices,
    "policy.seen": seen,
}
