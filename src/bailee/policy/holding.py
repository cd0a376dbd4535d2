"""Which document holds at the moment, for everything that asks a policy for as long as it runs.

Rules kept here:

* What holds is one value, replaced as a whole: who reads it twice may find two documents, so who
  decides more than one thing about the same matter reads it once.
* `since` orders documents among what people choose and what comes in, without a clock: it is the
  number of an entry of the audit record, as a choice's number is.

Rows: P5.
"""

from __future__ import annotations

from dataclasses import dataclass

from bailee.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy, and the number of the entry by which it came to hold; 0: a home's first."""

    policy: Policy
    since: int = 0


class PolicyHolder:
    """The policy that holds. A home has one, and whatever decides is given it. Read from any
    thread; `take` is called by what activates a document, once that is on disk. It stores nothing.
    """

    def __init__(self, policy: Policy, since: int = 0) -> None:
        self._now = InForce(policy, since)

    @property
    def now(self) -> InForce:
        """What holds, as one value: the same object until another document does."""
        return self._now

    @property
    def policy(self) -> Policy:
        """The policy that holds."""
        return self._now.policy

    def take(self, now: InForce) -> None:
        """Let another hold, from the next question on."""
        self._now = now
