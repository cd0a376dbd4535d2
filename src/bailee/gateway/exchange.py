"""One exchange: a client's request carried to an upstream, and its answer carried back. Pure.

Told what happens, it says what to do. It knows no socket, no loop and no clock: whoever tells it
something then carries out what it says (`Carrier.carry`). That is, in this order: `down`, bytes for
the client; `up`, bytes for the upstream; `out`, what else there is to do (`phases.Do`). They are
filled and taken out; nothing is made for an event.

Rules kept here:

* What comes is passed on at once, and neither side is read from faster than the other takes it.
* An exchange that is not kept has no `Keeping`, and nothing here can put its bytes anywhere but
  into the other side's socket. What is kept is a `recorded_exchange.RecordedExchange`.
* An answer that redirects is an error: whoever followed it would carry prompt and key elsewhere.
* A failure before the answer began is an answer in its API's error shape. A failure
  after that is an error event where the stream allows one, and a connection that closes without
  the answer's proper end.

What goes up is `uplink`'s to decide, what goes down `downlink`'s, and `waiting` says who is waited
for too long. Times are in the loop's seconds.
"""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

from bailee.admission import Held, Over, Shares
from bailee.errors import BaileeError, InputError, UpstreamError
from bailee.gateway.access import Caller, Look
from bailee.gateway.answers import CONTINUE, error_answer
from bailee.gateway.downlink import Downlink
from bailee.gateway.failing import redirects, request_late, upstream_silent
from bailee.gateway.http1 import AnswerHead, RequestHead
from bailee.gateway.particulars import Particulars
from bailee.gateway.phases import (
    ANSWER,
    END,
    FAILED,
    FAILING,
    GONE,
    HEAD,
    HELD,
    OVER,
    PASSED,
    REQUEST,
    WRITING,
    Do,
    Happened,
    Table,
)
from bailee.gateway.recording import Keeping, NotKept, over_share
from bailee.gateway.routes import GatewayRoute
from bailee.gateway.settings import GatewayLimits
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.uplink import Addressee, Sending, Uplink
from bailee.gateway.waiting import NOBODY, TAKING, UPSTREAM, Waiting
from bailee.usage.asking import WholeRequest
from bailee.vault.exchange import Outcome

_PAUSE, _RESUME = Do.PAUSE_UPSTREAM, Do.RESUME_UPSTREAM
_RECORD, _SAY, _FINISHED, _CLOSE, _RESET = Do.RECORD, Do.SAY, Do.FINISHED, Do.CLOSE, Do.RESET
_NOT_MODIFIED: Final = 304


