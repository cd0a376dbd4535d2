"""How long it is counted what an account uses, by a policy document. Pure."""

from __future__ import annotations

from datetime import datetime

from bailee.accounts import Account
from bailee.policy import Policy
from bailee.policy.period import expires_at


def usage_until(
    policy: Policy, account: Account, *, zero_retention: bool, at: datetime
) -> datetime | None:
    """Until when what an account uses at a moment is counted, by a document; None: it is not."""
    terms = policy.terms("usage_count", account.facts(zero_retention=zero_retention))
    return None if terms is None else expires_at(at, terms.period)
