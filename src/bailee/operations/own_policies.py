"""What can be asked of a home about an organisation's own document: what it says, what it would
change, to let one hold, to remove it.

Rules kept here:

* An owner's to decide, and the operator's. Every member sees it.
* A document is proved against the operator's before anything is written: it can only narrow it.
* Who was shown what it changes says against which one (`against`): if that holds no more, nothing
  is done.
* It reaches what comes in from then on. What is there follows where it is kept less long now, and
  nothing is made to stay longer.

Rows: P1, P2, P3, P4, R1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bailee.accounts import Account
from bailee.accounts.roles import Permission
from bailee.accounts.staff import worded
from bailee.cloud.egress.demands import EgressDemand
from bailee.errors import InputError
from bailee.node import Node
from bailee.node.own_policies import MOST_A_DAY, WantedChange
from bailee.operations import policies
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation, sent_by
from bailee.operations.own_policy_shown import FILE, OwnPolicy, shown
from bailee.policy import Policy
from bailee.policy.asking import typed
from bailee.policy.concerned import changes, in_words
from bailee.policy.document import Language
from bailee.policy.own import OwnDocument, read
from bailee.policy.own_proof import prove
from bailee.policy.wording import sentence

NONE: Final = "none"
"""In the place of a document's hash, where an organisation has none."""


@dataclass(frozen=True, slots=True)
class OwnExplanation:
    """What is decided for an organisation, in a sentence; by which clause, of which document
    (SHA-256, hex), with its text; and what the operator's document alone has (`operators`).
    """

    sentence: str
    effect: str
    retention: str | None
    clause: str
    document: str
    text: str
    operators: str
    operators_clause: str


@dataclass(frozen=True, slots=True)
class OwnTrial:
    """What a document, or removing it, would change for an organisation: in words, and for how many
    of its sessions. `before`: the hash of the one that holds, or `none`: what to say it was
    compared `against`. `demands`: what else it refuses (`+`), or refuses no more (`-`).
    """

    organisation: str
    before: str
    after: str
    changes: list[str]
    demands: list[str]
    trial: policies.Trial


@operation()
def show(asks: Asks, node: Node, organisation: str) -> OwnPolicy:
    """What an organisation's own document says, and what holds with it."""
    asks.require(node, Permission.MEMBERS_READ, _account(node, organisation))
    return shown(node, _account(node, organisation), organisation)


@operation()
def explain(
    asks: Asks, node: Node, organisation: str, question: list[str], language: Language = "en"
) -> OwnExplanation:
    """What is decided for an organisation, by its own document and the operator's. `question`: an
    action and its facts, each `name=value`.
    """
    asks.require(node, Permission.MEMBERS_READ, _account(node, organisation))
    policy = node.holding.of(organisation).policy
    with sent_by(asks):
        found = policy.explain(*typed(policy, question))
    theirs = found.operators or found.decision
    return OwnExplanation(
        sentence(policy.document, found, language),
        found.decision.effect,
        found.decision.retention,
        found.decision.clause,
        found.decision.document,
        found.clause.text.of(language),
        theirs.retention or theirs.effect,
        theirs.clause,
    )


@operation()
def try_own(
    asks: Asks,
    node: Node,
    organisation: str,
    document: str | None = None,
    language: Language = "en",
) -> OwnTrial:
    """What a document (whole, in TOML), or removing the one that holds, would change for an
    organisation. Nothing is changed.
    """
    account = _account(node, organisation)
    asks.require(node, Permission.ORGANISATION_POLICY, account)
    wanted = None if document is None else _proved(asks, node, document)
    return _trial(node, account, organisation, wanted, language)


@operation()
def set_own(
    asks: Asks,
    node: Node,
    organisation: str,
    document: str,
    *,
    reason: str | None = None,
    against: str | None = None,
) -> OwnPolicy:
    """Let a document (whole, in TOML) of an organisation's own hold from now on. `against`: the
    hash of the one that is thought to hold, or `none`; `reason`: why, in a few words.
    """
    del reason  # it is among what asks
    _change(asks, node, organisation, document, against)
    return shown(node, _account(node, organisation), organisation)


@operation()
def remove(
    asks: Asks,
    node: Node,
    organisation: str,
    *,
    reason: str | None = None,
    against: str | None = None,
) -> OwnPolicy:
    """Let the operator's document alone hold for an organisation again, from now on."""
    del reason
    _change(asks, node, organisation, None, against)
    return shown(node, _account(node, organisation), organisation)


