"""What can be asked of a home about what it keeps and until when."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.roles import Permission
from bailee.damage import Damaged
from bailee.errors import StorageError
from bailee.node import Node, verifying
from bailee.node.sweeping import StepNote
from bailee.operations import pages
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.operation import operation
from bailee.operations.whose import asked_for
from bailee.vault import moving
from bailee.vault.forgetting import SweepReport
from bailee.vault.holdings import Holding
from bailee.vault.recovery import WAITS


@dataclass(frozen=True, slots=True)
class Failed:
    """A step of the sweep that failed: its name and the error."""

    step: str
    code: str
    message: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class SweepResult(SweepReport):
    """What a sweep did. Besides sessions, how much of what went, by name."""

    telemetry: Mapping[str, int]
    feedback: Mapping[str, int]
    cloud: Mapping[str, int]
    failed: list[Failed]


@dataclass(frozen=True, slots=True)
class SweepStep:
    """What became of a step of the sweep, the last times. `error`: the code of the latest failure,
    None when the latest time was none; `failures`: how many in a row.
    """

    step: str
    succeeded: datetime | None
    failed: datetime | None
    error: str | None
    failures: int


@dataclass(frozen=True, slots=True)
class WatchReport:
    """How the promise stands. `server`: one runs. As codes: `reasons`, why it is not ready, and
    `alerts`, what else somebody should look at. `lag_hours`: for how long at most what was
    destroyed can be recovered from older copies of the keyring; `recoverable_until`: until when
    what is destroyed by now can, None: it can't. `keys_until`: until when a snapshot of keys lives,
    with which what is destroyed can be read again; None: there is none.
    """

    server: bool
    reasons: list[str]
    alerts: list[str]
    steps: list[SweepStep]
    lag_hours: int
    recoverable_until: datetime | None
    keys_until: datetime | None


@dataclass(frozen=True, slots=True)
class SumsLook:
    """Whether the sums that are kept of sessions were `right`; they are now."""

    right: bool


@dataclass(frozen=True, slots=True)
class MoveSummary:
    """How far the sessions of an account have come in following its choice."""

    move: int
    account: str
    choice_at: datetime | None
    requested: datetime
    state: str
    total: int
    seen: int
    moved: int
    finished: datetime | None


@operation(makes_room=True)
def run(asks: Asks, node: Node) -> SweepResult:
    """Destroy what is due now, and reclaim its space."""
    asks.require(node, Permission.RETENTION_RUN)
    if node.serving is None:  # no server goes on with what was left
        with suppress(StorageError):
            node.vault.recover(WAITS)
    done = node.sweep(asks.due)
    gone = done.gone
    return extended(
        SweepResult,
        done.sessions,
        telemetry=gone.get("telemetry", {}),
        feedback={**gone.get("reports", {}), **gone.get("survey", {})},
        cloud=gone.get("cloud", {}),
        failed=[
            Failed(name, error.code, error.message, error.hint)
            for name, error in done.failures.items()
        ],
    )


@operation()
def watch(asks: Asks, node: Node) -> WatchReport:
    """How the promise stands, by a server that runs and by what the sweeps have noted."""
    asks.require(node, Permission.RETENTION_READ)
    health = None if node.serving is None else node.serving.health()
    lag = node.vault.lag(asks.due)
    return WatchReport(
        health is not None,
        [] if health is None else [*health.reasons],
        [] if health is None else [*health.alerts],
        [_step(one) for one in node.sweeping.notes()],
        round(lag.at_most.total_seconds() / 3600),
        lag.until,
        node.snapshots.until(),
    )


@operation()
def report(asks: Asks, node: Node, wait: bool = True) -> list[Holding]:
    """What is kept, by class, plan and the day it goes; waits for what is being filed, if asked."""
    asks.require(node, Permission.RETENTION_READ)
    if wait:
        node.vault.settle()
    return node.vault.report(asks.at)


@operation()
def sums(asks: Asks, node: Node) -> SumsLook:
    """Compare the sums of sessions with all sessions, and put right what differs."""
    asks.require(node, Permission.HOME_VERIFY)
    return SumsLook(right=not node.vault.sum_up())


@operation()
def list_moves(
    asks: Asks,
    node: Node,
    owner: str | None = None,
    after: str | None = None,
    limit: Limit = 100,
) -> Page[MoveSummary]:
    """Sessions that follow a change of choice, and how far that has come, newest first."""
    whose = asked_for(asks, node, owner, Permission.RETENTION_READ)
    found = node.vault.moving.latest(limit + 1, owner=whose, before=pages.number(after))
    return pages.page(found, limit, _move, lambda one: str(one.id))


@operation()
def damaged(asks: Asks, node: Node) -> list[Damaged]:
    """What is known to be damaged, without reading all that is kept."""
    asks.require(node, Permission.RETENTION_READ)
    return verifying.known(node)


def _step(note: StepNote) -> SweepStep:
    return SweepStep(note.name, note.succeeded_at, note.failed_at, note.error, note.failures)


def _move(one: moving.Move) -> MoveSummary:
    return MoveSummary(
        one.id,
        one.owner,
        one.choice_at,
        one.requested_at,
        "moving" if one.finished_at is None else "done",
        one.total,
        one.seen,
        one.moved,
        one.finished_at,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "retention.run": run,
    "retention.watch": watch,
    "retention.report": report,
    "retention.sums": sums,
    "retention.moves": list_moves,
    "retention.damaged": damaged,
}
