"""When a server keeps its promise, and what it is short of. Pure.

The promise: what comes is recorded; what is past its time is unreadable within the hour (the end
of its half-hour epoch, and a sweep; after a start, up to 15 minutes for what an earlier process
left to be sealed), older copies of the keyring open nothing that was destroyed a day and an hour
ago, what is recorded is sealed, and the log is cosigned by the witnesses that the operator asks
for. Each has a bound here, in seconds by a clock that only grows
(`clock.ticks`): a wall clock that steps makes nothing late and nothing early.

Rows: R5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bailee.health import Health

SWEEP: Final = 30 * 60.0
"""Within which a sweep must have destroyed the keys that were due."""
ROTATION: Final = 60 * 60.0
"""Within which a rotation must follow once it is due, a day after something was destroyed."""
SEALING: Final = 10 * 60.0
"""Within which something of what waits must have been sealed."""
WITNESSES: Final = 60 * 60.0
"""Within which a quorum of the witnesses must have cosigned the log again."""
HOLDER: Final = 60.0
"""For how long at most no server has the home beside which a gateway of its own stands."""
STREAMS: Final = 60 * 60.0
"""For how long at most an entry of the audit record waits to be delivered where it is streamed."""


class Reason(StrEnum):
    """Why a server is not ready, or what somebody should look at (`ALERTS`)."""

    STARTING = "starting"
    DRAINING = "draining"
    OUTDATED = "outdated"
    NOT_JOINED = "not_joined"
    NOT_RECORDING = "not_recording"
    KEYRING_UNREADABLE = "keyring_unreadable"
    SWEEP_LATE = "sweep_late"
    ROTATION_LATE = "rotation_late"
    SEALING_LATE = "sealing_late"
    THREAD_ENDED = "thread_ended"
    UNWITNESSED = "unwitnessed"
    REQUESTS_OVERDUE = "requests_overdue"
    DISK_LOW = "disk_low"
    AUDIT_STREAM_LATE = "audit_stream_late"
    HOLDER_AWAY = "holder_away"


IN_WORDS: Final = {
    Reason.STARTING: "the first sweep has not succeeded yet",
    Reason.DRAINING: "it is about to stop, and begins nothing more",
    Reason.OUTDATED: "which keys are good and what the policy says is not confirmed",
    Reason.NOT_JOINED: "it has no part in what the home records yet: no server has had it with "
    "spool.durability = database, or a database is away",
    Reason.NOT_RECORDING: "exchanges can't be recorded",
    Reason.KEYRING_UNREADABLE: "the keyring can't be read",
    Reason.SWEEP_LATE: "no sweep has destroyed what was due for over 30 minutes",
    Reason.ROTATION_LATE: "the root key's rotation has been due for over an hour",
    Reason.SEALING_LATE: "nothing of what waits has been sealed for over 10 minutes",
    Reason.THREAD_ENDED: "a thread that was begun anew has ended again by a defect",
    Reason.UNWITNESSED: "no quorum of its witnesses has cosigned the log for over an hour",
    Reason.REQUESTS_OVERDUE: "a person's request about their own data is overdue",
    Reason.DISK_LOW: "less of a store's disk is free than gateway.free_mb keeps",
    Reason.AUDIT_STREAM_LATE: "entries have waited for over an hour where the record is streamed",
    Reason.HOLDER_AWAY: "no server has had the home for over a minute",
}
BOUNDS: Final = {
    Reason.SWEEP_LATE: SWEEP,
    Reason.ROTATION_LATE: ROTATION,
    Reason.SEALING_LATE: SEALING,
    Reason.UNWITNESSED: WITNESSES,
    Reason.AUDIT_STREAM_LATE: STREAMS,
}
ALERTS: Final = frozenset(
    {
        Reason.UNWITNESSED,
        Reason.REQUESTS_OVERDUE,
        Reason.DISK_LOW,
        Reason.AUDIT_STREAM_LATE,
        Reason.HOLDER_AWAY,
    }
)
"""With these a server is ready all the same: it can't act on them, and its clients lose nothing."""


