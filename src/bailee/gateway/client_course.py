"""Where a client's connection is, what may follow what, and what is late on it. Pure.

    HEAD ─request─────────────────► BUSY ─answered─► HEAD, or after the last one CLOSING
      │  └request with a body► BODY ─its end──┘
      │                         └──answered before that──► LINGER
      └──what can't be read on from──────────────────────► LINGER

Rules kept here:

* What was written is on its way until the client took it, however slowly; only who takes nothing,
  or too little in all, is cut.
* Who was refused before the end of its request is read over for a moment, so that it sees the
  answer and not a reset.
* A body comes at a least rate; time in which it is not read does not count.
* A request has its time to come, and one that waits for its turn has its time for that.

Times are in the loop's seconds, sizes in bytes.
"""

from __future__ import annotations

from enum import IntEnum

from bailee.gateway.settings import GatewayLimits


class ClientState(IntEnum):
    """Where a connection is."""

    HEAD = 0  # waits for a request's head
    BODY = 1  # reads a request's body
    BUSY = 2  # the request is there; its answer is not complete
    LINGER = 3  # answered and closing; what still comes is read over
    CLOSING = 4  # answered; closes when the client has taken what was written


class Late(IntEnum):
    """What is done about what is late."""

    NOTHING = 0
    CLOSE = 1  # all is said
    ABORT = 2  # the client is given up
    TURN_AWAY = 3  # its request has waited for its turn for too long
    REJECT = 4  # its request did not come in time


HEAD, BODY, BUSY, LINGER, CLOSING = ClientState
_NOTHING, _CLOSE, _ABORT, _TURN_AWAY, _REJECT = Late


class ClientCourse:
    """One connection's state and times. The connection owns it and tells it, on the loop's thread,
    what happens; it gives what follows. It knows no transport and never acts.

    `state`: see there. `waits`: for the turn of the request whose head was read. `full`: what was
    written is not taken as fast as it came. `heard`: when anything came. `body_size`: of the
    present body, what came.
    """

    __slots__ = (
        "_limits",
        "_reading",
        "_since",
        "_unsent",
        "_until",
        "body_size",
        "full",
        "heard",
        "state",
        "waits",
    )

    def __init__(self, limits: GatewayLimits, now: float) -> None:
        self._limits = limits
        self._reading = 0.0  # seconds in which the body was waited for
        self._since = self.heard = now
        self._unsent = self._until = 0.0  # bytes that it is waited for to take, and how long
        self.body_size = 0
        self.full = False
        self.state = HEAD
        self.waits = False

    def begins(self, now: float) -> None:
        """A request is waited for, or begins to come."""
        self._since = now

    def request(self, *, body: bool) -> None:
        """A request's head is there."""
        self.body_size = 0
        self._reading = 0.0
        self.state = BODY if body else BUSY

    def answered(self, *, last: bool) -> ClientState:
        """The answer is complete; `last`: the connection ends with it. Gives what follows."""
        if self.state is BODY:
            self.state = LINGER
        else:
            self.state = CLOSING if last else HEAD
        return self.state

    def sends(self, now: float, unsent: int) -> None:
        """From now on it is waited for to take what was written."""
        limits = self._limits
        self._since, self._unsent = now, unsent
        self._until = now + limits.client_stalled + unsent / limits.body_rate

    @property
    def unsent_matters(self) -> bool:
        """Whether `late` asks how much was written and not taken."""
        return self.full or self.state >= LINGER

    def late(self, now: float, unsent: int, *, began: bool) -> Late:
        """What is late while no exchange is under way. `began`: something of a request is there."""
        limits, state = self._limits, self.state
        if state >= LINGER:
            found = self._sending(now, unsent)
            if unsent:
                return found
            if state is CLOSING:
                return _CLOSE
            return _ABORT if now - self._since > limits.linger else _NOTHING
        waited = now - self._since
        if self.waits:
            return _TURN_AWAY if waited > limits.turn else _NOTHING
        if self.full:
            return self._sending(now, unsent)
        if state is HEAD and began:
            return _REJECT if waited > limits.client_head else _NOTHING
        return _CLOSE if waited > limits.keep_alive else _NOTHING

    def _sending(self, now: float, unsent: int) -> Late:
        """What was written is on its way; since when, if the client took some of it."""
        if unsent < self._unsent:
            self._unsent, self._since = unsent, now
        elif unsent and now - self._since > self._limits.client_stalled:
            return _ABORT
        return _ABORT if unsent and now > self._until else _NOTHING

    def body_late(self, now: float, elapsed: float, *, paused: bool) -> bool:
        """Whether the body comes too slowly. `elapsed`: since this was last asked; `paused`: it is
        not read.
        """
        if paused:
            return False
        if self.state is BODY:
            self._reading += elapsed
        limits, reading = self._limits, self._reading
        return (
            now - self.heard > limits.client_body_idle
            or reading > limits.body_total
            or self.body_size < (reading - limits.body_grace) * limits.body_rate
        )
