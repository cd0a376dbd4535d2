"""On whose terms a key is: the account that pays, and what the policy says of what is done with it.

Pure: it is worked out from the policy, the key and its account each time it is asked, with the same
facts that the gateway asks with, so it can't say something else than what is done.

Rules kept here:

* Whose terms they are is said of every key, wherever one is made or listed: nobody finds out from
  their invoice, or from a training set, that a company's code went out on a person's own account.
* What is said holds on the first-party channel (`api`); on the clouds' channels a commercial
  account's sessions are never trained on, partner programme or not.

Rows: T1, T5, T6.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from bailee.accounts import Account, ApiKey, Scope
from bailee.policy import Decision, Policy
from bailee.policy.amounts import period_in_words
from bailee.policy.period import NOTHING

Payer = Literal["organisation", "person", "key_holder"]

_OF_WHOM: Final = {
    "organisation": "on the terms of the organisation {name} ({id})",
    "person": "on a person's own account ({id})",
    "key_holder": "on an account that is its key holder's ({id})",
}


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """For how long a conversation is kept (ISO 8601), and the clause that says so."""

    period: str | None
    clause: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What is decided, and by which clause."""

    effect: str
    clause: str


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """Who pays for a key (`payer_id`: an organisation's, person's or account's id), their plan and
    its segment, and what is decided of a conversation: `retention` and `training`; both None for a
    key that is for sending alone and has no conversations. `in_words`: one line for a terminal.
    """

    payer: Payer
    payer_id: str
    payer_name: str
    account: str
    plan: str
    segment: str
    zero_retention: bool
    retention: RetentionTerms | None
    training: Effect | None
    in_words: str


@dataclass(frozen=True, slots=True)
class KeySummary:
    """A key as lists show it: on whose terms it is, and without its secret. `expires`: from when it
    opens nothing; None: it is good until it is revoked.
    """

    key_id: str
    account: str
    person: str | None
    name: str
    plan: str
    zero_retention: bool
    scope: Scope
    unrecorded_routes: bool
    created: datetime
    created_by: str
    revoked: datetime | None
    expires: datetime | None
    terms: KeyTerms


@dataclass(frozen=True)
class _Secret:
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MadeKey(KeySummary, _Secret):
    """A key that was just made, with its secret, which is shown this once: first, as `key`."""


def terms_of(
    policy: Policy, account: Account, *, zero_retention: bool = False, scope: Scope = "full"
) -> KeyTerms:
    """On whose terms a key of an account is, as everything stands now."""
    payer, payer_id, name = _payer(account)
    retention = training = None
    if scope not in ("ingest", "operator"):
        retention = policy.retain("transcript", account.facts(zero_retention=zero_retention))
        training = policy.train(
            data_class="transcript",
            plan=account.plan,
            channel="api",
            training_choice=account.training_choice,
            zero_retention=zero_retention,
            partner_programme=account.partner_programme,
            active_since_choice=True,
        )
    segment = policy.plans[account.plan].segment
    whose = _OF_WHOM[payer].format(name=name, id=payer_id)
    return KeyTerms(
        payer,
        payer_id,
        name,
        account.account_id,
        account.plan,
        segment,
        zero_retention,
        None if retention is None else RetentionTerms(retention.retention, retention.clause),
        None if training is None else Effect(training.effect, training.clause),
        f"{whose}: {segment}, plan {account.plan}; "
        + _in_words(retention, training, zero_retention=zero_retention),
    )


def _in_words(
    retention: Decision | None, training: Decision | None, *, zero_retention: bool
) -> str:
    if retention is None or training is None:
        return "for sending alone"
    period = period_in_words(retention.retention or NOTHING, "en")
    nothing = zero_retention or retention.terms is None
    kept = "zero retention" if nothing else f"kept {period}"
    return f"{kept}; {'may be' if training.effect == 'allow' else 'not'} trained on"


def key_of(policy: Policy, key: ApiKey, account: Account) -> KeySummary:
    """A key as lists show it."""
    return KeySummary(
        key.key_id,
        account.account_id,
        key.person_id,
        key.name,
        account.plan,
        key.zero_retention,
        key.scope,
        account.unrecorded_routes,
        key.created_at,
        key.created_by,
        key.revoked_at,
        key.expires_at,
        terms_of(policy, account, zero_retention=key.zero_retention, scope=key.scope),
    )


def _payer(account: Account) -> tuple[Payer, str, str]:
    if account.organisation_id is not None:
        return "organisation", account.organisation_id, account.name
    if account.person_id is not None:
        return "person", account.person_id, ""
    return "key_holder", account.account_id, account.name