@dataclass(frozen=True, slots=True)
class ServerStanding:
    """How a server stands. `begun`: its first sweep has succeeded; `records`: what comes is written
    down; seconds since keys were destroyed on time (`unswept`, from the start on if never), that a
    rotation has been due (`unrotated`), in which nothing of what waits was sealed (`unsealed`);
    `lasting`: no thread that was begun anew has ended at once again; seconds that the log has
    lacked its witnesses' quorum (`unwitnessed`); how many requests of people are `overdue`;
    `draining`: it is about to stop; `keyring`: that could be read; `low`: little of a disk is free;
    seconds that the oldest entry has waited where the audit record is streamed (`unstreamed`).
    """

    begun: bool
    records: bool
    unswept: float
    unrotated: float
    unsealed: float
    lasting: bool = True
    unwitnessed: float = 0.0
    overdue: float = 0
    draining: bool = False
    keyring: bool = True
    low: bool = False
    unstreamed: float = 0.0


def reasons(standing: ServerStanding) -> tuple[Reason, ...]:
    """What a server is short of, the gravest first; nothing but `ALERTS`: it is ready."""
    found = {
        Reason.STARTING: not standing.begun,
        Reason.DRAINING: standing.draining,
        Reason.NOT_RECORDING: not standing.records,
        Reason.KEYRING_UNREADABLE: not standing.keyring,
        Reason.SWEEP_LATE: standing.unswept > SWEEP,
        Reason.ROTATION_LATE: standing.unrotated > ROTATION,
        Reason.SEALING_LATE: standing.unsealed > SEALING,
        Reason.THREAD_ENDED: not standing.lasting,
        Reason.UNWITNESSED: standing.unwitnessed > WITNESSES,
        Reason.REQUESTS_OVERDUE: standing.overdue > 0,
        Reason.DISK_LOW: standing.low,
        Reason.AUDIT_STREAM_LATE: standing.unstreamed > STREAMS,
    }
    return tuple(reason for reason, holds in found.items() if holds)


@dataclass(frozen=True, slots=True)
class GatewayStanding:
    """How a gateway of its own stands. `confirmed`: what it knows of keys and policy is, within the
    bound (`db.versions`); `joined`: it is a member of the home (`db.members`); `records`: what
    comes is written down; seconds in which no server is known to have had the home (`unheld`);
    `lasting` and `draining`: as `ServerStanding` has them.
    """

    confirmed: bool
    joined: bool
    records: bool
    unheld: float
    lasting: bool = True
    draining: bool = False


def gateway_reasons(standing: GatewayStanding) -> tuple[Reason, ...]:
    """What a gateway of its own is short of, as `reasons` says it of a server."""
    found = {
        Reason.DRAINING: standing.draining,
        Reason.OUTDATED: not standing.confirmed,
        Reason.NOT_JOINED: not standing.joined,
        Reason.NOT_RECORDING: standing.joined and not standing.records,
        Reason.THREAD_ENDED: not standing.lasting,
        Reason.HOLDER_AWAY: standing.unheld > HOLDER,
    }
    return tuple(reason for reason, holds in found.items() if holds)


def health(found: Sequence[Reason], failing: Iterable[str] = ()) -> Health:
    """What a listener tells of these reasons. `failing`: steps of the sweep that failed last."""
    return Health(
        tuple(reason for reason in found if reason not in ALERTS),
        tuple(failing),
        tuple(reason for reason in found if reason in ALERTS),
        {reason: IN_WORDS[reason] for reason in found},
    )


def pause(every: float, failed: int) -> float:
    """Seconds until the next sweep. `every`: between two that succeed; `failed`: how many in a row
    did not.
    """
    return min(every, 30.0 * 2 ** (failed - 1)) if failed else every
