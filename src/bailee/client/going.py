"""What goes when, and what is asked about the clock, in words. Pure.

Rows: R3, O7.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bailee.client.clock_mark import ClockJump
from bailee.client.lifetimes import LocalDue
from bailee.words import Words


def going_in_words(news: Sequence[LocalDue], now: datetime, said: Words) -> str | None:
    """One line for what a person is told of now; None: nothing."""
    past = [due for due in news if due.at <= now]
    coming = [due for due in news if due.at > now]
    lines = []
    if past:
        days = max(due.by.days for due in past)
        lines.append(said.count("notice.past", len(past), days=days))
    if coming:
        when = min(due.at for due in coming).astimezone().date()
        days = max(due.by.days for due in coming)
        lines.append(said.count("notice.coming", len(coming), days=days, when=when))
    if not lines:
        return None
    return said("notice.joined", told=said("notice.then").join(lines))


def doubt_in_words(jumped: ClockJump, said: Words) -> str:
    """What a clock in doubt is, and what to do about it."""
    way = "ahead" if jumped.by.total_seconds() > 0 else "behind"
    days = max(round(abs(jumped.by.total_seconds()) / 86400), 1)
    return said(f"notice.clock_{way if jumped.sure else 'off'}", number=days)
