"""An organisation's own document as it is shown: what it says, what holds with it, and what holds
for the organisation beside both documents.

Rows: P1, P3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts import Account
from bailee.errors import InputError
from bailee.node import Node
from bailee.node.own_policies import OwnChange
from bailee.operations.usage import ModelListSummary
from bailee.policy import Decision, Policy, Unsound
from bailee.policy.actions import OWN_CLASSES
from bailee.policy.document import Clause
from bailee.policy.facts import Facts
from bailee.policy.own import read
from bailee.policy.own_proof import problems
from bailee.usage.limits import EACH
from bailee.usage.limits import Scope as LimitScope

FILE: Final = "the document"
"""How an organisation's document is called in errors."""
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class OwnClauseShown:
    """A clause of an organisation's document. `when`: facts and their values; `retention`: of what
    is kept, the most.
    """

    id: str
    action: str
    effect: str
    retention: str | None
    when: dict[str, list[str]]
    line: int
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class OwnTerms:
    """For how long something of an organisation's is kept, or whether it is trained on, on the
    first-party channel, and by which clause; `operators`: by the operator's document alone.
    """

    action: str
    data_class: str
    result: str
    clause: str
    operators: str
    operators_clause: str


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """A limit on what an organisation, or a team of one (`org_…/name`), uses, or `each` of its
    members: on `measure`, in each `per`. `amount`: micro-USD, tokens, requests, or requests at
    once.
    """

    id: str
    subject: str
    measure: str
    per: str
    amount: int
    each: bool


@dataclass(frozen=True, slots=True)
class OwnActivation:
    """An organisation's document came to hold, or none (`document` None), by an entry of the audit
    record.
    """

    number: int
    at: datetime
    document: str | None
    by: str
    reason: str | None
    sessions: int
    told: bool


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """An organisation's own document: its hash (SHA-256, hex; None: it has none) and text, whether
    it can be read, its clauses, and what holds with it. `operators`: the hash of the operator's
    document. `refuses`: what is refused when it can't be recorded or not be told, whatever theirs
    has. `limits`, `models`, `key_days`: what holds beside both documents (the days that a key is
    good; None: until it is revoked). `problems`: where it is not stricter than theirs any more, so
    that theirs holds there. `history`: the newest changes, in order.
    """

    organisation: str
    document: str | None
    text: str | None
    readable: bool
    operators: str
    clauses: list[OwnClauseShown]
    terms: list[OwnTerms]
    refuses: list[str]
    limits: list[OwnLimit]
    models: list[ModelListSummary]
    key_days: int | None
    problems: list[str]
    history: list[OwnActivation]


def shown(node: Node, account: Account, organisation: str) -> OwnPolicy:
    """What holds for an organisation, whose account this is."""
    policy = node.holding.of(organisation).policy
    held, own = node.holding.own(organisation), policy.own
    history = [_activation(node, one) for one in node.own_policies.of(organisation)]
    return OwnPolicy(
        organisation,
        None if own is None else own.sha256,
        None if held is None or held.content is None else held.content.decode(errors="replace"),
        own is None or own.readable,
        node.policy.sha256,
        [] if own is None else [_clause(one) for one in own.every_clause],
        [*_terms(policy, node.policy, account.facts(zero_retention=False))],
        [] if own is None else sorted(own.refuses),
        [
            OwnLimit(
                *(one.limit_id, one.subject.id, one.measure, one.span, one.amount),
                one.subject.scope in EACH,
            )
            for one in node.limits.limits()
            if _is_of(one.subject.id, organisation) and one.subject.scope is not LimitScope.MEMBER
        ],
        [
            ModelListSummary(one.scope, one.subject, one.models)
            for one in node.limits.lists()
            if _is_of(one.subject, organisation) or one.subject == account.plan
        ],
        node.registry.key_days.most(organisation),
        [] if held is None or held.content is None else _wrong(node, held.content),
        history[-_SHOWN:],
    )


def _is_of(subject: str, organisation: str) -> bool:
    """Whether a limit or a list is an organisation's, or a team's of it."""
    return subject.partition("/")[0] == organisation


def _wrong(node: Node, content: bytes) -> list[str]:
    """Where a document is not stricter than the operator's any more, or says what theirs does not
    know: under each there, the stricter of the two holds.
    """
    under = node.policy.document
    try:
        return [str(one) for one in problems(read(content, under, file=FILE), under, FILE)]
    except Unsound as unsound:
        return [str(one) for one in unsound.problems]
    except InputError as error:
        return [error.message]


def _terms(policy: Policy, operators: Policy, facts: Facts) -> Iterator[OwnTerms]:
    for data_class in OWN_CLASSES:
        if data_class not in policy.document.labels["data_class"]:
            continue
        now, theirs = (one.retain(data_class, facts) for one in (policy, operators))
        yield OwnTerms(
            *("retain", data_class, now.retention or "", now.clause),
            *(theirs.retention or "", theirs.clause),
        )
    now, theirs = (_trained(one, facts) for one in (policy, operators))
    yield OwnTerms(
        *("train", "transcript", now.effect, now.clause, theirs.effect, theirs.clause),
    )


def _trained(policy: Policy, facts: Facts) -> Decision:
    return policy.train(
        data_class="transcript",
        plan=facts.plan,
        channel=facts.channel,
        training_choice=facts.training_choice,
        zero_retention=facts.zero_retention,
        partner_programme=facts.partner_programme,
        active_since_choice=True,
    )


def _clause(one: Clause) -> OwnClauseShown:
    return OwnClauseShown(
        one.id,
        str(one.action),
        str(one.effect),
        one.retention,
        {
            condition.fact: [str(value).lower() for value in condition.values]
            for condition in one.when
        },
        one.line,
        one.text.en,
        one.text.zh,
    )


def _activation(node: Node, one: OwnChange) -> OwnActivation:
    reason = node.ledger.get(one.number).body.get("reason")
    why = None if reason is None else str(reason)
    return OwnActivation(one.number, one.at, one.document, one.by, why, one.sessions, one.told)
