"""How far a cloud session has come. Pure.

    queued → starting → cloning → working ⇄ waiting
       ↓         ↓         ↓         ↓         ↓
       └─────────┴─────────┴── ended ┴─────────┘

Rules kept here:

* `queued` is the only state that a session comes back to, and only from `starting`, before its
  machine was there. What has a machine is never begun again: whatever the guest did, it did once.
* `ended` is the last, and always has a reason (`ports.End`).
* After a restart of the host process the states alone say what to do: what was queued is taken up,
  what had a machine has lost it.

Rows: C1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class SessionState(StrEnum):
    """Where a session is."""

    QUEUED = "queued"  # waits for room on a runner
    STARTING = "starting"  # its machine is being started
    CLONING = "cloning"  # the repository is fetched
    WORKING = "working"  # the agent is at work
    WAITING = "waiting"  # what was done is pushed; a follow-up may come
    ENDED = "ended"  # its machine is gone


_NEXT: Final[Mapping[SessionState, frozenset[SessionState]]] = {
    SessionState.QUEUED: frozenset({SessionState.STARTING, SessionState.ENDED}),
    SessionState.STARTING: frozenset(
        {SessionState.QUEUED, SessionState.CLONING, SessionState.ENDED}
    ),
    SessionState.CLONING: frozenset({SessionState.WORKING, SessionState.ENDED}),
    SessionState.WORKING: frozenset({SessionState.WAITING, SessionState.ENDED}),
    SessionState.WAITING: frozenset({SessionState.WORKING, SessionState.ENDED}),
    SessionState.ENDED: frozenset(),
}


def may_follow(before: SessionState, after: SessionState) -> bool:
    """Whether a session in one state may come to another."""
    return after in _NEXT[before]


def had_machine(state: SessionState) -> bool:
    """Whether a session in this state may have had a machine, which a restart has lost."""
    return state not in (SessionState.QUEUED, SessionState.ENDED)


def takes_follow_ups(state: SessionState) -> bool:
    """Whether a follow-up can still be carried out."""
    return state is not SessionState.ENDED
