"""What is known of an exchange besides its bytes, and the two records that are made of it: the one
that is kept, and the summary that is said.

Pure. Rule kept here: the summary has names and numbers only. What a client wrote goes nowhere but
into the record that is kept.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from bailee.apis.batch_results import BatchMeter, batch_meter
from bailee.apis.metering import AnswerMeter, meter_for
from bailee.errors import BaileeError
from bailee.gateway.access import Caller
from bailee.gateway.http1 import AnswerHead, RequestHead
from bailee.gateway.known_routes import BATCH_RESULTS
from bailee.gateway.recording import Keeping, NotKept
from bailee.gateway.routes import GatewayRoute, recorded_target
from bailee.gateway.summary import OTHER, ExchangeSummary, client_of, method_label, traceparent_of
from bailee.gateway.uplink import UPSTREAM, Addressee
from bailee.items.programs import NOTED
from bailee.usage.asking import WholeRequest
from bailee.vault.exchange import CapturedExchange, Outcome, Terms

_OK: Final = 200
_SHOWN: Final = (200, 206)  # a batch's results, or a part of them
_COMPLETE: Final = Outcome.COMPLETE
_OUTCOMES: Final = {one: one.value for one in Outcome}


class Particulars:
    """Who, where, since when (Unix seconds), how many bytes, on what terms, and how it ended. The
    exchange owns it, and counts in it on the gateway's thread, and shows `meter` what comes.
    """

    __slots__ = (
        "addressee",
        "bytes_in",
        "bytes_out",
        "caller",
        "clause",
        "exchange_id",
        "head",
        "meter",
        "not_kept",
        "outcome",
        "own",
        "route",
        "started",
        "terms",
    )

    def __init__(  # noqa: PLR0917
        self,
        exchange_id: str,
        caller: Caller,
        head: RequestHead,
        route: GatewayRoute,
        kept: Keeping | NotKept,
        started: float,
        own: bool,
        addressee: Addressee,
    ) -> None:
        """`own`: on the client's own credential. `addressee`: where it goes."""
        self.exchange_id = exchange_id
        self.caller = caller
        self.head = head
        self.route = route
        self.started = started
        self.bytes_in = 0
        self.bytes_out = 0
        self.outcome = Outcome.COMPLETE
        self.own = own
        self.addressee = addressee
        # Of an answer that can say what it used, or what a batch did.
        self.meter: AnswerMeter | BatchMeter | None = None
        self.terms: Terms | None
        if isinstance(kept, Keeping):
            self.terms, self.not_kept, self.clause = kept.terms, "", kept.terms.clause
        else:
            self.terms, self.not_kept, self.clause = None, kept.why, kept.clause

    def _noted(self) -> tuple[tuple[str, str], ...]:
        """What is noted of the request's head, which program sent it if that is a known one, and
        which upstream it went to.
        """
        noted = _as_text(self.head.noted)
        program = client_of(self.head)
        if program and program != OTHER:
            noted = (*noted, (NOTED, program))
        where = self.addressee
        return (*noted, (UPSTREAM.decode(), where.name)) if where.one_of_several else noted

    def answered(self, answer: AnswerHead) -> None:
        """The answer begins. What a conversation's used is read from it as it passes."""
        if answer.status == _OK and self.route.recorded:
            self.meter = meter_for(self.route.api, answer.content_type, answer.content_encoding)
        elif answer.status in _SHOWN and self.route.label.endswith(BATCH_RESULTS):
            self.meter = batch_meter(self._batch(), answer.content_encoding)

    def _batch(self) -> str:
        """Which batch an answer has the results of, by an id of ours: a client wrote the other."""
        route = self.route
        path = route.target.partition(b"?")[0]
        named = "\n".join((route.channel, self.addressee.name, path.decode("latin-1")))
        return sha256(named.encode()).hexdigest()[:32]

    def whole(self, body: bytes) -> WholeRequest:
        """The request, as who says whether it may go on is shown it."""
        noted = dict(self.head.noted)
        return WholeRequest(
            self.exchange_id,
            self.caller.asker,
            self.route.api,
            self.route.target.decode("latin-1"),
            body,
            noted.get(b"content-encoding", b"").decode("latin-1"),
            self.own,
            noted.get(b"content-type", b"").decode("latin-1"),
        )

    def captured(
        self, keeping: Keeping, answer: AnswerHead | None, ended: float
    ) -> CapturedExchange:
        """The record that is kept. Takes the bytes out of `keeping`."""
        caller = self.caller
        request_body, answer_body = keeping.take()
        head, route = self.head, self.route
        # By place, here and below: by name it takes twice as long, for each exchange.
        return CapturedExchange(
            self.exchange_id,
            caller.owner,
            caller.key_id,
            caller.plan,
            route.channel,
            keeping.terms,
            self.started,
            ended,
            self.outcome,
            head.method.decode("ascii"),
            recorded_target(route.target),
            answer.status if answer is not None else 0,
            self._noted(),
            _as_text(answer.noted) if answer is not None else (),
            request_body,
            answer_body,
            caller.consent,
            route.api,
        )

    def summary(self, *, status: int, error: BaileeError | None, ended: float) -> ExchangeSummary:
        """What is said."""
        caller, meter, route, outcome = self.caller, self.meter, self.route, self.outcome
        complete = outcome is _COMPLETE
        return ExchangeSummary(
            self.exchange_id,
            self.started,
            ended - self.started,
            caller.owner,
            caller.key_id,
            caller.key_name,
            caller.plan,
            route.channel,
            method_label(self.head),
            route.label,
            status,
            _OUTCOMES[outcome],
            self.bytes_in,
            self.bytes_out,
            self.terms,
            self.not_kept,
            error.code if error is not None else "",
            self.clause,
            client_of(self.head),
            self.own,
            route.recorded,
            meter.found(complete=complete) if isinstance(meter, AnswerMeter) else None,
            self.addressee.name,
            traceparent=traceparent_of(self.head),
            batch=meter.used(complete=complete) if isinstance(meter, BatchMeter) else None,
        )


def _as_text(noted: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple([(name.decode("ascii"), value.decode("latin-1")) for name, value in noted])
