"""Whom an exchange waits for, since when, and when that has been too long. Pure.

Rules kept here: a client is waited for that takes what was written, however slowly, as long as it
takes some of it and in all not too little; nobody else's silence counts meanwhile. Once the
request is there, or the upstream does not take it, the upstream is waited for; before, the client.

Times are in the loop's seconds.
"""

from __future__ import annotations

from enum import IntEnum

from bailee.gateway.settings import GatewayLimits


class Overdue(IntEnum):
    """Who has been waited for too long."""

    NOBODY = 0
    TAKING = 1  # the client, that takes nothing, or too little, of its answer
    UPSTREAM = 2  # the upstream, silent
    ASKING = 3  # the client, whose request does not come


NOBODY, TAKING, UPSTREAM, ASKING = Overdue


class Waiting:
    """The times of one exchange, which owns it and tells it, on the gateway's thread, what happens.
    It never acts.

    `heard` is when anything came that the other side had to send. `full`: the client does not take
    what was written as fast as it came. `allowed` is the silence that `late` last measured by, in
    seconds.
    """

    __slots__ = ("_full_for", "_full_since", "_limits", "_started", "allowed", "full", "heard")

    def __init__(self, limits: GatewayLimits, now: float) -> None:
        self._limits = limits
        self._started = self.heard = now
        self._full_since = self._full_for = 0.0  # seconds in which it was full, before
        self.full = False
        self.allowed = limits.upstream_silence

    def client_full(self, full: bool, now: float) -> None:
        """The client does not take what was written as fast as it came, or does again."""
        if self.full and not full:
            self._full_for += now - self._full_since
        self.full, self._full_since = full, now
        self.heard = now

    def late(
        self, now: float, *, taken: int, upstream: bool, promptly: bool, body_late: bool
    ) -> Overdue:
        """Who is late. `taken`: how much was written to the client, in bytes. `upstream`: the
        client has done its part. `promptly`: the upstream has its answer ready, or should have.
        `body_late`: the client's connection finds its request so.
        """
        limits = self._limits
        if self.full:
            waited = now - self._full_since
            least = (self._full_for + waited - limits.client_stalled) * limits.body_rate
            return TAKING if waited > limits.client_stalled or taken < least else NOBODY
        self.allowed, since = limits.upstream_silence, self.heard
        if promptly and now - self._started > limits.prompt:
            upstream = True
            self.allowed, since = limits.prompt, self._started
        if not upstream:
            return ASKING if body_late else NOBODY
        return UPSTREAM if now - since > self.allowed else NOBODY
