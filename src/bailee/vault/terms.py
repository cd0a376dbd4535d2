"""On which terms a session is kept once its owner's choice has changed. Pure.

Rules kept here:

* A choice reaches new and resumed sessions: one of which a request began after the choice is kept
  on what the policy gives for that choice.
* A session that was not resumed since keeps the terms it had, unless the choice gives a shorter
  time: who turns training off has their long-kept sessions moved to the short period, and who turns
  it on lengthens nothing that they do not go on with. A choice never makes anything stay longer
  that was only there before it.
* Time counts from the session's last activity, as ever.

Rows: R4, T4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bailee.policy.period import expires_at
from bailee.vault.exchange import Terms


@dataclass(frozen=True, slots=True)
class Present:
    """What the policy gives an owner now, and since when their present choice holds (None: they
    never made one).
    """

    terms: Terms
    since: datetime | None


PresentTerms = Callable[[str, str, str], Present | None]
"""What holds now for an owner, a plan and a channel; None when that is not known here."""


def unknown(_owner: str, _plan: str, _channel: str) -> None:
    """`PresentTerms` of a vault that is alone: what was captured with an exchange holds."""
    return


def shorter(one: Terms, other: Terms, last_activity: datetime) -> Terms:
    """Of two terms those that end earlier; `one` when they end together."""
    ends = [expires_at(last_activity, terms.period) for terms in (one, other)]
    return one if ends[0] <= ends[1] else other


def governing(
    held: Terms, present: Present | None, *, last_request: datetime, last_activity: datetime
) -> Terms:
    """The terms of a session that is held on `held`, whose latest request began at `last_request`
    and which was last active at `last_activity`.

    >>> from datetime import UTC
    >>> long, short = Terms("P5Y", "allowed", ""), Terms("P30D", "refused", "")
    >>> before, then, after = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3))
    >>> governing(long, Present(short, then), last_request=before, last_activity=before).period
    'P30D'
    >>> governing(short, Present(long, then), last_request=before, last_activity=before).period
    'P30D'
    >>> governing(short, Present(long, then), last_request=after, last_activity=after).period
    'P5Y'
    """
    if present is None:
        return held
    if present.since is None or last_request > present.since:
        return present.terms
    return shorter(present.terms, held, last_activity)
