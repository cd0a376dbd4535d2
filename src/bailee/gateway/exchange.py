"""One exchange: a client's request carried to an upstream, and its answer carried back.

Rules kept here:

* What comes is passed on at once, and neither side is read from faster than the other takes it.
* An exchange that is kept is recorded exactly once, however it ends. The end of its answer
  reaches the client only after that.
* An exchange that is not kept has no `Keeping`, and nothing here can put its bytes anywhere but
  into the other side's socket.
* A failure before the answer began is an answer in the Messages API's error shape. A failure
  after that is an error event where the stream allows one, and a connection that closes without
  the answer's proper end.

Order of events: `begin`; `request_data`, at once and until done; `answer_head`; `answer_data` until
done; `_recorded`; `_finish`. `fail`, `client_lost` and `tick` may end it at any point. What goes up
is `uplink`'s to send, what goes down `downlink`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bailee.admission import Held, Over
from bailee.errors import BaileeError, InputError, StorageError, UpstreamError
from bailee.gateway.access import Caller
from bailee.gateway.answers import CONTINUE, error_answer
from bailee.gateway.completion import hold_for
from bailee.gateway.downlink import Downlink
from bailee.gateway.http1 import AnswerHead, RequestHead
from bailee.gateway.particulars import Particulars
from bailee.gateway.recording import Keeping, NotKept, not_recorded, over_share
from bailee.gateway.routes import Route
from bailee.gateway.uplink import Uplink
from bailee.vault.exchange import Outcome

if TYPE_CHECKING:
    from bailee.gateway.client import ClientConnection
    from bailee.gateway.server import Gateway
    from bailee.gateway.upstream import UpstreamPool


class Exchange:
    """See the module. `heard` is when anything came that the other side had to send, in the loop's
    seconds. `held` is what it holds of its account's and key's shares. `max_body` is how long the
    request may be, in bytes.
    """

    __slots__ = (
        "_answer_done",
        "_client",
        "_downlink",
        "_failure",
        "_full_for",
        "_full_since",
        "_keeping",
        "_over",
        "_particulars",
        "_route",
        "_started",
        "exchange_id",
        "gateway",
        "head",
        "heard",
        "held",
        "max_body",
        "request_done",
        "uplink",
    )

    def __init__(
        self,
        gateway: Gateway,
        client: ClientConnection,
        head: RequestHead,
        route: Route,
        *,
        caller: Caller,
        pool: UpstreamPool,
        kept: Keeping | NotKept,
        passthrough: bool,
        max_body: int,
        exchange_id: str,
        held: Held,
    ) -> None:
        self.gateway = gateway
        self.head = head
        self.exchange_id = exchange_id
        self.held = held
        held.give_up = self._give_up
        self.max_body = max_body
        self.request_done = False
        self.heard = self._started = gateway.now
        self.uplink = Uplink(self, client, pool, route.target, passthrough=passthrough)
        self._downlink: Downlink | None = None  # from the answer's head on
        self._client = client
        self._route = route
        self._keeping = kept if isinstance(kept, Keeping) else None
        self._particulars = Particulars(
            exchange_id,
            caller=caller,
            head=head,
            route=route,
            kept=kept,
            started=gateway.clock().timestamp(),
        )
        self._answer_done = False
        self._full_since = 0.0
        self._full_for = 0.0  # seconds in which the client did not take what came, before
        self._failure: BaileeError | None = None
        self._over = False

    @property
    def account(self) -> str:
        """Whose request it is."""
        return self._particulars.caller.owner

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken from either side."""
        return self._over or self._failure is not None

    # -- the request ---------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts."""
        if self.head.expects_continue:
            self._client.write(CONTINUE)
        self.uplink.open()

    def request_data(self, payload: bytes, done: bool) -> None:
        """Takes what the client sent, transfer coding removed; `done` with the last of it."""
        if self._over or self._failure is not None:
            return
        size = len(payload)
        self._particulars.bytes_in += size
        keeping = self._keeping
        keeps = keeping is not None and not keeping.submitted
        if size and (keeps or self.uplink.collects):
            over = self.gateway.shares.take(self.held, size)
            if over is not None:
                self.client_failed(over_share(over))
                return
            if keeping is not None and keeps:
                keeping.request.append(payload)
        if done:
            self.request_done = True
            self.gateway.shares.arrived(self.held)
            self.heard = self.gateway.now
        self.uplink.send(payload, done)

    # -- the answer ----------------------------------------------------------------------------

    def informational(self, head: AnswerHead) -> None:
        """An answer before the answer (RFC 9110, 15.2). We asked for no 100 (Continue)."""
        if head.status != 100 and self.head.minor == 1:
            self._client.write(b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.status, head.reason, head.kept))

    def answer_head(self, head: AnswerHead) -> None:
        """The answer begins."""
        self.uplink.answered()
        self._downlink = Downlink(
            self._client,
            self.head,
            head,
            request_done=self.request_done,
            started=self._started,
        )
        if self._keeping is not None:
            self._keeping.hold = hold_for(head.content_type, head.content_encoding)

    def answer_data(self, payload: bytes, done: bool) -> None:
        """Takes what the upstream sent, transfer coding removed; `done` with the last of it."""
        downlink = self._downlink
        if self._over or self._failure is not None or downlink is None:
            return
        self._answer_done = done
        self._particulars.bytes_out += len(payload)
        if self._keeping is not None:
            self._keep(self._keeping, downlink, payload, done)
            return
        downlink.send(payload, done, self.gateway.now)
        if done:
            self._finish()
        else:
            downlink.send_head()

    def _keep(self, keeping: Keeping, downlink: Downlink, payload: bytes, done: bool) -> None:
        """Passes on of a kept answer what may go, and submits the record at its end."""
        hold = keeping.hold
        assert hold is not None
        if keeping.pending:
            hold.feed(payload)  # what follows the last event waits with it
            return
        if keeping.submitted:
            downlink.send(payload, done, self.gateway.now)
            if done:
                self._finish()
            return
        size = len(payload)
        keeping.answer.append(payload)
        keeping.answer_size += size
        if keeping.answer_size > self.gateway.limits.max_answer:
            self.upstream_failed(
                UpstreamError(
                    "The answer is longer than what can be kept of one exchange.",
                    code="upstream_protocol",
                )
            )
            return
        over = self.gateway.shares.take(self.held, size)
        if over is not None:
            self.fail(over_share(over), Outcome.CLIENT_ABORTED)
            return
        free = hold.feed(payload)
        if free:
            downlink.send(free, False, self.gateway.now)
        elif downlink.live:
            downlink.send_head()
        if done or hold.final:
            self._submit(keeping, Outcome.COMPLETE)
            if not done and self.uplink.connection is not None:
                self.uplink.connection.transport.pause_reading()

    def client_full(self, full: bool) -> None:
        """The client does not take what was written as fast as it came, or does again."""
        now = self.gateway.now
        if self._full_since and not full:
            self._full_for += now - self._full_since
        self._full_since = now if full else 0.0
        self.heard = now
        upstream = self.uplink.connection
        if upstream is not None and not self._pending:
            if full:
                upstream.transport.pause_reading()
            else:
                upstream.transport.resume_reading()

    # -- recording -----------------------------------------------------------------------------

    @property
    def _pending(self) -> bool:
        return self._keeping is not None and self._keeping.pending

    def _submit(self, keeping: Keeping, outcome: Outcome) -> None:
        """Hands the record over. `_recorded` goes on."""
        keeping.submitted = keeping.pending = True
        self._particulars.outcome = outcome
        answer = self._downlink.answer if self._downlink is not None else None
        ended = self.gateway.clock().timestamp()
        captured = self._particulars.captured(keeping, answer, ended)
        self.gateway.submit(captured, self._recorded, self.held)

    def _recorded(self, error: StorageError | None) -> None:
        """The record is durable, or is known not to be."""
        self.gateway.recorded(self._particulars.caller.owner, self.held)
        keeping = self._keeping
        assert keeping is not None
        keeping.pending = False
        if error is not None:
            self._particulars.terms = None
            self._particulars.not_kept = "recorder_failed"
            if self._failure is None:
                if self.gateway.refuses_unrecorded:
                    self._failure = not_recorded()
                    self.uplink.drop()
                else:
                    self.gateway.served_unrecorded()
        if self._failure is not None:
            self._end_with_error(self._failure)
            return
        if self._client.gone:
            self._finish()
            return
        assert self._downlink is not None and keeping.hold is not None
        self._downlink.send(keeping.hold.rest(), self._answer_done, self.gateway.now)
        if self._answer_done:
            self._finish()
        elif self.uplink.connection is not None and not self._full_since:
            self.uplink.connection.transport.resume_reading()

    # -- ends ----------------------------------------------------------------------------------

    def upstream_failed(self, error: BaileeError) -> None:
        """The upstream did not do its part."""
        self.fail(error, Outcome.UPSTREAM_FAILED)

    def client_failed(self, error: InputError) -> None:
        """The client did not do its part."""
        self.fail(error, Outcome.CLIENT_ABORTED)

    def client_lost(self) -> None:
        """The client has gone."""
        if self._over:
            return
        self.uplink.drop()
        keeping = self._keeping
        if keeping is not None and keeping.submitted:
            if not keeping.pending:
                self._finish()
            return
        self._particulars.outcome = Outcome.CLIENT_ABORTED
        if keeping is not None:
            self._submit(keeping, Outcome.CLIENT_ABORTED)
        else:
            self._finish()

    def _give_up(self) -> None:
        """Ends so that others have room."""
        self.client_failed(over_share(Over("account", "memory", 0)))

    def fail(self, error: BaileeError, outcome: Outcome) -> None:
        """Ends the exchange with an error, unless it has its end already."""
        if self._over or self._failure is not None:
            return
        self.uplink.drop()
        keeping = self._keeping
        if keeping is not None and keeping.submitted:
            # The last event was there, and its end was not: the client gets what came.
            self._answer_done = True
            if self._downlink is not None:
                self._downlink.cut = True
            if not keeping.pending:
                self._finish()
            return
        self._failure = error
        self._particulars.outcome = outcome
        if keeping is not None:
            self._submit(keeping, outcome)
        else:
            self._end_with_error(error)

    def _end_with_error(self, error: BaileeError) -> None:
        client, downlink = self._client, self._downlink
        if downlink is not None and (downlink.began or client.gone):
            if not client.gone:
                downlink.end_with(error, self.exchange_id)
            self._end(error, status=downlink.answer.status)
        elif client.gone:
            self._end(error, status=0)
        else:
            close = client.closes = client.closes or not self.request_done
            bodiless = self.head.method == b"HEAD"
            lines = self.head.answer_lines
            client.write(
                error_answer(error, self.exchange_id, close=close, bodiless=bodiless, lines=lines)
            )
            self._end(error, status=error.http_status)
            client.finished()

    def _finish(self) -> None:
        """The exchange is over as it should be, or its client has gone."""
        downlink = self._downlink
        began = downlink is not None and downlink.began
        self._end(None, status=downlink.answer.status if downlink is not None and began else 0)
        if self._client.gone:
            return
        if downlink is not None and downlink.cut:
            self._client.close_unfinished(flush=True)
        else:
            self._client.finished()

    def _end(self, error: BaileeError | None, *, status: int) -> None:
        """Nothing happens in this exchange any more."""
        self._over = True
        self._keeping = None
        held = self.held
        self.gateway.shares.leave(held)
        del held.give_up  # the two refer to each other
        self.uplink.forget()
        ended = self.gateway.clock().timestamp()
        self.gateway.say(self._particulars.summary(status=status, error=error, ended=ended))

    # -- time ----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Looks at what is late. `now` in the loop's seconds."""
        limits = self.gateway.limits
        if self._over or self._failure is not None or self._pending:
            return
        if self._full_since:
            waited = now - self._full_since
            in_all = self._full_for + waited
            taken = self._particulars.bytes_out
            if waited > limits.client_stalled or (
                taken < (in_all - limits.client_stalled) * limits.body_rate
            ):
                self._client.close_unfinished(flush=False)
                self.client_lost()
            return
        downlink = self._downlink
        waits_for_upstream = self.request_done or self.uplink.full
        if self._route.prompt and downlink is None and now - self._started > limits.prompt:
            waits_for_upstream, silence = True, limits.prompt
            self.heard = self._started
        else:
            silence = limits.upstream_silence
        if waits_for_upstream and now - self.heard > silence:
            self.fail(
                UpstreamError(
                    f"The upstream was silent for {silence:g} s.", code="upstream_timeout"
                ),
                Outcome.TIMED_OUT,
            )
        elif not waits_for_upstream and self._client.body_late(now):
            self.fail(
                InputError("The request did not arrive in time.", code="request_timeout"),
                Outcome.TIMED_OUT,
            )
        elif limits.ping and downlink is not None and downlink.plain and self._may_ping:
            downlink.ping(now, limits.ping)

    @property
    def _may_ping(self) -> bool:
        hold = self._keeping.hold if self._keeping is not None else None
        holding = hold is not None and hold.holding
        return self._route.pings and not holding and not self._answer_done
