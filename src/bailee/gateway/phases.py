"""What may follow what in an exchange, and what an exchange may ask its sockets for. Pure.

    an exchange that is not kept

    REQUEST ─head─► ANSWER ─end─► OVER             failed, gone: OVER at once

    an exchange that is kept

    REQUEST ─head─► ANSWER ─last─► HELD ──stored─► REST ─end─► OVER
       │               │  └─end──► WHOLE ─stored─► OVER
       └───failed──────┴─► FAILING ─stored─► OVER
       └───gone────────┴─► LEFT ────stored─► OVER

Rules kept here:

* An exchange that is kept is over only by way of a phase in which its record is written, and each
  way leads through one such phase: it is recorded exactly once, however it ends.
* From there on nothing that happens has a second record written, or another end than it has.
* What a phase has no line for does not happen in it, or changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Phase(IntEnum):
    """How far an exchange is. In order: before `FAILING`, what comes from a side is taken."""

    REQUEST = 0  # no answer has begun
    ANSWER = 1  # an answer comes
    HELD = 2  # its last event is there, and waits for the record; its end is still to come
    WHOLE = 3  # all of it is there, and its end waits for the record
    CUT = 4  # as HELD, and its end will not come
    REST = 5  # the record is durable; what comes after the last event passes
    FAILING = 6  # it ends with an error, once its record is durable
    LEFT = 7  # the client has gone, and the record is being written
    OVER = 8  # nothing happens any more


class Happened(IntEnum):
    """What moves an exchange on."""

    HEAD = 0  # the answer begins
    LAST = 1  # its last event is there
    END = 2  # its end is there
    STORED = 3  # the record is durable; or is known not to be, and the policy lets that pass
    UNSTORED = 4  # it is known not to be durable, and the policy does not let that pass
    FAILED = 5  # a side did not do its part
    GONE = 6  # the client has gone


class Do(IntEnum):
    """What an exchange asks for, besides the bytes that it has for either side."""

    SIGN = 0  # have the credential for `uplink.to_sign`, then tell `signed` or `upstream_failed`
    TAKE = 1  # have a connection to the upstream, from the pool or a new one; tell `connected`
    CONNECT = 2  # have a new one
    RELEASE = 3  # the connection has served
    DROP = 4  # end the connection, and what was begun to have one
    PAUSE_UPSTREAM = 5
    RESUME_UPSTREAM = 6
    PAUSE_CLIENT = 7
    RESUME_CLIENT = 8
    RECORD = 9  # write the record of `captured`, then tell `recorded`
    UNRECORDED = 10  # count: it is served although it is not recorded
    SAY = 11  # it is over: say `summary`
    FINISHED = 12  # likewise, and the answer is complete
    CLOSE = 13  # likewise, and it is not; nothing more will come
    RESET = 14  # end the client's connection so that it can't take that for the answer's end


# By these names, since to look a member up in its class takes as long as a step of an exchange.
REQUEST, ANSWER, HELD, WHOLE, CUT, REST, FAILING, LEFT, OVER = Phase
HEAD, LAST, END, STORED, UNSTORED, FAILED, GONE = Happened

Table = Mapping[Phase, Mapping[Happened, Phase]]

PASSED: Final[Table] = {
    REQUEST: {HEAD: ANSWER, FAILED: OVER, GONE: OVER},
    ANSWER: {END: OVER, FAILED: OVER, GONE: OVER},
    OVER: {},
}
_WRITTEN: Final = {STORED: OVER, UNSTORED: OVER}
KEPT: Final[Table] = {
    REQUEST: {HEAD: ANSWER, FAILED: FAILING, GONE: LEFT},
    ANSWER: {LAST: HELD, END: WHOLE, FAILED: FAILING, GONE: LEFT},
    HELD: {END: WHOLE, FAILED: CUT, GONE: LEFT, STORED: REST, UNSTORED: OVER},
    WHOLE: {GONE: LEFT, **_WRITTEN},
    CUT: {GONE: LEFT, **_WRITTEN},
    REST: {END: OVER, FAILED: OVER, GONE: OVER},
    FAILING: {GONE: FAILING, **_WRITTEN},
    LEFT: _WRITTEN,
    OVER: {},
}
WRITING: Final = frozenset({HELD, WHOLE, CUT, FAILING, LEFT})
