"""Whether a session may be trained on, at the moment of asking. Pure.

Rules kept here:

* A choice reaches new and resumed sessions. A session is *active since* a choice when a request of
  it began after the present choice was made; whatever lies before, an earlier allowance included,
  does not count. Choices are numbered, and a session has the number of the last one before its
  latest request: so no clock is asked what came first.
* Of a resumed session the whole is reached: its new requests carry the earlier messages again.
* A session is judged by every plan and channel that it was ever used with, each by the word that
  holds for it: a consumer's choice, an organisation's membership of the partner programme. One no
  is a no. So nothing becomes eligible by being carried from one channel or plan to another.
* A document that came to hold since reaches new and resumed sessions likewise: under the one that
  held before nobody can have meant what this one allows.
* The policy decides, and its clause is the answer's; here is only what is asked of it.

Rows: T4, T5, T6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bailee.errors import InputError
from bailee.policy import Decision
from bailee.policy.holding import InForce


@dataclass(frozen=True, slots=True)
class OwnerStanding:
    """What holds for a session's owner at the moment. `chosen`: the number of the present training
    choice; `joined`: that of the organisation's last joining or leaving of the partner programme.
    0: there was none.
    """

    training_choice: str
    chosen: int
    partner_programme: bool = False
    joined: int = 0


@dataclass(frozen=True, slots=True)
class Use:
    """What a session was used with: a plan and a channel."""

    plan: str
    channel: str


class OwnerChoices(Protocol):
    """What an account says of its owner's choices (`accounts.Account`)."""

    @property
    def training_choice(self) -> str: ...  # noqa: D102
    @property
    def chosen_number(self) -> int: ...  # noqa: D102
    @property
    def partner_programme(self) -> bool: ...  # noqa: D102
    @property
    def partner_number(self) -> int: ...  # noqa: D102


def standing_of(owner: OwnerChoices) -> OwnerStanding:
    """What holds for an owner now."""
    return OwnerStanding(
        owner.training_choice, owner.chosen_number, owner.partner_programme, owner.partner_number
    )


def uses_of(uses: str) -> list[Use]:
    """What a session was used with, from its row: "plan/channel", a space between two.

    Raises:
        TypeError: it is not written so.
    """
    return [Use(*one.split("/")) for one in uses.split()]


def active_since(word: int, since: int, last_consent: int) -> bool:
    """Whether a request of a session began after the word was given, and after the document that
    holds came to (`since`).
    """
    return word > 0 and max(word, since) <= last_consent


def decide(
    held: InForce, standing: OwnerStanding, uses: Iterable[Use], last_consent: int
) -> Decision:
    """The decision about a session, when `last_consent` is the number of its owner's last choice
    before the latest of its requests.

    Raises:
        InputError: a plan or channel that the policy does not know, or no use at all.
    """
    decisions = [_one(held, standing, use, last_consent) for use in uses]
    if not decisions:
        raise InputError("a session that was used with no plan can't be judged.")
    return next((one for one in decisions if one.effect != "allow"), decisions[0])


def _one(held: InForce, standing: OwnerStanding, use: Use, last_consent: int) -> Decision:
    policy = held.policy
    plan = policy.plans.get(use.plan)
    consumer = plan is not None and plan.segment == "consumer"
    word = standing.chosen if consumer else standing.joined
    # Who never gave their word is not inactive since; that they never did is what decides.
    given = standing.training_choice != "none" if consumer else standing.partner_programme
    return policy.train(
        data_class="transcript",
        plan=use.plan,
        channel=use.channel,
        training_choice=standing.training_choice,
        zero_retention=False,  # of such a key nothing is kept that could be asked about
        partner_programme=standing.partner_programme,
        active_since_choice=not given or active_since(word, held.since, last_consent),
    )
