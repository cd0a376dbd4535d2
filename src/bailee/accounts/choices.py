"""What people choose about training, and organisations about the partner programme.

Rules kept here:

* Only the person chooses for their account: no operator, no admin, no one else (T2).
* An organisation joins by an owner or admin who types its name, and leaves as easily, without
  typing anything (T6). What a member does makes nothing eligible (T5).
* Whether a person is asked is the policy's to say (T3).

Rows: T2, T3, T5, T6.
"""

from __future__ import annotations

import hmac
from typing import Literal

from bailee.accounts.account import Account
from bailee.accounts.accounts import Accounts
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.consent import ConsentRecord
from bailee.accounts.organisations import Organisations
from bailee.accounts.roles import Actor, Permission
from bailee.errors import InputError
from bailee.policy import Decision

Arrival = Literal["new", "existing"]


class Choices:
    """The choices of a home's people and organisations, each asked for by an actor.

    Console and operations call it, on any thread. It holds nothing: the records are those of
    `Accounts`, which it calls once the actor may. It never chooses for anybody, and has no default.
    """

    def __init__(
        self,
        backing: Backing,
        accounts: Accounts,
        authority: Authority,
        organisations: Organisations,
    ) -> None:
        self._holding = backing.holding
        self._clock = backing.clock
        self._accounts = accounts
        self._authority = authority
        self._organisations = organisations

    def asked(self, account: Account, arrival: Arrival = "existing") -> Decision:
        """Whether a person is asked about training now (`asks`), and the clause."""
        return self.asked_on_plan(account.plan, account.training_choice, arrival)

    def asked_on_plan(
        self, plan: str, training_choice: str = "none", arrival: Arrival = "new"
    ) -> Decision:
        """Like `asked`, for someone who has no account yet.

        Raises:
            InputError: an unknown plan.
        """
        policy = self._holding.policy
        return policy.choose(
            plan=plan,
            training_choice=training_choice,
            phase=policy.phase(self._clock().date()),
            arrival=arrival,
        )

    def check_now(self, plan: str) -> None:
        """Go on only if people on this plan have a training choice now. Errors as in
        `Accounts.check_has_choice`.
        """
        self._accounts.check_has_choice(plan)

    def choose_training(
        self, account_id: str, choice: str, *, language: str, source: str, by: Actor
    ) -> Account:
        """Record a person's choice; it holds for the next request.

        Raises:
            InputError: not a choice, a commercial account, `not_found`, or `forbidden`.
            PolicyDenied: there is no choice yet.
        """
        account = self._accounts.get(account_id)
        self._authority.require(by, Permission.TRAINING_CHOOSE, account)
        return self._accounts.choose_training(
            account_id,
            choice_named(choice),
            language=language_named(language),
            source=source,
            by=by,
        )

    def join_partner_programme(
        self, organisation_id: str, *, confirmation: str, language: str, source: str, by: Actor
    ) -> Account:
        """Opt an organisation in; `confirmation` is its name, typed.

        Raises:
            InputError: another name was typed, `not_found`, or `forbidden`.
        """
        account = self._organisations.account(organisation_id)
        self._authority.require(by, Permission.PARTNER_CHANGE, account)
        name = self._organisations.get(organisation_id).name
        if not hmac.compare_digest(confirmation.strip().encode(), name.encode()):
            raise InputError(
                "the confirmation is not the organisation's name.",
                hint="type its name exactly as it is written",
            )
        return self._accounts.set_partner(
            account.account_id, True, language=language_named(language), source=source, by=by
        )

    def leave_partner_programme(
        self, organisation_id: str, *, language: str, source: str, by: Actor
    ) -> Account:
        """Opt an organisation out again, at once.

        Raises:
            InputError: `not_found`, or `forbidden`.
        """
        account = self._organisations.account(organisation_id)
        self._authority.require(by, Permission.PARTNER_CHANGE, account)
        return self._accounts.set_partner(
            account.account_id, False, language=language_named(language), source=source, by=by
        )

    def history(self, account_id: str, *, by: Actor) -> list[ConsentRecord]:
        """An account's consent records, oldest first.

        Raises:
            InputError: `not_found`, or `forbidden`.
        """
        self._authority.require(by, Permission.ACCOUNT_READ, self._accounts.get(account_id))
        return self._accounts.consent_records(account_id)


def choice_named(choice: object) -> Literal["allowed", "refused"]:
    """The choice, if it is one.

    Raises:
        InputError: it is not.
    """
    if choice == "allowed":
        return "allowed"
    if choice == "refused":
        return "refused"
    raise InputError("a training choice is either 'allowed' or 'refused'.")


def language_named(language: str) -> str:
    """The language of a notice: one in which there is one.

    Raises:
        InputError: there is no notice in it.
    """
    if language not in ("en", "zh"):
        raise InputError("there is no notice in this language.", hint="use en or zh")
    return language