def _change(
    asks: Asks, node: Node, organisation: str, document: str | None, against: str | None
) -> None:
    account = _account(node, organisation)
    asks.require(node, Permission.ORGANISATION_POLICY, account)
    why = worded(asks.reason or "", "changing an organisation's document")
    with node.activations.alone():
        held = _hash(node, organisation)
        if against not in (None, held):
            raise InputError(
                "another document of this organisation's holds than the one that this was "
                "compared with.",
                code="changed_meanwhile",
                hint="look at what it changes against that one; nothing was changed",
            )
        _check_pace(asks, node, organisation)
        wanted = None if document is None else _proved(asks, node, document)
        after = NONE if wanted is None or wanted.own is None else wanted.own.sha256
        if after == held:
            raise InputError(
                "this organisation has no document of its own."
                if document is None
                else "this document holds already.",
                hint="nothing was changed",
            )
        trial = _trial(node, account, organisation, wanted, "en")
        node.own_policies.change(
            WantedChange(
                organisation,
                account.account_id,
                None if document is None else document.encode(),
                None if held == NONE else held,
                asks.actor.name,
                why,
                trial.trial.changed_sessions,
                bool(trial.changes),
            )
        )
    node.following.follow(account.account_id)


def _check_pace(asks: Asks, node: Node, organisation: str) -> None:
    """Go on only if there have not been too many changes within a day, each of which is on record
    for ever. The operator may always, or an owner could keep them from it.
    """
    if asks.actor.operator:
        return
    newest = node.own_policies.of(organisation)[-MOST_A_DAY:]
    if len(newest) == MOST_A_DAY and newest[0].at > asks.due - timedelta(days=1):
        raise InputError(
            f"this organisation's document was changed {MOST_A_DAY} times within a day.",
            code="too_many_attempts",
            hint="try what it would change with `diff`; nothing was changed",
        )


def _account(node: Node, organisation: str) -> Account:
    return node.registry.organisations.account(organisation)


def _hash(node: Node, organisation: str) -> str:
    own = node.holding.of(organisation).policy.own
    return NONE if own is None else own.sha256


def _proved(asks: Asks, node: Node, document: str) -> Policy:
    """The operator's policy with this document beside it. Raises `Unsound`, `InputError`."""
    under = node.policy.document
    with sent_by(asks):
        own = read(document.encode(), under, file=FILE)
        prove(own, under, FILE)
        for one in own.network:  # that the egress proxy can read it
            EgressDemand.of(one.clause.id, one.level, one.hosts)
    return Policy(under, own)


def _trial(
    node: Node, account: Account, organisation: str, wanted: Policy | None, language: Language
) -> OwnTrial:
    node.vault.settle(account.account_id)  # what is being filed is counted too
    before, after = node.holding.of(organisation).policy, wanted or node.policy
    told = changes(before, after, account.facts(zero_retention=False))
    return OwnTrial(
        organisation,
        _hash(node, organisation),
        NONE if after.own is None else after.own.sha256,
        [in_words(one, after.document, language) for one in told],
        [*_demands(before.own, after.own, language)],
        policies.compared(node, lambda _: before, lambda _: after, of=account.account_id),
    )


def _demands(
    before: OwnDocument | None, after: OwnDocument | None, language: Language
) -> Iterator[str]:
    """What one document refuses and the other does not, by clauses that are not about keeping or
    training: those are told by what changes.
    """
    was, now = (_refusing(one, language) for one in (before, after))
    yield from (f"- {one}" for one in was if one not in now)
    yield from (f"+ {one}" for one in now if one not in was)


def _refusing(own: OwnDocument | None, language: Language) -> list[str]:
    if own is None:
        return []
    found = [one for one in own.every_clause if one.action not in ("retain", "train")]
    said = [f"{one.id} ({one.action}): {one.text.of(language)}" for one in found]
    return [*said, *(f'{one} = "refuse"' for one in sorted(own.refuses))]


OPERATIONS: Final[Mapping[str, Function]] = {
    "organisation.policy": show,
    "organisation.policy_explain": explain,
    "organisation.policy_try": try_own,
    "organisation.policy_set": set_own,
    "organisation.policy_remove": remove,
}
