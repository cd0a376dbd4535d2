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
done; `_recorded`; `_finish`. `upstream_failed`, `client_lost` and `tick` may end it at any point.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bailee.errors import BaileeError, InputError, PolicyDenied, StorageError, UpstreamError
from bailee.gateway.access import Caller
from bailee.gateway.answers import (
    CONTINUE,
    LAST_CHUNK,
    PING,
    chunk,
    error_answer,
    error_event,
)
from bailee.gateway.completion import Hold, hold_for
from bailee.gateway.http1 import AnswerHead, RequestHead, without
from bailee.gateway.recording import Keeping, NotKept
from bailee.gateway.routes import Route, recorded_target
from bailee.vault.exchange import CapturedExchange, Outcome, Terms

if TYPE_CHECKING:
    from bailee.gateway.client import ClientConnection
    from bailee.gateway.server import Gateway
    from bailee.gateway.upstream import UpstreamConnection, UpstreamPool

_UNSENT: Final = 256 * 1024  # read from a client while its upstream connection is being made


class Exchange:
    """See the module."""

    __slots__ = (
        "_admitted",
        "_answer",
        "_answer_done",
        "_answering",
        "_body_began",
        "_boundary",
        "_bytes_in",
        "_bytes_out",
        "_caller",
        "_chunked",
        "_client",
        "_collected",
        "_commit_started",
        "_cut",
        "_dispatched",
        "_durable",
        "_failure",
        "_full_since",
        "_head_out",
        "_hold",
        "_keeping",
        "_last_sent",
        "_lines",
        "_not_kept",
        "_outcome",
        "_over",
        "_passthrough",
        "_pool",
        "_prompt_head",
        "_replay",
        "_replay_size",
        "_reserved",
        "_route",
        "_started",
        "_started_at",
        "_stream",
        "_tail",
        "_task",
        "_terms",
        "_unsent",
        "_unsent_size",
        "_upstream_is_full",
        "exchange_id",
        "gateway",
        "head",
        "heard",
        "request_done",
        "upstream",
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
        exchange_id: str,
    ) -> None:
        self.gateway = gateway
        self.head = head
        self.exchange_id = exchange_id
        self.request_done = False
        self.upstream: UpstreamConnection | None = None
        self.heard = gateway.now
        self._client = client
        self._route = route
        self._caller = caller
        self._pool = pool
        self._passthrough = passthrough
        self._keeping: Keeping | None
        self._terms: Terms | None
        if isinstance(kept, Keeping):
            self._keeping, self._terms, self._not_kept = kept, kept.terms, ""
        else:
            self._keeping, self._terms, self._not_kept = None, None, kept.why
        self._started = gateway.now
        self._started_at = gateway.clock().timestamp()
        self._bytes_in = 0
        self._bytes_out = 0
        # towards the upstream
        self._admitted = False
        self._reserved = 0
        self._lines = b""  # credential
        self._collected: list[bytes] | None = None  # the whole request, to be signed
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._body_began = False
        self._dispatched = False
        self._replay: list[bytes] | None = None
        self._replay_size = 0
        self._upstream_is_full = False
        self._task: asyncio.Task[None] | None = None
        # towards the client
        self._answer: AnswerHead | None = None
        self._answer_done = False
        self._answering = False  # whether anything of the answer was written to the client
        self._head_out = b""
        self._prompt_head = False
        self._chunked = False
        self._stream = False  # unencoded server-sent events
        self._tail = b"\n\n"
        self._boundary = False
        self._last_sent = gateway.now
        self._hold: Hold | None = None
        self._full_since = 0.0
        # its end
        self._commit_started = False
        self._durable = False
        self._outcome = Outcome.COMPLETE
        self._failure: BaileeError | None = None
        self._cut = False
        self._over = False

    # -- the request ---------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts, once there is room for what will be kept."""
        if self._keeping is not None:
            # How long a chunked request is, only its end tells.
            length = self.head.length or 0
            self._reserved = self.gateway.limits.max_body if self.head.chunked else length
            if not self.gateway.room.admit(self._reserved, self._proceed):
                self._client.pause("room")
                return
        self._proceed()

    def _proceed(self) -> None:
        self._admitted = True
        self._client.resume("room")
        if self.head.expects_continue:
            self._client.write(CONTINUE)
        credential = self._pool.credential
        if self._passthrough:
            self._lines = self.head.credential_lines
        elif credential.fixed is not None:
            self._lines = credential.fixed
        elif credential.needs_body:
            self._collected = []
            if self.request_done or self._unsent:
                self._collected, self._unsent = self._unsent, []
                if self.request_done:
                    self._run(self._sign())
            return
        else:
            self._run(self._sign())
            return
        self._dispatch()

    def request_data(self, payload: bytes, done: bool) -> None:
        """Takes what the client sent, transfer coding removed; `done` with the last of it."""
        if self._over or self._failure is not None:
            return
        self._bytes_in += len(payload)
        if self._keeping is not None and not self._commit_started and payload:
            self._keeping.request.append(payload)
            self._keeping.request_size += len(payload)
        if done:
            self.request_done = True
            self.heard = self.gateway.now
        if self._collected is not None or (not self._admitted and self._signs):
            if payload:
                (self._unsent if self._collected is None else self._collected).append(payload)
            if done and self._collected is not None:
                self._run(self._sign())
            self._body_began = True
            return
        if self.head.chunked:
            if payload:
                payload = chunk(payload)
            if done:
                payload += LAST_CHUNK
        if payload:
            self._to_upstream(payload)
        if not self._body_began:
            self._body_began = True
            if self._dispatched:
                self._take_connection()

    @property
    def _signs(self) -> bool:
        credential = self._pool.credential
        return not self._passthrough and credential.fixed is None and credential.needs_body

    async def _sign(self) -> None:
        body = b"".join(self._collected or ())
        url = self._pool.origin + (self._pool.base + self._route.target).decode("latin-1")
        method = self.head.method.decode("ascii")
        try:
            self._lines = await self._pool.credential.lines(method, url, body)
        except BaileeError as error:
            self.upstream_failed(error)
            return
        if self._over or self._failure is not None:
            return
        if self._collected is not None:
            self._collected = None
            if body:
                self._unsent = [body]
        self._dispatch(signed_length=len(body) if self._signs else None)

    def _dispatch(self, signed_length: int | None = None) -> None:
        """Sends the head and what came of the body so far."""
        head, pool = self.head, self._pool
        kept = head.kept
        if not self._passthrough and pool.credential.replaces:
            kept = without(kept, pool.credential.replaces)
        framing = b"Transfer-Encoding: chunked\r\n" if head.chunked else b""
        if head.chunked and signed_length is not None:
            framing = b"Content-Length: %d\r\n" % signed_length
        raw = b"%b %b%b HTTP/1.1\r\n%b%b%b%b\r\n" % (
            head.method,
            pool.base,
            self._route.target,
            pool.host_line,
            kept,
            self._lines,
            framing,
        )
        self._unsent.insert(0, raw)
        self._dispatched = True
        if self._body_began:
            self._take_connection()

    def _take_connection(self) -> None:
        connection = self._pool.take()
        if connection is None:
            self._run(self._connect())
        else:
            self._replay = []
            self._attach(connection)

    async def _connect(self) -> None:
        try:
            connection = await self._pool.connect()
        except UpstreamError as error:
            if error.code == "upstream_timeout":
                self._fail(error, Outcome.TIMED_OUT)
            else:
                self.upstream_failed(error)
            return
        if self._over or self._failure is not None:
            self._pool.give_back(connection)
            return
        self._attach(connection)

    def _attach(self, connection: UpstreamConnection) -> None:
        connection.exchange = self
        connection.used = True
        self.upstream = connection
        self.heard = self.gateway.now
        unsent, self._unsent, self._unsent_size = self._unsent, [], 0
        self._to_upstream(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        if not self._upstream_is_full:
            self._client.resume("upstream")

    def _to_upstream(self, raw: bytes) -> None:
        if self.upstream is None:
            if self._answer is not None:
                return  # answered before the request was complete: the rest is not wanted
            self._unsent.append(raw)
            self._unsent_size += len(raw)
            if self._unsent_size > _UNSENT:
                self._client.pause("upstream")
            return
        if self._replay is not None:
            self._replay_size += len(raw)
            if self._replay_size > self.gateway.limits.resend:
                self._replay = None
            else:
                self._replay.append(raw)
        self.upstream.transport.write(raw)

    def upstream_full(self, full: bool) -> None:
        """The upstream does not take what was written as fast as it came, or does again."""
        self._upstream_is_full = full
        if full:
            self._client.pause("upstream")
        else:
            self._client.resume("upstream")

    # -- the answer ----------------------------------------------------------------------------

    def informational(self, head: AnswerHead) -> None:
        """An answer before the answer (RFC 9110, 15.2). We asked for no 100 (Continue)."""
        if head.status != 100 and self.head.minor == 1 and not self._answering:
            self._client.write(b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.status, head.reason, head.kept))

    def answer_head(self, head: AnswerHead) -> None:
        """The answer begins."""
        self._replay = None
        if self._route.prompt and 300 <= head.status < 400 and head.status != 304:
            self.upstream_failed(
                UpstreamError("The upstream redirects this request.", code="upstream_protocol")
            )
            return
        self._answer = head
        framing = b""
        close = self._client.closes
        if not head.bodiless and head.length is None:
            if self.head.minor == 1:
                self._chunked = True
                framing = b"Transfer-Encoding: chunked\r\n"
            else:
                close = True
        if close or not self.request_done:
            self._client.closes = True
            framing += b"Connection: close\r\n"
        # The head of a document that is kept waits with it: until then it could be a refusal.
        self._head_out = b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (
            head.status,
            head.reason,
            head.kept,
            framing,
        )
        events = head.content_type.startswith(b"text/event-stream")
        self._stream = events and head.content_encoding in (b"", b"identity")
        if self._keeping is not None:
            self._hold = hold_for(head.content_type, head.content_encoding)
        self._prompt_head = events or self._keeping is None

    def answer_data(self, payload: bytes, done: bool) -> None:
        """Takes what the upstream sent, transfer coding removed; `done` with the last of it."""
        if self._over or self._failure is not None:
            return
        self._answer_done = done
        self._bytes_out += len(payload)
        keeping, hold = self._keeping, self._hold
        if keeping is None or hold is None:
            self._send(payload, done)
            if done:
                self._finish()
            elif self._head_out:
                self._flush_head()
            return
        if self._commit_started:
            # The record is on its way, or durable: what follows the last event waits with it.
            if self._durable:
                self._send(payload, done)
                if done:
                    self._finish()
            else:
                hold.feed(payload)
            return
        keeping.answer.append(payload)
        keeping.answer_size += len(payload)
        if keeping.answer_size > self.gateway.limits.max_answer:
            self.upstream_failed(
                UpstreamError(
                    "The answer is longer than what can be kept of one exchange.",
                    code="upstream_protocol",
                )
            )
            return
        self.gateway.room.held += len(payload)
        self._reserved += len(payload)
        free = hold.feed(payload)
        if free:
            self._send(free, False)
        elif self._head_out and self._prompt_head:
            self._flush_head()
        if done or hold.final:
            self._commit(Outcome.COMPLETE)
            if not done and self.upstream is not None:
                self.upstream.transport.pause_reading()

    def _flush_head(self) -> None:
        if self._head_out:
            self._answering = True
            self._client.write(self._head_out)
            self._head_out = b""

    def _send(self, payload: bytes, last: bool) -> None:
        """Writes to the client; with `last`, the answer's end."""
        if payload and self._stream:
            self._tail = payload[-4:] if len(payload) >= 4 else (self._tail + payload)[-4:]
            self._last_sent = self.gateway.now
        if self._chunked:
            if payload:
                payload = b"%x\r\n%b\r\n" % (len(payload), payload)
            if last and not self._cut:
                payload += LAST_CHUNK
        if self._head_out and (payload or last):
            payload = self._head_out + payload
            self._head_out = b""
        if payload:
            self._answering = True
            self._client.write(payload)

    def client_full(self, full: bool) -> None:
        """The client does not take what was written as fast as it came, or does again."""
        self._full_since = self.gateway.now if full else 0.0
        self.heard = self.gateway.now
        upstream = self.upstream
        if upstream is not None and not (self._commit_started and not self._durable):
            if full:
                upstream.transport.pause_reading()
            else:
                upstream.transport.resume_reading()

    # -- recording -----------------------------------------------------------------------------

    def _commit(self, outcome: Outcome) -> None:
        """Submits the record. `_recorded` goes on."""
        keeping = self._keeping
        assert keeping is not None
        self._commit_started = True
        self._outcome = outcome
        answer, caller = self._answer, self._caller
        request = b"".join(keeping.request)
        answered = b"".join(keeping.answer)
        keeping.request, keeping.answer = [], []
        captured = CapturedExchange(
            exchange_id=self.exchange_id,
            owner=caller.owner,
            key_id=caller.key_id,
            plan=caller.plan,
            channel=self._route.channel,
            terms=keeping.terms,
            started_at=self._started_at,
            ended_at=self.gateway.clock().timestamp(),
            outcome=outcome,
            method=self.head.method.decode("ascii"),
            target=recorded_target(self._route.target),
            status=answer.status if answer is not None else 0,
            request_headers=_as_text(self.head.noted),
            answer_headers=_as_text(answer.noted) if answer is not None else (),
            request=request,
            answer=answered,
        )
        self.gateway.submit(captured, self._recorded)
        self._give_room_back()

    def _recorded(self, error: StorageError | None) -> None:
        """The record is durable, or is known not to be."""
        self._durable = True
        if error is not None:
            self._terms, self._not_kept = None, "recorder_failed"
            if self._failure is None:
                if self.gateway.refuses_unrecorded:
                    self._failure = not_recorded()
                    self._drop_upstream()
                else:
                    self.gateway.served_unrecorded()
        if self._failure is not None:
            self._end_with_error(self._failure)
            return
        if self._client.gone:
            self._finish()
            return
        assert self._hold is not None
        self._send(self._hold.rest(), self._answer_done)
        if self._answer_done:
            self._finish()
        elif self.upstream is not None and not self._full_since:
            self.upstream.transport.resume_reading()

    def _give_room_back(self) -> None:
        reserved, self._reserved = self._reserved, 0
        if reserved:
            self.gateway.room.give_back(reserved)

    # -- ends ----------------------------------------------------------------------------------

    def upstream_lost(self, connection: UpstreamConnection) -> None:
        """The upstream's connection closed before the answer was complete."""
        replay = self._replay
        if replay is not None and not connection.heard and not self._client.gone:
            # It was idle and had been closed: nothing of an answer came, so nothing was answered.
            self._replay = None
            self._unsent = replay + self._unsent
            self._upstream_is_full = False
            self._run(self._connect())
            return
        self.upstream_failed(
            UpstreamError("The upstream closed before its answer ended.", code="upstream_closed")
        )

    def upstream_failed(self, error: BaileeError) -> None:
        """The upstream did not do its part."""
        self._fail(error, Outcome.UPSTREAM_FAILED)

    def client_failed(self, error: InputError) -> None:
        """The client did not do its part."""
        self._fail(error, Outcome.CLIENT_ABORTED)

    def client_lost(self) -> None:
        """The client has gone."""
        if self._over:
            return
        self._drop_upstream()
        if not self._commit_started:
            self._outcome = Outcome.CLIENT_ABORTED
            if self._keeping is not None and self._admitted:
                self._commit(Outcome.CLIENT_ABORTED)
                return
            self._finish()
        elif self._durable:
            self._finish()

    def _fail(self, error: BaileeError, outcome: Outcome) -> None:
        if self._over or self._failure is not None:
            return
        self._drop_upstream()
        if self._commit_started:
            # The last event was there, and its end was not: the client gets what came.
            self._cut = self._answer_done = True
            if self._durable:
                self._finish()
            return
        self._failure = error
        self._outcome = outcome
        if self._keeping is not None and self._admitted:
            self._commit(outcome)
        else:
            self._end_with_error(error)

    def _drop_upstream(self) -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.drop()
        if self._task is not None and self._task is not _current_task():
            self._task.cancel()

    def _end_with_error(self, error: BaileeError) -> None:
        client = self._client
        if client.gone:
            pass
        elif not self._answering:
            close = client.closes = client.closes or not self.request_done
            bodiless = self.head.method == b"HEAD"
            client.write(error_answer(error, self.exchange_id, close=close, bodiless=bodiless))
            self._head_out = b""
            self._over_with(error, status=error.http_status)
            client.finished()
            return
        elif self._stream and self._at_boundary() and (self._chunked or self.head.minor == 0):
            event = error_event(error, self.exchange_id)
            client.write(chunk(event) if self._chunked else event)
            client.close_unfinished(flush=True)
        else:
            client.close_unfinished(flush=False)
        self._over_with(error, status=self._answer.status if self._answer is not None else 0)

    def _finish(self) -> None:
        """The exchange is over as it should be, or its client has gone."""
        status = self._answer.status if self._answer is not None and self._answering else 0
        self._over_with(None, status=status)
        if self._client.gone:
            return
        if self._cut:
            self._client.close_unfinished(flush=True)
        else:
            self._client.finished()

    def _over_with(self, error: BaileeError | None, *, status: int) -> None:
        self._over = True
        if not self._admitted:
            self.gateway.room.withdraw(self._proceed)
        else:
            self._give_room_back()
        self._keeping = None
        self.gateway.exchange_over(
            self,
            self._caller,
            self._route,
            status=status,
            outcome=self._outcome.value if self._admitted else "refused",
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            terms=self._terms if self._admitted else None,
            not_kept=self._not_kept if self._admitted else "refused",
            error=error.code if error is not None else "",
            started=self._started_at,
        )

    # -- time ----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Looks at what is late. `now` in the loop's seconds."""
        limits = self.gateway.limits
        if self._over or self._failure is not None or (self._commit_started and not self._durable):
            return
        if not self._admitted:
            if self.gateway.refuses_now:
                self._fail(not_recorded(), Outcome.CLIENT_ABORTED)
            return
        if self._full_since:
            if now - self._full_since > limits.client_stalled:
                self._client.close_unfinished(flush=False)
                self.client_lost()
            return
        waits_for_upstream = self.request_done or self._upstream_is_full
        if self._route.prompt and self._answer is None and now - self._started > limits.prompt:
            waits_for_upstream, silence = True, limits.prompt
            self.heard = self._started
        else:
            silence = limits.upstream_silence
        if waits_for_upstream and now - self.heard > silence:
            self._fail(
                UpstreamError(
                    f"The upstream was silent for {silence:g} s.", code="upstream_timeout"
                ),
                Outcome.TIMED_OUT,
            )
        elif not waits_for_upstream and self._client.silent_for(now) > limits.client_body_idle:
            self._fail(
                InputError("The request did not arrive in time.", code="request_timeout"),
                Outcome.TIMED_OUT,
            )
        elif limits.ping and self._stream and now - self._last_sent > limits.ping:
            self._ping(now)

    def _ping(self, now: float) -> None:
        holding = self._hold is not None and self._hold.holding
        if (
            self._chunked
            and self._route.pings
            and not holding
            and not self._answer_done
            and self._at_boundary()
        ):
            self._last_sent = now
            self._client.write(chunk(PING))

    def _at_boundary(self) -> bool:
        return self._tail.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))

    def _run(self, work: object) -> None:
        self._task = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]


def not_recorded() -> PolicyDenied:
    """Why a request is refused while its record can't be written."""
    return PolicyDenied(
        "This exchange can't be recorded.",
        code="not_recorded",
        hint="the operator must make room or mend the disk; the policy serves nothing unrecorded",
    )


def _as_text(noted: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple([(name.decode("ascii"), value.decode("latin-1")) for name, value in noted])


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
