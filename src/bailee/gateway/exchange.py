"""One exchange: a client's request carried to an upstream, and its answer carried back. Pure.

Told what happens, it says what to do. It knows no socket, no loop and no clock: whoever tells it
something then carries out what it says (`Carrier.carry`). That is, in this order: `down`, bytes for
the client; `up`, bytes for the upstream; `out`, what else there is to do (`phases.Do`). They are
filled and taken out; nothing is made for an event.

Rules kept here:

* What comes is passed on at once, and neither side is read from faster than the other takes it.
* An exchange that is kept is recorded exactly once, however it ends (`phases`). The end of its
  answer reaches the client only after that.
* An exchange that is not kept has no `Keeping`, and nothing here can put its bytes anywhere but
  into the other side's socket.
* An answer that redirects is an error: whoever followed it would carry prompt and key elsewhere.
* A failure before the answer began is an answer in its API's error shape. A failure
  after that is an error event where the stream allows one, and a connection that closes without
  the answer's proper end.

What goes up is `uplink`'s to decide, what goes down `downlink`'s. Times are in the loop's seconds.
"""

from __future__ import annotations

from typing import Final, Protocol

from bailee.admission import Held, Over, Shares
from bailee.errors import BaileeError, InputError, UpstreamError
from bailee.gateway.access import Caller
from bailee.gateway.answers import CONTINUE, error_answer
from bailee.gateway.completion import hold_for
from bailee.gateway.downlink import Downlink
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
    KEPT,
    LAST,
    OVER,
    PASSED,
    REQUEST,
    REST,
    STORED,
    UNSTORED,
    WHOLE,
    WRITING,
    Do,
    Happened,
    Table,
)
from bailee.gateway.recording import Keeping, NotKept, not_recorded, over_share
from bailee.gateway.routes import GatewayRoute
from bailee.gateway.settings import GatewayLimits
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.uplink import Addressee, Sending, Uplink
from bailee.vault.exchange import CapturedExchange, Outcome

_PAUSE, _RESUME = Do.PAUSE_UPSTREAM, Do.RESUME_UPSTREAM
*_, _RECORD, _UNRECORDED, _SAY, _FINISHED, _CLOSE, _RESET = Do
_NOT_MODIFIED: Final = 304