class Exchange:
    """One exchange, from its request's head to its end. Its carrier owns it, and tells it on the
    gateway's thread what the two connections, the recorder and the clock say. It counts what it
    holds to its account's `shares`, and never acts.

    `held` is what it holds of its account's and key's shares. `max_body` is how long the request
    may be, in bytes. `closes` says that the client's connection ends with this answer.
    """

    follows: ClassVar[Table] = PASSED

    __slots__ = (
        "_downlink",
        "_failure",
        "_gone",
        "_limits",
        "_must_record",
        "_particulars",
        "_route",
        "_shares",
        "_started",
        "_status",
        "closes",
        "down",
        "exchange_id",
        "governed",
        "head",
        "held",
        "kept",
        "look",
        "max_body",
        "out",
        "phase",
        "told",
        "up",
        "uplink",
        "waiting",
    )

    # Given by place, as what it makes itself: by name takes a twentieth of a small exchange's time.
    def __init__(  # noqa: PLR0917
        self,
        head: RequestHead,
        route: GatewayRoute,
        caller: Caller,
        addressee: Addressee,
        kept: Keeping | NotKept,
        passthrough: bool,
        closes: bool,
        max_body: int,
        exchange_id: str,
        held: Held,
        shares: Shares,
        limits: GatewayLimits,
        must_record: bool,
        now: float,
        started: float,
        governed: bool = False,
        look: Look | None = None,
    ) -> None:
        """`must_record`: what can't be recorded is not served. `started` is in Unix seconds.
        `governed`, `look`: it is there whole before anything of it goes up, and has to be
        `admitted`, or looked at.
        """
        self.head = head
        self.exchange_id = exchange_id
        self.held = held
        self.max_body = max_body
        self.closes = closes
        self._started = now
        self.waiting = Waiting(limits, now)
        self.phase = REQUEST
        self.down = self.up = b""
        self.out: list[Do] = []
        self.uplink = Uplink(
            head,
            route.target,
            addressee,
            self.out,
            passthrough,
            limits.resend,
            governed or look is not None,
        )
        self.governed = governed
        self.look = look
        self.told = b""  # what its client is told of its limits: header lines
        self._downlink: Downlink | None = None  # from the answer's head on
        self.kept = kept
        self._route = route
        self._shares = shares
        self._limits = limits
        self._must_record = must_record
        self._particulars = Particulars(
            exchange_id, caller, head, route, kept, started, passthrough, addressee
        )
        self._gone = False  # the client has
        self._failure: BaileeError | None = None
        self._status = 0

    def whole(self, body: bytes) -> WholeRequest:
        """The request, once it is there whole, for who says whether it may go on."""
        return self._particulars.whole(body)

    @property
    def channel(self) -> str:
        """The channel it came by."""
        return self._route.channel

    def turn_to(self, addressee: Addressee) -> None:
        """It goes to another upstream than was thought: a clause chose it, now that the request is
        there whole.
        """
        self.uplink.turn_to(addressee)
        self._particulars.addressee = addressee

    @property
    def account(self) -> str:
        """Whose request it is."""
        return self._particulars.caller.owner

    @property
    def started(self) -> float:
        """When it began, in Unix seconds."""
        return self._particulars.started

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken from either side."""
        return self.phase >= FAILING

    def summary(self, ended: float) -> ExchangeSummary:
        """What is said of it, asked for by `Do.SAY`. `ended` is in Unix seconds."""
        return self._particulars.summary(status=self._status, error=self._failure, ended=ended)

    def _moves(self, happened: Happened) -> bool:
        """Goes on as the table says. Whether what happened changes anything."""
        phase = self.follows[self.phase].get(happened)
        if phase is None:
            return False
        self.phase = phase
        return True

    # -- the request ---------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts."""
        if self.head.expects_continue:
            self.down = CONTINUE
        self.uplink.begin()

    def request_data(self, payload: bytes, done: bool, now: float) -> None:
        """The client sent more, transfer coding removed; `done` with the last of it."""
        if self.phase >= FAILING:
            return
        self._particulars.bytes_in += len(payload)
        if payload and not self._hold(payload):
            return
        if done:
            self._shares.arrived(self.held)
            self.waiting.heard = now
        self.up += self.uplink.send(payload, done)

    def _hold(self, payload: bytes) -> bool:
        """Counts what is held of the request. Whether there is room for it."""
        return not self.uplink.collects or self._count(len(payload))

    def _count(self, size: int) -> bool:
        """Counts so many bytes to who holds them. Whether there is room for them."""
        over = self._shares.take(self.held, size)
        if over is not None:
            self.client_failed(over_share(over))
        return over is None

    def signed(self, lines: bytes) -> None:
        """The credential's header lines are there."""
        if not self.ended:
            self.uplink.signed(lines)

    def refused(self, error: BaileeError, lines: bytes) -> None:
        """It may not go on, and nothing of it has gone up; `lines` go with the answer."""
        self.head.answer_lines += lines
        self._fail(error, Outcome.CLIENT_ABORTED)

    def connected(self, now: float, *, pooled: bool) -> None:
        """A connection to the upstream is there; `pooled`: one that has served before."""
        self.waiting.heard = now
        self.up += self.uplink.connected(pooled=pooled)

    # -- the answer ----------------------------------------------------------------------------

    def informational(self, head: AnswerHead) -> None:
        """An answer before the answer (RFC 9110, 15.2). We asked for no 100 (Continue)."""
        if head.status != 100 and self.head.minor == 1:
            self.down += b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.status, head.reason, head.kept)

    def answer_head(self, head: AnswerHead) -> None:
        """The answer begins."""
        if 300 <= head.status < 400 and head.status != _NOT_MODIFIED:
            self.upstream_failed(redirects(head.status))
            return
        if self._moves(HEAD):
            self._begin_answer(head)

    def _begin_answer(self, head: AnswerHead) -> None:
        self.uplink.answered()
        closes = self.closes or not self.uplink.whole
        self._downlink = Downlink(
            self.head,
            head,
            self._route.api,
            closes,
            self._started,
            self.told,
            self._particulars.addressee.line,
        )
        self.closes = self._downlink.closes
        self._particulars.answered(head)

    def answer_data(self, payload: bytes, done: bool, now: float) -> None:
        """The upstream sent more, transfer coding removed; `done` with the last of it."""
        downlink, phase = self._downlink, self.phase
        if phase >= FAILING or downlink is None:
            return
        particulars = self._particulars
        particulars.bytes_out += len(payload)
        if particulars.meter is not None:
            particulars.meter.feed(payload)
        self.down += downlink.send(payload, done, now) or downlink.send_head()
        if done:
            self.uplink.close()
            self.phase = self.follows[phase][END]
            self._finish()

    # -- what is full --------------------------------------------------------------------------

    def client_full(self, full: bool, now: float) -> None:
        """The client does not take what was written as fast as it came, or does again."""
        self.waiting.client_full(full, now)
        if self.uplink.sending is Sending.OPEN and self.phase is not HELD:
            self.out.append(_PAUSE if full else _RESUME)

    # -- ends ----------------------------------------------------------------------------------

    def upstream_lost(self, error: UpstreamError, *, heard: bool) -> None:
        """The upstream's connection ended before its answer did, and why that is an error;
        `heard`: something of the answer had come.
        """
        if not self.uplink.lost(again=not (heard or self._gone)):
            self.upstream_failed(error)

    def upstream_failed(self, error: BaileeError) -> None:
        """The upstream did not do its part."""
        timed_out = error.code == "upstream_timeout"
        self._fail(error, Outcome.TIMED_OUT if timed_out else Outcome.UPSTREAM_FAILED)

    def client_failed(self, error: InputError) -> None:
        """The client did not do its part."""
        self._fail(error, Outcome.CLIENT_ABORTED)

    def give_up(self) -> None:
        """It ends so that others have room."""
        self.client_failed(over_share(Over("account", "memory", 0)))

    def client_lost(self) -> None:
        """The client has gone."""
        was = self.phase
        self._gone = True
        if not self._moves(GONE):
            return
        self.uplink.drop()
        if was <= ANSWER:
            self._particulars.outcome = Outcome.CLIENT_ABORTED
            if self.phase in WRITING:
                self._record()
        if self.phase is OVER:
            self._finish()

    def _fail(self, error: BaileeError, outcome: Outcome) -> None:
        """Ends the exchange with an error, unless it has its end already."""
        was = self.phase
        if not self._moves(FAILED):
            return
        self.uplink.drop()
        if was > ANSWER:
            # The last event was there, and its end was not: the client gets what came.
            if self.phase is OVER:
                self._finish(cut=True)
            return
        self._failure = error
        self._particulars.outcome = outcome
        if self.phase in WRITING:
            self._record()
        else:
            self._end_with_error(error)

    def _record(self) -> None:
        """Has the record written, where one is."""
        self.out.append(_RECORD)

    def _end_with_error(self, error: BaileeError) -> None:
        downlink = self._downlink
        if downlink is not None and (downlink.began or self._gone):
            last_word = b"" if self._gone else downlink.last_word(error, self.exchange_id)
            self.down += last_word
            self._end(downlink.answer.status, _CLOSE if last_word else _SAY)
            if not (self._gone or last_word):
                self.out.append(_RESET)
        elif self._gone:
            self._end(0, _SAY)
        else:
            self.closes = self.closes or not self.uplink.whole
            self.down += error_answer(
                error,
                self.exchange_id,
                self._route.api,
                close=self.closes,
                bodiless=self.head.method == b"HEAD",
                lines=self.head.answer_lines,
            )
            self._end(error.http_status, _FINISHED)

    def _finish(self, *, cut: bool = False) -> None:
        """The exchange is over as it should be, or its client has gone; `cut`: the answer's end
        never comes.
        """
        downlink = self._downlink
        began = downlink is not None and downlink.began
        status = downlink.answer.status if downlink is not None and began else 0
        self._end(status, _CLOSE if cut else _FINISHED)

    def _end(self, status: int, then: Do) -> None:
        """Nothing happens in this exchange any more."""
        self._status = status
        self._shares.leave(self.held)
        self.out.append(_SAY if self._gone else then)

    # -- time ----------------------------------------------------------------------------------

    def tick(self, now: float, *, body_late: bool) -> None:
        """Looks at what is late. `body_late`: the client's connection finds its request so."""
        phase, downlink, uplink = self.phase, self._downlink, self.uplink
        if phase is OVER or phase in WRITING:
            return
        waiting = self.waiting
        late = waiting.late(
            now,
            taken=self._particulars.bytes_out,
            upstream=uplink.whole or uplink.full,
            promptly=self._route.prompt and downlink is None,
            body_late=body_late,
        )
        if late is NOBODY:
            ping = self._limits.ping
            if ping and downlink is not None and downlink.plain and self._may_ping():
                self.down += downlink.ping(now, ping)
        elif late is TAKING:
            self.out.append(_RESET)
            self.client_lost()
        elif late is UPSTREAM:
            self.upstream_failed(upstream_silent(waiting.allowed))
        else:
            self._fail(request_late(), Outcome.TIMED_OUT)

    def _may_ping(self) -> bool:
        return self._route.pings and not self.waiting.full


