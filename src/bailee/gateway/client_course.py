"""Where a client's connection is, what may follow what, and what is late on it. Pure.

    HEAD ─request─────────────────► BUSY ─answered─► HEAD, or after the last one CLOSING
      │  └request with a body► BODY ─its end──┘
      │                         └──answered before that──► LINGER
      └──what can't be read on from──────────────────────► LINGER
    from HEAD and LINGER, when the client sends no more: CLOSING

Told what happens, it says what follows (`Then`, `Late`); the connection does it.

Rules kept here:

* Who sends no more (RFC 9112, 9.6) while its request is under way has gone: a program that was
  ended says the same, and its answer costs money. Its connection is reset, since for an answer that
  ends with its connection a close means its end. Who has all its answers gets what was written.
* An answer that breaks off ends in a reset, unless it ends with a word that says so.

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


class Then(IntEnum):
    """What the connection does now."""

    NOTHING = 0
    NEXT = 1  # takes the next request
    WAIT = 2  # until what was written is taken; then the next request
    LINGER = 3  # sends its end, and reads over what still comes
    SEND = 4  # closes when the client has taken what was written
    CLOSE = 5  # closes: all is taken
    RESET = 6  # ends so that what came can't be taken for a whole answer; tells who is under way


class Late(IntEnum):
    """What is done about what is late."""

    NOTHING = 0
    CLOSE = 1  # all is said
    ABORT = 2  # the client is given up
    TURN_AWAY = 3  # its request has waited for its turn for too long
    REJECT = 4  # its request did not come in time


HEAD, BODY, BUSY, LINGER, CLOSING = ClientState
_NOTHING, _CLOSE, _ABORT, _TURN_AWAY, _REJECT = Late
_STAY, _NEXT, _WAIT, _READ_OVER, _SEND, _CLOSE_NOW, _RESET = Then


class ClientCourse:
    """One connection's state and times. The connection owns it and tells it, on the loop's thread,
    what happens; it gives what follows. It knows no transport and never acts.

    `state`: see there; nobody else sets it. `waits`: for the turn of the request whose head was
    read. `full`: what was written is not taken as fast as it came. `heard`: when anything came.
    `body_size`: of the present body, what came.
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
        self._unsent = 0  # bytes that it is waited for to take
        self._until = 0.0  # and how long
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

    def whole(self) -> None:
        """A request's body is there whole."""
        self.state = BUSY

    def answered(self, *, last: bool) -> Then:
        """The answer is complete; `last`: the connection ends with it."""
        if self.state is BODY:
            return self.rejected()
        if last:
            self.state = CLOSING
            return _SEND
        self.state = HEAD
        return _WAIT if self.full else _NEXT

    def rejected(self) -> Then:
        """What can't be read on from is answered, and so is a request before its end."""
        self.state = LINGER
        self.waits = False
        return _READ_OVER

    def broke_off(self, *, said: bool) -> Then:
        """The answer ends without its end; `said`: what was written says so."""
        self.state = CLOSING if said else LINGER
        return _SEND if said else _RESET

    def given_up(self) -> None:
        """It has to make room for another."""
        self.state = LINGER

    def ended(self) -> Then:
        """The client sends no more."""
        if self.state in (BODY, BUSY):
            self.state = LINGER
            self.waits = False
            return _RESET
        if self.state is CLOSING:
            return _STAY
        self.state = CLOSING
        return _SEND

    def filled(self) -> None:
        """The client does not take what is written as fast as it comes."""
        self.full = True

    def taken(self, unsent: int) -> Then:
        """It does again, and has not taken so much yet."""
        self.full = False
        if self.state is HEAD:
            return _NEXT
        return _CLOSE_NOW if self.state is CLOSING and not unsent else _STAY

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
