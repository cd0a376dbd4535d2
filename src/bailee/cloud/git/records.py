"""What is recorded of an operation of git. Pure. No content: names of objects, counts, one ref."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bailee.cloud.git.routes import GitService


class GitOutcome(StrEnum):
    """What came of an operation."""

    DONE = "done"  # upstream carried it out
    REFUSED = "refused"  # it was not passed on
    REJECTED = "rejected"  # it was passed on, and upstream did not take it
    FAILED = "failed"  # upstream, or the credential, could not be had


@dataclass(frozen=True, slots=True)
class GitRecord:
    """One operation. `rule` is empty when nothing was refused. `ref`, `old`, `new`: of a push to
    the session's branch. `sent` went upstream, `received` came from there; bytes of bodies.
    """

    at: datetime
    ask: GitService
    outcome: GitOutcome
    rule: str
    ref: str
    old: str
    new: str
    sent: int
    received: int
    seconds: float


@dataclass(frozen=True, slots=True)
class GitLimits:
    """Sizes in bytes, times in seconds.

    `push`: one push, its pack included. `asked`: what is asked of a fetch, inflated. `advertised`,
    `fetched`: one answer. `streams`: at once. `idle`: without a byte. `longest`: one operation.
    """

    push: int = 2 << 30
    asked: int = 32 << 20
    advertised: int = 256 << 20
    fetched: int = 20 << 30
    streams: int = 16
    connect: float = 15.0
    idle: float = 120.0
    longest: float = 3600.0