class ClientExchange(Protocol):
    """What a client's connection tells of one request; all on the loop's thread."""

    @property
    def max_body(self) -> int:
        """The largest body, in bytes."""
        ...

    def begin(self) -> None:
        """Starts."""
        ...

    def request_data(self, payload: bytes, done: bool, now: float) -> None:
        """A piece of the body; `done`: the last one."""
        ...

    def client_full(self, full: bool, now: float) -> None:
        """Whether the client takes what is written as fast as it comes."""
        ...

    def client_failed(self, error: InputError) -> None:
        """The body can't be read on."""
        ...

    def client_lost(self) -> None:
        """The client has gone."""
        ...

    def tick(self, now: float, *, body_late: bool) -> None:
        """Time has passed; `body_late`: the body comes too slowly."""
        ...


class ClientCarrier(Protocol):
    """Whoever sees to one request of a client's connection."""

    @property
    def exchange(self) -> ClientExchange:
        """What the connection tells."""
        ...

    def carry(self) -> None:
        """Carries out what follows."""
        ...


class Carrier(Protocol):
    """Carries out, on the gateway's thread, what an exchange says. Both connections know it: they
    tell its exchange what happened, then have it `carry`.
    """

    exchange: Exchange

    def answered(self) -> None:
        """The upstream's answer begins: whoever asks how long that took is told so."""
        ...

    def carry(self) -> None:
        """Carries out what the exchange has said. May be called while it is carrying."""
        ...
