"""One small exchange in this process, for `bench.usage`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from bailee.admission import Held, ShareLimits, Shares
from bailee.gateway.access import Caller, Passage
from bailee.gateway.http1 import parse_answer_head, parse_request_head
from bailee.gateway.recorded_exchange import RecordedExchange, kind_of
from bailee.gateway.recording import Keeping, NotKept
from bailee.gateway.routes import GatewayRoute
from bailee.gateway.settings import GatewayLimits
from bailee.gateway.uplink import Addressee
from bailee.testing.upstream import Text, sse
from bailee.usage.counting import UsageCounting, UseOf
from bailee.usage.counts import UsageCounts
from bailee.usage.price_file import read_prices
from bailee.vault.exchange import Terms

_TERMS = Terms("P30D", "test.clause", "0" * 64)
_CALLER = Caller("a", "k", "n", "p", False, lambda _: _TERMS, lambda *_: Passage(True, "test"))
_UP = Addressee(b"", b"Host: up\r\n", b"x-api-key: ours\r\n")
_ROUTE = GatewayRoute("api", b"/v1/messages", "/v1/messages", "conversation", pings=True)
_HEAD = (
    b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nUser-Agent: claude-cli/2.1.332 (external, cli)\r\n"
    b"anthropic-version: 2023-06-01\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n"
)
_LIMITS = GatewayLimits()


def runner(kept: bool, shape: str, *, counts: bool = True) -> Callable[[], None]:
    """Carries out one exchange when it is called. `counts`: what it used is counted."""
    shares = Shares(ShareLimits(9, 1 << 20, 1 << 20))
    counting = UsageCounting(
        cast(UsageCounts, None), read_prices(), lambda *_: None,
        partial(datetime.fromtimestamp, tz=UTC),
    )  # fmt: skip
    answer = Text("pears and plums and quinces " * 3)
    events = answer.events(cast(Any, _Asked()))
    if shape == "stream":
        pieces = [sse(one) for one in events]
        kind = b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    else:
        import json

        pieces = [json.dumps(answer.message(cast(Any, _Asked()))).encode()]
        kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(pieces[0])
    raw = b"HTTP/1.1 200 OK\r\n%b\r\n" % kind

    def run() -> None:
        head = parse_request_head(_HEAD)
        held = shares.enter("a", "k", 0, full=False)
        assert isinstance(held, Held)
        keeps: Keeping | NotKept = Keeping(_TERMS) if kept else NotKept("zero_retention")
        exchange = kind_of(keeps)(
            head, _ROUTE, caller=_CALLER, addressee=_UP, kept=keeps, passthrough=False,
            closes=False, max_body=1 << 20, exchange_id="req_1", held=held, shares=shares,
            limits=_LIMITS, must_record=True, now=1.0, started=0.0,
        )  # fmt: skip
        exchange.begin()
        exchange.request_data(b"body", True, 1.0)
        exchange.connected(1.0, pooled=True)
        exchange.answer_head(parse_answer_head(raw, b"POST"))
        if not counts:
            exchange._particulars.meter = None
        for number, piece in enumerate(pieces):
            exchange.answer_data(piece, number == len(pieces) - 1, 1.0)
        if isinstance(exchange, RecordedExchange):
            exchange.captured(2.0)
            exchange.recorded(True, 1.0)
        summary = exchange.summary(2.0)
        if counts:
            counting.add(
                UseOf(
                    summary.started, summary.owner, summary.key_id, summary.client,
                    summary.channel, "", summary.own, summary.seconds, False, False,
                    summary.metered,
                )
            )  # fmt: skip

    return run


class _Asked:
    def __init__(self) -> None:
        self.json = {"model": "claude-haiku-4-5-20251001"}
        self.body = b"body"
