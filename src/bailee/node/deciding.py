"""What the policy says of what is kept, by what holds now: accounts, their choices, erasures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from bailee.accounts import Account, Accounts
from bailee.cloud.sessions.store import CLASSES
from bailee.damage import Damages
from bailee.errors import InputError
from bailee.node.usage_terms import usage_until
from bailee.policy import Decision
from bailee.policy.facts import Terms, nobodys
from bailee.policy.holding import PolicyHolder
from bailee.policy.period import NOTHING
from bailee.training import eligibility
from bailee.vault.terms import Present
from bailee.vault.transcript import SessionRow

_UNDECIDED: Final = "none"
"""In the place of a clause, where none could be found."""
_REQUESTS: Final = "P3Y"


class Deciding:
    """Asks the policy with the facts that the accounts have at the moment. Stores and operations
    call it, from any thread. It keeps nothing, and changes nothing.
    """

    def __init__(
        self,
        holding: PolicyHolder,
        accounts: Accounts,
        is_gone: Callable[[str], bool],
        damages: Damages,
    ) -> None:
        """`is_gone`: whether nothing is to be kept of an account any more."""
        self._holding = holding
        self._accounts = accounts
        self._is_gone = is_gone
        self._damages = damages

    def training(self, session: SessionRow) -> Decision:
        """Whether a session may be trained on, decided now from what its owner chose. It may not if
        that can't be decided, since its owner's account or the policy's plan is not there.
        """
        for found in self._damages.each([session], self._training, lambda one: f"session {one.id}"):
            return found
        return Decision("deny", _UNDECIDED, self._holding.policy.sha256)

    def _training(self, session: SessionRow) -> Decision:
        owner = self._accounts.get(session.owner)
        standing, uses = eligibility.standing_of(owner), eligibility.uses_of(session.uses)
        held = self._holding.of(owner.organisation_id)
        return eligibility.decide(held, standing, uses, session.last_consent)

    def present(self, owner: str, plan: str, channel: str) -> Present | None:
        """On what terms an owner's sessions of a plan and channel are kept now, and since which of
        their choices, or which document. None: the account is not there, or not as it was; its
        organisation's own document can't be read; or the policy knows no such plan.
        """
        if self._is_gone(owner):
            policy = self._holding.policy
            dropped = policy.resumes(session_deleted=False, account_erased=True)
            return Present(Terms(NOTHING, dropped.clause, dropped.document), 0, 0)
        try:
            account = self._accounts.get(owner)
            held = self._holding.of(account.organisation_id)
            policy, since = held.policy, held.since
            if not held.readable:
                return None
            # Of a key with zero retention there are no sessions.
            facts = account.facts(zero_retention=False, channel=channel, plan=plan)
            decision = policy.retain("transcript", facts)
        except InputError:
            return None
        consumer = policy.plans[plan].segment == "consumer"
        return Present(
            Terms(decision.retention or NOTHING, decision.clause, decision.document),
            max(since, account.chosen_number if consumer else account.partner_number),
            max(since, account.consent),
        )

    def cloud_terms(self, owner: str, plan: str, zero: bool) -> dict[str, Terms]:
        """On what terms what an owner's cloud sessions leave is kept now; what is missing, is not
        kept.
        """
        found: dict[str, Terms] = {}
        if self._is_gone(owner):
            return found
        account = self._accounts.get(owner)
        policy = self._holding.of(account.organisation_id).policy
        facts = account.facts(zero_retention=zero, plan=plan)
        for data_class in CLASSES:
            if (terms := policy.terms(data_class, facts)) is not None:
                found[data_class] = terms
        return found

    def training_now(self, account: Account, channel: str = "api") -> Decision:
        """Whether what an account does now may be trained on."""
        return self._holding.of(account.organisation_id).policy.train(
            data_class="transcript",
            plan=account.plan,
            channel=channel,
            training_choice=account.training_choice,
            zero_retention=False,
            partner_programme=account.partner_programme,
            active_since_choice=True,
        )

    def usage_until(
        self, account: Account, *, zero_retention: bool, at: datetime
    ) -> datetime | None:
        """Until when what an account uses at a moment is counted; None: it is not."""
        if self._is_gone(account.account_id):
            return None
        return usage_until(self._holding.policy, account, zero_retention=zero_retention, at=at)

    def request_terms(self) -> Terms:
        """On what terms a person's request is kept from its answer on. It is about somebody, and
        decided by nothing of theirs. A document that does not speak of requests has them kept as
        the shipped ones do.
        """
        policy = self._holding.policy
        try:
            terms = policy.terms("person_request", nobodys(next(iter(policy.plans))))
        except InputError:
            return Terms(_REQUESTS, _UNDECIDED, policy.sha256)
        return terms or Terms(NOTHING, _UNDECIDED, policy.sha256)

    def survey_period(self) -> str | None:
        """How long an answer of the survey is counted; None: it is not. It is nobody's."""
        policy = self._holding.policy
        terms = policy.terms("survey_rating", nobodys(next(iter(policy.plans))))
        return None if terms is None else terms.period
