"""On which terms a session is kept once its owner's choice has changed. Pure.

Rules kept here:

* A choice reaches new and resumed sessions: one of which a request began after the choice is kept
  on what the policy gives for that choice. What is after what, is said by the choices' numbers,
  which only grow; no clock is asked.
* A session that was not resumed since keeps the terms it had, unless the choice gives a shorter
  time: who turns training off has their long-kept sessions moved to the short period, and who turns
  it on lengthens nothing that they do not go on with. A choice never makes anything stay longer
  that was only there before it.
* A number that the owner's choices have not come to is of another history: it counts as none.
* Time counts from the session's last activity, as ever.
* What its person keeps by an act of their own (`prolonging`) stays until the later of the two days.
  Of what is to be kept for no time at all, nothing stays by that.

Rows: R4, T4, O7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bailee.policy.period import expires_at, parse
from bailee.vault.exchange import Terms


@dataclass(frozen=True, slots=True)
class Present:
    """What the policy gives an owner now, and the number of the choice since which it does (0: they
    never made one). `latest`: the number of the last choice of any kind that they made.
    """

    terms: Terms
    since: int
    latest: int


PresentTerms = Callable[[str, str, str], Present | None]
"""What holds now for an owner, a plan and a channel; None when that is not known here."""


def unknown(_owner: str, _plan: str, _channel: str) -> None:
    """`PresentTerms` of a vault that is alone: what was captured with an exchange holds."""
    return


def shorter(one: Terms, other: Terms, last_activity: datetime) -> Terms:
    """Of two terms those that end earlier; `one` when they end together."""
    ends = [expires_at(last_activity, terms.period) for terms in (one, other)]
    return one if ends[0] <= ends[1] else other


def end_of(last_activity: datetime, period: str, kept_until: datetime | None) -> datetime:
    """When a session's time is over: by its period, or on the later day until which its person
    keeps it.

    >>> from datetime import UTC
    >>> noon, later = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    >>> [end_of(noon, "P30D", kept).month for kept in (None, later)]
    [1, 3]
    >>> end_of(noon, "P0D", later) == noon
    True
    """
    own = expires_at(last_activity, period)
    return own if kept_until is None or not parse(period).count else max(own, kept_until)


def known_consent(consent: int, present: Present | None) -> int:
    """The number of a choice as an exchange brought it; 0 when it is none of this history's."""
    return consent if present is None or consent <= present.latest else 0


def governing(
    held: Terms, present: Present | None, *, last_consent: int, last_activity: datetime
) -> Terms:
    """The terms of a session that is held on `held`, of which a request began when its owner's last
    choice was `last_consent`, and which was last active at `last_activity`.

    >>> from datetime import UTC
    >>> long, short = Terms("P5Y", "allowed", ""), Terms("P30D", "refused", "")
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> governing(long, Present(short, 7, 7), last_consent=3, last_activity=noon).period
    'P30D'
    >>> governing(short, Present(long, 7, 7), last_consent=3, last_activity=noon).period
    'P30D'
    >>> governing(short, Present(long, 7, 7), last_consent=7, last_activity=noon).period
    'P5Y'
    """
    if present is None:
        return held
    if last_consent >= present.since:
        return present.terms
    return shorter(present.terms, held, last_activity)
