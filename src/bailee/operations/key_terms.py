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

from dataclasses import dataclass
from typing import Final, Literal

from bailee.accounts import Account, ApiKey, Scope
from bailee.policy import Decision, Policy
from bailee.policy.wording import period_in_words

Payer = Literal["organisation", "person", "key_holder"]

_OF_WHOM: Final = {
    "organisation": "on the terms of the organisation {name} ({id})",
    "person": "on a person's own account ({id})",
    "key_holder": "on an account that is its key holder's ({id})",
}


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """Who pays for a key (`payer_id`: an organisation's, person's or account's id), their plan and
    its segment, and what is decided of a conversation: `retention` and `training`; both None for a
    key that is for sending alone and has no conversations.
    """

    payer: Payer
    payer_id: str
    payer_name: str
    account: str
    plan: str
    segment: str
    zero_retention: bool
    retention: Decision | None
    training: Decision | None

    def as_object(self) -> dict[str, object]:
        """As lists and the HTTP API show it."""
        return {
            "payer": self.payer,
            "payer_id": self.payer_id,
            "payer_name": self.payer_name,
            "account": self.account,
            "plan": self.plan,
            "segment": self.segment,
            "zero_retention": self.zero_retention,
            "retention": self.retention
            and {"period": self.retention.retention, "clause": self.retention.clause},
            "training": self.training
            and {"effect": self.training.effect, "clause": self.training.clause},
            "in_words": self.in_words(),
        }

    def in_words(self) -> str:
        """One line for a terminal."""
        whose = _OF_WHOM[self.payer].format(name=self.payer_name, id=self.payer_id)
        said = [f"{whose}: {self.segment}, plan {self.plan}"]
        if self.retention is None or self.training is None:
            return f"{said[0]}; for sending alone"
        if self.zero_retention:
            said.append("zero retention")
        else:
            said.append(f"kept {period_in_words(self.retention.retention or 'P0D', 'en')}")
        trained = self.training.effect == "allow"
        said.append("may be trained on" if trained else "not trained on")
        return "; ".join(said)


def terms_of(
    policy: Policy, account: Account, *, zero_retention: bool = False, scope: Scope = "full"
) -> KeyTerms:
    """On whose terms a key of an account is, as everything stands now."""
    payer, payer_id, name = _payer(account)
    retention = training = None
    if scope != "ingest":
        retention = policy.retain(
            data_class="transcript",
            plan=account.plan,
            channel="api",
            training_choice=account.training_choice,
            zero_retention=zero_retention,
            partner_programme=account.partner_programme,
        )
        training = policy.train(
            data_class="transcript",
            plan=account.plan,
            channel="api",
            training_choice=account.training_choice,
            zero_retention=zero_retention,
            partner_programme=account.partner_programme,
            active_since_choice=True,
        )
    return KeyTerms(
        payer,
        payer_id,
        name,
        account.account_id,
        account.plan,
        policy.plans[account.plan].segment,
        zero_retention,
        retention,
        training,
    )


def key_view(policy: Policy, key: ApiKey, account: Account) -> dict[str, object]:
    """A key as lists show it: on whose terms it is, and without its secret."""
    terms = terms_of(policy, account, zero_retention=key.zero_retention, scope=key.scope)
    return {
        "key_id": key.key_id,
        "account": account.account_id,
        "person": key.person_id,
        "name": key.name,
        "plan": account.plan,
        "zero_retention": key.zero_retention,
        "scope": key.scope,
        "unrecorded_routes": account.unrecorded_routes,
        "created": key.created_at.isoformat(),
        "created_by": key.created_by,
        "revoked": key.revoked_at and key.revoked_at.isoformat(),
        "terms": terms.as_object(),
    }


def _payer(account: Account) -> tuple[Payer, str, str]:
    if account.organisation_id is not None:
        return "organisation", account.organisation_id, account.name
    if account.person_id is not None:
        return "person", account.person_id, ""
    return "key_holder", account.account_id, account.name