class Exchange:
    """One exchange, from its request's head to its end. Its carrier owns it, and tells it on the
    gateway's thread what the two connections, the recorder and the clock say. It counts what it
    holds to its account's `shares`, and never acts.

    `heard` is when anything came that the other side had to send. `held` is what it holds of its
    account's and key's shares. `max_body` is how long the request may be, in bytes. `closes` says
    that the client's connection ends with this answer.
    """

    __slots__ = (
        "_downlink",
        "_failure",
        "_follows",
        "_full_for",
        "_full_since",
        "_gone",
        "_keeping",
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
        "head",
        "heard",
        "held",
        "max_body",
        "out",
        "phase",
        "up",
        "uplink",
    )

    def __init__(
        self,
        head: RequestHead,
        route: GatewayRoute,
        *,
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
    ) -> None:
        """`must_record`: what can't be recorded is not served. `started` is in Unix seconds."""
        self.head = head
        self.exchange_id = exchange_id
        self.held = held
        self.max_body = max_body
        self.closes = closes
        self.heard = self._started = now
        self.phase = REQUEST
        self.down = self.up = b""
        self.out: list[Do] = []
        self.uplink = Uplink(
            head,
            route.target,
            addressee,
            self.out,
            passthrough=passthrough,
            resend=limits.resend,
        )
        self._downlink: Downlink | None = None  # from the answer's head on
        self._follows: Table = PASSED
        self._keeping: Keeping | None = None
        if isinstance(kept, Keeping):
            self._follows, self._keeping = KEPT, kept
        self._route = route
        self._shares = shares
        self._limits = limits
        self._must_record = must_record
        self._particulars = Particulars(
            exchange_id, caller=caller, head=head, route=route, kept=kept, started=started
        )
        self._full_since = 0.0
        self._full_for = 0.0  # seconds in which the client did not take what came, before
        self._gone = False  # the client has
        self._failure: BaileeError | None = None
        self._status = 0

    @property
    def account(self) -> str:
        """Whose request it is."""
        return self._particulars.caller.owner

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken from either side."""
        return self.phase >= FAILING

    def captured(self, ended: float) -> CapturedExchange:
        """The record, asked for by `Do.RECORD` and given once. `ended` is in Unix seconds. May be
        called on another thread: until `recorded`, nothing that it is made of changes.
        """
        assert self._keeping is not None
        answer = self._downlink.answer if self._downlink is not None else None
        return self._particulars.captured(self._keeping, answer, ended)

    def summary(self, ended: float) -> ExchangeSummary:
        """What is said of it, asked for by `Do.SAY`. `ended` is in Unix seconds."""
        return self._particulars.summary(status=self._status, error=self._failure, ended=ended)

    def _moves(self, happened: Happened) -> bool:
        """Goes on as the table says. Whether what happened changes anything."""
        phase = self._follows[self.phase].get(happened)
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
        phase = self.phase
        if phase >= FAILING:
            return
        size = len(payload)
        self._particulars.bytes_in += size
        keeping = self._keeping if phase <= ANSWER else None
        if size and (keeping is not None or self.uplink.collects):
            over = self._shares.take(self.held, size)
            if over is not None:
                self.client_failed(over_share(over))
                return
            if keeping is not None:
                keeping.request.append(payload)
        if done:
            self._shares.arrived(self.held)
            self.heard = now
        self.up += self.uplink.send(payload, done)

    def signed(self, lines: bytes) -> None:
        """The credential's header lines are there."""
        if not self.ended:
            self.uplink.signed(lines)

    def connected(self, now: float, *, pooled: bool) -> None:
        """A connection to the upstream is there; `pooled`: one that has served before."""
        self.heard = now
        self.up += self.uplink.connected(pooled=pooled)

    # -- the answer ----------------------------------------------------------------------------

    def informational(self, head: AnswerHead) -> None:
        """An answer before the answer (RFC 9110, 15.2). We asked for no 100 (Continue)."""
        if head.status != 100 and self.head.minor == 1:
            self.down += b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.status, head.reason, head.kept)

    def answer_head(self, head: AnswerHead) -> None:
        """The answer begins."""
        if 300 <= head.status < 400 and head.status != _NOT_MODIFIED:
            self.upstream_failed(_redirects(head.status))
            return
        if not self._moves(HEAD):
            return
        self.uplink.answered()
        closes = self.closes or not self.uplink.whole
        self._downlink = Downlink(
            self.head, head, self._route.api, closes=closes, started=self._started
        )
        self.closes = self._downlink.closes
        if self._keeping is not None:
            self._keeping.hold = hold_for(head.content_type, head.content_encoding, self._route.api)

    def answer_data(self, payload: bytes, done: bool, now: float) -> None:
        """The upstream sent more, transfer coding removed; `done` with the last of it."""
        downlink, phase = self._downlink, self.phase
        if phase >= FAILING or downlink is None:
            return
        if done:
            self.uplink.close()
        self._particulars.bytes_out += len(payload)
        keeping = self._keeping
        if keeping is None or phase is REST:
            self.down += downlink.send(payload, done, now) or downlink.send_head()
        elif phase is ANSWER:
            self._keep(keeping, downlink, payload, done, now)
            return
        else:
            assert keeping.hold is not None
            keeping.hold.feed(payload)  # what follows the last event waits with it
        if done:
            self.phase = self._follows[phase][END]
            if phase is not HELD:
                self._finish()

    def _keep(
        self, keeping: Keeping, downlink: Downlink, payload: bytes, done: bool, now: float
    ) -> None:
        """Passes on of a kept answer what may go, and has the record written at its end."""
        hold = keeping.hold
        assert hold is not None
        size = len(payload)
        keeping.answer.append(payload)
        keeping.answer_size += size
        if keeping.answer_size > self._limits.max_answer:
            self.upstream_failed(
                UpstreamError(
                    "The answer is longer than what can be kept of one exchange.",
                    code="upstream_protocol",
                )
            )
            return
        over = self._shares.take(self.held, size)
        if over is not None:
            self._fail(over_share(over), Outcome.CLIENT_ABORTED)
            return
        free = hold.feed(payload)
        if free:
            self.down += downlink.send(free, False, now)
        elif downlink.live:
            self.down += downlink.send_head()
        if done:
            self.phase = self._follows[ANSWER][END]
            self.out.append(_RECORD)
        elif hold.final:
            self.phase = self._follows[ANSWER][LAST]
            self.out += (_RECORD, _PAUSE)

    # -- what is full --------------------------------------------------------------------------

    def client_full(self, full: bool, now: float) -> None:
        """The client does not take what was written as fast as it came, or does again."""
        if self._full_since and not full:
            self._full_for += now - self._full_since
        self._full_since = now if full else 0.0
        self.heard = now
        if self.uplink.sending is Sending.OPEN and self.phase is not HELD:
            self.out.append(_PAUSE if full else _RESUME)

    # -- recording -----------------------------------------------------------------------------

    def recorded(self, stored: bool, now: float) -> None:
        """The record is durable, or is known not to be."""
        was, happened = self.phase, STORED
        if not stored:
            self._particulars.terms = None
            self._particulars.not_kept = "recorder_failed"
            if self._failure is None:
                if self._must_record:
                    self._failure = not_recorded()
                    self.uplink.drop()
                    happened = UNSTORED
                else:
                    self.out.append(_UNRECORDED)
        self.phase = self._follows[was][happened]
        if self._failure is not None:
            self._end_with_error(self._failure)
            return
        if self._gone:
            self._finish()
            return
        downlink, keeping = self._downlink, self._keeping
        assert downlink is not None and keeping is not None and keeping.hold is not None
        self.down += downlink.send(keeping.hold.rest(), was is WHOLE, now)
        if self.phase is OVER:
            self._finish(cut=was is not WHOLE)
        elif not self._full_since:
            self.out.append(_RESUME)

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
            if self._keeping is not None:
                self.out.append(_RECORD)
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
        if self._keeping is not None:
            self.out.append(_RECORD)
        else:
            self._end_with_error(error)

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
        self._keeping = None
        self._status = status
        self._shares.leave(self.held)
        self.out.append(_SAY if self._gone else then)

    # -- time ----------------------------------------------------------------------------------

    def tick(self, now: float, *, body_late: bool) -> None:
        """Looks at what is late. `body_late`: the client's connection finds its request so."""
        limits = self._limits
        if self.phase is OVER or self.phase in WRITING:
            return
        if self._full_since:
            waited = now - self._full_since
            in_all = self._full_for + waited
            taken = self._particulars.bytes_out
            if waited > limits.client_stalled or (
                taken < (in_all - limits.client_stalled) * limits.body_rate
            ):
                self.out.append(_RESET)
                self.client_lost()
            return
        downlink = self._downlink
        waits_for_upstream = self.uplink.whole or self.uplink.full
        if self._route.prompt and downlink is None and now - self._started > limits.prompt:
            waits_for_upstream, silence = True, limits.prompt
            self.heard = self._started
        else:
            silence = limits.upstream_silence
        if waits_for_upstream and now - self.heard > silence:
            self.upstream_failed(
                UpstreamError(
                    f"The upstream was silent for {silence:g} s.", code="upstream_timeout"
                )
            )
        elif not waits_for_upstream and body_late:
            self._fail(
                InputError("The request did not arrive in time.", code="request_timeout"),
                Outcome.TIMED_OUT,
            )
        elif limits.ping and downlink is not None and downlink.plain and self._may_ping:
            self.down += downlink.ping(now, limits.ping)

    @property
    def _may_ping(self) -> bool:
        hold = self._keeping.hold if self._keeping is not None else None
        return self._route.pings and not (hold is not None and hold.holding)


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

    def carry(self) -> None:
        """Carries out what the exchange has said. May be called while it is carrying."""
        ...


def _redirects(status: int) -> UpstreamError:
    """An answer that sends its reader elsewhere."""
    return UpstreamError(
        f"The upstream redirects this request ({status}).",
        code="upstream_protocol",
        hint="whoever runs this gateway: set the upstream's URL to the address that it ends at;"
        " a redirect is not passed on, since following it would carry prompt and key there",
    )
