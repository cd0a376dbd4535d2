"""Which of a home's promises are kept now, and how that is known. Pure.

Rules kept here:

* A promise is `kept`, `broken`, or `unknown`: what nobody has looked at is not called kept.
* What time alone mends is given an hour: a sweep destroys what is due in its half-hour epoch, and a
  change of choice is followed within minutes.
* What only waits for a person (a choice that is open, a hold) breaks no promise. It is counted.

Rows: P3, R5, R6.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

GRACE: Final = timedelta(hours=1)
"""What was due longer ago is late."""
VERIFIED_WITHIN: Final = timedelta(days=31)
"""For how long the whole home's last check says how it is."""


class Stands(StrEnum):
    """How a promise stands."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Promise(StrEnum):
    """What is promised, by a short name; the words are in `words`."""

    RECORDED = "recorded"
    DESTROYED = "destroyed"
    DELETED = "deleted"
    ERASED = "erased"
    UNRECOVERABLE = "unrecoverable"
    FOLLOWED = "followed"
    ASKED = "asked"
    SOUND = "sound"
    WITNESSED = "witnessed"
    TIMELY = "timely"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class LateOnes:
    """How many have waited for longer than `GRACE`, and since when the first."""

    count: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class PromiseFacts:
    """What was found of a home at `now`. `server`: one runs here, with its codes of why it is not
    ready and of what else to look at (`app.promise.Reason`). `failing`: steps of the sweep that
    failed the last time. `swept`: when keys were destroyed on time last.

    Late are: `overdue`, keys whose epoch has ended; `deletions` that have not destroyed the key;
    `erasures` of people that are not done; `recoverable`, what was destroyed and older copies of
    the keys may open; `moves` of sessions after a choice. `snapshot_until`: until when a snapshot
    of the keys lives, by which that is so on purpose. `unasked`: people whose last day to choose
    has passed. `damaged`: what is known to be. `verified`: the last check of the whole home, and
    how much it found damaged. `clock_held`: a step of the clock waits to be confirmed.
    `requests`: of people, that are overdue; `requests_open`: how many are open.
    """

    now: datetime
    server: bool
    reasons: Collection[str]
    alerts: Collection[str]
    failing: Collection[str]
    swept: datetime | None
    overdue: LateOnes
    deletions: LateOnes
    erasures: LateOnes
    recoverable: LateOnes
    snapshot_until: datetime | None
    moves: LateOnes
    unasked: int
    damaged: int
    verified: tuple[datetime, int] | None
    witnesses: bool
    clock_held: bool
    requests: LateOnes
    requests_open: int


@dataclass(frozen=True, slots=True)
class PromiseStanding:
    """How one promise stands. `why`: a code of how that is known; `count`: of how many that is
    said; `since`: from when.
    """

    promise: Promise
    standing: Stands
    why: str
    count: int
    since: datetime | None


def judged(facts: PromiseFacts) -> list[PromiseStanding]:
    """Every promise, in the order of `Promise`."""
    return [
        _recorded(facts),
        _destroyed(facts),
        _late(Promise.DELETED, facts.deletions),
        _late(Promise.ERASED, facts.erasures),
        _unrecoverable(facts),
        _late(Promise.FOLLOWED, facts.moves),
        PromiseStanding(Promise.ASKED, Stands.KEPT, "open", facts.unasked, None),
        _sound(facts),
        _witnessed(facts),
        _timely(facts),
        _answered(facts),
    ]


def broken(standings: Collection[PromiseStanding]) -> list[PromiseStanding]:
    """Those that are not kept."""
    return [one for one in standings if one.standing is Stands.BROKEN]


def _said(promise: Promise, standing: Stands, why: str) -> PromiseStanding:
    return PromiseStanding(promise, standing, why, 0, None)


def _recorded(facts: PromiseFacts) -> PromiseStanding:
    if not facts.server:
        return _said(Promise.RECORDED, Stands.UNKNOWN, "no_server")
    for reason in ("not_recording", "sealing_late", "thread_ended", "starting"):
        if reason in facts.reasons:
            standing = Stands.UNKNOWN if reason == "starting" else Stands.BROKEN
            return _said(Promise.RECORDED, standing, reason)
    return _said(Promise.RECORDED, Stands.KEPT, "records")


def _destroyed(facts: PromiseFacts) -> PromiseStanding:
    if facts.overdue.count or "sweep_late" in facts.reasons:
        late = facts.overdue
        return PromiseStanding(
            Promise.DESTROYED, Stands.BROKEN, "late", late.count, late.since or facts.swept
        )
    if facts.failing:
        return PromiseStanding(
            Promise.DESTROYED, Stands.BROKEN, "step_fails", len(facts.failing), facts.swept
        )
    if facts.swept is None:
        return _said(Promise.DESTROYED, Stands.UNKNOWN, "never")
    return PromiseStanding(Promise.DESTROYED, Stands.KEPT, "swept", 0, facts.swept)


def _unrecoverable(facts: PromiseFacts) -> PromiseStanding:
    promise, until = Promise.UNRECOVERABLE, facts.snapshot_until
    if "rotation_late" in facts.reasons:
        return PromiseStanding(promise, Stands.BROKEN, "late", facts.recoverable.count, None)
    if until is not None:  # it opens what was destroyed since, and was taken for that
        return PromiseStanding(promise, Stands.KEPT, "snapshot", facts.recoverable.count, until)
    return _late(promise, facts.recoverable)


def _late(promise: Promise, late: LateOnes) -> PromiseStanding:
    if late.count:
        return PromiseStanding(promise, Stands.BROKEN, "late", late.count, late.since)
    return _said(promise, Stands.KEPT, "none_late")


def _sound(facts: PromiseFacts) -> PromiseStanding:
    if facts.damaged:
        return PromiseStanding(Promise.SOUND, Stands.BROKEN, "damaged", facts.damaged, None)
    if facts.verified is None:
        return _said(Promise.SOUND, Stands.UNKNOWN, "never")
    at, found = facts.verified
    if found:
        return PromiseStanding(Promise.SOUND, Stands.BROKEN, "damaged", found, at)
    fresh = at <= facts.now < at + VERIFIED_WITHIN
    standing = Stands.KEPT if fresh else Stands.UNKNOWN
    return PromiseStanding(Promise.SOUND, standing, "verified" if fresh else "long_ago", 0, at)


def _witnessed(facts: PromiseFacts) -> PromiseStanding:
    if not facts.witnesses:
        return _said(Promise.WITNESSED, Stands.UNKNOWN, "no_witness")
    if not facts.server:
        return _said(Promise.WITNESSED, Stands.UNKNOWN, "no_server")
    lacking = "unwitnessed" in facts.alerts
    standing = Stands.BROKEN if lacking else Stands.KEPT
    return _said(Promise.WITNESSED, standing, "unwitnessed" if lacking else "cosigned")


def _timely(facts: PromiseFacts) -> PromiseStanding:
    if facts.clock_held:
        return _said(Promise.TIMELY, Stands.BROKEN, "clock_held")
    return _said(Promise.TIMELY, Stands.KEPT, "clock")


def _answered(facts: PromiseFacts) -> PromiseStanding:
    promise, late = Promise.ANSWERED, facts.requests
    if late.count:  # the deadline was the time to do it in: there is no hour more
        return PromiseStanding(promise, Stands.BROKEN, "overdue", late.count, late.since)
    return PromiseStanding(promise, Stands.KEPT, "in_time", facts.requests_open, None)
